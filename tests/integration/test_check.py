# SPDX-License-Identifier: GPL-2.0-or-later
"""leakmon check: runs a command, and its exit code says whether that leaks."""

import json
import os
import pwd
import signal
import subprocess
import time

from harness import build, check, check_equal, is_alive, need, poll, test
from leakmon import BINARY

SHORT = ["--horizon", "8s", "--min-blocked", "200ms"]


def run(*words, deadline_s=60, **options):
    return subprocess.run([BINARY, "check", *map(str, words)], capture_output=True, text=True, timeout=deadline_s,
                          stdin=options.pop("stdin", subprocess.DEVNULL), **options)


def is_silent(done):
    check_equal(done.stderr, "", "words on stderr", done)


@test()
def a_command_that_leaks_fails_and_says_where(t):
    path = t.directory() / "report.json"
    # the leak is in a grandchild, whose output is its own
    done = run(*SHORT, "-o", path, "--", "sh", "-c", f"timeout 16 {build('leak')} 60; exit 3")
    check_equal(done.returncode, 1, "the exit code", done)
    check_equal(json.loads(done.stdout)["function"], "wait_for_result", "what the command printed")
    check("LIKELY leak" in done.stderr and "wait_for_result" in done.stderr, "the finding", done.stderr)
    check("serve" in done.stderr and "would be wrong if" in done.stderr, "its stack, and when it is wrong", done.stderr)
    report = json.loads(path.read_text())
    leaks = [finding for finding in report["findings"] if finding["type"] == "leak" and finding["level"] == "likely"]
    check(leaks, "the file tells what was found of a process that has ended since", report["findings"])
    check_equal(report["totals"]["findings"]["likely"], len(leaks), "how many there are")
    sites = [site for site in report["sites"] if (site["pid"], site["site"]) == (leaks[0]["pid"], leaks[0]["site"])]
    check(any(frame["function"] == "wait_for_result" for frame in sites[0]["stack"]), "its site", sites)
    check("leak" in {process["comm"] for process in report["processes"]}, "its process", report["processes"])


@test()
def a_command_that_is_well_keeps_its_exit_code_and_its_input_and_output(t):
    done = run("--", "sh", "-c", "cat; echo to stderr >&2; exit 7", stdin=None, input="what was said\n")
    check_equal(done.returncode, 7, "the exit code", done)
    check_equal(done.stdout, "what was said\n", "its output", done)
    check_equal(done.stderr, "to stderr\n", "its errors, and no words of leakmon's", done)
    is_silent(run(*SHORT, "--", "sleep", "1"))


@test()
def a_report_is_written_however_soon_the_command_ends(t):
    path = t.directory() / "report.json"
    for words in (["-o", path], ["-j", "-o", path]):
        check_equal(run(*words, "--", "true").returncode, 0, "the exit code")
        report = json.loads(path.read_text())
        check_equal((report["schema"], report["interval_s"]), ("leakmon.snapshot/1", None), "the report, and its interval")
        path.unlink()
    done = run("-o", "/dev/full", "--", "true")
    check_equal(done.returncode, 2, "the exit code on a full disk", done)
    check("/dev/full" in done.stderr and len(done.stderr.splitlines()) == 1, "one line that names it", done.stderr)
    done = run("-o", "/nonexistent/x", "--", "true")
    check_equal((done.returncode, done.stderr), (2, "leakmon: the report could not be written to /nonexistent/x: No such file "
                "or directory; make its directory, or name another place with -o\n"), "what is said of a missing directory")


@test(("text", b"leakmon "), ("json", b"{"), ("collapsed", b"sleep"), ("pprof", b"\x1f\x8b"), ("speedscope", b"{"))
def the_report_has_the_format_that_was_asked_for(t, name, begin):
    path = t.directory() / "report"
    done = run("--min-blocked", "1ms", "--format", name, "-o", path, "--", "sleep", "1.5")
    check_equal(done.returncode, 0, "the exit code", done)
    check(path.read_bytes().startswith(begin), "the report", path.read_bytes()[:200])


@test()
def a_signal_that_ends_the_command_shows_in_the_exit_code(t):
    check_equal(run("--", "sh", "-c", "kill -TERM $$").returncode, 128 + signal.SIGTERM, "the exit code")


@test()
def a_command_that_cannot_be_run_is_named(t):
    plain = t.directory() / "plain"
    plain.write_text("no program")
    for word, code in (("/nowhere/to/be/found", 127), (str(plain), 126)):
        done = run("--", word)
        check_equal(done.returncode, code, word, done)
        check(word in done.stderr and len(done.stderr.splitlines()) == 1, "one line that names it", done.stderr)


@test()
def signals_go_on_to_the_command(t):
    child = subprocess.Popen([BINARY, "check", "--", "sh", "-c", "trap 'echo got it; exit 9' USR1; echo ready; while :; do sleep 0.1; done"],
                             stdout=subprocess.PIPE, text=True)
    try:
        check_equal(child.stdout.readline(), "ready\n", "its first line")
        child.send_signal(signal.SIGUSR1)
        check_equal(child.stdout.readline(), "got it\n", "the trap's line")
        check_equal(child.wait(20), 9, "the exit code")
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


@test()
def under_sudo_the_command_runs_as_the_user_who_called_it(t):
    nobody = pwd.getpwnam("nobody")
    environment = {**os.environ, "SUDO_UID": str(nobody.pw_uid), "SUDO_GID": str(nobody.pw_gid), "HOME": "/root"}
    done = run("--", "sh", "-c", "id -u; id -g; echo $HOME $USER", env=environment)
    check_equal(done.stdout.split(), [str(nobody.pw_uid), str(nobody.pw_gid), nobody.pw_dir, "nobody"], "who it is", done)


@test()
def time_that_is_over_ends_a_server_and_its_children_and_that_is_no_failure(t):
    begun = time.monotonic()
    done = run("--for", "2s", "--", "sh", "-c", "sleep 77 & echo $!; sleep 78")
    check_equal(done.returncode, 0, "the exit code", done)
    check(1.5 < time.monotonic() - begun < 15, "the time it took", time.monotonic() - begun)
    child = int(done.stdout)
    poll(10, "its child has ended", lambda: not is_alive(child))


@test()
def a_daemon_that_the_command_leaves_behind_is_watched_until_the_time_is_over(t):
    begun = time.monotonic()
    done = run("--for", "3s", "--", "sh", "-c", "(trap '' TERM; exec setsid sleep 77) >/dev/null 2>&1 & echo $!; exit 3")
    check_equal(done.returncode, 3, "the command's own exit code", done)
    check(12.5 < time.monotonic() - begun < 30, "the time it took, with ten seconds of grace", time.monotonic() - begun)
    check(not is_alive(int(done.stdout)), "it was killed in the end", done)
    begun = time.monotonic()
    done = run("--", "sh", "-c", "setsid sleep 20 >/dev/null 2>&1 & echo $!; exit 3")
    check_equal(done.returncode, 3, "the exit code without --for", done)
    check(time.monotonic() - begun < 15, "nobody waits for it without --for", time.monotonic() - begun)
    check(is_alive(int(done.stdout)), "nor ends it", done)
    os.kill(int(done.stdout), signal.SIGKILL)


@test()
def the_command_finds_signals_and_descriptors_as_the_caller_left_them(t):
    def signals_of(*words):
        status = subprocess.run([*words, "grep", "-E", "SigBlk|SigIgn", "/proc/self/status"], capture_output=True,
                                preexec_fn=ignore, restore_signals=False, timeout=30, check=True)
        return status.stdout

    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})

    check_equal(signals_of(BINARY, "check", "--"), signals_of(), "ignored and blocked signals")
    done = run("-o", t.directory() / "report", "--", "sh", "-c", "ls /proc/self/fd; exit 3")
    check_equal((done.returncode, done.stdout.split()), (3, ["0", "1", "2", "3"]), "open files, that of ls among them", done)


@test()
def it_runs_without_standard_files(t):
    path, log = t.directory() / "report.json", t.directory() / "log"
    words = f"{BINARY} check -o {path} -- sh -c 'ls /proc/self/fd >{log}; exit 4' <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", words], timeout=30, check=False)
    check_equal(done.returncode, 4, "the exit code", done)
    check("2" not in log.read_text().split(), "the command has no standard error either", log.read_text())
    check_equal(json.loads(path.read_text())["schema"], "leakmon.snapshot/1", "the report")


@test()
def thousands_of_short_processes_are_no_trouble(t):
    need("bash")
    done = run("--", "bash", "-c", "for i in {1..2000}; do (exit 0) & done; wait; exit 4", deadline_s=100)
    check_equal(done.returncode, 4, "the exit code", done)
    is_silent(done)


@test()
def a_command_is_asked_for_clearly(t):
    for words in ([], ["--"], ["true"], ["-p", "1", "--", "true"], ["--for", "soon", "--", "true"], ["-j", "--", "true"],
                  ["--format", "json", "--", "true"]):
        done = run(*words)
        check_equal(done.returncode, 64, words, done)
        check(len(done.stderr.splitlines()) == 1, "one line", done.stderr)

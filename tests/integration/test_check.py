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
    comms = {process["comm"] for process in json.loads(path.read_text())["processes"]}
    check("leak" in comms or "sh" in comms, "the report is of the command's processes", comms)


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
    check_equal(run("-o", path, "--", "true").returncode, 0, "the exit code")
    check_equal(json.loads(path.read_text())["schema"], "leakmon.snapshot/1", "the report")
    done = run("-o", "/dev/full", "--", "true")
    check_equal(done.returncode, 2, "the exit code on a full disk", done)
    check("/dev/full" in done.stderr and len(done.stderr.splitlines()) == 1, "one line that names it", done.stderr)


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
def thousands_of_short_processes_are_no_trouble(t):
    need("bash")
    done = run("--", "bash", "-c", "for i in {1..2000}; do (exit 0) & done; wait; exit 4", deadline_s=100)
    check_equal(done.returncode, 4, "the exit code", done)
    is_silent(done)


@test()
def a_command_is_asked_for_clearly(t):
    for words in ([], ["--"], ["true"], ["-p", "1", "--", "true"], ["--for", "soon", "--", "true"]):
        done = run(*words)
        check_equal(done.returncode, 64, words, done)
        check(len(done.stderr.splitlines()) == 1, "one line", done.stderr)

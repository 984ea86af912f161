# SPDX-License-Identifier: GPL-2.0-or-later
"""The Python functions that threads of CPython programs wait in, of every version that is there."""

import pathlib
import shutil
import subprocess
import sys
import time

import harness
from harness import SOURCES, Skip, check, check_equal, is_alive, markers, poll, settle, test
from leakmon import functions, outline, snapshot

ALL = ["--members", "1000", "--min-blocked", "1ms"]
PROGRAM = SOURCES / "waits.py"
VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]


def version_of(path):
    """The version that the interpreter says of itself; "" if it does not run."""
    words = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip() if done.returncode == 0 else ""


def find_python(what):
    """An interpreter of the version, or the system's."""
    candidates = ["/usr/bin/python3"]
    if what != "system":
        beside = sorted(pathlib.Path.home().glob(f".pyenv/versions/{what}.*/bin/python{what}"))
        candidates = [*beside, shutil.which(f"python{what}"), f"/usr/local/bin/python{what}", sys.executable]
    for path in candidates:
        if path and pathlib.Path(path).exists() and (what == "system" or version_of(path) == what):
            return str(path)
    raise Skip(f"there is no Python {what}")


def start(t, what, *arguments):
    return t.start(find_python(what), "-X", "utf8", PROGRAM, *arguments)


def is_python(frame):
    return pathlib.Path(frame["file"] or "").suffix == ".py"


def own_frames(site):
    """(function, line) of the program's own frames, innermost first."""
    return [(frame["function"], frame["line"]) for frame in site["stack"] if frame["module"] == PROGRAM.name]


def check_frames(site):
    """What must hold of Python frames and the native ones around them."""
    interpreting = False
    for frame in site["stack"]:
        if is_python(frame):
            check(interpreting, "Python frames stand behind the call that runs them", site)
            check_equal((frame["build_id"], frame["inlined"]), (None, False), "build id, inlined", frame)
            check_equal(frame["offset"] & 0xfffff, frame["line"], "the offset says the line", frame)
            check(frame["offset"] < 1 << 53, "the offset is a whole number for every reader of JSON", frame)
        else:
            interpreting = "_PyEval_EvalFrameDefault" in (frame["function"] or "")


@test("system", *VERSIONS)
def python_frames_are_shown_with_names_lines_and_order(t, what):
    process, marks = start(t, what), markers(PROGRAM.name)
    settle(process.pid)
    report = snapshot(t, "-p", process.pid, *ALL)
    check_equal([item for item in report["processes"][0]["unavailable"] if item["what"] != "goroutines"], [],
                "what is unavailable", report)
    for group in process.truth["groups"]:
        chain = [(function, marks[f"WAIT:{mark}"]) for function, mark in group["chain"]]
        found = [site for site in report["sites"] if own_frames(site) == chain]
        check_equal([site["count"] for site in found], [group["count"]], f"threads of {group['name']}",
                    lambda: [chain, outline(report), [own_frames(site) for site in report["sites"]]])
        check_frames(found[0])
    check_equal(sum(site["count"] for site in report["sites"]), len(harness.tids(process.pid)), "all threads", report)
    check_others(process, report, marks)


def check_others(process, report, marks):
    """The main thread, and the pool's idle workers, which are the only threads without a function of the program."""
    main = [site for site in report["sites"] if own_frames(site) == [("<module>", marks["WAIT:main"])]]
    check_equal([site["count"] for site in main], [1], "main", report)
    idle = [site for site in report["sites"] if not own_frames(site)]
    check_equal([site["count"] for site in idle], [process.truth["idle"]], "idle workers", report)
    check_equal(idle[0].get("idle_pool"), True, "the pool is known as idle", idle)
    names = [frame["function"] for frame in idle[0]["stack"] if is_python(frame)]
    check_equal([name.split(".")[-1] for name in names], ["_worker", "run", "_bootstrap_inner", "_bootstrap"],
                "frames of the idle workers", idle)
    check_equal([site.get("idle_pool") for site in report["sites"]].count(True), 1, "idle pools", report)


@test("system")
def two_runs_of_a_python_program_have_the_same_sites(t, what):
    one, other = start(t, what), start(t, what)
    for process in (one, other):
        settle(process.pid)
    sites = [{site["site"] for site in snapshot(t, "-p", process.pid, *ALL)["sites"]} for process in (one, other)]
    check_equal(sites[0], sites[1], "sites")


@test("system", "3.13")
def a_leak_in_python_is_named_by_its_function_and_line(t, what):
    process, marks = start(t, what, "leak", 150), markers(PROGRAM.name)
    end = time.monotonic() + 14
    poll(20, "the leak is old enough", lambda: time.monotonic() >= end)
    check(is_alive(process.pid), "the program lives")
    report = snapshot(t, "--horizon", "18s", "--min-blocked", "100ms", "-p", process.pid)
    found = [finding for finding in report["findings"] if finding["type"] == "leak"]
    check_equal(len(found), 1, "leaks", report)
    place = f"wait_for_result ({PROGRAM.name}:{marks['WAIT:wait_for_result']})"
    check(place in found[0]["summary"], f"the summary names {place}", found)
    t.note(found[0]["summary"])


@test("3.11", "3.12", "3.13")
def damaged_python_frames_cost_only_themselves(t, what):
    process = start(t, what, "damage")
    settle(process.pid)
    report = snapshot(t, "-p", process.pid, *ALL)
    check_equal(report["losses"], {loss: 0 for loss in report["losses"]}, "losses", report)
    check_equal(report["totals"]["blocked_threads"], process.truth["threads"] + 1, "blocked threads", report)
    main = [site for site in report["sites"] if [name for name, _ in own_frames(site)] == ["damage", "<module>"]]
    check_equal([site["count"] for site in main], [1], "main", report)
    check(max(len(own_frames(site)) for site in report["sites"]) <= 256, "frames", report)
    damaged = [site for site in report["sites"] if site not in main]
    check(all("start_thread" in functions(site) or site["stack_why"] for site in damaged), "native frames are there", report)


@test("system")
def a_python_that_is_no_python_is_shown_by_its_native_frames(t, what):
    """… with the reason: here a copy of the interpreter whose version, read from its memory, is made another."""
    directory = t.directory()
    copy = directory / pathlib.Path(find_python(what)).resolve().name
    data = pathlib.Path(find_python(what)).resolve().read_bytes()
    version = subprocess.run([find_python(what), "-c", "import sys; print(sys.hexversion)"], capture_output=True, text=True)
    number = int(version.stdout)
    word, other = number.to_bytes(8, "little"), (number + (0x60 << 16)).to_bytes(8, "little")
    if data.count(word) != 1:
        raise Skip("the interpreter's version does not stand in its file once")
    copy.write_bytes(data.replace(word, other))
    copy.chmod(0o755)
    process = t.start(copy, PROGRAM)
    settle(process.pid)
    report = snapshot(t, "-p", process.pid, *ALL)
    check_equal([item["why"] for item in report["processes"][0]["unavailable"] if item["what"] == "python"],
                ["this build of Python is not known: only native frames are shown"], "the reason", report)
    check(not any(is_python(frame) for site in report["sites"] for frame in site["stack"]), "no Python frame", report)

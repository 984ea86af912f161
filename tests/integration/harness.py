# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests stand on: building blockers, starting and ending them, waiting with a deadline, saying what failed."""

import contextlib
import fcntl
import json
import os
import pathlib
import re
import select
import shutil
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
SOURCES = HERE / "blockers"
BUILT = HERE.parents[1] / "build" / "tests" / "blockers"

TESTS = []  # (name, function, arguments, only with --long)


def test(*cases, long=False):
    """Makes a function a test, or one for each case: a value, or a tuple of arguments of which the first names it."""

    def register(function):
        for case in cases or [()]:
            arguments = case if isinstance(case, tuple) else (case,)
            name = function.__name__ + (f"[{arguments[0]}]" if arguments else "")
            TESTS.append((name, function, arguments, long))
        return function

    return register


class Failure(Exception):
    """What was expected and what came instead; evidence is shown below it."""

    def __init__(self, message, evidence=None):
        super().__init__(message)
        self.evidence = evidence


class Skip(Exception):
    """Why this cannot be tested here."""


def check(truth, message, evidence=None):
    if not truth:
        raise Failure(message, evidence)


def check_equal(got, expected, what, evidence=None):
    check(got == expected, f"{what}: expected {expected!r}, got {got!r}", evidence)


def poll(deadline_s, what, function):
    """The first true result of the function, called until the deadline."""
    end = time.monotonic() + deadline_s
    while True:
        result = function()
        if result:
            return result
        check(time.monotonic() < end, f"not within {deadline_s} s: {what}")
        time.sleep(0.02)


def need(*programs):
    for program in programs:
        if not find_program(program):
            raise Skip(f"{program} is not installed")


def find_program(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def read_text(path):
    """The file's text, or "" if it (or its process) is gone."""
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except (OSError, ProcessLookupError):
        return ""


# --- blockers -------------------------------------------------------------------------------------------------------

WARNINGS = "-Wall -Wextra -Wno-missing-field-initializers"
C_FLAGS = f"-O2 -g -fomit-frame-pointer -pthread {WARNINGS}"

# name: (source, command); $in and $out are put in. "strip:NAME" makes a stripped copy of another.
BUILDS = {
    "waits": ("waits.c", f"gcc {C_FLAGS} -o $out $in"),
    "waits-stripped": ("waits.c", "strip:waits"),
    "waits-nopie": ("waits.c", f"gcc {C_FLAGS} -no-pie -fno-pie -o $out $in"),
    "waits-static": ("waits.c", f"gcc {C_FLAGS} -static -o $out $in"),
    "waits-static-pie": ("waits.c", f"gcc {C_FLAGS} -static-pie -fPIE -o $out $in"),
    "waits-static-stripped": ("waits.c", "strip:waits-static"),
    "waits-clang": ("waits.c", f"clang {C_FLAGS} -o $out $in"),
    "waits-musl": ("waits.c", f"musl-gcc {C_FLAGS} -o $out $in"),
    "waits-musl-static": ("waits.c", f"musl-gcc {C_FLAGS} -static -o $out $in"),
    "waits-cpp": ("waits.cpp", f"g++ -std=c++17 {C_FLAGS} -o $out $in"),
    "waits-rust": ("waits.rs", "rustc --edition 2021 -O -g --crate-name waits -o $out $in"),
    "faults.so": ("../faults.c", f"gcc -O2 -g -D_GNU_SOURCE -pthread {WARNINGS} -fPIC -shared -o $out $in"),
    "plugin.so": ("plugin.c", f"gcc {C_FLAGS} -fPIC -shared -o $out $in"),
}


def build(name):
    """Builds the blocker if it is not newer than its sources; returns its path."""
    source, command = BUILDS.get(name, (f"{name}.c", f"gcc {C_FLAGS} -o $out $in"))
    out, inputs = BUILT / name, [SOURCES / source, SOURCES / "blocker.h", HERE / "harness.py"]
    if command.startswith("strip:"):
        inputs = [build(command.removeprefix("strip:"))]
        command = f"strip -o $out {inputs[0]}"
    need(command.split()[0])
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / ".lock", "w") as lock:  # of another run beside this one
        fcntl.flock(lock, fcntl.LOCK_EX)
        if out.exists() and all(path.stat().st_mtime <= out.stat().st_mtime for path in inputs):
            return out
        new = out.with_name(out.name + ".new")
        words = command.replace("$out", str(new)).replace("$in", str(SOURCES / source)).split()
        done = subprocess.run(words, cwd=BUILT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        check(done.returncode == 0, f"building {name} failed: {' '.join(words)}", done.stderr)
        new.rename(out)
    return out


def markers(source):
    """The lines of the marks in a blocker's source: {"WAIT:cond": 83, …}."""
    found = {}
    for number, line in enumerate((SOURCES / source).read_text().splitlines(), 1):
        for mark in re.findall(r"(?:WAIT|CHAIN):\w+", line):
            found[mark] = number
    return found


class Process:
    """A child of ours that prints JSON lines. Ended by its PID."""

    def __init__(self, words, **options):
        self.words = [str(word) for word in words]
        self.child = subprocess.Popen(
            self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        self.pid = self.child.pid
        self.pending = b""
        self.truth = None

    def line(self, deadline_s=20):
        """The next line on stdout, as JSON."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self.pending:
            ready, _, _ = select.select([self.child.stdout], [], [], max(0, end - time.monotonic()))
            check(ready, f"{self.words} printed no line within {deadline_s} s")
            data = os.read(self.child.stdout.fileno(), 65536)
            if not data:  # read now: when the failure is shown the pipe is closed
                raise Failure(f"{self.words} ended early", self.child.stderr.read().decode(errors="replace"))
            self.pending += data
        line, self.pending = self.pending.split(b"\n", 1)
        return json.loads(line)

    def say(self, text):
        self.child.stdin.write(text.encode() + b"\n")
        self.child.stdin.flush()

    def ask(self, text, deadline_s=20):
        self.say(text)
        return self.line(deadline_s)

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            with contextlib.suppress(OSError):
                stream.close()


# --- processes, as /proc tells ----------------------------------------------------------------------------------------


def tids(pid):
    try:
        return sorted(int(tid) for tid in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return []


def status(pid, tid=None):
    """/proc/PID/task/TID/status as a dict; {} if it is gone."""
    text = read_text(f"/proc/{pid}/task/{tid or pid}/status")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def children(pid):
    return [int(child) for tid in tids(pid) for child in read_text(f"/proc/{pid}/task/{tid}/children").split()]


def rss_bytes(pid):
    return int(status(pid).get("VmRSS", "0 kB").split()[0]) * 1024


def is_alive(pid):
    state = re.sub(r".*\) ", "", read_text(f"/proc/{pid}/stat"), flags=re.S)
    return bool(state) and state[0] not in "ZX"


def settle(pid, running=0, deadline_s=20):
    """Waits until all threads of the process but so many are blocked and stay so."""
    seen = [None]

    def still():
        now = {tid: (fields.get("State", "?")[0], fields.get("voluntary_ctxt_switches"))
               for tid in tids(pid) for fields in [status(pid, tid)]}
        busy = sum(state not in "SD" for state, _ in now.values())
        before, seen[0] = seen[0], now
        return now == before and busy <= running

    poll(deadline_s, f"the threads of {pid} are blocked", still)


# --- one test ---------------------------------------------------------------------------------------------------------


class Context:
    """What a test is given: it starts processes and makes directories that go when the test ends."""

    def __init__(self, long=False):
        self.long = long
        self.stack = contextlib.ExitStack()
        self.notes = []
        self.runs = []  # of leakmon: what to show when the test fails

    def note(self, text):
        """Something to print beside the result."""
        self.notes.append(text)

    def directory(self):
        path = tempfile.mkdtemp(prefix="leakmon-test-")
        self.stack.callback(shutil.rmtree, path, ignore_errors=True)
        return pathlib.Path(path)

    def start(self, *words, **options):
        """Starts a program of ours that prints its truth in one line when it stands."""
        process = Process(words, **options)
        self.stack.callback(process.end)
        process.truth = process.line()
        return process

    def blocker(self, name, *arguments, settled=True, running=0):
        process = self.start(build(name), *arguments)
        if settled:
            settle(process.pid, running)
        return process

    def sysctl_at_least(self, name, value):
        """Raises a limit of the kernel for the time of the test."""
        path = pathlib.Path("/proc/sys") / name.replace(".", "/")
        before = path.read_text().strip()
        if int(before) < value:
            path.write_text(str(value))
            self.stack.callback(path.write_text, before)

    def close(self):
        self.stack.close()


#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares what is read of a Go program from outside with the program's own dump at SIGQUIT: states, functions, files,
lines, inlined calls, creators and parents of every goroutine, for each version of Go and each way to link.

compare.py [--ci] [VERSION…]: all versions, those that CI has, or these. Needs root and build/tests/go-dump.
"""

import argparse
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration")]
sys.dont_write_bytecode = True

import dumps  # noqa: E402
import harness  # noqa: E402
import toolchains  # noqa: E402

GO_DUMP = os.environ.get("GO_DUMP", str(toolchains.ROOT / "build" / "tests" / "go-dump"))
START_DEADLINE_S, DUMP_DEADLINE_S = 30, 180

LAYOUTS = {"bare": ["table same"], "stripped": ["table same"], "unversioned": ["debug same", "debug differs"]}
for _variant in toolchains.VARIANTS:
    LAYOUTS.setdefault(_variant, ["debug same"])


class Program:
    """A program of ours at work; it can be asked, and ends with its own dump."""

    def __init__(self, *words, level="system"):
        # Its own dump is long: in a file nobody need read it meanwhile.
        self.errors = tempfile.TemporaryFile()
        self.child = subprocess.Popen(list(map(str, words)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.errors, env={**os.environ, "GOTRACEBACK": level})
        self.pid, self.pending = self.child.pid, b""
        try:
            self.truth = self.line("ready")
        except BaseException:
            self.end()
            raise

    def line(self, event):
        """The next line that tells of such an event."""
        end = time.monotonic() + START_DEADLINE_S
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                entry = json.loads(line)
                if entry["event"] == event:
                    return entry
            ready, _, _ = select.select([self.child.stdout], [], [], max(0, end - time.monotonic()))
            data = os.read(self.child.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise RuntimeError(f"{self.child.args[0]} says nothing: {self.messages()[-500:]}")
            self.pending += data

    def ask(self, question):
        self.child.stdin.write(question.encode() + b"\n")
        self.child.stdin.flush()
        return self.line("answer")

    def messages(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def dump(self):
        """Its own goroutines, with which it ends."""
        harness.settle(self.pid)  # main has its last answer out, and waits for questions
        self.child.send_signal(signal.SIGQUIT)
        self.child.wait(DUMP_DEADLINE_S)
        return dumps.parse(self.messages())

    def end(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()
        self.errors.close()


def read_from_outside(pid):
    done = subprocess.run([GO_DUMP, "--all", str(pid)], capture_output=True, text=True, timeout=DUMP_DEADLINE_S, check=False,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError(f"go-dump ended with {done.returncode}: {done.stderr[-500:]}")
    return dumps.parse(done.stdout)


def layout_used(pid):
    """Where the layout of the runtime's structs is from, and whether it is that of the version."""
    done = subprocess.run([GO_DUMP, "--layout", str(pid)], capture_output=True, text=True, timeout=DUMP_DEADLINE_S,
                          check=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip().removeprefix("layout ")


def compare(version, variant):
    """What differs, and how many goroutines there are."""
    program = Program(toolchains.build("states", version, variant))
    try:
        harness.settle(program.pid)  # main is back where it waits for questions
        ours = read_from_outside(program.pid)
        layout = layout_used(program.pid)
        counted = program.ask("count")["goroutines"]
        plain = dumps.parse(program.ask("stacks")["text"])
        harness.settle(program.pid)
        theirs = dumps.without_wrappers(program.dump(), plain)
    finally:
        program.end()
    said = dumps.differences(theirs, ours)
    if layout not in LAYOUTS[variant]:
        said.insert(0, f"the layout of its structs: {layout}")
    total = sum(1 for goroutine in ours.values() if not goroutine.is_system)
    if total != counted:
        said.insert(0, f"{total} goroutines, runtime.NumGoroutine() says {counted}")
    return said, counted


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="such as 1.24 (default: all)")
    parser.add_argument("--ci", action="store_true", help="only the versions that CI has")
    options = parser.parse_args()
    results = []
    for version in options.versions or (toolchains.IN_CI if options.ci else toolchains.ALL):
        for variant in toolchains.VARIANTS:
            begun = time.monotonic()
            try:
                said, number = compare(version, variant)
                result = "FAIL" if said else "ok"
            except toolchains.Missing as missing:
                said, number, result = [str(missing)], 0, "skip"
            except (RuntimeError, harness.Failure, OSError, subprocess.SubprocessError) as error:
                said, number, result = [str(error)], 0, "FAIL"
            results.append(result)
            print(f"{result:4}  {version} {variant}: {number} goroutines ({time.monotonic() - begun:.1f} s)")
            print("".join(f"      {line}\n" for line in said[:20]), end="", flush=True)
    print(", ".join(f"{results.count(result)} {word}"
                    for result, word in (("ok", "passed"), ("FAIL", "failed"), ("skip", "skipped"))))
    return 1 if "FAIL" in results else 0


if __name__ == "__main__":
    sys.exit(main())

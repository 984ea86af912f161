# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the programs of the corpus (those in Go stand in tests/golang/programs), starts them, reads what they log, and ends them by their PID."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "golang"))

import toolchains  # noqa: E402

SOURCES = HERE / "programs"
BUILT = HERE.parents[1] / "build" / "tests" / "corpus"
READY_DEADLINE_S = 30
READY_HORIZONS = 0.05  # what a program waits for before it says that it is ready

COMPILERS = {
    "C": "cc -std=gnu11 -O2 -g -pthread -o $out $in -lm",
    "C++": "c++ -std=gnu++17 -O2 -g -pthread -o $out $in -lm",
    "Rust": "rustc --edition 2021 -O -g -o $out $in",
    "Java": "javac -d $out -sourcepath $sources $in",
}

GO_VERSION = "1.24"

_locks = {}
_locks_lock = threading.Lock()


class Skip(Exception):
    """Why this cannot be tested here."""


class Broken(Exception):
    """A program of the corpus, or leakmon, did not do what the corpus stands on."""


def _build(source, language):
    """Builds unless what is there is newer than all sources; returns the path."""
    words = COMPILERS[language].split()
    if not shutil.which(words[0]):
        raise Skip(f"{words[0]} is not installed")
    out = BUILT / source.replace(".", "-")
    newest = max(path.stat().st_mtime for path in SOURCES.iterdir() if path.is_file())
    if out.exists() and out.stat().st_mtime > newest:
        return out
    BUILT.mkdir(parents=True, exist_ok=True)
    if language == "Java":
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
    values = {"$out": str(out), "$in": str(SOURCES / source), "$sources": str(SOURCES)}
    done = subprocess.run([values.get(word, word) for word in words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"building {source}: {done.stderr[-2000:]}")
    os.utime(out)
    return out


def command(case):
    """The words that start the case's program; builds it."""
    if case.language == "Python":
        return [os.path.realpath(sys.executable), str(SOURCES / case.source)]
    if case.language == "Go":
        try:
            return [str(toolchains.build(pathlib.Path(case.source).stem, GO_VERSION))]
        except toolchains.Missing as missing:
            raise Skip(str(missing)) from None
    with _locks_lock:
        lock = _locks.setdefault(case.source, threading.Lock())
    with lock:
        out = _build(case.source, case.language)
    if case.language != "Java":
        return [str(out)]
    if not shutil.which("java"):
        raise Skip("java is not installed")
    return ["java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m", "-cp", str(out),
            pathlib.Path(case.source).stem]


class Program:
    """A case's program at work. truths: as logged; leaks: [(CLOCK_BOOTTIME, tid)]."""

    def __init__(self, case, scale_s, seed, directory):
        self.log = directory / "log"
        self.log.touch()
        self.errors = open(directory / "program.stderr", "w+b")
        words = command(case) + ([case.shape] if case.shape else [])
        words += ["--scale", f"{scale_s:g}", "--seed", str(seed), "--log", str(self.log)]
        words += ["--arrival", case.arrival, "--rate", f"{case.rate:g}"]
        self.child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)
        try:
            self.pids = self._wait_ready(READY_DEADLINE_S + READY_HORIZONS * scale_s)
        except BaseException:
            self.end()
            raise

    def events(self, event):
        lines = self.log.read_text().splitlines()
        return [entry for entry in map(json.loads, lines) if entry["event"] == event]

    def _wait_ready(self, deadline_s):
        end = time.monotonic() + deadline_s
        while True:
            self.check_alive()
            with contextlib.suppress(ValueError):  # a line that is not whole yet
                if ready := self.events("ready"):
                    return ready[0]["pids"]
            if time.monotonic() > end:
                raise Broken(f"the program is not ready within {deadline_s:g} s")
            time.sleep(0.05)

    def check_alive(self):
        if self.child.poll() is not None:
            self.errors.seek(0)
            raise Broken(f"the program ended with {self.child.returncode}: {self.errors.read()[-500:].decode()}")

    @property
    def truths(self):
        return self.events("truth")

    @property
    def leaks(self):
        return [(entry["t"], entry["tid"]) for entry in self.events("leak")]

    def wrong_totals(self, _leakmon):
        """Only servers count themselves."""
        return []

    def notes(self):
        """What to print beside the result."""
        return []

    def end(self):
        self.child.kill()
        self.child.wait()
        self.errors.close()

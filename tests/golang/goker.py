#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""GoKer: kernels of real bugs in Go programs, from Go's own tests (golang-1.27-src, taken at test time), each in a loop.
What leaks is told by the kernel's own dump at the end and by the list of expected leaks in Go's test; leakmon must find
each such place at likely or above, with the right function, line and creator. Beside it stands what Go's own
goroutineleak profile finds of the same run, and of the two seed programs. Needs root.

goker.py [--only REGEX] [--quick] [--list]
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import compare  # noqa: E402
import dumps  # noqa: E402
import toolchains  # noqa: E402

VERSION = "1.27"
LEAKMON = os.environ.get("LEAKMON", str(toolchains.ROOT / "build" / "leakmon"))
RATE = 20  # runs of a kernel in a second
ROUNDS = 5  # of the loops that kernels have themselves, of 20 to 10,000 rounds
HORIZON_S, WATCH_HORIZONS = 10, 2.5
FEWEST = 40  # goroutines at a place: fewer are not always there
SEEDS = {"multiquery": "main.multiQuery.func1", "agent": "main.(*agent).round"}
QUICK = re.compile(r"^(Grpc|Moby|Etcd)")

MAIN = """package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"strings"
	"time"
)

const yieldCount = 10 // the kernels yield so often

var kernels = map[string]func(){}

func register(name string, kernel func()) { kernels[name] = kernel }

// In the place of the profile that each kernel would print.
type noProfile struct{}

func (noProfile) WriteTo(io.Writer, int) error { return nil }

func main() {
	kernel := kernels[os.Args[1]]
	fmt.Println("{\\"event\\": \\"ready\\"}")
	go func() {
		for range time.Tick(time.Second / RATE) {
			go kernel()
		}
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var text strings.Builder
		_ = pprof.Lookup("goroutineleak").WriteTo(&text, 2)
		line, _ := json.Marshal(map[string]string{"event": "answer", "text": text.String()})
		fmt.Println(string(line))
	}
}
"""


def source(path):
    """A kernel without its profile, line by line as it was, and with short loops."""
    text = path.read_text()
    text = text.replace('"runtime/pprof"', "").replace('pprof.Lookup("goroutineleak")', "noProfile{}")
    before, mark, after = text.partition("noProfile{}")
    after = re.sub(r"(?m)^(\tfor i := 0; i <=? ?)\d\d+", rf"\g<1>{ROUNDS}", after)
    return before + mark + after


def build():
    """The program that runs any kernel."""
    folder = toolchains.goroot(VERSION) / "src/runtime/testdata/testgoroutineleakprofile/goker"
    kernels = {path.name: source(path) for path in folder.glob("*.go") if path.name != "main.go"}
    if not kernels:
        raise toolchains.Missing(f"golang-{VERSION}-src has no GoKer")
    return toolchains.build_files("goker", {**kernels, "goker.go": MAIN.replace("RATE", str(RATE))}, VERSION)


@dataclasses.dataclass
class Kernel:
    name: str
    always: bool  # leaks whenever it runs; else only if threads meet so
    leaks: list  # regular expressions, as Go's test has them

    @property
    def project(self):
        return re.match(r"[A-Z][a-z]+", self.name)[0].lower()


def expected():
    """What Go's test says of the kernels."""
    text = (toolchains.goroot(VERSION) / "src/runtime/goroutineleakprofile_test.go").read_text()
    text = re.sub(r"(?m)^\s*//.*$", "", text[text.index("gokerTestCases :="):text.index("testCases := append")])
    return [Kernel(name, kind == "Test", re.findall("`([^`]+)`", leaks))
            for kind, name, leaks in re.findall(r'make(Test|FlakyTest)\("(\w+)",(.*?)\n?\t*\),\n', text, re.S)]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where goroutines leak: (function, line) of the innermost frame that is the kernel's, and the go statement."""

    function: str
    line: int
    creator: str
    creator_line: int
    state: str = dataclasses.field(compare=False, default="")

    def __str__(self):
        return f"{self.function}:{self.line} [{self.state}] by {self.creator}:{self.creator_line}"


def is_own(function):
    return (function or "").startswith("main.")


def places(kernel, goroutines):
    """{Place: how many goroutines}, of those that Go's test expects to leak."""
    found = collections.Counter()
    for goroutine in goroutines:
        own = [frame for frame in goroutine.frames if is_own(frame.function)]
        outer = [frame for frame in own if not re.search(r"\.gowrap\d+$", frame.function)]
        if not outer or not goroutine.creator:
            continue
        said = f"{outer[-1].function.removeprefix('main.')}(...) [{goroutine.state}]"
        if any(re.search(leak, said) for leak in kernel.leaks):
            creator = goroutine.creator
            found[Place(own[0].function, own[0].line, creator.function, creator.line, goroutine.state)] += 1
    return found


def leaking_places(kernel, dump):
    return {place: number for place, number in places(kernel, dump.values()).items() if number >= FEWEST}


def profiled_places(kernel, program):
    """Those of which Go's own profile finds at least one goroutine."""
    told = dumps.parse(program.ask("leaks")["text"])
    return set(places(kernel, [goroutine for goroutine in told.values() if goroutine.leaked]))


def flagged_places(report):
    """The places of findings at likely or above."""
    sites = {site["site"]: site for site in report["sites"]}
    found = set()
    for finding in report["findings"]:
        site = sites.get(finding["site"])
        if finding["level"] == "suspect" or not site or site["kind"] != "goroutine":
            continue
        own = [frame for frame in site["stack"] if is_own(dumps.plain_name(frame["function"] or ""))]
        creator = site["created_by"] or {"function": None, "line": None}
        if own:
            found.add(Place(dumps.plain_name(own[0]["function"]), own[0]["line"],
                            dumps.plain_name(creator["function"] or ""), creator["line"]))
    return found


def last_report(words, seconds):
    """The last of leakmon's reports."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
        try:
            _, messages = child.communicate(timeout=30)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        if child.returncode:
            raise RuntimeError(f"leakmon ended with {child.returncode}: {messages[-300:]}")
        out.seek(0)
        lines = out.read().splitlines()
    return json.loads(lines[-1])


@dataclasses.dataclass
class Outcome:
    kernel: Kernel
    leaking: dict = dataclasses.field(default_factory=dict)
    found: set = dataclasses.field(default_factory=set)
    profiled: set = dataclasses.field(default_factory=set)  # by Go's own profile
    why: str = ""  # it could not be tried

    @property
    def right(self):
        return [place for place in self.leaking if place in self.found]

    @property
    def in_profile(self):
        return [place for place in self.leaking if place in self.profiled]

    @property
    def functions(self):
        """Places of which at least the function was right."""
        return [place for place in self.leaking if any(place.function == other.function for other in self.found)]

    @property
    def result(self):
        if self.why:
            return "FAIL"
        if not self.leaking:
            return "FAIL" if self.kernel.always else "quiet"
        return "ok" if len(self.right) == len(self.leaking) else "FAIL"


def watch(binary, kernel):
    """Runs the kernel and leakmon beside it."""
    outcome, environment = Outcome(kernel), {"GOMAXPROCS": "1"} if kernel.always else {}
    program = compare.Program("env", *(f"{name}={value}" for name, value in environment.items()), binary, kernel.name)
    try:
        words = [LEAKMON, "-p", str(program.pid), "--json", "--horizon", f"{HORIZON_S}s", "--min-blocked", "100ms",
                 "--members", "1", "1s"]
        outcome.found = flagged_places(last_report(words, HORIZON_S * WATCH_HORIZONS))
        with contextlib.suppress(RuntimeError):  # there may be too many for the time that it is given
            outcome.profiled = profiled_places(kernel, program)
        outcome.leaking = leaking_places(kernel, program.dump())
    except (RuntimeError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        outcome.why = f"{type(error).__name__}: {error}"
    finally:
        program.end()
    return outcome


def watch_seed(name):
    """One of the two bugs that leakmon was begun for: what was found of it, in words."""
    sources = [f"{name}.go", "truth.go", "leak_profile.go"]
    files = {source: (toolchains.SOURCES / source).read_text() for source in sources}
    program = compare.Program(toolchains.build_files(f"{name}-leaks", files, VERSION), "-scale", HORIZON_S, "-rate", 200)
    try:
        words = [LEAKMON, "-p", str(program.pid), "--json", "--horizon", f"{HORIZON_S}s", "--min-blocked", "100ms", "1s"]
        report = last_report(words, HORIZON_S * WATCH_HORIZONS)
        told = dumps.parse(program.ask("leaks")["text"])
    finally:
        program.end()
    found = [finding["level"] for finding in report["findings"] if SEEDS[name] in finding["summary"]]
    waiting = [goroutine for goroutine in told.values() if any(f.function == SEEDS[name] for f in goroutine.frames)]
    leaked = sum(goroutine.leaked for goroutine in waiting)
    print(f"seed {name}: leakmon says {found[0] if found else 'nothing'}, "
          f"Go's own profile finds {leaked} of {len(waiting)} goroutines", flush=True)
    return "ok" if found in (["likely"], ["confirmed"]) else "FAIL"


def print_outcome(outcome, lock):
    with lock:
        places = len(outcome.leaking)
        print(f"{outcome.result:5} {outcome.kernel.name:18} {'always' if outcome.kernel.always else 'at times':9} "
              f"{places:7} {len(outcome.functions):9} {len(outcome.right):6} {len(outcome.in_profile):8}  {outcome.why}")
        for place, number in outcome.leaking.items():
            if place not in outcome.found:
                print(f"        missed: {number} × {place}")
        if outcome.result == "FAIL":
            for place in outcome.found - outcome.leaking.keys():
                print(f"        there was: {place}")
        sys.stdout.flush()


def print_summary(outcomes):
    print("\nproject     kernels that leaked  found whole  places  found  Go's own profile: kernels whole  in part  places")
    groups = collections.defaultdict(list)
    for outcome in outcomes:
        if outcome.leaking:
            groups[outcome.kernel.project].append(outcome)
            groups["all"].append(outcome)
            if outcome.kernel.always:
                groups["always leak"].append(outcome)
    for name, group in groups.items():
        print(f"{name:12}{len(group):19}{sum(o.result == 'ok' for o in group):13}"
              f"{sum(len(o.leaking) for o in group):8}{sum(len(o.right) for o in group):7}"
              f"{sum(len(o.in_profile) == len(o.leaking) for o in group):33}"
              f"{sum(0 < len(o.in_profile) < len(o.leaking) for o in group):9}"
              f"{sum(len(o.in_profile) for o in group):8}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX")
    parser.add_argument("--quick", action="store_true", help="only those of grpc, moby and etcd that always leak")
    parser.add_argument("--list", action="store_true", help="list the kernels and what must leak")
    parser.add_argument("--jobs", type=int, default=8, metavar="N", help="kernels at a time (default 8)")
    options = parser.parse_args()
    try:
        binary = build()
        kernels = [kernel for kernel in expected() if options.only.search(kernel.name)]
    except toolchains.Missing as missing:
        print(f"skip  goker: {missing}\n0 passed, 0 failed, 1 skipped")
        return 0
    if options.quick:
        kernels = [kernel for kernel in kernels if kernel.always and QUICK.search(kernel.name)]
    if options.list:
        for kernel in kernels:
            print(kernel.name, "always" if kernel.always else "at times", *kernel.leaks)
        return 0
    if os.geteuid() != 0:
        print(f"goker: needs root\n0 passed, 0 failed, {len(kernels)} skipped")
        return 0
    print(f"{'':5} {'kernel':18} {'leaks':9} {'places':>7} {'function':>9} {'whole':>6} {'profile':>8}")
    lock = threading.Lock()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = []
        for future in concurrent.futures.as_completed([pool.submit(watch, binary, kernel) for kernel in kernels]):
            outcomes.append(future.result())
            print_outcome(outcomes[-1], lock)
        seeds = list(pool.map(watch_seed, SEEDS if options.only.pattern == "" else []))
    print_summary(outcomes)
    results = [outcome.result for outcome in outcomes] + seeds
    print(f"{results.count('ok')} passed, {results.count('FAIL')} failed, {results.count('quiet')} skipped")
    return 1 if "FAIL" in results else 0


if __name__ == "__main__":
    sys.exit(main())

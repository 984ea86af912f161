#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the corpus: programs that leak, lock up, or only look so, watched by the real tool; scores what it says against
what they say themselves, and prints the table of VERDICTS.md, "How it is judged". Needs root."""

import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

from cases import CASES, PROGRAMS

HERE = pathlib.Path(__file__).resolve().parent
BUILT = HERE.parent.parent / "build" / "corpus"
LEAKMON = os.environ.get("LEAKMON", str(HERE.parent.parent / "build" / "leakmon"))
LEVELS = ["suspect", "likely", "confirmed"]
ONE_LOOK_MINUTES = (12, 45)  # when a single look is taken: as early as the goal says, and when `likely` is possible


building = threading.Lock()


class Skip(Exception):
    """The case cannot run here; says why."""


def build(name):
    """Builds a program if it is not newer than its sources; returns the words that start it."""
    source, command, start = PROGRAMS[name]
    out, path = BUILT / name, HERE / source
    words = command.format(out=out, source=path).split()
    if not shutil.which(words[0]):
        raise Skip(f"{words[0]} is not installed")
    inputs = [path, *HERE.glob("*.h")]
    with building:
        if not out.exists() or any(file.stat().st_mtime > out.stat().st_mtime for file in inputs):
            BUILT.mkdir(parents=True, exist_ok=True)
            done = subprocess.run(words, capture_output=True, text=True, cwd=BUILT)
            if done.returncode:
                raise RuntimeError(f"{' '.join(words)}: {done.stderr}")
    return start.format(out=out, source=path).split()


def end(process, how=signal.SIGKILL):
    if process.poll() is None:
        process.send_signal(how)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Truth:
    """What the program says of itself, read as it comes."""

    def __init__(self, stream):
        self.leaks = []  # times
        self.deadlocks = []  # lists of TIDs
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.read, args=(stream,), daemon=True)
        self.thread.start()

    def read(self, stream):
        for line in stream:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if "leak" in event:
                self.leaks.append(event["t"])
            if "deadlock" in event:
                self.deadlocks.append(sorted(event["deadlock"]))
            if "ready" in event:
                self.ready.set()


def boot_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watch:
    """leakmon on one process: the findings of every report, with when each reached its level."""

    def __init__(self, pid, horizon_s):
        self.first = {}  # (id, level): time
        self.findings = {}  # id: the last of it
        self.last = []  # findings of the last report
        self.withdrawn = collections.Counter()
        self.losses = {}
        self.child = subprocess.Popen(
            [LEAKMON, "--json", "--horizon", f"{horizon_s}s", "-p", str(pid), "--members", "0", "--min-blocked",
             "200ms", "500ms" if horizon_s < 600 else "5s"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.child.stdout:
            report = json.loads(line)
            now = boot_s()
            self.last, self.losses = report["findings"], report["losses"]
            for finding in report["findings"]:
                site = next((site for site in report["sites"] if site["site"] == finding["site"]), None)
                finding["functions"] = [frame["function"] or "" for frame in site["stack"]] if site else []
                for level in LEVELS[:LEVELS.index(finding["level"]) + 1]:
                    self.first.setdefault((finding["id"], level), now)
                self.findings[finding["id"]] = finding
            for entry in report.get("withdrawn", []):
                self.withdrawn[entry["id"]] = 1

    def end(self):
        end(self.child, signal.SIGINT)
        self.thread.join(20)


def one_look(pid, horizon_s):
    done = subprocess.run([LEAKMON, "snapshot", "--json", "--horizon", f"{horizon_s}s", "--min-blocked", "200ms", "-p",
                           str(pid)], capture_output=True, text=True, timeout=60)
    report = json.loads(done.stdout)
    for finding in report["findings"]:
        site = next((site for site in report["sites"] if site["site"] == finding["site"]), None)
        finding["functions"] = [frame["function"] or "" for frame in site["stack"]] if site else []
    return report["findings"]


def names(finding, leaf):
    return leaf in finding["summary"] and any(leaf in function for function in finding["functions"])


def at_least(level, wanted):
    return LEVELS.index(level) >= LEVELS.index(wanted)


class Result:
    def __init__(self, case):
        self.case = case
        self.failures, self.skip = [], None
        self.looks = {}  # minute: the highest level that one look gave the leak
        self.alive_at = {}  # level: leaked threads alive when it was reached
        self.flags = []  # false ones at likely or above
        self.confirmed = []  # of ambiguous cases
        self.hours = 0.0
        self.recalled = None
        self.cycles = None  # (right, expected, false)
        self.losses = {}


def watch_case(case, horizon_s, seed, result):
    words = build(case.program)
    minute_s = horizon_s / 30
    process = subprocess.Popen([*words, case.name, str(horizon_s), str(seed)], stdout=subprocess.PIPE, text=True)
    watch = None
    try:
        truth = Truth(process.stdout)
        if not truth.ready.wait(30):
            raise RuntimeError("the program did not start")
        begun = time.monotonic()
        watch = Watch(process.pid, horizon_s)
        for minute in [*ONE_LOOK_MINUTES, case.minutes] if case.kind == "leak" else [case.minutes]:
            time.sleep(max(0, begun + minute * minute_s - time.monotonic()))
            if minute != case.minutes:
                levels = [finding["level"] for finding in one_look(process.pid, horizon_s) if names(finding, case.leaf)]
                result.looks[minute] = max(levels, key=LEVELS.index, default=None)
        if process.poll() is not None:
            raise RuntimeError(f"the program ended with {process.returncode}")
        watch.end()
        result.hours = case.minutes / 60
        result.losses = {name: count for name, count in watch.losses.items() if count}
        score(case, truth, watch, process.pid, result)
    finally:
        if watch:
            watch.end()
        end(process)


def score(case, truth, watch, pid, result):
    surviving = [finding for finding in watch.last if finding["pid"] == pid]
    if case.kind == "leak":
        found = [finding for finding in surviving if finding["type"] in ("leak", "connections") and names(finding, case.leaf)
                 and finding["level"] in case.levels]
        result.recalled = bool(found)
        if not found:
            result.failures.append(f"no finding at {' or '.join(case.levels)} names {case.leaf}")
        for level in ("suspect", "likely"):
            times = [when for (name, at), when in watch.first.items()
                     if at == level and names(watch.findings[name], case.leaf)]
            if times:
                result.alive_at[level] = sum(when <= min(times) for when in truth.leaks)
        others = [finding for finding in surviving if at_least(finding["level"], "likely") and not names(finding, case.leaf)]
        result.flags = others
    elif case.kind in ("deadlock", "orphan", "silent"):
        result.flags = [watch.findings[name] for (name, level) in watch.first
                        if level == "likely" and watch.findings[name]["type"] in ("leak", "connections", "stuck")]
    if case.kind == "ambiguous":
        result.confirmed = [watch.findings[name] for (name, level) in watch.first if level == "confirmed"]
    found = sorted(sorted(member["id"] for member in finding["cycle"]) for finding in surviving
                   if finding["type"] == "deadlock" and finding["level"] == "confirmed")
    expected = sorted(truth.deadlocks)
    result.cycles = (sum(cycle in found for cycle in expected), len(expected),
                     sum(cycle not in expected for cycle in found))
    if found != expected:
        result.failures.append(f"deadlocks: expected {expected}, confirmed {found}")
    if case.kind == "orphan" and not any(
            finding["type"] == "orphaned_lock" and finding["level"] == "confirmed" for finding in surviving):
        result.failures.append("no orphaned lock was confirmed")
    for flag in result.flags:
        result.failures.append(f"false flag: {flag['level']} {flag['type']}: {flag['summary']}")
    for flag in result.confirmed:
        result.failures.append(f"confirmed: {flag['summary']}")


def run_case(case, horizon_s, seed):
    result = Result(case)
    try:
        watch_case(case, horizon_s, seed, result)
    except Skip as reason:
        result.skip = str(reason)
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
        result.failures.append(f"{type(error).__name__}: {error}")
    word = "skip" if result.skip else "FAIL" if result.failures else "ok"
    details = [f"one look {minute} min: {level}" for minute, level in result.looks.items()]
    details += [f"{count} alive at {level}" for level, count in result.alive_at.items()]
    details += [f"losses {result.losses}"] if result.losses else []
    print(f"{word:5} {case.title} ({case.kind}); {'; '.join(details)}{result.skip or ''}", flush=True)
    for failure in result.failures:
        print(f"      {failure}", flush=True)
    return result


def share(part, whole):
    return f"{100 * part / whole:.0f} % ({part} of {whole})" if whole else "none ran"


def median(values):
    return f"{statistics.median(values):.0f}" if values else "never"


def print_table(results):
    ran = [result for result in results if not result.skip]
    leaks = [result for result in ran if result.case.kind == "leak"]
    slow = [result for result in leaks if result.case.slow]
    servers = [result for result in ran if result.case.kind in ("silent",)]
    locks = [result.cycles for result in ran if result.cycles]
    looks = {minute: share(sum(bool(result.looks.get(minute)) for result in leaks), len(leaks))
             for minute in ONE_LOOK_MINUTES}
    likely = share(sum(bool(result.looks.get(ONE_LOOK_MINUTES[1])) and at_least(result.looks[ONE_LOOK_MINUTES[1]], "likely")
                       for result in leaks), len(leaks))
    flags, hours = sum(len(result.flags) for result in servers), sum(result.hours for result in servers)
    rows = [
        ("recall on leaking programs, right process and leaf, ≥ likely", "100 %",
         share(sum(result.recalled or False for result in leaks), len(leaks))),
        *[(f"recall after one look at {minute} min", "≥ 90 %", looks[minute]) for minute in ONE_LOOK_MINUTES],
        (f"… of them likely at {ONE_LOOK_MINUTES[1]} min", "", likely),
        ("false flags ≥ likely where all is well", "0", f"{flags} in {len(servers)} programs, {hours:.0f} scaled hours"),
        ("leaked threads alive at the first suspect, slow leaks, median", "≤ 12",
         median([result.alive_at["suspect"] for result in slow if "suspect" in result.alive_at])),
        ("… at the first likely", "≤ 30",
         median([result.alive_at["likely"] for result in slow if "likely" in result.alive_at])),
        ("deadlocks: recall with exactly their threads", "100 %",
         share(sum(cycle[0] for cycle in locks), sum(cycle[1] for cycle in locks))),
        ("false cycles", "0", str(sum(cycle[2] for cycle in locks))),
        ("ambiguous shapes confirmed", "0", str(sum(bool(result.confirmed) for result in ran))),
    ]
    width = max(len(row[0]) for row in rows)
    print(f"\n{'figure':{width}}  {'goal':7}  result")
    for figure, goal, value in rows:
        print(f"{figure:{width}}  {goal:7}  {value}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--horizon", type=float, default=1800, help="seconds; 1800 is real time")
    parser.add_argument("--only", default="", help="cases whose program/name holds this")
    parser.add_argument("--jobs", type=int, default=8, help="cases at a time")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case.title]
    if options.list:
        print("\n".join(case.title for case in cases))
        return 0
    if os.geteuid() != 0:
        sys.exit("corpus: run it as root: sudo make corpus")
    print(f"{len(cases)} cases, horizon {options.horizon:g} s, seed {options.seed}", flush=True)
    # the longest first, so that none is left alone at the end
    cases.sort(key=lambda case: -case.minutes)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda case: run_case(case, options.horizon, options.seed), cases))
    print_table(results)
    failed = sum(bool(result.failures) for result in results)
    skipped = sum(bool(result.skip) for result in results)
    print(f"{len(results) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

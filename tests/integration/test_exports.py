# SPDX-License-Identifier: GPL-2.0-or-later
"""Profiles of real programs, opened by the tools that they are for."""

import json
import os
import pathlib
import re
import subprocess
import sys

import harness
from harness import Skip, check, check_equal, test
from leakmon import BINARY, ROOT, run, snapshot
from leakmon import seconds as time_of

sys.path.insert(0, str(ROOT / "tests" / "golang"))

import toolchains  # noqa: E402

VERSION = "1.24"
ALL = ["--min-blocked", "1ms"]
UNITS = {"none", "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes"}
FACTORS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "mins": 60, "hrs": 3600, "days": 86400}


def pprof(t, file, *arguments):
    """What go tool pprof prints of the file."""
    try:
        return toolchains.run(VERSION, ["tool", "pprof", *arguments, file], t.directory())
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None


def profile_of(t, process):
    path = pathlib.Path(t.directory()) / "profile.pb.gz"
    done = run(t, "snapshot", "--format", "pprof", "-o", path, *ALL, "-p", process.pid)
    check_equal(done.out, b"", "nothing on standard output")
    return path


def cumulative(text):
    """function: its cum column, of pprof -top."""
    rows = re.findall(r"^\s*\S+\s+\S+%\s+\S+%\s+(\S+)\s+\S+%\s+(.+?)( \(inline\))?$", text, re.M)
    check(rows, "pprof prints rows", text)
    return {name: value for value, name, _ in rows}


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(\w*)", text).groups()
    return float(number) * FACTORS[unit or "s"]


@test()
def pprof_opens_a_snapshot_with_the_right_functions_and_counts(t):
    process = t.blocker("waits")
    path = profile_of(t, process)
    top = pprof(t, path, "-top", "-nodecount=500")
    check("Type: count" in top, "count is the default", top)
    counts = cumulative(top)
    for group in process.truth["groups"]:
        check(int(counts.get(group["chain"][-1], 0)) >= group["count"], f"count of {group['name']}", top)
    threads = len(harness.tids(process.pid))
    check(re.search(rf"of {threads} total", top), f"{threads} in all", top)
    tags = pprof(t, path, "-tags")
    for label, value in (("pid", process.pid), ("kind", "thread"), ("wait", "futex_cond")):
        check(re.search(rf"^ {label}: Total", tags, re.M) and f": {value}\n" in tags, f"{label} is a label", tags)
    sites = {site["site"] for site in snapshot(t, *ALL, "-p", process.pid)["sites"]}
    named = set(re.findall(r": ([0-9a-f]{16})$", tags, re.M))
    check_equal(named, sites, "sites that labels name", tags)
    check("waits" in pprof(t, path, "-raw").partition("Mappings")[2], "the program is among the mappings")


@test()
def pprof_adds_up_ages(t):
    process = t.blocker("waits")
    harness.settle(process.pid)
    before = snapshot(t, "--members", 1000, *ALL, "-p", process.pid)
    top = pprof(t, profile_of(t, process), "-top", "-sample_index=age")
    after = snapshot(t, "--members", 1000, *ALL, "-p", process.pid)
    total = seconds(re.search(r"of ([\d.]+\w*) total", top)[1])

    def sum_of(report):
        now = time_of(report["time"])
        return sum(now - time_of(member["blocked_since"]) for site in report["sites"] for member in site["members"]
                   if member["blocked_since"])

    check(sum_of(before) * 0.99 - 0.1 <= total <= sum_of(after) * 1.01 + 0.1, f"{total} s in all",
          (sum_of(before), sum_of(after), top))


@test()
def pprof_shows_goroutines_as_they_are(t):
    try:
        program = toolchains.build("many", VERSION)
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None
    process = t.start(program, "-n", 500)
    truth = process.line()
    path = profile_of(t, process)
    counts = cumulative(pprof(t, path, "-top", "-nodecount=500", "-tagfocus=kind=goroutine"))
    for group in truth["groups"]:
        check_equal(int(counts.get(group["name"], 0)), truth["each"], f"goroutines in {group['name']}", counts)


@test()
def a_watch_leaves_the_profile_of_its_last_report(t):
    process = t.blocker("waits")
    lines = run(t, "--format", "speedscope", *ALL, "-p", process.pid, "100ms", "3").text().splitlines()
    check_equal(len(lines), 1, "one report")
    json.loads(lines[0])
    path = pathlib.Path(t.directory()) / "last.pb.gz"
    run(t, "--format", "pprof", "-o", path, *ALL, "-p", process.pid, "100ms", "3")
    check("Type: count" in pprof(t, path, "-top"), "pprof opens it")


@test()
def speedscope_files_hold_what_collapsed_stacks_hold(t):
    process = t.blocker("waits")
    file = json.loads(run(t, "snapshot", "--format", "speedscope", *ALL, "-p", process.pid).text())
    lines = run(t, "snapshot", "--format", "collapsed", *ALL, "-p", process.pid).text().splitlines()
    check_equal(file["$schema"], "https://www.speedscope.app/file-format-schema.json", "schema")
    frames = file["shared"]["frames"]
    for frame in frames:
        check(isinstance(frame["name"], str) and frame["name"], "a frame has a name", frame)
        check(set(frame) <= {"name", "file", "line"}, "a frame has no other fields", frame)
    check_equal([profile["unit"] for profile in file["profiles"]], ["none", "seconds"], "units")
    for profile in file["profiles"]:
        check_equal((profile["type"], profile["startValue"]), ("sampled", 0), "type and start")
        check(profile["unit"] in UNITS, "a unit that speedscope knows", profile["unit"])
        check_equal(len(profile["samples"]), len(profile["weights"]), "samples and weights")
        check(abs(sum(profile["weights"]) - profile["endValue"]) < 1e-6, "the end is the sum", profile)
        check(all(0 <= index < len(frames) for sample in profile["samples"] for index in sample), "indexes", profile)
    by_count = file["profiles"][0]
    stacks = sorted((";".join(re.sub(r" (?=[\d.]*$)", "_", frames[index]["name"].replace(";", ":")) for index in sample), weight)
                    for sample, weight in zip(by_count["samples"], by_count["weights"]))
    plain = [(stack.replace("_[i]", ""), int(count)) for stack, _, count in (line.rpartition(" ") for line in lines)]
    check_equal(stacks, sorted(plain), "stacks and counts")


@test()
def a_profile_does_not_go_to_a_terminal(t):
    main, terminal = os.openpty()
    try:
        done = subprocess.run([BINARY, "snapshot", "--format", "pprof"], stdin=subprocess.DEVNULL,
                              stdout=terminal, stderr=subprocess.PIPE, timeout=20, check=False)
    finally:
        os.close(terminal)
        os.close(main)
    check_equal(done.returncode, 64, "exit code", done.stderr)
    check(b"-o" in done.stderr, "it says what to do", done.stderr)

#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges what checks.sh printed: judge.py VERSION works|refuses CONSOLE CONSOLE-OF-THIS-MACHINE

Prints "ok", "FAIL" or "skip" lines; a failure with its evidence.
"""

import json
import pathlib
import re
import sys

# group of blockers.c: its threads, and what they wait on
GROUPS = {
    "cond": (3, "futex_cond"),
    "mutex": (4, "futex_mutex"),
    "pipe": (5, "pipe"),
    "sleep": (6, "sleep"),
    "join": (7, "futex_join"),
    "sem": (8, "futex_sem"),
    "rwlock": (9, "futex_rwlock"),
    "poll": (5, "poll"),
    "recv": (4, "socket"),
}
FEXIT = "watched by fentry/fexit"


def sections(path):
    """The text under each "@@@ NAME" of a console."""
    found, name = {}, None
    for line in pathlib.Path(path).read_text(errors="replace").replace("\r", "").split("\n"):
        if line.startswith("@@@ "):
            name = line[4:]
            found[name] = ""
        elif name is not None:
            found[name] += line + "\n"
    return found


def groups_of(text):
    """What a report says of each group: {group: [(count, wait class, has a kernel stack), …]}; several are wrong."""
    groups = {}
    for site in json.loads(text)["sites"]:
        functions = [frame["function"] or "?" for frame in site["stack"]]
        for name in GROUPS:
            chain = [f"{name}_leaf", f"{name}_mid", f"{name}_thread"]
            if any(functions[i:i + 3] == chain for i in range(len(functions))):
                kernel = any(frame["function"] for frame in site["kernel_stack"])
                groups.setdefault(name, []).append((site["count"], site["wait"]["class"], kernel))
    return groups


def outline(text):
    """The sites of a report in a line each."""
    try:
        return "\n".join(f"{site['count']} {site['wait']} {[frame['function'] for frame in site['stack']]} "
                         f"kernel {[frame['function'] for frame in site['kernel_stack']]}"
                         for site in json.loads(text)["sites"])
    except (ValueError, KeyError, TypeError):
        return text


class Judge:
    def __init__(self, version, console, host):
        self.version = version
        self.found = sections(console)
        self.host = sections(host)
        self.tail = pathlib.Path(console).read_text(errors="replace")[-2000:]

    def check(self, name, good, evidence=""):
        print(f"{'ok   ' if good else 'FAIL '} {self.version}: {name}")
        if not good:
            print("\n".join("        " + line for line in str(evidence)[:6000].splitlines()))
        return good

    def text(self, name):
        return self.found.get(name, f"(the console has no {name})\n")

    def run(self, name):
        return "".join(self.text(f"{name} {part}") for part in ("exit", "stderr", "stdout"))

    def boots(self):
        print("".join(f"    {line}\n" for line in self.text("doctor stdout").splitlines()), end="")
        kernel = self.text("kernel").strip()
        return self.check(f"boots and runs the checks ({kernel})",
                          "end" in self.found and kernel.startswith(self.version + "."), self.tail)

    def works(self):
        self.check("doctor exits 0", self.text("doctor exit").strip() == "0", self.run("doctor"))
        for link in "static", "dynamic":
            self.snapshot(link)
        self.check("a snapshot without -v exits 0 and is silent on stderr",
                   self.text("plain exit").strip() == "0" and not self.text("plain stderr").strip(), self.run("plain"))
        self.check("tracefs is not mounted by it", not self.text("tracefs").strip(), self.text("tracefs"))
        self.objects()

    def snapshot(self, link):
        """The report on the blockers that are linked so: all groups, and on all kernels the same."""
        if not self.check(f"{link}: snapshot exits 0", self.text(f"{link} exit").strip() == "0", self.run(link)):
            return
        text = self.text(f"{link} stdout")
        report, groups = json.loads(text), groups_of(text)
        for name, (count, wait) in GROUPS.items():
            self.check(f"{link}: {count} threads in {name}_leaf ← {name}_mid ← {name}_thread: "
                       f"{wait}, with a kernel stack",
                       groups.get(name) == [(count, wait, True)], f"{groups.get(name)}\n{outline(text)}")
        self.check(f"{link}: futex calls are watched by fentry/fexit", FEXIT in self.text(f"{link} stderr"), self.run(link))
        self.check(f"{link}: the ring buffer counts as memory", report["self"]["bpf_bytes"] >= 1 << 20, report["self"])
        self.check(f"{link}: the report is complete and lost nothing",
                   report["complete"] and not any(report["losses"].values()), text[:600])
        if link == "dynamic":
            return
        if self.host.get(f"{link} exit", "").strip() != "0":
            print(f"skip  {self.version}: the groups are those of this machine: leakmon does not run here")
            return
        here = groups_of(self.host[f"{link} stdout"])
        self.check("the groups are those of this machine", groups == here, f"here  {here}\nthere {groups}")

    def objects(self):
        before, after = self.text("objects before"), self.text("objects after")
        self.check("a snapshot leaves no BPF objects", before == after, f"before\n{before}after\n{after}")
        self.check("bpftool sees them while it watches",
                   any(line.startswith("prog ") and line not in before.splitlines()
                       for line in self.text("objects meanwhile").splitlines()), self.text("objects meanwhile"))
        after = self.text("objects killed")
        self.check("killed with SIGKILL it leaves no BPF objects", before == after, f"before\n{before}after\n{after}")

    def refuses(self):
        for run in "plain", "static":
            self.check(f"{run}: exits 77 and prints no report", self.text(f"{run} exit").strip() == "77"
                       and not self.text(f"{run} stdout").strip(), self.run(run))
        doctor = self.text("doctor stdout")
        self.check("doctor names the feature once", doctor.count("task storage") == 1, doctor)
        message = self.text("plain stderr").splitlines()
        self.check("says in one line which feature is missing: " + " / ".join(message),
                   len(message) == 1 and re.search(r"\bno .+ \(Linux 5\.\d+\)", message[0]), self.run("plain"))
        before, after = self.text("objects before"), self.text("objects after")
        self.check("leaves no BPF objects", before == after, f"before\n{before}after\n{after}")


def main():
    version, expected, console, host = sys.argv[1:]
    judge = Judge(version, console, host)
    if judge.boots():
        judge.works() if expected == "works" else judge.refuses()


main()

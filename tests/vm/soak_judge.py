#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges what soak-init printed: soak_judge.py CONSOLE

Prints "ok" or "FAIL" lines, a failure with its evidence, what was measured, and the sum of them.
"""

import datetime
import json
import pathlib
import re
import sys

LEVELS = ["suspect", "likely", "confirmed"]
WARM_UP_HOURS = 6
# What may come on top of a tenth more than after the warm-up. Memory: 1 KiB for each of up to 850 leaked threads by then,
# and the 4,096 frames that stay named when no stack has them any more (stacks.c), which with the names of the copies of the
# program take 2 MiB; others: what is open at the moment of a sample.
ROOM = {"rss_kb": 3072, "anon_kb": 2900, "fds": 4, "maps": 8}
BPF_ROOM_BYTES = 1 << 20
HISTORY_MAX_BYTES = 256 << 20  # LM_HISTORY_MAX_BYTES
RETENTION_HOURS = 30 * 24
CPU_SHARE_MAX = 0.005
TICKS_PER_S = 100
# busybox is static and has no unwind tables: each process of it that waits for a second or more may be one.
ALLOWED_LOSSES = {"unwind_failed": "busybox, which cannot be unwound"}
TROUBLE = re.compile(r"could not|cannot|failed|out of memory|cut short|given up|uses more than", re.I)


def seconds_of(text):
    """A time of the contract, as seconds since 1970."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Soak:
    """What the console tells."""

    def __init__(self, path):
        self.text = pathlib.Path(path).read_text(errors="replace").replace("\r", "")
        self.samples, self.answers, self.log = [], {}, []
        self.said = []  # (what, seconds, pid, tid or None)
        name = None
        for line in self.text.split("\n"):
            if line.startswith("@@@ "):
                name = line[4:].strip()
                self.take(name)
            elif name == "log":
                self.log.append(line)
            elif name in ("findings", "changes") or (name or "").startswith("history "):
                if line.startswith("{"):
                    self.answers[name] = json.loads(line)

    def take(self, line):
        words = line.split()
        if words[0] == "sample":
            self.samples.append({key: float(value) for key, value in zip(words[1::2], words[2::2])})
        elif len(words) >= 4 and words[2] == "pid":
            self.said.append((words[0], float(words[1]), int(words[3]), int(words[5]) if len(words) > 5 else None))

    def line(self, begin):
        match = re.search(rf"^@@@ {begin}(.*)$", self.text, re.M)
        return match.group(1).strip() if match else None

    def option(self, name):
        return int(re.search(rf" {name} (\d+)", self.line("begin")).group(1))


class Judge:
    def __init__(self, soak):
        self.soak = soak
        self.passed = self.failed = 0

    def check(self, name, good, evidence=""):
        print(f"{'ok   ' if good else 'FAIL '} soak: {name}")
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print("\n".join("        " + line for line in str(evidence)[:4000].splitlines()))
        return bool(good)

    def ran(self):
        soak = self.soak
        if not self.check("the machine boots and the day begins", soak.line("begin"), soak.text[-2000:]):
            return False
        hours = soak.option("hours")
        return self.check(f"{hours} hours of {soak.option('hour_s')} s go by and all ends are reached",
                          len(soak.samples) == hours and "\n@@@ end" in soak.text, soak.text[-2000:])

    # --- what was found ---

    def changes_of(self, pid):
        return [change for change in reversed(self.soak.answers["changes"]["changes"]) if change["pid"] == pid]

    def finding(self, pid, kind):
        return next((finding for finding in self.soak.answers["findings"]["findings"]
                     if finding["pid"] == pid and finding["type"] == kind), None)

    def leak(self, onset_s, pid, every_s):
        tolerance_s = self.soak.option("horizon_s") / 3
        finding, changes = self.finding(pid, "leak"), self.changes_of(pid)
        name = f"the leak of one thread each {every_s} s"
        if not self.check(f"{name} is found, likely at least", finding and finding["level"] in LEVELS[1:],
                          f"{finding}\n{changes}"):
            return
        off_s = seconds_of(finding["since"]) - onset_s
        self.check(f"{name} is said to have begun {off_s:+.1f} s from when it did (at most {tolerance_s:.0f})",
                   abs(off_s) <= tolerance_s, finding)
        when = {level: min((seconds_of(change["time"]) for change in changes if change["level"] == level), default=None)
                for level in LEVELS}
        words = [f"{level} after {(at - onset_s) / 60:.0f} min, {int((at - onset_s) / every_s) + 1} threads"
                 for level, at in when.items() if at]
        print(f"      {finding['level']}; {'; '.join(words)}")
        self.check(f"{name} was not found before it began", all(at is None or at >= onset_s for at in when.values()), changes)
        self.check(f"{name} was never withdrawn", all(change["level"] in LEVELS for change in changes)
                   and not any(change.get("change") in ("withdrawn", "gone") for change in changes), changes)
        points = self.soak.answers.get(f"history {pid}", {}).get("points") or []
        if not self.check(f"{name}: the history has its counts", points, self.soak.answers.get(f"history {pid}")):
            return
        expected = int((seconds_of(self.soak.answers["findings"]["time"]) - onset_s) / every_s) + 1
        self.check(f"{name}: the history ends with {expected} threads (±1)", abs(points[-1]["count"] - expected) <= 1,
                   points[-1])
        off_s = seconds_of(points[0]["time"]) - onset_s
        self.check(f"{name}: the history begins {off_s:+.0f} s from when it did", abs(off_s) <= tolerance_s, points[0])

    def leaks(self):
        horizon_s = self.soak.option("horizon_s")
        onsets = [(at, pid) for what, at, pid, _ in self.soak.said if what == "onset"]
        if self.check("two leaks began", len(onsets) == 2, onsets):
            self.leak(*onsets[0], horizon_s // 15)
            self.leak(*onsets[1], horizon_s // 6)
        return {pid for _, pid in onsets}

    def deadlock(self):
        told = [(at, pid, tid) for what, at, pid, tid in self.soak.said if what == "deadlock"]
        if not self.check("two threads locked each other out", len(told) == 2, told):
            return set()
        at, pid = told[0][:2]
        finding = self.finding(pid, "deadlock")
        if self.check("the deadlock is confirmed", finding and finding["level"] == "confirmed", finding):
            tids = {tid for _, _, tid in told}
            self.check("the deadlock has exactly its threads", {member["id"] for member in finding["cycle"]} == tids,
                       f"{tids}\n{finding}")
            off_s = seconds_of(finding["since"]) - at
            self.check(f"the deadlock is said to have begun {off_s:+.1f} s from when it did", abs(off_s) <= 60, finding)
        return {pid}

    def others(self, guilty):
        changes = self.soak.answers["changes"]["changes"]
        wrong = [change for change in changes if change["level"] in LEVELS[1:] and change["pid"] not in guilty]
        self.check("of the pool, the churn and everybody else nothing was ever likely", not wrong, wrong)
        suspects = {(change["comm"], change["type"]) for change in changes if change["pid"] not in guilty}
        print(f"      suspects among them: {sorted(suspects) or 'none'}")

    # --- what it cost ---

    def span(self, key):
        """The most up to the end of the warm-up, and of the last hours."""
        values = [sample.get(key, -1) for sample in self.soak.samples]
        return max(values[:WARM_UP_HOURS]), max(values[-WARM_UP_HOURS:])

    def flat(self, key, room):
        warm, last = self.span(key)
        self.check(f"{key}: {warm:,.0f} by hour {WARM_UP_HOURS}, {last:,.0f} in the last {WARM_UP_HOURS} hours",
                   0 < last <= warm * 1.1 + room, [sample.get(key) for sample in self.soak.samples])

    def costs(self):
        samples = self.soak.samples
        for role in "daemon", "resolver":
            for key, room in ROOM.items():
                self.flat(f"{role}.{key}", room if role == "daemon" or not key.endswith("_kb") else 1024)
        self.flat("bpf_bytes", BPF_ROOM_BYTES)
        self.flat("bpf_objects", 0)
        first, last = samples[-WARM_UP_HOURS], samples[-1]
        hours = (last["uptime"] - first["uptime"]) / 3600
        grows = max(0, (last["database_bytes"] - first["database_bytes"]) / hours)
        self.check(f"the history has {last['state_bytes'] / 1e6:.1f} MB, grows by {grows / 1e3:.0f} kB an hour: after 30 days "
                   "it would still be within its bound",
                   last["state_bytes"] + grows * RETENTION_HOURS <= HISTORY_MAX_BYTES,
                   [(sample["database_bytes"], sample["state_bytes"]) for sample in samples])
        ticks = sum(last[f"{role}.cpu_ticks"] - first[f"{role}.cpu_ticks"] for role in ("daemon", "resolver"))
        share = ticks / TICKS_PER_S / (last["uptime"] - first["uptime"])
        self.check(f"it used {share:.3%} of the machine's CPU in the last {WARM_UP_HOURS - 1} hours", share <= CPU_SHARE_MAX,
                   f"{first}\n{last}")
        busy = 1 - last["idle"] / last["uptime"]
        print(f"      {last['forks']:.0f} processes and threads were started, the machine was busy for {busy:.2%} of the time; "
              f"a look took {1e3 * last['leakmon_scan_duration_seconds_sum'] / last['scans']:.2f} ms")

    def losses(self):
        last = self.soak.samples[-1]
        lost = {key[5:]: int(value) for key, value in last.items() if key.startswith("loss.") and value}
        self.check(f"no losses but those that are known: {lost or 'none'}",
                   all(cause in ALLOWED_LOSSES for cause in lost) and sum(lost.values()) <= 2 * len(self.soak.samples), lost)
        look_s = min(1, self.soak.option("horizon_s") / 60)
        due = (last["uptime"] - self.soak.samples[0]["uptime"]) / look_s
        made = last["scans"] - self.soak.samples[0]["scans"]
        self.check(f"{made:.0f} looks of {due:.0f} were made", made >= due * 0.99, last)

    # --- its end ---

    def end(self):
        ended = re.match(r"exit (\d+) asked ([\d.]+) gone ([\d.]+)", self.soak.line("ended") or "")
        if self.check("the daemon ends when it is asked to", ended, self.soak.text[-1000:]):
            took_s = float(ended.group(3)) - float(ended.group(2))
            self.check(f"it exits 0, {took_s:.2f} s after it was asked", ended.group(1) == "0" and took_s <= 1,
                       ended.group(0))
        before, after = self.soak.line("objects before:"), self.soak.line("objects after:")
        self.check("no BPF object is left", before == after, f"{before}\n{after}")
        left = self.soak.line("left")
        self.check("the history is left, without a log of its own, and no process",
                   re.fullmatch(r"history\.db history\.lock : ?", left or ""), left)
        trouble = [line for line in self.soak.log if TROUBLE.search(line) and ", finding " not in line]
        self.check("its log tells of no trouble", not trouble, "\n".join(trouble))


def main():
    judge = Judge(Soak(sys.argv[1]))
    if judge.ran():
        guilty = judge.leaks() | judge.deadlock()
        judge.others(guilty)
        judge.costs()
        judge.losses()
        judge.end()
    print(f"{judge.passed} passed, {judge.failed} failed")
    return judge.failed > 0


sys.exit(main())

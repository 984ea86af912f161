# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs leakmon beside a program and remembers what it found, and when for the first time."""

import dataclasses
import json
import re
import signal
import subprocess
import threading
import time

from programs import Broken

LEVELS = ["suspect", "likely", "confirmed"]
END_DEADLINE_S = 30
MEMBERS = 100_000

# What stands between a wait and the first function of the application.
LIBRARY_MODULE = re.compile(r"(ld-linux|libc|libpthread|libm|libstdc\+\+|libgcc_s|libjvm|ld|\[vdso\])[.-]|\[vdso\]")
LIBRARY_FUNCTION = re.compile(r"(void |bool |int )?<?(&?(mut |dyn ))?(std|core|alloc|__gnu_cxx)::|__gthr|__rust")
LIBRARY_FILE = re.compile(r"/include/c\+\+/|/rustc/|/library/(std|core|alloc)/|/rustlib/")


def application_leaf(stack):
    """The innermost frame that is the application's, as a plain name: "take_job"; None if there is no such frame."""
    for frame in stack:
        name = frame["function"] or ""
        if LIBRARY_MODULE.match(frame["module"] or "") or LIBRARY_FUNCTION.match(name):
            continue
        if LIBRARY_FILE.search(frame["file"] or ""):
            continue
        return plain_name(name) if name else f"{frame['module']}+{frame['offset']:#x}"
    return None


def plain_name(name):
    """Without parameters, template arguments, scopes, and the hash of Rust."""
    name = re.sub(r"::h[0-9a-f]{16}$", "", name)
    while name != (shorter := re.sub(r"<[^<>]*>", "", name)):
        name = shorter
    return re.sub(r"\(.*", "", name).rsplit("::", 1)[-1].rsplit(" ", 1)[-1]


@dataclasses.dataclass
class Found:
    """A finding, from the first report that had it on."""

    type: str
    pid: int
    site: str
    leaf: str | None
    functions: frozenset = frozenset()  # all of its stack, as plain names
    level: str = ""  # the highest so far
    first: dict = dataclasses.field(default_factory=dict)  # level → CLOCK_BOOTTIME when it was reached
    members: frozenset = frozenset()  # of the site, in the last report that had it
    cycles: set = dataclasses.field(default_factory=set)  # frozensets of TIDs, of confirmed deadlocks
    last_level: str | None = None  # in the last report; None = it was not there
    summary: str = ""

    def reached(self, level):
        return level in self.first

    def __str__(self):
        return f"{self.level} {self.type} in {self.leaf}: {self.summary}"


def flatten(report):
    """The findings of a report with what their sites tell: (finding, leaf, functions, members)."""
    sites = {(site["pid"], site["site"]): site for site in report["sites"]}
    for finding in report["findings"]:
        site = sites.get((finding["pid"], finding["site"]))
        stack = site["stack"] if site else []
        members = frozenset(member["id"] for member in site["members"]) if site else frozenset()
        functions = frozenset(plain_name(frame["function"]).rsplit(".", 1)[-1] for frame in stack if frame["function"])
        yield finding, application_leaf(stack), functions, members


class Findings:
    """What reports have told. withdrawn: the ids that were taken back."""

    def __init__(self):
        self.found = {}
        self.withdrawn = set()
        self.reports = 0
        self.losses = {}  # of the last report
        self.last_report = None

    def add(self, report, now_s):
        self.reports += 1
        self.last_report = report
        self.losses = {cause: count for cause, count in report["losses"].items() if count}
        self.withdrawn.update(finding["id"] for finding in report.get("withdrawn", []))
        for found in self.found.values():
            found.last_level = None
        for finding, leaf, functions, members in flatten(report):
            key = (finding["type"], finding["pid"], finding["site"])
            found = self.found.setdefault(key, Found(*key, leaf))
            found.leaf, found.functions = found.leaf or leaf, found.functions | functions
            found.members = members or found.members
            found.summary, found.last_level = finding["summary"], finding["level"]
            for level in LEVELS[:LEVELS.index(finding["level"]) + 1]:
                found.first.setdefault(level, now_s)
            found.level = max(found.level or "suspect", finding["level"], key=LEVELS.index)
            if finding["type"] == "deadlock" and finding["level"] == "confirmed":
                found.cycles.add(frozenset(node["id"] for node in finding["cycle"] or []))

    def at(self, level):
        """The findings that ever reached the level."""
        return [found for found in self.found.values() if found.reached(level)]


def _arguments(pids, scale_s):
    shortest = ["--min-blocked", f"{max(10, round(scale_s * 1000 / 1800))}ms"]  # 1 s, scaled like all else
    what = ["-p", ",".join(map(str, pids)), "--horizon", f"{scale_s:g}s", *shortest]
    return [*what, "--json", "--members", str(MEMBERS)]


class Watch:
    """leakmon at work; what it prints is read as it comes."""

    def __init__(self, leakmon, pids, scale_s, interval_s, directory):
        self.findings = Findings()
        self.errors = open(directory / "leakmon.stderr", "w+b")
        self.child = subprocess.Popen([leakmon, *_arguments(pids, scale_s), f"{interval_s:g}"],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.failure = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            try:
                self.findings.add(json.loads(line), time.clock_gettime(time.CLOCK_BOOTTIME))
            except (ValueError, KeyError, TypeError) as error:
                self.failure = f"a report cannot be read: {error!r}"

    def check_alive(self):
        if self.child.poll() is not None:
            raise Broken(f"leakmon ended with {self.child.returncode}: {self.messages()}")

    def messages(self):
        self.errors.seek(0)
        return self.errors.read()[-500:].decode(errors="replace")

    def end(self):
        """Ends it, and returns the findings."""
        self.child.send_signal(signal.SIGINT)
        try:
            self.child.wait(END_DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise Broken(f"leakmon did not end within {END_DEADLINE_S} s of SIGINT") from None
        self.reader.join(END_DEADLINE_S)
        if self.child.returncode or self.failure or not self.findings.reports:
            raise Broken(self.failure or f"leakmon ended with {self.child.returncode}: {self.messages()}")
        return self.findings

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.reader.join(END_DEADLINE_S)
        self.child.stdout.close()
        self.errors.close()


def look_once(leakmon, pids, scale_s):
    """The findings of one look."""
    done = subprocess.run([leakmon, "snapshot", *_arguments(pids, scale_s)], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60, check=False)
    if done.returncode:
        raise Broken(f"leakmon snapshot ended with {done.returncode}: {done.stderr[-500:].decode(errors='replace')}")
    findings = Findings()
    findings.add(json.loads(done.stdout), time.clock_gettime(time.CLOCK_BOOTTIME))
    return findings

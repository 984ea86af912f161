# SPDX-License-Identifier: GPL-2.0-or-later
"""Running leakmon, and judging all that it prints against the contract."""

import contextlib
import datetime
import json
import math
import os
import pathlib
import re
import select
import signal
import subprocess
import time

from harness import Failure, check, check_equal, is_alive, poll

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("LEAKMON", str(ROOT / "build" / "leakmon"))
NANOSECONDS_PER_TICK = 10_000_000  # of the start time of a process in /proc

# --- the schema -------------------------------------------------------------------------------------------------------

CLASSES = set("""futex_mutex futex_rwlock futex_cond futex_sem futex_barrier futex_join futex_pi futex_other poll socket
    pipe file disk sleep wait_child signal io_uring stopped other""".split())
GO_CLASSES = set("""chan_send chan_receive chan_send_nil chan_receive_nil select select_no_cases mutex rwmutex_read
    rwmutex_write cond waitgroup semaphore sleep io syscall other""".split())
LEVELS = {"suspect", "likely", "confirmed"}
TYPES = {"leak", "deadlock", "orphaned_lock", "pileup", "stuck", "connections"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_text(value):
    return isinstance(value, str) and value != ""


def is_time(value):
    """RFC 3339 in UTC, and no time that stands for "not known"."""
    return isinstance(value, str) and bool(TIME.fullmatch(value)) and value > "2000"


KINDS = {
    "text": is_text,
    "count": is_count,
    "positive": lambda value: is_count(value) and value > 0,
    "duration": lambda value: is_number(value) and value >= 0,
    "number": is_number,
    "bool": lambda value: isinstance(value, bool),
    "time": is_time,
    "site": lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{16}", value)),
    "hex": lambda value: isinstance(value, str) and bool(re.fullmatch("([0-9a-f]{2})+", value)),
    "object": lambda value: is_text(value) or is_count(value),
    "class": lambda value: value in CLASSES | GO_CLASSES,
    "level": lambda value: value in LEVELS,
    "type": lambda value: value in TYPES,
    "thread kind": lambda value: value in ("thread", "goroutine"),
    "schema": lambda value: value == "leakmon.snapshot/1",
    "null": lambda value: value is None,
    "futex wait": lambda value: KINDS["object"](value["object"]) and KINDS["time"](value["at"])
                  and value["ended"] in ("woken", "timeout", "EAGAIN", "EINTR", "ERESTARTSYS", None),
    "futex wake": lambda value: KINDS["object"](value["object"]) and KINDS["time"](value["at"])
                  and (value["woken"] is None or KINDS["count"](value["woken"])),
    "any": lambda value: True,
}

# A kind that ends in "?" may be null. A list of one entry is an array of such entries.
USER_FRAME = {"function": "text?", "module": "text?", "build_id": "hex?", "offset": "count?", "file": "text?",
              "line": "positive?", "inlined": "bool"}
SCHEMA = {
    "schema": "schema", "time": "time", "host": "text?", "version": "text",
    "interval_s": "duration?", "watching_s": "duration?", "complete": "bool",
    "losses": {name: "count" for name in """ring_full storage_failed program_missed scan_truncated torn_reads
        unwind_failed symbol_failed skipped_processes""".split()},
    "totals": {"processes": "count", "threads": "count", "blocked_threads": "count", "goroutines": "count?",
               "sites": "count", "findings": {level: "count" for level in LEVELS}},
    "processes": [{
        "pid": "positive", "start_time": "time?", "comm": "text?", "exe": "text?", "build_id": "hex?",
        "runtime": "text?", "go_version": "text?", "container_id": "text?", "threads": "count?",
        "blocked_threads": "count?", "goroutines": "count?", "rss_bytes": "positive?",
        "unavailable": [{"what": "text", "why": "text"}]}],
    "sites": [{
        "site": "site", "pid": "positive", "kind": "thread kind",
        "wait": {"class": "class", "object": "object?", "objects": "count?", "detail": "text?"},
        "count": "positive", "arrived": "count?", "departed": "count?",
        "oldest_blocked_since": "time?", "newest_blocked_since": "time?", "median_blocked_s": "duration?",
        "rate_per_h": "number?", "stack": [USER_FRAME],
        "kernel_stack": [{"function": "text?", "offset": "count?"}], "created_by": "any",
        "members": [{"id": "positive", "comm": "text?", "started": "time?", "blocked_since": "time?"}]}],
    "findings": [{
        "id": "text", "level": "level", "type": "type", "pid": "positive", "site": "site", "since": "time?",
        "summary": "text", "evidence": {
            "survivors": "count?", "departures": "count?", "cohorts_filled": "count?", "cohorts": "count?",
            "window_s": "duration?", "age_floor_s": "duration?", "longest_completed_s": "duration?",
            "retrospective": "bool"},
        "wrong_if": "text", "cycle": "any", "exhaustion": "any"}],
    "self": {"cpu_s": "duration", "rss_bytes": "positive", "bpf_bytes": "positive?", "scan_s": "duration?"},
}
# What is there beyond the contract's own example, checked where it is there.
EXTRA_MEMBER = {"blocked_total_s": "duration?", "preempted_total_s": "duration?", "longest_wait_s": "duration?",
                "waits": "count?", "exact": "bool?", "last_futex_wait": "futex wait?", "last_futex_wake": "futex wake?",
                "parent": "positive?", "stack_bytes": "positive?", "locked_to_thread": "bool", "labels": "text?"}
# Of Go programs, and of their goroutines.
GO = {"version": "text?", "gc_count": "count?", "heap_live_bytes": "count?", "goroutines": "count?",
      "gc_per_min": "duration?", "heap_bytes_per_h": "number?"}
CREATOR = {"function": "text?", "file": "text?", "line": "positive?", "parent": "positive?", "creators": "positive"}
CHANNEL = {"address": "object", "len": "count", "cap": "count", "closed": "bool", "senders": "count",
           "receivers": "count"}


def check_schema(value, schema, path="snapshot"):
    if isinstance(schema, dict):
        check(isinstance(value, dict), f"{path} is no object: {value!r}")
        for name, kind in schema.items():
            check(name in value, f"{path}.{name} is missing", value)
            check_schema(value[name], kind, f"{path}.{name}")
    elif isinstance(schema, list):
        check(isinstance(value, list), f"{path} is no array: {value!r}")
        for index, entry in enumerate(value):
            check_schema(entry, schema[0], f"{path}[{index}]")
    elif not (value is None and schema.endswith("?")):
        check(KINDS[schema.removesuffix("?")](value), f"{path} is no {schema}: {value!r}")


def seconds(text):
    """An RFC 3339 time in seconds since the epoch."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    begun = datetime.datetime.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z").timestamp()
    return begun + (float("0." + fraction) if fraction else 0)


def resolution(text):
    """How far off an RFC 3339 time may be for its digits."""
    return 10.0 ** -len(text.removesuffix("Z").partition(".")[2])


def check_snapshot(snapshot, all_sites=True):
    """Everything that must hold of any snapshot object."""
    check_schema(snapshot, SCHEMA)
    now = seconds(snapshot["time"]) + resolution(snapshot["time"])
    sites, totals = snapshot["sites"], snapshot["totals"]
    check_equal(snapshot["complete"], not any(snapshot["losses"].values()), "complete", snapshot["losses"])
    keys = [(site["pid"], site["site"]) for site in sites]
    check_equal(len(set(keys)), len(keys), "pid and site name one row")
    if all_sites:
        check_equal(totals["sites"], len(sites), "totals.sites")
        check_equal(totals["blocked_threads"], sum(site["count"] for site in sites if site["kind"] == "thread"),
                    "totals.blocked_threads")
    check(totals["blocked_threads"] <= totals["threads"], "more blocked threads than threads", totals)
    processes = {process["pid"]: process for process in snapshot["processes"]}
    check_goroutines(snapshot)
    for site in sites:
        check_site(site, now, snapshot["watching_s"], processes)
    for level in LEVELS:
        check_equal(totals["findings"][level], sum(finding["level"] == level for finding in snapshot["findings"]),
                    f"totals.findings.{level}")
    for finding in snapshot["findings"]:
        check(not all_sites or (finding["pid"], finding["site"]) in keys, "a finding names no listed site", finding)
        check(finding["type"] not in ("leak", "connections") or None not in finding["evidence"].values()
              or finding["evidence"]["longest_completed_s"] is None, "a finding about growth has its evidence", finding)


def check_goroutines(snapshot):
    """What must hold of Go programs: each says its goroutines, or why it cannot."""
    programs = [process for process in snapshot["processes"] if process.get("go")]
    for process in programs:
        check_schema(process["go"], GO, "go")
        check_equal((process["go_version"], process["goroutines"]), (process["go"]["version"], process["go"]["goroutines"]),
                    "version and goroutines", process)
        whys = {item["what"] for item in process["unavailable"]}
        check("goroutines" in whys or process["goroutines"] is not None, "goroutines without a number or a reason", process)
        check(whys & {"gc", "goroutines"} or process["go"]["gc_count"] is not None, "no count of collections, and no reason", process)
    counts = [process["goroutines"] for process in programs if process["goroutines"] is not None]
    check_equal(snapshot["totals"]["goroutines"], sum(counts) if counts else None, "totals.goroutines", programs)
    for site in snapshot["sites"]:
        is_go = site["kind"] == "goroutine"
        check(site["wait"]["class"] in (GO_CLASSES if is_go else CLASSES), "a class of the other kind", site)
        check(is_go or not site["created_by"], "a thread has no creator", site)
        for name, schema in (("created_by", CREATOR), ("channel", CHANNEL)):
            if site.get(name):
                check_schema(site[name], schema, name)


def check_site(site, now, watching_s, processes):
    check(site["pid"] in processes, "a site names no listed process", site)
    for frame in site["stack"]:
        check_schema(frame, USER_FRAME, "frame")
        check((frame["file"] is None) >= (frame["line"] is None) or frame["file"], "a line without a file", frame)
    check(len(site["members"]) <= site["count"], "more members than the count", site)
    oldest, newest = site["oldest_blocked_since"], site["newest_blocked_since"]
    check(oldest is None or oldest <= newest, "the oldest is newer than the newest", site)
    for member in site["members"]:
        check_schema(member, {name: kind for name, kind in EXTRA_MEMBER.items() if name in member}, "member")
        started, since = member["started"], member["blocked_since"]
        slack = 0.002 + resolution(started or "Z")
        age = now - seconds(started) + slack if started else math.inf
        check(age >= 0, "a thread starts in the future", member)
        check(since or oldest is None, "the oldest is known, and of a member it is not since when", (site, member))
        if since:
            check(seconds(since) <= now, "a wait begins in the future", member)
            check(not started or seconds(since) >= seconds(started) - slack, "a wait is older than its thread", member)
            check((oldest or since) <= since <= newest, "a member is not between oldest and newest", (site, member))
        for name in ("blocked_total_s", "longest_wait_s", "preempted_total_s"):
            check((member.get(name) or 0) <= age, f"{name} is more than the thread's age", (member, age))


# --- bytes ------------------------------------------------------------------------------------------------------------


def check_clean(data, what):
    """No control byte but line feeds, valid UTF-8, no C1 control character."""
    bad = re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", data)
    check(not bad, f"{what} holds a raw control byte", lambda: data[max(0, bad.start() - 60):bad.end() + 60])
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Failure(f"{what} is not valid UTF-8: {error}") from None
    bad = re.search("[\u0080-\u009f\u202a-\u202e\u2066-\u2069]", text)
    check(not bad, f"{what} holds a C1 or a direction control character", lambda: text[max(0, bad.start() - 60):][:120])


def parse_lines(data, all_sites=True):
    """NDJSON → snapshots, each checked."""
    snapshots = []
    for line in data.decode().splitlines():
        try:
            snapshots.append(json.loads(line))
        except ValueError as error:
            raise Failure(f"not JSON: {error}", line[:2000]) from None
        check_snapshot(snapshots[-1], all_sites)
    return snapshots


# --- runs -------------------------------------------------------------------------------------------------------------


class Result:
    def __init__(self, words, code, out, err):
        self.words, self.code, self.out, self.err = words, code, out, err

    def text(self):
        return self.out.decode(errors="replace")

    def messages(self):
        return self.err.decode(errors="replace")

    def evidence(self):
        return (f"{' '.join(self.words)} → {self.code}\nstderr: {self.messages()[-2000:]}\n"
                f"stdout ({len(self.out)} bytes): {self.out[:1500].decode(errors='replace')}")


def run(t, *arguments, code=0, deadline_s=25, clean=True, prefix=(), **options):
    """Runs leakmon to its end."""
    words = [*map(str, prefix), BINARY, *map(str, arguments)]
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=deadline_s, **options)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(words)} did not end within {deadline_s} s", (late.stderr or b"")[-2000:]) from None
    result = Result(words, done.returncode, done.stdout, done.stderr)
    t.runs.append(result)
    if clean:
        check_clean(result.out, "stdout")
        check_clean(result.err, "stderr")
    if code is not None:
        check_equal(result.code, code, "exit code")
    return result


def snapshot(t, *arguments, all_sites=True, **options):
    """One report from one look."""
    result = run(t, "snapshot", "--json", *arguments, **options)
    snapshots = parse_lines(result.out, all_sites)
    check_equal(len(snapshots), 1, "snapshots printed")
    return snapshots[0]


class Watch:
    """leakmon at work, read report by report."""

    def __init__(self, t, *arguments, json_lines=True, **options):
        self.words = [BINARY, *(["--json"] if json_lines else []), *map(str, arguments)]
        self.errors = open(t.directory() / "stderr", "w+b")
        self.child = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
                                      **options)
        self.pid = self.child.pid
        self.out, self.taken = b"", 0
        t.stack.callback(self.close)
        t.runs.append(self)

    def read_more(self, deadline_s):
        """Reads what comes within the time; False at the end of the output."""
        ready, _, _ = select.select([self.child.stdout], [], [], max(0, deadline_s))
        data = os.read(self.child.stdout.fileno(), 1 << 20) if ready else None
        self.out += data or b""
        return data != b""

    def next(self, deadline_s=30):
        """The next snapshot; None when leakmon has ended."""
        end = time.monotonic() + deadline_s
        while b"\n" not in self.out[self.taken:]:
            check(time.monotonic() < end, f"no report within {deadline_s} s")
            if not self.read_more(end - time.monotonic()):
                check_equal(self.out[self.taken:], b"", "output after the last whole line")
                return None
        line_end = self.out.index(b"\n", self.taken) + 1
        line, self.taken = self.out[self.taken:line_end], line_end
        check_clean(line, "stdout")
        return parse_lines(line)[0]

    def until(self, what, function, deadline_s=30):
        """The first of the next snapshots that the function finds true."""
        end = time.monotonic() + deadline_s
        while True:
            report = self.next(max(0.1, end - time.monotonic()))
            check(report, f"leakmon ended before: {what}")
            if function(report):
                return report
            check(time.monotonic() < end, f"not within {deadline_s} s: {what}", report)

    def rest(self, deadline_s=30):
        """All further snapshots, to the end of the output."""
        reports = []
        while report := self.next(deadline_s):
            reports.append(report)
        return reports

    def send(self, number):
        self.child.send_signal(number)

    def end(self, number=signal.SIGINT, code=0, deadline_s=10):
        """Sends the signal, and returns the reports that still came. The exit code is checked."""
        self.send(number)
        reports = self.rest(deadline_s)
        self.wait(code, deadline_s)
        return reports

    def wait(self, code=0, deadline_s=10):
        try:
            check_equal(self.child.wait(deadline_s), code, "exit code")
        except subprocess.TimeoutExpired:
            raise Failure(f"leakmon did not end within {deadline_s} s") from None
        check_clean(self.messages().encode("utf-8", "surrogateescape"), "stderr")

    def messages(self):
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "surrogateescape")

    def evidence(self):
        return (f"{' '.join(self.words)} → {self.child.poll()}\nstderr: {self.messages()[-2000:]}\n"
                f"stdout, the end: {self.out[-1500:].decode(errors='replace')}")

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.child.stdout.close()
        with contextlib.suppress(ValueError):
            self.errors.close()


# --- finding things in a snapshot ----------------------------------------------------------------------------------------


def functions(site):
    return [frame["function"] for frame in site["stack"]]


def find_chain(names, chain):
    """Where the chain of names stands in the stack without a gap; -1 = nowhere."""
    for start in range(len(names) - len(chain) + 1):
        if names[start:start + len(chain)] == chain:
            return start
    return -1


def find_in_order(names, parts):
    """Where each part is contained in a name, in order, gaps allowed; None = they are not."""
    found, start = [], 0
    for part in parts:
        at = next((index for index in range(start, len(names)) if part in (names[index] or "")), None)
        if at is None:
            return None
        found.append(at)
        start = at + 1
    return found


def sites_with(report, function, pid=None):
    """The sites (of the process) whose stack holds the function."""
    return [site for site in report["sites"] if function in functions(site) and pid in (None, site["pid"])]


def count_at(report, function, pid=None):
    return sum(site["count"] for site in sites_with(report, function, pid))


def outline(report):
    """A snapshot in a few lines, for messages."""
    rows = [f"complete={report['complete']} losses={ {k: v for k, v in report['losses'].items() if v} } "
            f"totals={report['totals']}"]
    for site in report["sites"]:
        frames = " < ".join(str(frame["function"] or f"{frame['module']}+{frame['offset']:#x}") for frame in site["stack"])
        rows.append(f"{site['pid']} {site['site']} {site['wait']['class']}/{site['wait']['detail']} "
                    f"×{site['count']} +{site['arrived']} -{site['departed']} {frames or '(no stack)'} "
                    f"{site.get('stack_why') or ''}")
    return "\n".join(rows)


def kernel_objects(pid):
    """The BPF objects that a process holds open: {("prog", 12), …}."""
    held = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text()
                held.update((kind, int(number)) for kind, number in re.findall(r"^(prog|map|link)_id:\s*(\d+)", text, re.M))
    return held


def wait_gone(pids, deadline_s=10):
    poll(deadline_s, f"processes {pids} are gone", lambda: not any(is_alive(pid) for pid in pids))

# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon whose calls of the C library fail: faults.c is loaded before it, and told what is to fail while it runs.

What must hold: it lives and answers, no report is wrong and says that it is complete, when the faults are over it is as
it was, and what it has written is whole.
"""

import contextlib
import errno
import json
import mmap
import os
import random
import re
import resource
import signal
import sqlite3
import struct
import subprocess
import time

from daemon import Daemon, free_port
from harness import build, check, check_equal, children, is_alive, poll, test
from leakmon import BINARY, check_clean, check_snapshot, functions, kernel_objects, seconds, wait_gone

# As in faults.c.
KINDS = ("memory", "mapping", "descriptor", "read", "write", "sync", "wait", "message", "fork", "bpf")
OFF, EACH, RANDOM, PLACE = range(4)
HEAD, HEADS, PLACES = struct.Struct("=4I4Q"), len(KINDS), 4096

# kind: (errors, whether bytes may also be few, one call in so many fails when they do at random)
FAULTS = {
    "memory": ((errno.ENOMEM,), False, 200),
    "mapping": ((errno.ENOMEM,), False, 4),
    "descriptor": ((errno.EMFILE, errno.ENFILE), False, 10),
    "read": ((errno.EIO, errno.EINTR), True, 8),
    "write": ((errno.ENOSPC, errno.EIO), True, 4),
    "sync": ((errno.EIO,), False, 3),
    "wait": ((errno.EINTR,), False, 4),
    "message": ((errno.EINTR, errno.ENOBUFS), False, 8),
    "fork": ((errno.EAGAIN,), False, 2),
    "bpf": ((errno.ENOMEM, errno.EINTR), False, 8),
}
QUICK = ("--interval", "200ms", "--horizon", "6s", "--min-blocked", "50ms", "--cpu-limit", "100")
PHASE_S, LONG_PHASE_S = 1.0, 20
SLACK_S = 1.0  # from when threads wait to when a report must have them, on a machine that is busy
FUNCTION = "wait_for_result"


class Control:
    """What is to fail in one process."""

    def __init__(self, t, seed):
        self.path = t.directory() / "faults"
        size = HEADS * HEAD.size + 8 + PLACES * 16
        self.path.write_bytes(b"\0" * size)
        with open(self.path, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), size)
        self.shared[HEADS * HEAD.size:HEADS * HEAD.size + 8] = struct.pack("=Q", seed | 1)

    def set(self, kind, mode, one_in=1, error=0, few=False, target=0):
        at = KINDS.index(kind) * HEAD.size
        self.shared[at:at + 24] = struct.pack("=4IQ", mode, one_in, error, few, target)

    def off(self):
        for kind in KINDS:
            self.set(kind, OFF)

    def field(self, kind, index):
        return HEAD.unpack_from(self.shared, KINDS.index(kind) * HEAD.size)[index]

    def calls(self, kind):
        return self.field(kind, 5)

    def failed(self, kind):
        return self.field(kind, 6)

    def places(self, kind):
        return self.field(kind, 7)


def seed_of(t):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    t.note(f"seed {seed}")
    return seed


class Leak:
    """A program that leaks when it is asked, and how many it had leaked at which time."""

    def __init__(self, t):
        self.process = t.start(build("asked"))
        self.pid = self.process.pid
        self.at_least = [(0, 0)]  # (wall time, threads that had waited by then)
        self.at_most = [(0, 0)]  # (wall time, threads asked for from then on)

    def more(self, count):
        self.at_most.append((time.time(), self.total() + count))
        leaked = self.process.ask(str(count))["leaked"]
        self.at_least.append((time.time(), leaked))

    def total(self):
        return self.at_least[-1][1]

    def bounds(self, wall):
        return (max(count for at, count in self.at_least if at <= wall - SLACK_S or not at),
                max(count for at, count in self.at_most if at <= wall or not at))

    def blocked(self, report):
        """Its threads at any place, but the one that waits to be asked."""
        return sum(site["count"] for site in report["sites"] if site["pid"] == self.pid) - 1

    def counted(self, report):
        return sum(site["count"] for site in report["sites"] if site["pid"] == self.pid and FUNCTION in functions(site))


def judge(leak, report):
    """A report of any time: right, or not complete, or the sites say what is not known of them."""
    check_snapshot({**report, "self": {**{"bpf_bytes": None}, **report["self"], "rss_bytes": report["self"]["rss_bytes"] or 1}})
    low, high = leak.bounds(seconds(report["time"]))
    count = leak.counted(report)
    check(count <= high, f"{count} threads are reported, of {high} at most", report)
    unknown = any(site["pid"] == leak.pid and site.get("stack_why") for site in report["sites"])
    check(count >= low or not report["complete"] or unknown,
          f"{count} threads are reported, of {low} at least, and the report says that it is complete", report)


def see(daemon, leak):
    """What a client is told now, whatever that is: a whole report, or an error."""
    status, _, body = daemon.get("/api/v1/snapshot", deadline_s=5)
    if status == 200:
        with contextlib.suppress(ValueError):  # cut off: what a client sees then is no report
            judge(leak, json.loads(body))
    daemon.get("/metrics", deadline_s=5)
    daemon.get("/api/v1/history", deadline_s=5)
    check(daemon.child.poll() is None, f"the daemon ended with {daemon.child.poll()}", daemon.messages())


def until_right(daemon, leak, deadline_s=30, any_stack=False):
    """Reports of from now on count what there is, wherever they can say that it is."""
    begun = time.time()
    last = [None]

    def right():
        check(daemon.child.poll() is None, f"the daemon ended with {daemon.child.poll()}", daemon.messages())
        status, _, body = daemon.get("/api/v1/snapshot")
        if status != 200:
            return False
        report = last[0] = json.loads(body)
        count = leak.blocked(report) if any_stack else leak.counted(report)
        return seconds(report["time"]) > begun and count == leak.total()

    try:
        poll(deadline_s, f"a report of {leak.total()} threads", right)
    except Exception as late:
        late.evidence = last[0]
        raise
    check_equal(daemon.status("/-/healthy"), 200, "it says that it is healthy", daemon.messages())
    judge(leak, last[0])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def start(t, leak, own, child=None, *more):
    env = {**os.environ, "LD_PRELOAD": str(build("faults.so")), "LEAKMON_FAULTS": str(own.path)}
    if child:
        env["LEAKMON_FAULTS_CHILD"] = str(child.path)
    if "asan" in os.environ.get("LEAKMON", "") or "/san/" in os.environ.get("LEAKMON", ""):
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:detect_leaks=0:allocator_may_return_null=1"
    return Daemon(t, *QUICK, "-p", leak.pid, *more, env=env)


def end_whole(daemon):
    """It ends as it should, and leaves nothing but a history that is whole and holds what it held."""
    objects, workers = kernel_objects(daemon.pid), children(daemon.pid)
    check(objects, "it has its BPF objects")
    daemon.end(deadline_s=20)
    wait_gone(workers)
    with contextlib.closing(sqlite3.connect(daemon.state / "history.db")) as database:
        check_equal(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity of the history")
    left = [name for name in os.listdir(daemon.state) if name not in ("history.db", "history.lock")]
    check_equal(left, [], "nothing else is left")


def oldest_points(daemon, leak):
    site = next(site["site"] for site in daemon.json("/api/v1/snapshot")["sites"]
                if site["pid"] == leak.pid and FUNCTION in functions(site))

    def points():
        found = daemon.json(f"/api/v1/history?site={site}")["points"]
        return found or None

    return site, poll(20, "there are points", points)[0]


def fail_for_a_while(t, daemon, leak, own, control, kind, mode, chance):
    errors, few, one_in = FAULTS[kind]
    end = time.monotonic() + (LONG_PHASE_S if t.long else PHASE_S)
    kills = 2
    while time.monotonic() < end:
        control.set(kind, mode, one_in, chance.choice(errors), few)
        leak.more(chance.randrange(1, 4))
        if (kind == "fork" or control is not own) and kills:
            kills -= 1
            for worker in children(daemon.pid):
                os.kill(worker, signal.SIGKILL)
        see(daemon, leak)
    control.off()
    until_right(daemon, leak, any_stack=control is not own)


def sweep(t, kind, in_child):
    chance = random.Random(seed_of(t))
    leak = Leak(t)
    leak.more(10)
    own = Control(t, chance.getrandbits(60))
    child = Control(t, chance.getrandbits(60)) if in_child else None
    control = child or own
    daemon = start(t, leak, own, child)
    until_right(daemon, leak)
    site, oldest = oldest_points(daemon, leak)
    held = descriptors(daemon.pid)
    fail_for_a_while(t, daemon, leak, own, control, kind, EACH, chance)
    fail_for_a_while(t, daemon, leak, own, control, kind, RANDOM, chance)
    t.note(f"{control.failed(kind)} of {control.calls(kind)} calls failed, at {control.places(kind)} places")
    poll(20, f"it has {held} descriptors again", lambda: descriptors(daemon.pid) <= held)
    points = daemon.json(f"/api/v1/history?site={site}")["points"]
    check(points[0]["time"] <= oldest["time"] and points[0]["count"] == oldest["count"], "the oldest point is there",
          (oldest, points[0]))
    control.set(kind, RANDOM, FAULTS[kind][2], FAULTS[kind][0][0], FAULTS[kind][1])
    end_whole(daemon)
    check(control.failed(kind), "calls did fail")


@test(*(kind for kind in KINDS if kind != "mapping"))  # it maps nothing while it works
def calls_that_fail_cost_what_they_were_for_and_nothing_else(t, kind):
    sweep(t, kind, False)


@test("memory", "mapping", "descriptor", "read", "message")
def calls_that_fail_in_the_resolver_cost_stacks_at_most(t, kind):
    sweep(t, kind, True)

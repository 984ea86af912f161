# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon whose calls of the C library fail: faults.c is loaded before it, and told what is to fail while it runs.

What must hold: it lives and answers, no report is wrong and says that it is complete, when the faults are over it is as
it was, and what it has written is whole.
"""

import contextlib
import errno
import http.client
import json
import mmap
import os
import random
import re
import resource
import signal
import socket
import sqlite3
import struct
import time

from daemon import Daemon
from harness import Skip, build, check, check_equal, children, poll, settle, test
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
PHASE_S, LONG_PHASE_S = 0.8, 20
STARTS = 2  # of each kind; all places with --long
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
    with contextlib.suppress(http.client.IncompleteRead):  # what was cut off is no report
        status, _, body = daemon.get("/api/v1/snapshot", deadline_s=5)
        if status == 200:
            judge(leak, json.loads(body))
    for path in ("/metrics", "/api/v1/history", "/api/v1/findings", "/debug/pprof/threads"):
        with contextlib.suppress(http.client.IncompleteRead):
            daemon.get(path, deadline_s=5)
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


def start(t, leak, own, child=None, **options):
    env = {**os.environ, "LD_PRELOAD": str(build("faults.so")), "LEAKMON_FAULTS": str(own.path)}
    if child:
        env["LEAKMON_FAULTS_CHILD"] = str(child.path)
    if "/san/" in BINARY:
        known = t.directory() / "known"
        known.write_text("leak:gnutls_hash_init\n")  # it forgets 64 bytes when memory runs out
        env["LSAN_OPTIONS"] = f"suppressions={known}:print_suppressions=0"
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:allocator_may_return_null=1"
    return Daemon(t, *QUICK, "-p", leak.pid, env=env, **options)


def end_whole(daemon, resolver=False):
    """It ends as it should, and leaves nothing but a history that is whole and holds what it held."""
    objects, workers = kernel_objects(daemon.pid), children(daemon.pid)
    check(objects, "it has its BPF objects")
    daemon.end(deadline_s=20)
    # of a build with sanitizers; the resolver may crash: libdw does where it has no memory
    check(resolver or not re.search("Sanitizer|runtime error", daemon.messages()), "it is sound", daemon.messages())
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
    mode = EACH if kind == "sync" else RANDOM  # it syncs once in some minutes, and a few times while it ends
    control.set(kind, mode, FAULTS[kind][2], FAULTS[kind][0][0], FAULTS[kind][1])
    end_whole(daemon, resolver=in_child)
    t.note(f"{control.failed(kind)} with those of its end")
    check(control.failed(kind), "calls did fail")


@test(*(kind for kind in KINDS if kind != "mapping"))  # it maps nothing while it works
def calls_that_fail_cost_what_they_were_for_and_nothing_else(t, kind):
    sweep(t, kind, False)


@test("memory", "mapping", "descriptor", "read", "message")
def calls_that_fail_in_the_resolver_cost_stacks_at_most(t, kind):
    sweep(t, kind, True)


@test("memory", "descriptor")
def calls_that_fail_lose_no_goroutine(t, kind):
    try:
        import toolchains
        program = toolchains.build("many", toolchains.IN_CI[0])
    except (ImportError, OSError, RuntimeError) as why:
        raise Skip(str(why)) from None
    chance = random.Random(seed_of(t))
    process = t.start(program, "-n", 500)
    process.line()
    settle(process.pid, running=1)
    control = Control(t, chance.getrandbits(60))
    daemon = start(t, process, control)

    def counted(report):
        return sum(site["count"] for site in report["sites"] if site["kind"] == "goroutine")

    report = poll(20, "500 goroutines", lambda: (report := daemon.json("/api/v1/snapshot")) and counted(report) >= 500 and report)
    truth = counted(report)
    for mode in (EACH, RANDOM):
        control.set(kind, mode, FAULTS[kind][2], FAULTS[kind][0][0])
        for worker in children(daemon.pid):  # so that all is told again
            os.kill(worker, signal.SIGKILL)
        end = time.monotonic() + (LONG_PHASE_S if t.long else 2 * PHASE_S)
        while time.monotonic() < end:
            time.sleep(0.1)
            with contextlib.suppress(http.client.IncompleteRead):
                status, _, body = daemon.get("/api/v1/snapshot")
                report = json.loads(body) if status == 200 else None
                check(not report or counted(report) == truth or not report["complete"]
                      or any(process["unavailable"] for process in report["processes"]), "it knows of all goroutines", report)
        control.off()
        begun = time.time()

        def right(begun=begun):
            status, _, body = daemon.get("/api/v1/snapshot")
            report = json.loads(body) if status == 200 else None
            return report and seconds(report["time"]) > begun and counted(report) == truth

        poll(30, f"{truth} goroutines again", right)
    t.note(f"{control.failed(kind)} of {control.calls(kind)} calls failed")
    end_whole(daemon)


# --- descriptors that are really used up ---------------------------------------------------------------------------------


def lowest_free(pid):
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(len(used) + 1) if number not in used)


@test()
def a_daemon_without_a_descriptor_left_goes_on_when_there_are_some_again(t):
    leak = Leak(t)
    leak.more(10)
    daemon = Daemon(t, *QUICK, "-p", leak.pid)
    until_right(daemon, leak)
    oldest_points(daemon, leak)
    held = descriptors(daemon.pid)
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    for left in (0, 1, 3, 6):
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (lowest_free(daemon.pid) + left, limits[1]))
        end = time.monotonic() + (LONG_PHASE_S if t.long else PHASE_S)
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", daemon.port), timeout=5):
            while time.monotonic() < end:
                leak.more(1)
                time.sleep(0.05)
        for worker in children(daemon.pid):  # it cannot be started again now
            os.kill(worker, signal.SIGKILL)
        leak.more(5)
        time.sleep(0.3)
        check(daemon.child.poll() is None, f"the daemon ended with {daemon.child.poll()}", daemon.messages())
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
        until_right(daemon, leak)
    poll(20, f"it has {held} descriptors again", lambda: descriptors(daemon.pid) <= held)
    end_whole(daemon)


# --- while it starts ---------------------------------------------------------------------------------------------------


def start_with(t, leak, control, state):
    """How a daemon starts: its exit code, or None if it came to work (and ended as it should), and what it said."""
    daemon = start(t, leak, control, None, ready=False, state=state)
    poll(60, "it has started, or not", lambda: daemon.child.poll() is not None or daemon.status("/-/ready") == 200)
    control.off()
    if daemon.child.poll() is not None:
        return daemon.child.returncode, daemon.messages()
    until_right(daemon, leak)
    daemon.end(deadline_s=20)
    return None, daemon.messages()


def judge_start(code, messages, what):
    check_clean(messages.encode("utf-8", "surrogateescape"), "stderr")
    if code is None:
        return
    check(code in (2, 77), f"{what} failed: exit code {code}", messages)
    check(messages.count("\n") in (1, 2), f"{what} failed: it does not say so in a line", messages)


@test(*KINDS)
def a_call_that_fails_while_it_starts_is_named_or_costs_little(t, kind):
    chance = random.Random(seed_of(t))
    leak = Leak(t)
    leak.more(10)
    control, state = Control(t, 1), t.directory() / "state"
    control.set(kind, PLACE)
    start_with(t, leak, control, state)
    places = control.places(kind)
    targets = list(range(1, places + 1))
    if not t.long:
        targets = chance.sample(targets, min(len(targets), STARTS))
    ended = 0
    for target in targets:
        control = Control(t, 1)
        error = FAULTS[kind][0][0]
        control.set(kind, PLACE, 1, error, False, target)
        code, messages = start_with(t, leak, control, state)
        judge_start(code, messages, f"place {target} of {places}")
        ended += code is not None
    t.note(f"{places} places, {len(targets)} made to fail: {ended} ended the start")

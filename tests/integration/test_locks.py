# SPDX-License-Identifier: GPL-2.0-or-later
"""Deadlocks, locks whose owner is gone, and pile-ups, in real programs: each one found with exactly its threads."""

import errno
import os
import pathlib
import signal

from harness import Skip, build, check, check_equal, children, poll, read_text, settle, status, test, tids
from leakmon import Watch, functions, snapshot

DEADLOCKS = ["ab-ba", "self", "three", "recursive", "pi", "rwlock", "join"]
FAST = ["--horizon", "30s"]  # a pile-up is worth a word after a second


def of_type(report, kind):
    return [finding for finding in report["findings"] if finding["type"] == kind]


def members(finding):
    return sorted(member["id"] for member in finding["cycle"])


def outside(pid, inner):
    """The TID that leakmon knows of a thread that its own PID namespace knows by another."""
    return next(tid for tid in tids(pid) if int(status(pid, tid)["NSpid"].split()[-1]) == inner)


def check_all_found(report, pid, groups):
    cycles = {tuple(members(finding)): finding for finding in of_type(report, "deadlock")}
    expected = {name: tuple(sorted(outside(pid, tid) for tid in groups[name])) for name in DEADLOCKS + ["timed"]}
    for name in DEADLOCKS:
        check(expected[name] in cycles, f"the deadlock {name} {expected[name]} is found", list(cycles))
        finding = cycles[expected[name]]
        check_equal(finding["level"], "confirmed", f"the level of {name}", finding)
        held = {member["id"]: member["holds"] for member in finding["cycle"]}
        for index, member in enumerate(finding["cycle"]):
            following = finding["cycle"][(index + 1) % len(finding["cycle"])]
            check_equal(member["waits_for"], held[following["id"]], f"{name}: each waits for what the next one holds", finding)
            check("start_thread" in " ".join(str(frame["function"]) for frame in member["stack"]),
                  f"{name}: the whole stack of {member['id']}", member)
        check(str(expected[name][0]) in finding["summary"], f"{name}: the summary names its threads", finding)
    timed = cycles.pop(expected["timed"], None)
    check(not timed or timed["level"] != "confirmed", "a cycle of timed waits is not confirmed", timed)
    check_equal(sorted(cycles), sorted(expected[name] for name in DEADLOCKS), "no deadlock is invented", report["findings"])
    behind = [cycles[expected[name]] for name in ("ab-ba", "three", "recursive", "pi")]
    check(all(finding["lock"]["waiters"] == len(finding["cycle"]) + 1 for finding in behind),
          "who waits behind a deadlock is counted", behind)


@test("host", "namespace")
def every_deadlock_is_found_with_exactly_its_threads(t, where):
    if where == "host":
        process = t.start(build("locks"))
        pid = process.pid
    else:
        process = t.start("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", build("locks"))
        pid = children(process.pid)[0]
    groups = process.truth["groups"]
    # they formed before leakmon came
    watch = Watch(t, *FAST, "-p", pid, "--members", 100, "1s")
    report = watch.until("all deadlocks are confirmed", lambda report: len(
        [finding for finding in of_type(report, "deadlock") if finding["level"] == "confirmed"]) >= len(DEADLOCKS))
    check_all_found(report, pid, groups)
    orphans = of_type(report, "orphaned_lock")
    # of a lock between processes whose owner had a number of another PID namespace nothing is known
    check_equal([finding["lock"]["waiters"] for finding in orphans], [1, 1] if where == "host" else [1], "orphans", orphans)
    check(all(finding["lock"]["owner"] is None for finding in orphans), "an orphan has no owner", orphans)
    pileups = of_type(watch.until("the pile-up", lambda report: of_type(report, "pileup")), "pileup")
    check_equal(len(pileups), 1, "one pile-up, and none behind the deadlocks", pileups)
    check_equal(pileups[0]["lock"]["waiters"], len(groups["slow"]), "waiters behind the slow holder", pileups)
    holder = pileups[0]["lock"]["owner"]
    check(str(holder) in pileups[0]["summary"] and "sleep_ms" in pileups[0]["summary"], "who holds it, and where", pileups)
    check_equal(of_type(report, "leak"), [], "no leak behind locks", report)
    t.note(pileups[0]["summary"])
    watch.end()


def confirmed(report):
    return {tuple(members(finding)): finding["since"] for finding in of_type(report, "deadlock")
            if finding["level"] == "confirmed"}


def make_cgroup(t):
    """An empty cgroup (version 2)."""
    mounts = [line.split() for line in read_text("/proc/mounts").splitlines()]
    tops = [words[1] for words in mounts if words[2] == "cgroup2"]
    if not tops:
        raise Skip("no cgroup2 file system is mounted")
    path = pathlib.Path(tops[0]) / f"leakmon-test-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        raise Skip(f"{path}: {error.strerror}") from None
    t.stack.callback(lambda: poll(10, "the cgroup is empty", lambda: remove(path)))
    if not (path / "cgroup.freeze").exists():
        raise Skip(f"{path} cannot be frozen")
    return path


def move(process, cgroup):
    try:
        (cgroup / "cgroup.procs").write_text(str(process.pid))
    except OSError as error:
        raise Skip(f"{cgroup} takes no process: {error.strerror}") from None


def remove(directory):
    """False while it is in use."""
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def is_stopped(pid, cgroup):
    if cgroup:
        return "frozen 1" in read_text(cgroup / "cgroup.events")
    return all(status(pid, tid)["State"][0] == "T" for tid in tids(pid))


@test("for_a_while", "for_a_moment", "frozen")
def a_deadlock_goes_on_although_somebody_stops_its_process(t, how):
    cgroup = make_cgroup(t) if how == "frozen" else None
    process = t.start(build("locks"))
    if cgroup:
        move(process, cgroup)
    watch = Watch(t, *FAST, "-p", process.pid, "200ms")
    before = confirmed(watch.until("all deadlocks are confirmed", lambda report: len(confirmed(report)) >= len(DEADLOCKS)))
    for _ in range(3):
        if cgroup:
            (cgroup / "cgroup.freeze").write_text("1")
        else:
            os.kill(process.pid, signal.SIGSTOP)
        poll(5, "it is stopped", lambda: is_stopped(process.pid, cgroup))
        if how != "for_a_moment":
            for _ in range(4):
                check_equal(confirmed(watch.next()), before, "the deadlocks while it is stopped")
        if cgroup:
            (cgroup / "cgroup.freeze").write_text("0")
        else:
            os.kill(process.pid, signal.SIGCONT)
        for _ in range(4):
            check_equal(confirmed(watch.next()), before, "the deadlocks when it goes on")
    watch.end()


@test()
def one_look_calls_a_deadlock_likely(t):
    process = t.start(build("locks"))
    settle(process.pid, running=1)
    report = snapshot(t, "--min-blocked", "50ms", "-p", process.pid)
    cycles = {tuple(members(finding)): finding["level"] for finding in of_type(report, "deadlock")}
    for name in DEADLOCKS:
        check_equal(cycles.get(tuple(sorted(process.truth["groups"][name]))), "likely", name, report["findings"])


@test()
def a_lock_that_a_child_inherited_locked_is_an_orphan(t):
    process = t.start(build("locks"), "fork")
    watch = Watch(t, "-p", process.truth["child"], "1s")
    report = watch.until("it is confirmed", lambda report: any(
        finding["level"] == "confirmed" for finding in of_type(report, "orphaned_lock")))
    finding = of_type(report, "orphaned_lock")[0]
    check(str(process.pid) in finding["summary"], "the sentence names the owner on record", finding)
    site = next(site for site in report["sites"] if site["site"] == finding["site"])
    check("take" in functions(site), "the finding names the place", site)
    watch.end()

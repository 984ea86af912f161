# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs that lie, break or vanish: no raw control byte, valid JSON, no crash, and the rest is reported."""

import os
import random
import re
import shutil
import signal
import subprocess
import time

import harness
from harness import build, check, check_equal, children, is_alive, poll, test
from leakmon import Watch, check_clean, count_at, functions, run, sites_with, snapshot

SOON = ["--min-blocked", "1ms", "--members", "1000"]


def check_beside(report, pid):
    """A well-behaved process that was watched at the same time is reported whole."""
    check_equal(count_at(report, "cond_start", pid), 5, "threads in the process beside", report)
    check_equal(count_at(report, "recv_start", pid), 5, "threads in the process beside", report)


@test()
def a_hostile_program_is_reported_and_so_is_the_rest(t):
    process, beside = t.blocker("hostile"), t.blocker("waits")
    report = snapshot(t, *SOON, "-p", f"{process.pid},{beside.pid}")
    counts = {process["pid"]: process["blocked_threads"] for process in report["processes"]}
    check_equal(counts[process.pid], 1 + sum(process.truth[key] for key in ("named", "nowhere", "broken")),
                "blocked threads of the hostile program", report)
    check_equal(count_at(report, "named", process.pid), process.truth["named"], "threads with names", report)
    check_beside(report, beside.pid)
    check(report["losses"]["unwind_failed"] > 0, "stacks in nowhere are counted as not unwound", report)
    check(report["losses"]["symbol_failed"] > 0, "files that are no ELF are counted as without symbols", report)
    check_equal(report["complete"], False, "complete", report)


@test("text", "collapsed", "interval", "verbose")
def names_with_control_bytes_are_escaped_in(t, output):
    directory = os.fsencode(t.directory())
    program = os.path.join(directory, b"\x1b[31m evil\n\"'\\ \xff\xc2\x9b2J;rm -rf")
    shutil.copy(build("hostile"), program)
    process = t.start(os.fsdecode(program), "exec")
    arguments = {"text": ("snapshot",), "collapsed": ("snapshot", "--format", "collapsed"), "interval": ("200ms", 3),
                 "verbose": ("snapshot", "-v", "--json")}[output]

    def shown():  # it becomes other programs all the time, and may not be blocked anywhere when it is looked at
        out = run(t, *arguments, *SOON, "-p", process.pid).out
        return b"evil" in out or b"hostile" in out or out.count(b"\n") > 1

    poll(20, "something is shown", shown)


def sections(path):
    """name: (offset, size) of an ELF file."""
    text = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"\] (\.\S+)\s+\S+\s+[0-9a-f]+ ([0-9a-f]+) ([0-9a-f]+)", text)
    return {name: (int(offset, 16), int(size, 16)) for name, offset, size in rows}


TABLES = (".eh_frame", ".eh_frame_hdr", ".symtab", ".strtab", ".debug_info", ".debug_line", ".debug_abbrev", ".shstrtab",
          ".note.gnu.build-id")


def broken_copy(directory, seed):
    """A copy of waits that runs as well as ever, with noise in the tables that only its readers use."""
    noise, path = random.Random(seed), directory / f"broken-{seed}"
    data = bytearray(build("waits").read_bytes())
    for name, (offset, size) in sections(build("waits")).items():
        if name in TABLES and noise.random() < 0.6:
            for _ in range(noise.choice([1, 8, size // 16 + 1])):
                data[offset + noise.randrange(size)] = noise.randrange(256)
    if noise.random() < 0.3:
        data[0x28:0x30] = noise.randbytes(8)  # where the section headers are
    if noise.random() < 0.3:
        data[0x3a:0x40] = noise.randbytes(6)  # their size, number, and the index of their names
    path.write_bytes(data)
    path.chmod(0o755)
    return path


@test()
def programs_with_broken_tables_do_not_spoil_the_rest(t):
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    t.note(f"SEED={seed}")
    directory, broken = t.directory(), []
    for number in range(12):
        try:
            broken.append(t.start(broken_copy(directory, seed + number)))
        except (harness.Failure, OSError):
            pass  # broken so that it does not even start
    check(len(broken) >= 3, f"only {len(broken)} of them run")
    beside = t.blocker("waits")
    for process in broken:
        harness.settle(process.pid)
    pids = [process.pid for process in broken] + [beside.pid]
    report = snapshot(t, *SOON, "-p", ",".join(map(str, pids)))
    check_beside(report, beside.pid)
    threads = len(harness.tids(beside.pid))
    check_equal({row["pid"]: row["blocked_threads"] for row in report["processes"]}, dict.fromkeys(pids, threads),
                "blocked threads", report)
    t.note(f"{len(broken)} programs")


@test()
def a_target_that_is_killed_is_said_to_have_ended(t):
    process, beside = t.blocker("waits"), t.blocker("waits")
    watch = Watch(t, *SOON, "-p", f"{process.pid},{beside.pid}", "200ms")
    check_equal(count_at(watch.next(), "cond_start"), 10, "threads in both")
    process.child.kill()
    process.child.wait()
    report = watch.until("it is gone", lambda report: not count_at(report, "cond_start", process.pid))
    check_beside(report, beside.pid)
    beside.child.kill()
    beside.child.wait()
    # With nothing left to watch it may end by itself, or go on and report nothing.
    end = time.monotonic() + 2
    while time.monotonic() < end and (report := watch.next()):
        check_equal(report["totals"]["blocked_threads"] if not report["sites"] else 0, 0, "blocked threads", report)
    if watch.child.poll() is None:
        watch.end()
    watch.wait()


@test()
def a_target_that_execs_for_ever_stays_watched(t):
    process = t.start(build("hostile"), "exec")
    watch = Watch(t, *SOON, "-p", process.pid, "70ms", 30)
    seen = 0
    while report := watch.next():
        check_equal([row["pid"] for row in report["processes"]], [process.pid], "processes", report)
        seen = max(seen, count_at(report, "named", process.pid))
    watch.wait()
    check_equal(seen, 7, "threads blocked between two execs")


@test()
def threads_by_the_thousand_that_come_and_go_are_no_trouble(t):
    process, beside = t.start(build("hostile"), "churn"), t.blocker("waits")
    watch = Watch(t, *SOON, "-p", f"{process.pid},{beside.pid}", "200ms", 10)
    reports = watch.rest()
    watch.wait()
    check_equal(len(reports), 10, "reports")
    check_beside(reports[-1], beside.pid)
    check(is_alive(process.pid), "the target lives")
    t.note(f"losses {({name: n for name, n in reports[-1]['losses'].items() if n})}")


@test()
def a_resolver_that_dies_is_counted_and_started_again(t):
    one, other = t.blocker("waits"), t.blocker("waits")
    watch = Watch(t, *SOON, "-p", f"{one.pid},{other.pid}", "300ms")
    first = watch.next()
    check_equal(sum(first["losses"].values()), 0, "losses before", first)
    workers = children(watch.pid)
    check_equal(len(workers), 1, "children of leakmon")
    os.kill(workers[0], signal.SIGKILL)
    for process in (one, other):
        process.ask("add cond 3")
        process.ask("add mutex 3")
    report = watch.until("the new threads are shown",
                         lambda report: count_at(report, "cond_start") + count_at(report, "mutex_start") >= 18 + 6)
    poll(10, "a new resolver", lambda: [child for child in children(watch.pid) if child not in workers])
    threads = 2 * len(harness.tids(one.pid))
    report = watch.until("all threads are counted", lambda report: report["totals"]["blocked_threads"] == threads)
    check(sum(report["losses"].values()) > 0, "the death of the resolver is counted", report)
    t.note(f"losses {({name: n for name, n in report['losses'].items() if n})}")
    watch.end()


@test()
def a_resolver_that_dies_again_and_again_does_not_end_leakmon(t):
    process = t.blocker("waits")
    watch = Watch(t, *SOON, "-p", process.pid, "100ms")
    watch.next()
    for _ in range(8):
        for child in children(watch.pid):
            os.kill(child, signal.SIGKILL)
        process.ask("add sleep 1")
        report = watch.next()
    threads = len(harness.tids(process.pid))
    watch.until("all threads are counted", lambda report: report["totals"]["blocked_threads"] == threads)
    watch.end()


@test()
def a_ring_that_overflows_is_counted_and_repaired(t):
    """leakmon itself is stopped while threads come and go."""
    process, beside = t.start(build("hostile"), "churn"), t.blocker("waits")
    watch = Watch(t, *SOON, "-p", f"{process.pid},{beside.pid}", "200ms")
    watch.next()
    watch.send(signal.SIGSTOP)
    t.stack.callback(lambda: watch.child.poll() is None and watch.send(signal.SIGCONT))
    begun = int(harness.read_text("/proc/stat").split("processes ")[1].split()[0])
    poll(60, "100,000 threads", lambda: int(harness.read_text("/proc/stat").split("processes ")[1].split()[0]) > begun + 100000)
    beside.ask("add cond 4")
    watch.send(signal.SIGCONT)
    report = watch.until("the loss is counted", lambda report: report["losses"]["ring_full"] > 0)
    check_equal(report["complete"], False, "complete")
    watch.until("the next look repairs it", lambda report: count_at(report, "cond_start", beside.pid) == 9)
    t.note(f"ring_full {report['losses']['ring_full']}")
    watch.end()


@test()
def threads_that_wake_while_they_are_read_are_counted(t):
    """A stack that is not of one moment is no stack."""
    process, beside = t.start(build("hostile"), "flutter"), t.blocker("waits")
    watch = Watch(t, *SOON, "-p", f"{process.pid},{beside.pid}", "50ms")
    report = watch.until("torn reads", lambda report: report["losses"]["torn_reads"] > 0)
    check_equal(report["complete"], False, "complete")
    check_beside(report, beside.pid)
    strange = [site for site in report["sites"] if site["pid"] == process.pid and site["stack"]
               and not {"flutter", "main"} & set(functions(site))]
    check(not [site for site in strange if not site["stack_why"]], "whole stacks that do not exist", report)
    watch.end()

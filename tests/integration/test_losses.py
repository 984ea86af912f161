# SPDX-License-Identifier: GPL-2.0-or-later
"""What leakmon itself lacks (descriptors, memory) is counted, and costs no more than it must."""

import contextlib
import os
import pathlib
import resource
import signal
import time

import harness
from harness import Skip, check, check_equal, children, poll, test
from leakmon import Watch, count_at, outline, seconds, snapshot

SOON = ["--min-blocked", "1ms"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def without_stacks(report):
    return {process["pid"] for process in report["processes"]
            if any(row["what"] == "stacks" for row in process["unavailable"])}


@test()
def processes_that_cannot_be_opened_are_counted_and_named(t):
    """A limit at which all is open but the memory of some processes, which comes last."""
    blockers = [t.blocker("waits") for _ in range(8)]
    pids = {process.pid for process in blockers}
    arguments = [*SOON, "-p", ",".join(map(str, pids))]
    watch = Watch(t, *arguments, "200ms")
    check_equal(without_stacks(watch.next()), set(), "processes without stacks, while nothing is lacking")
    enough = descriptors(watch.pid)
    watch.end()
    report = snapshot(t, *arguments, prefix=("prlimit", f"--nofile={enough - len(pids) // 2}"))
    skipped = without_stacks(report)
    check(0 < len(skipped) < len(pids), f"{len(skipped)} of {len(pids)} processes have no stacks", outline(report))
    check_equal(report["losses"]["skipped_processes"], len(skipped), "skipped_processes", report["losses"])
    check_equal(report["complete"], False, "complete", report["losses"])
    threads = sum(len(harness.tids(pid)) for pid in pids)
    check_equal(report["totals"]["blocked_threads"], threads, "threads of all of them", outline(report))
    for pid in pids:
        check_equal(count_at(report, "cond_start", pid), 0 if pid in skipped else 5, f"stacks of {pid}", outline(report))
    t.note(f"{len(skipped)} of {len(pids)}")


@test()
def looks_that_cannot_begin_are_counted_and_repeated(t):
    process = t.blocker("waits")
    watch = Watch(t, *SOON, "-p", process.pid, "5s")  # a look each second
    check_equal(watch.next()["complete"], True, "complete, while nothing is lacking")
    before = resource.prlimit(watch.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(watch.pid, resource.RLIMIT_NOFILE, (descriptors(watch.pid), before[1]))
    poll(10, "a look fails", lambda: "a look was cut short" in watch.messages())
    resource.prlimit(watch.pid, resource.RLIMIT_NOFILE, before)
    process.ask("add cond 3")
    report = watch.next()
    check(report["losses"]["scan_truncated"] > 0, "the look that failed is counted", report["losses"])
    check_equal(report["complete"], False, "complete", report["losses"])
    check_equal(count_at(report, "cond_start"), 8, "threads in the looks after it", outline(report))
    watch.end()


class MemoryCgroup:
    """One of our own, for what a process allocates until it is moved back: that stays charged to it."""

    def __init__(self, t):
        paths = dict(line.split(":", 2)[1:] for line in harness.read_text("/proc/self/cgroup").splitlines())
        if "memory" in paths:
            self.home = pathlib.Path("/sys/fs/cgroup/memory" + paths["memory"])
            parents, limit, usage = [self.home], "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            self.home = pathlib.Path("/sys/fs/cgroup" + paths.get("", "/"))
            parents = [path for path in (self.home, self.home.parent)
                       if "memory" in harness.read_text(path / "cgroup.subtree_control").split()]
            limit, usage = "memory.max", "memory.current"
        if not parents:
            raise Skip("no memory cgroup can be made here")
        self.path = parents[0] / f"leakmon-test-{os.getpid()}"
        self.limit, self.usage = self.path / limit, self.path / usage
        try:
            self.path.mkdir()
        except OSError as error:
            raise Skip(f"no memory cgroup can be made here: {error}") from None
        # what was charged to it is freed a little after the process has ended
        t.stack.callback(lambda: poll(10, "the cgroup goes", self.remove))
        if not self.usage.exists():
            raise Skip("the kernel does not count memory by cgroup")

    def remove(self):
        with contextlib.suppress(OSError):
            self.path.rmdir()
        return not self.path.exists()

    def enter(self):
        (self.path / "cgroup.procs").write_text("0")

    def move_back(self, pid):
        (self.home / "cgroup.procs").write_text(str(pid))

    def full(self):
        """Leaves room for nothing more. Refused where it grows meanwhile."""
        with contextlib.suppress(OSError):
            self.limit.write_text(self.usage.read_text())


@test()
def threads_without_storage_are_counted_and_shown(t):
    """The BPF maps' memory is charged to where leakmon was when it made them; leakmon itself has all it wants."""
    cgroup, process = MemoryCgroup(t), t.start(harness.build("leak"), 2)
    watch = Watch(t, *SOON, "-p", process.pid, "300ms", preexec_fn=cgroup.enter)
    check_equal(watch.next()["losses"]["storage_failed"], 0, "threads without storage, while nothing is lacking")
    for pid in (watch.pid, *children(watch.pid)):
        cgroup.move_back(pid)
    failed = [0]

    def look():
        report = watch.next()
        failed.append(report["losses"]["storage_failed"])
        return report

    def look_when_full():
        cgroup.full()
        threads, listed = len(harness.tids(process.pid)), time.time()
        report = look()
        while seconds(report["time"]) < listed:  # it was written before, and waited to be read
            report = look()
        leaked = count_at(report, "wait_for_result")
        check(leaked >= threads - 2, f"{leaked} of {threads} threads are shown", outline(report))
        return failed[-1] and report

    # the kernel has some room in reserve
    report = poll(20, "storage fails", look_when_full)
    check_equal(report["complete"], False, "complete", report["losses"])
    t.note(f"storage_failed {failed[-1]}, {report['totals']['threads']} threads")
    cgroup.limit.write_text(str(1 << 30))
    poll(20, "all have storage", lambda: look() and failed[-1] == failed[-2])
    watch.end()


@test()
def a_process_that_the_resolver_had_no_time_for_is_tried_again(t):
    def site_of(report):
        return [site for site in report["sites"] if any(frame["function"] == "cond_start" for frame in site["stack"])][0]

    process = t.blocker("waits")
    watch = Watch(t, *SOON, "-p", process.pid, "--horizon", "1m", "200ms")
    before = watch.until("its stacks", lambda report: count_at(report, "cond_start", process.pid) == 5)
    os.kill(children(watch.pid)[0], signal.SIGSTOP)
    process.ask("add cond 3")
    watch.until("it is skipped", lambda report: process.pid in without_stacks(report))
    after = watch.until("all of its stacks", lambda report: count_at(report, "cond_start", process.pid) == 8)
    check_equal(after["losses"]["skipped_processes"], 1, "it is counted", after["losses"])
    check_equal(without_stacks(after), set(), "nothing is said to be lacking", outline(after))
    check_equal(site_of(after)["oldest_blocked_since"], site_of(before)["oldest_blocked_since"], "since when the first waits")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole machine, kernel threads, PID namespaces."""

import os
import signal

import harness
from harness import Skip, build, check, check_equal, children, is_alive, need, poll, test
from leakmon import count_at, outline, run, sites_with, snapshot, parse_lines


def is_kernel_thread(pid):
    fields = harness.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return len(fields) > 6 and int(fields[6]) & 0x00200000 != 0  # others may have ended by now


@test()
def the_whole_machine_is_listed(t):
    one, other = t.blocker("waits"), t.blocker("waits-cpp")
    report = snapshot(t, "--min-blocked", "1ms")
    listed = {process["pid"] for process in report["processes"]}
    check({one.pid, other.pid} <= listed, "both of ours", report)
    check(len(listed) > 2, "others too", report)
    check_equal(count_at(report, "cond_start", one.pid), 5, "a group of ours", report)
    kernel = [pid for pid in listed if harness.read_text(f"/proc/{pid}/stat") and is_kernel_thread(pid)]
    check_equal(kernel, [], "kernel threads without -k")
    check(os.getpid() in listed, "we ourselves wait for leakmon", sorted(listed))


@test()
def processes_that_ended_and_are_not_reaped_are_no_loss(t):
    ended = [t.blocker("waits") for _ in range(5)]
    for process in ended:
        os.kill(process.pid, signal.SIGKILL)
        poll(10, "it has ended", lambda process=process: not is_alive(process.pid))
    report = snapshot(t, "--min-blocked", "1ms")
    check_equal(report["losses"]["scan_truncated"], 0, "scan_truncated", report["losses"])
    check(not {process["pid"] for process in report["processes"]} & {process.pid for process in ended}, "not listed", report)


@test()
def one_that_ended_and_is_not_reaped_is_named_with_its_parent(t):
    ended = t.blocker("waits")
    os.kill(ended.pid, signal.SIGKILL)
    poll(10, "it has ended", lambda: not is_alive(ended.pid))
    result = run(t, "snapshot", "-p", ended.pid, code=2)
    check(f"-p {ended.pid}" in result.messages() and f"PID {os.getpid()}" in result.messages(), "both", result.messages())


@test()
def a_process_that_the_kernel_does_not_show_is_a_loss(t):
    if 1 in {process["pid"] for process in snapshot(t, "--min-blocked", "1ms")["processes"]}:
        raise Skip("this kernel shows every process")
    shown = t.blocker("waits")
    report = snapshot(t, "-p", f"1,{shown.pid}", "--min-blocked", "1ms")
    check_equal(report["losses"]["skipped_processes"], 1, "skipped_processes", report)
    check_equal(report["complete"], False, "complete", report)
    check(any(note.startswith("process 1 ") for note in report["notes"]), "a note says which", report["notes"])
    report = snapshot(t, "-p", shown.pid, "--min-blocked", "1ms")
    check_equal(report["losses"]["skipped_processes"], 0, "of those that are shown none", report)


@test()
def a_kernel_thread_by_its_pid_needs_k(t):
    if harness.read_text("/proc/2/comm").strip() != "kthreadd":
        raise Skip("no kernel threads are seen here")
    result = run(t, "snapshot", "-p", 2, code=2)
    check("kernel thread" in result.messages() and "-k" in result.messages(), "what it is, what to do", result.messages())
    report = snapshot(t, "-k", "-p", 2, "--min-blocked", "1ms")
    check_equal([process["pid"] for process in report["processes"]], [2], "with -k", report)


@test()
def the_helper_that_reads_stacks_is_listed_without_its_own(t):
    reports = parse_lines(run(t, "-j", "--min-blocked", "1ms", "0.2", "5").out)
    helpers = [process for process in reports[-1]["processes"]
               if any("own helper" in item["why"] for item in process["unavailable"])]
    check_equal([helper["comm"] for helper in helpers], ["leakmon-resolve"], "one, whoever else runs leakmon", helpers)
    sites = [site for report in reports for site in report["sites"] if site["pid"] == helpers[0]["pid"]]
    check(not any(site["stack"] for site in sites), "its stack is not read, which would wake it and be torn", sites)


@test()
def kernel_threads_are_shown_with_k(t):
    if harness.read_text("/proc/2/comm").strip() != "kthreadd":
        raise Skip("no kernel threads are seen here")
    report = snapshot(t, "-k", "--min-blocked", "1ms")
    sites = [site for site in report["sites"] if is_kernel_thread(site["pid"])]
    check(len(sites) > 3, "kernel threads", report)
    check(all(not site["stack"] for site in sites), "they have no user stack", report)
    kthreadd = next((site for site in sites if site["pid"] == 2), None)
    check(kthreadd, "kthreadd", report)
    check_equal(kthreadd["kernel_stack"][0]["function"] is not None, True, "the kernel function has a name", kthreadd)
    check("kthreadd" in [frame["function"] for frame in kthreadd["kernel_stack"]], "kthreadd is in its stack", kthreadd)


def in_namespace(t):
    """A blocker in a PID namespace of its own, and its PID here."""
    need("unshare")
    try:
        process = t.start("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", build("waits"))
    except harness.Failure as failure:
        raise Skip(f"no PID namespace can be made here: {failure}") from None
    outer = poll(5, "the child of unshare", lambda: children(process.pid))[0]
    harness.settle(outer)
    check_equal(process.truth["pid"], 1, "its own PID")
    return process, outer


@test()
def a_process_in_another_pid_namespace_is_watched_by_its_pid_here(t):
    process, outer = in_namespace(t)
    report = snapshot(t, "-p", outer, "--min-blocked", "1ms", "--members", 1000)
    check_equal([row["pid"] for row in report["processes"]], [outer], "processes", report)
    for group in process.truth["groups"]:
        check_equal(count_at(report, group["chain"][-1]), group["count"], f"count of {group['name']}", report)
    shown = sorted(member["id"] for site in report["sites"] for member in site["members"])
    check_equal(shown, harness.tids(outer), "thread ids, as they are here")


@test()
def leakmon_in_a_pid_namespace_sees_that_namespace(t):
    need("nsenter")
    process, outer = in_namespace(t)
    result = run(t, "snapshot", "--json", "-p", 1, "--min-blocked", "1ms", "--members", 1000, code=None,
                 prefix=["nsenter", "--target", outer, "--pid", "--mount"])
    if result.code == 77:
        raise Skip(f"leakmon refuses: {result.messages().strip()}")
    check_equal(result.code, 0, "exit code")
    report = parse_lines(result.out)[0]
    check_equal([row["pid"] for row in report["processes"]], [1], "processes", report)
    for group in process.truth["groups"]:
        site = sites_with(report, group["chain"][-1])[0]
        check_equal(site["count"], group["count"], f"count of {group['name']}", report)
        check_equal(sorted(member["id"] for member in site["members"]), group["tids"], f"thread ids of {group['name']}", site)


@test("on", "off", "auto")
def groups_are_the_same_with_the_futex_programs(t, futex):
    process = t.blocker("waits")
    report = snapshot(t, "-p", process.pid, "--futex", futex, "--min-blocked", "1ms")
    for group in process.truth["groups"]:
        site = sites_with(report, group["chain"][-1])[0]
        check_equal((site["count"], site["wait"]["class"]), (group["count"], group["class"]), group["name"], outline(report))

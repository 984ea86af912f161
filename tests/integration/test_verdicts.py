# SPDX-License-Identifier: GPL-2.0-or-later
"""Leaks are found, pools are not. Time is 100 times as fast: --horizon 18s for 30 min."""

import time

from harness import check, check_equal, is_alive, poll, test
from leakmon import Watch, find_in_order, functions, snapshot

FAST = ["--horizon", "18s", "--min-blocked", "100ms"]


def leaks(report, pid):
    return [finding for finding in report["findings"] if finding["pid"] == pid and finding["type"] == "leak"]


def grow_old(t, *processes, age_s):
    """Lets the processes live so long: ages are what is judged."""
    end = time.monotonic() + age_s
    poll(age_s + 5, "the processes are old enough", lambda: time.monotonic() >= end)
    check(all(is_alive(process.pid) for process in processes), "the processes live")


def check_leak(report, process):
    found = leaks(report, process.pid)
    check(found, "no leak was found", report)
    finding = found[0]
    site = next(site for site in report["sites"] if (site["pid"], site["site"]) == (process.pid, finding["site"]))
    check(find_in_order(functions(site), ["wait_for_result", "serve"]), "the finding names the leaking site", report)
    check("wait_for_result" in finding["summary"], "the summary names the function", finding)
    check(str(finding["evidence"]["survivors"]) in finding["summary"], "the summary says how many", finding)
    check(len(finding["wrong_if"]) > 10, "it says when it would be wrong", finding)
    return finding


@test()
def one_look_at_an_old_leak_is_enough_and_pools_are_no_leak(t):
    leak = t.blocker("leak", 150, settled=False)
    pools = [t.blocker("pool", *arguments, settled=False) for arguments in (("fixed", 64), ("reuse", 32))]
    grow_old(t, leak, *pools, age_s=14)
    report = snapshot(t, *FAST, "-p", ",".join(str(process.pid) for process in [leak, *pools]))
    finding = check_leak(report, leak)
    check_equal(finding["evidence"]["retrospective"], True, "retrospective", finding)
    check(finding["evidence"]["survivors"] >= 8, "survivors", finding)
    for pool in pools:
        check_equal([found for found in report["findings"] if found["pid"] == pool.pid], [], "findings in a pool", report)
    t.note(f"{finding['level']}: {finding['summary']}")


@test()
def a_leak_that_starts_late_is_seen_as_it_goes_and_pools_stay_silent(t):
    leak = t.blocker("leak", 100, 4000, settled=False)
    pools = [t.blocker("pool", *arguments, settled=False) for arguments in (("fixed", 64), ("reuse", 32))]
    watch = Watch(t, *FAST, "-p", ",".join(str(process.pid) for process in [leak, *pools]), "500ms")
    begun = time.monotonic()
    silent = []

    def found(report):
        silent.extend(finding for finding in report["findings"] if finding["pid"] != leak.pid)
        return leaks(report, leak.pid)

    report = watch.until("the leak is found", found, deadline_s=40)
    finding = check_leak(report, leak)
    check_equal(silent, [], "findings in a pool", report)
    t.note(f"after {time.monotonic() - begun:.1f} s: {finding['summary']}")
    watch.end()

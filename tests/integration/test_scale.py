# SPDX-License-Identifier: GPL-2.0-or-later
"""20,000 blocked threads in one process."""

import time

from harness import check, check_equal, children, rss_bytes, test
from leakmon import Watch, count_at

THREADS, MOST_RSS = 20000, 96 << 20


@test()
def twenty_thousand_threads_are_counted_exactly_in_little_memory(t):
    t.sysctl_at_least("kernel.pid_max", 65536)
    t.sysctl_at_least("kernel.threads-max", 60000)
    t.sysctl_at_least("vm.max_map_count", 65530)
    process = t.blocker("scale", THREADS)
    begun = time.monotonic()
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "1s")
    reports = [watch.next()]
    first_s = time.monotonic() - begun
    for _ in range(5):
        reports.append(watch.next())
    for report in reports:
        for group in process.truth["groups"]:
            check_equal(count_at(report, group["name"]), group["count"], f"count at {group['name']}", report)
        check_equal(report["totals"]["blocked_threads"], THREADS + 1, "blocked threads", report)
        check_equal(report["totals"]["sites"], 8, "sites", report)
        check(report["self"]["rss_bytes"] <= MOST_RSS, f"it says that it uses {report['self']['rss_bytes'] >> 20} MiB")
    both = rss_bytes(watch.pid) + sum(rss_bytes(child) for child in children(watch.pid))
    check(both <= MOST_RSS, f"both processes use {both >> 20} MiB")
    cpu_s = (reports[-1]["self"]["cpu_s"] - reports[1]["self"]["cpu_s"]) / (len(reports) - 2)
    # each second report takes two looks, for the locks that threads wait for
    t.note(f"first report after {first_s:.2f} s; {cpu_s / THREADS * 1e6:.2f} µs CPU for an unchanged thread and report; "
           f"{both / (1 << 20):.0f} MiB")
    check(first_s < 20, f"the first report took {first_s:.1f} s")
    check_equal(reports[-1]["losses"], {loss: 0 for loss in reports[-1]["losses"]}, "losses")
    watch.end()

# SPDX-License-Identifier: GPL-2.0-or-later
"""How long threads wait, how many come and go, and that the target feels nothing of it."""

import time

import harness
from harness import check, check_equal, test
from leakmon import Watch, check_site, count_at, seconds, resolution, sites_with

TOLERANCE, TOLERANCE_S = 0.01, 100e-6  # of a wait: 1 %, or 100 µs where that is more


def check_between(value, low, high, slack, what, evidence):
    check(low - slack <= value <= high + slack, f"{what}: {value:.6f} s is not in {low:.6f}…{high:.6f} ± {slack:.6f}", evidence)


@test()
def waits_are_as_long_as_the_threads_own_clocks_say(t):
    process = t.blocker("precise")
    watch = Watch(t, "-p", process.pid, "--members", 1000, "--min-blocked", "1ms", "1s")
    watch.next()
    jobs = process.ask("go", deadline_s=60)["jobs"]
    ended = max(job["ended"] for job in jobs)
    report = watch.until("a look after the last wait", lambda report: seconds(report["time"]) > ended + 0.2)
    delays = {tid: int(harness.read_text(f"/proc/{process.pid}/task/{tid}/schedstat").split()[1]) / 1e9
              for tid in harness.tids(process.pid)}
    runs = {tid: int(harness.read_text(f"/proc/{process.pid}/task/{tid}/schedstat").split()[0]) / 1e9 for tid in delays}
    members = {member["id"]: member for site in report["sites"] for member in site["members"]}
    rounding, worst = resolution(report["time"]), 0.0
    for job in jobs:
        what = f"{job['repeats']} × {job['kind']} of {job['ms']} ms"
        member = members.get(job["tid"])
        check(member, f"{what}: the thread is not shown", report)
        evidence = {"job": job, "member": member}
        check(member["exact"], f"{what}: the present wait was seen to begin", evidence)
        completed = member["blocked_total_s"] - (seconds(report["time"]) - seconds(member["blocked_since"]))
        slack = max(job["own_s"] * TOLERANCE, TOLERANCE_S * job["repeats"])
        check_between(completed, job["blocked_s"], job["own_s"], slack + 2 * rounding, f"{what}, all", evidence)
        slack = max(job["longest_own_s"] * TOLERANCE, TOLERANCE_S)
        check_between(member["longest_wait_s"], job["longest_blocked_s"], job["longest_own_s"], slack,
                      f"{what}, the longest", evidence)
        worst = max(worst, abs(member["longest_wait_s"] - job["longest_blocked_s"]))
        check(member["waits"] >= job["repeats"], f"{what}: waits seen: {member['waits']}", evidence)
        if job["kind"] == "futex":
            check_equal(member["last_futex_wait"]["ended"], "timeout", f"{what}: how the last one ended", evidence)
            check(abs(seconds(member["last_futex_wait"]["at"]) - job["ended"]) < 0.05, f"{what}: when", evidence)
        wall = seconds(report["time"]) - seconds(member["started"])
        expected = wall - runs[job["tid"]] - delays[job["tid"]]
        slack = max(wall * TOLERANCE, TOLERANCE_S * member["waits"]) + 2 * rounding
        check_between(member["blocked_total_s"], expected, expected, slack, f"{what}, by schedstat", evidence)
    t.note(f"{len(jobs)} threads; the longest waits are within {worst * 1e6:.0f} µs of their own clocks")
    watch.end()


@test()
def ten_more_threads_are_ten_arrivals(t):
    process = t.blocker("waits")
    interval, reports = ("20s", 4) if t.long else ("5s", 4)
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "--members", 1000, interval, reports)
    first = watch.next()
    check_equal(count_at(first, "cond_start"), 5, "count at first", first)
    process.ask("add cond 10")
    last = [first, *watch.rest(90)][-1]
    watch.wait()
    site = sites_with(last, "cond_start")[0]
    check_equal((site["count"], site["arrived"], site["departed"]), (15, 10, 0), "count, arrived, departed", last)
    expected = 10 / last["watching_s"] * 3600
    check(abs(site["rate_per_h"] - expected) <= 0.1 * expected,
          f"growth per hour: expected {expected:.1f} ± 10 %, got {site['rate_per_h']}", last)
    t.note(f"rate {site['rate_per_h']:.0f} per hour, expected {expected:.0f} over {last['watching_s']:.1f} s")
    for other in last["sites"]:
        # the main thread was woken to read the command
        if other is not site and not sites_with(last, "commands")[0] is other:
            check_equal((other["arrived"], other["departed"]), (0, 0), "arrivals and departures elsewhere", last)


@test()
def threads_that_leave_are_departures(t):
    process = t.blocker("waits")
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "--horizon", "60s", "500ms")
    watch.next()
    for group, count in (("semaphore", 3), ("pipe", 2), ("cond", 1)):
        process.ask(f"leave {group} {count}")
    report = watch.until("the threads have left", lambda report: count_at(report, "semaphore_start") == 4
                         and count_at(report, "pipe_start") == 1 and count_at(report, "cond_start") == 4)
    for function, left in (("semaphore_start", 3), ("pipe_start", 2), ("cond_start", 1), ("mutex_start", 0)):
        site = sites_with(report, function)[0]
        check_equal((site["arrived"], site["departed"]), (0, left), f"arrived, departed of {function}", report)
    check(sites_with(report, "semaphore_start")[0]["rate_per_h"] < 0, "a group that shrinks has a negative rate", report)
    watch.end()


@test()
def the_target_feels_nothing(t):
    process = t.blocker("spin", running=1)
    process.ask("from now on")
    time_alone = 3 if t.long else 2
    harness.poll(time_alone + 1, "some time alone", lambda begun=time.monotonic(): time.monotonic() - begun > time_alone)
    before = process.ask("alone")
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "100ms")
    watch.next()
    process.ask("watched from now on")
    looks, samples = 0, 0
    while looks < 30:
        report = watch.next()
        check_equal(count_at(report, "block"), 50, "blocked threads", report)
        for tid in harness.tids(process.pid):
            fields = harness.status(process.pid, tid)
            check(fields.get("State", "?")[0] not in "tT", f"thread {tid} is stopped", fields)
            check_equal(fields.get("TracerPid"), "0", f"tracer of {tid}")
            samples += 1
        looks += 1
    after = process.ask("watched")
    watch.end()
    t.note(f"{samples} states of threads, none stopped; longest gap {before['longest_s'] * 1e3:.2f} ms alone, "
           f"{after['longest_s'] * 1e3:.2f} ms watched; not waiting for a CPU {before['longest_running_s'] * 1e3:.2f} → "
           f"{after['longest_running_s'] * 1e3:.2f} ms")
    # This machine is shared: what is due to others was there before too.
    check(after["longest_running_s"] <= max(0.010, 3 * before["longest_running_s"]),
          f"a gap of {after['longest_running_s']} s in a thread that ran", (before, after))


@test()
def a_futex_call_that_does_not_sleep_ends_no_stay(t):
    """It returns as one does that was woken, right after a wait that its timeout ended."""
    process = t.start(harness.build("ticks"), 8)
    watch = Watch(t, "-p", process.pid, "--min-blocked", "50ms", "--members", 20, "500ms")
    first = watch.until("all tick", lambda report: count_at(report, "tick") == 8)
    since = {member["id"]: member["resident_since"] for member in sites_with(first, "tick")[0]["members"]}
    for _ in range(8):
        site = sites_with(watch.next(), "tick")[0]
        check_equal((site["count"], site["departed"]), (8, 0), "threads that tick, and those that have left", site)
        check_equal({member["id"]: member["resident_since"] for member in site["members"]}, since, "since when they stay", site)
    watch.end()

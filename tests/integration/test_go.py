# SPDX-License-Identifier: GPL-2.0-or-later
"""Goroutines of Go programs: the seeds are found, healthy programs are not, and all that is said of them is true. Time is
100 times as fast: --horizon 18s for 30 min."""

import json
import os
import pathlib
import re
import select
import shutil
import sys
import time

import harness
from harness import Failure, Skip, check, check_equal, is_alive, need, poll, settle, test
from leakmon import ROOT, Watch, count_at, functions, outline, run, sites_with, snapshot

sys.path.insert(0, str(ROOT / "tests" / "golang"))

import compare  # noqa: E402
import dumps  # noqa: E402
import toolchains  # noqa: E402

ALL = ["--members", "100000", "--min-blocked", "1ms"]
FAST = ["--horizon", "18s", "--min-blocked", "100ms"]
SEED = ["-scale", "18", "-rate", "120"]
VERSION = "1.24"
LEAF = {"multiquery": "main.multiQuery.func1", "agent": "main.(*agent).round"}
CREATOR = {"multiquery": "main.multiQuery", "agent": "main.(*agent).begin"}
MARK = {"multiquery": "multiQuery", "agent": "round"}


class Program(harness.Process):
    """A Go program of ours: it logs its truth line by line, and answers questions."""

    def event(self, name, deadline_s=30):
        end = time.monotonic() + deadline_s
        while True:
            entry = self.line(max(0.1, end - time.monotonic()))
            if entry["event"] == name:
                return entry

    def ask(self, question, deadline_s=20):
        self.say(question)
        return self.event("answer", deadline_s)


def built(program, version=VERSION, variant="plain"):
    try:
        return toolchains.build(program, version, variant)
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None


def start(t, *words, **options):
    process = Program(words, **options)
    t.stack.callback(process.end)
    process.truth = process.event("ready")
    return process


def grow_old(processes, age_s):
    """Lets the processes live so long; what they say meanwhile is read, so that they need not wait."""
    end = time.monotonic() + age_s
    while time.monotonic() < end:
        for process in processes:
            ready, _, _ = select.select([process.child.stdout], [], [], 0.02)
            if ready:
                process.pending = process.pending[-200:] + os.read(process.child.stdout.fileno(), 65536)
    check(all(is_alive(process.pid) for process in processes), "the processes live")
    for process in processes:  # a line of which the beginning is lost is none
        process.pending = process.pending.partition(b"\n")[2]


def pids(processes):
    return ",".join(str(process.pid) for process in processes)


def process_of(report, pid):
    return next(process for process in report["processes"] if process["pid"] == pid)


def own_frames(site):
    """Without the calls that the compiler put between: those are lines of no file, and Go does not print them either."""
    return [frame for frame in site["stack"] if (frame["function"] or "").startswith("main.") and frame["file"]]


def findings(report, pid, levels=("likely", "confirmed")):
    return [finding for finding in report["findings"] if finding["pid"] == pid and finding["level"] in levels]


def check_seed(report, process, program):
    """The finding names the seed's leak: function, line, creator, and the shape of its channels."""
    found = findings(report, process.pid)
    check_equal([finding["type"] for finding in found], ["leak"], f"findings in {program}", report)
    site = next(site for site in report["sites"] if (site["pid"], site["site"]) == (process.pid, found[0]["site"]))
    line = toolchains.line_of(program, "WAIT:" + MARK[program])
    leaf = own_frames(site)[0]
    check_equal((leaf["function"], leaf["line"], pathlib.Path(leaf["file"]).name), (LEAF[program], line, f"{program}.go"),
                "its leaf", site)
    check(all(frame["function"] for frame in site["stack"]), "each frame has a name, also what the compiler put between", site)
    creator = site["created_by"]
    check_equal((creator["function"], creator["line"], creator["parent"]),
                (CREATOR[program], toolchains.line_of(program, "GO:" + MARK[program]), 1), "its creator", site)
    check_equal((site["kind"], site["wait"]["class"], site["wait"]["detail"]), ("goroutine", "chan_send", "chan send"),
                "its kind and class", site)
    check_equal((site["channel"]["len"], site["channel"]["cap"], site["channel"]["closed"]), (0, 0, False), "channel", site)
    check_channels(site, program)
    for words in (LEAF[program], f"{program}.go:{line}", CREATOR[program]):
        check(words in found[0]["summary"], f"the summary names {words}", found[0])
    check(len(found[0]["wrong_if"]) > 10, "it says when it would be wrong", found[0])
    return found[0]


def check_channels(site, program):
    """Two wait on each channel of multiQuery, where nobody receives; all of the agent's wait on one."""
    channel, objects, count = site["channel"], site["wait"]["objects"], site["count"]
    check_equal(channel["receivers"], 0, "receivers", site)
    check("nobody receives" in site["shape"], "the shape says that nobody receives", site)
    if program == "agent":
        check_equal(objects, 1, "channels", site)
        check(abs(channel["senders"] - count) <= 1 + count // 20, "all send on the one channel", site)
        check("all on one channel" in site["shape"], "the shape says so", site)
    else:
        check(count // 2 <= objects <= count // 2 + 2, f"{count} goroutines wait on {objects} channels", site)
        check(1 <= channel["senders"] <= 3, "senders", site)
    check(f"{count:,} goroutines wait to send" in site["shape"] and "(len 0, cap 0)" in site["shape"], "the shape", site)


# --- verdicts ---------------------------------------------------------------------------------------------------------


@test(("not collected",), ("collected as often as Go does", "-gc", "1.2s"))
def one_look_at_old_seeds_is_enough_and_the_fixed_ones_are_silent(t, _name, *more):
    seeds = {program: start(t, built(program), *SEED, *more) for program in LEAF}
    healthy = [start(t, built(program), "fixed", *SEED, *more) for program in LEAF]
    processes = [*seeds.values(), *healthy]
    grow_old(processes, 14)
    report = snapshot(t, *FAST, "-p", pids(processes))
    for program, process in seeds.items():
        finding = check_seed(report, process, program)
        check_equal(finding["evidence"]["retrospective"], True, "retrospective", finding)
        t.note(finding["summary"])
    for process in healthy:
        check_equal(findings(report, process.pid, ("suspect", "likely", "confirmed")), [], "findings in a fixed one", report)


@test()
def a_seed_that_starts_under_the_eyes_is_likely_within_one_horizon(t):
    seeds = {program: start(t, built(program), *SEED) for program in LEAF}
    healthy = [start(t, built(program), "fixed", *SEED) for program in LEAF]
    processes = [*seeds.values(), *healthy]
    begun, silent = time.monotonic(), []
    watch = Watch(t, *FAST, "-p", pids(processes), "500ms")

    def found(report):
        grow_old(processes, 0.01)
        silent.extend(finding for process in healthy for finding in findings(report, process.pid))
        return all(findings(report, process.pid) for process in seeds.values())

    report = watch.until("both seeds are found", found, deadline_s=30)
    took_s = time.monotonic() - begun
    for program, process in seeds.items():
        check_seed(report, process, program)
    check_equal(silent, [], "findings in a fixed one", report)
    check(took_s <= 19, f"one horizon is enough; it took {took_s:.1f} s", report)
    t.note(f"after {took_s:.1f} s of 18")
    watch.end()


@test("pool", "web")
def a_healthy_program_is_silent(t, shape):
    process = start(t, built("healthy"), shape, "-scale", "18", "-rate", "400")
    watch = Watch(t, *FAST, "-p", process.pid, "1s")
    reports = [watch.next() for _ in range(22)]
    for report in reports:
        check_equal(findings(report, process.pid), [], "findings", report)
    watch.end()


@test()
def check_fails_for_a_seed_and_is_content_with_the_fixed_one(t):
    options = ["--horizon", "8s", "--min-blocked", "100ms"]
    program = built("multiquery")
    seed = ["-scale", "8", "-rate", "100", "-log", t.directory() / "log"]
    done = run(t, "check", *options, "--for", "12s", "--", program, *seed, code=1, deadline_s=40)
    check("main.multiQuery.func1" in done.messages() and "created by main.multiQuery" in done.messages(), "the finding",
          done.messages())
    done = run(t, "check", *options, "--for", "12s", "--", program, "fixed", *seed, deadline_s=40)
    check_equal(done.messages(), "", "words about the fixed one")


# --- what is said of goroutines ---------------------------------------------------------------------------------------


@test(*((f"{version} {variant}", version, variant) for version in toolchains.IN_CI for variant in toolchains.VARIANTS))
def goroutines_are_those_of_the_programs_own_dump(t, _name, version, variant):
    if not os.access(compare.GO_DUMP, os.X_OK):
        raise Failure(f"there is no {compare.GO_DUMP}: build it with make")
    try:
        said, number = compare.compare(version, variant)
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None
    check(not said, f"{len(said)} differences", "\n".join(said))
    t.note(f"{number} goroutines")


# Go's words for a wait, up to 1.19 and later, and the contract's.
CLASSES = {"chan send": "chan_send", "chan receive": "chan_receive", "chan send (nil chan)": "chan_send_nil",
           "chan receive (nil chan)": "chan_receive_nil", "select": "select", "select (no cases)": "select_no_cases",
           "sync.Mutex.Lock": "mutex", "sync.RWMutex.RLock": "rwmutex_read", "sync.RWMutex.Lock": "rwmutex_write",
           "sync.Cond.Wait": "cond", "sync.WaitGroup.Wait": "waitgroup", "sleep": "sleep", "IO wait": "io",
           "syscall": "syscall", "semacquire": None}


def last_own(goroutine):
    return [frame for frame in goroutine.frames if frame.function.startswith("main.")]


def class_of(goroutine):
    """The class of a goroutine of the states program; where Go's words tell too little, by its functions."""
    state = goroutine.state.split(", ")[0]
    names = {"rwRead": "rwmutex_read", "rwWriteBehindReader": "rwmutex_write",
             "rwWriteBehindWriter": "mutex",  # the one that writers of an RWMutex take first
             "mutexLock": "mutex", "onceWait": "mutex", "groupWait": "waitgroup"}
    own = last_own(goroutine)
    return names.get(own[0].function.removeprefix("main.")) or CLASSES[state] if own else CLASSES[state]


@test(("1.24",), ("1.19",))
def sites_say_the_state_stack_and_creator_of_each_goroutine(t, version):
    program = compare.Program(built("states", version))
    t.stack.callback(program.end)
    settle(program.pid)
    report = snapshot(t, "-p", program.pid, *ALL)
    counted = program.ask("count")["goroutines"]
    plain = dumps.parse(program.ask("stacks")["text"])
    theirs = {goid: goroutine for goid, goroutine in dumps.without_wrappers(program.dump(), plain).items()
              if goid and not goroutine.is_system}
    process = process_of(report, program.pid)
    check_equal((process["runtime"], process["goroutines"], report["totals"]["goroutines"]), ("go", counted, counted),
                "runtime and goroutines", process)
    check_equal(process["go_version"], program.truth["version"], "version", process)
    members = {member["id"]: (site, member) for site in report["sites"] if site["kind"] == "goroutine"
               for member in site["members"]}
    check_equal(sorted(members), sorted(theirs), "goids", report)
    wrong = [said for goid, goroutine in theirs.items() for said in member_differs(goroutine, *members[goid])]
    check(not wrong, f"{len(wrong)} differences", "\n".join(map(str, wrong)))


def member_differs(goroutine, site, member):
    """What a site says of one of its members and is not so."""
    creator, wanted = site["created_by"], goroutine.creator
    pairs = [("class", class_of(goroutine), site["wait"]["class"]),
             ("locked", "locked to thread" in goroutine.state, member["locked_to_thread"]),
             ("parent", goroutine.parent or None, member["parent"])]
    if wanted and creator and creator["creators"] == 1:
        pairs.append(("creator", (wanted.function, wanted.line), (dumps.plain_name(creator["function"]), creator["line"])))
    own = [(frame.function, frame.line, frame.inlined) for frame in last_own(goroutine)]
    if site["count"] == 1 and dumps.GAP not in [frame.function for frame in goroutine.frames]:
        said = [(dumps.plain_name(frame["function"]), frame["line"], frame["inlined"]) for frame in own_frames(site)]
        pairs.append(("its own frames", own, said))
    if goroutine.frames and "labelled" in str(own):
        pairs.append(("labels", {"job=states", "part=seven"}, set((member["labels"] or "").split(", "))))
    return [(goroutine.goid, goroutine.state, *pair) for pair in pairs if pair[1] != pair[2]]


@test()
def threads_that_park_in_the_runtime_are_one_line(t):
    process = start(t, built("many"), "-n", 500, "-churn", 8)
    poll(20, "it has threads", lambda: len(harness.tids(process.pid)) >= 4)
    report = snapshot(t, "-p", process.pid, "--min-blocked", "1ms")
    threads = [site for site in report["sites"] if site["kind"] == "thread"]
    parked = [site for site in threads if site["wait"]["detail"] == "parked in Go's runtime"]
    check(len(parked) <= 1, "lines of parked threads", report)
    check(len(threads) <= 4, "sites of threads", report)
    check_equal([finding for finding in report["findings"]], [], "findings", report)


@test(("quiet",), ("churn and collections", "-churn", 4, "-gc", "5ms"))
def goroutines_that_do_not_move_are_counted_exactly(t, _name, *more):
    process = start(t, built("many"), "-n", 20000, *more)
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "500ms")
    watch.next()
    for _ in range(4):
        report = watch.next()
        for group in process.truth["groups"]:
            found = sites_with(report, group["name"], process.pid)
            check_equal((sum(site["count"] for site in found), {site["wait"]["class"] for site in found}),
                        (process.truth["each"], {group["class"]}), f"goroutines at {group['name']}", report)
    check(more or report["totals"]["goroutines"] == process.ask("count")["goroutines"], "the total is Go's own", report)
    go = process_of(report, process.pid)["go"]
    told = process.ask("gc")
    check(go["gc_count"] <= told["gc_count"] and (not more or go["gc_count"] > 5), "collections", (go, told))
    check(0 < go["heap_live_bytes"] < 4 * told["heap_bytes"] + (16 << 20), "the live heap", (go, told))
    t.note(f"{report['losses']['torn_reads']} torn reads; a look takes {report['self']['scan_s'] * 1e3:.1f} ms")
    watch.end()


# --- programs that are hard to read -------------------------------------------------------------------------------


@test()
def goroutines_of_a_program_without_a_blocked_thread_are_read(t):
    process = start(t, built("many"), "-n", 500)
    report = snapshot(t, "--min-blocked", "1h", "-p", process.pid)
    check_equal(report["totals"]["blocked_threads"], 0, "blocked threads", report)
    check(report["totals"]["goroutines"] > 500, "goroutines are counted", report)


def check_is_read(t, process, program):
    grow_old([process], 2)
    report = snapshot(t, "-p", process.pid, "--min-blocked", "1ms")
    found = sites_with(report, LEAF[program], process.pid)
    check_equal(len(found), 1, "sites of the leak", lambda: outline(report))
    leaf, line = own_frames(found[0])[0], toolchains.line_of(program, "WAIT:" + MARK[program])
    check_equal((leaf["line"], found[0]["created_by"]["function"]), (line, CREATOR[program]), "line and creator", found[0])
    check(found[0]["count"] >= 5, "goroutines", found[0])
    return report


@test("stripped", "bare", "pie", "external")
def a_program_is_read_however_it_was_linked(t, variant):
    check_is_read(t, start(t, built("agent", VERSION, variant), *SEED), "agent")


@test()
def a_program_that_is_deleted_on_disk_is_read(t):
    copy = t.directory() / "agent"
    shutil.copy(built("agent", VERSION, "stripped"), copy)
    process = start(t, copy, *SEED)
    copy.unlink()
    check_is_read(t, process, "agent")


@test()
def a_program_in_a_mount_namespace_is_read(t):
    need("unshare", "mount")
    folder = t.directory()
    script = 'mount -t tmpfs none "$1" && cp "$2" "$1/agent" && cd "$1" && shift 2 && exec ./agent "$@"'
    process = start(t, "unshare", "-m", "sh", "-c", script, "sh", folder, built("agent"), *SEED)
    check(not (folder / "agent").exists(), "the program's file is not to be seen from here")
    check_is_read(t, process, "agent")


@test()
def a_program_of_another_user_without_a_proc_of_its_own_is_read(t):
    need("chroot", "setpriv")
    folder = t.directory()
    folder.chmod(0o755)
    shutil.copy(built("agent"), folder / "agent")
    (folder / "agent").chmod(0o755)
    (folder / "dev").mkdir()
    process = start(t, "chroot", "--userspec=65534:65534", folder, "/agent", *SEED)
    check_is_read(t, process, "agent")


@test()
def flame_graphs_hold_goroutines(t):
    process = start(t, built("many"), "-n", 500)
    done = run(t, "snapshot", "--format", "collapsed", "--min-blocked", "1ms", "-p", process.pid)
    lines = [line.rsplit(" ", 1) for line in done.text().splitlines()]
    for group in process.truth["groups"]:
        found = [(stack, int(count)) for stack, count in lines if f";{group['name']};" in stack]
        check_equal([count for _, count in found], [process.truth["each"]], f"lines of {group['name']}", done.text())
        check(re.search(rf"runtime\.goexit;.*{re.escape(group['name'])};.*runtime\.gopark$", found[0][0]), "its order", found)


@test()
def text_shows_a_goroutine_as_go_does(t):
    process = start(t, built("agent"), *SEED)
    grow_old([process], 2)
    text = run(t, "snapshot", "--min-blocked", "1ms", "-p", process.pid).text()
    for words in (r"goroutine \d+ \[chan send\]:", r"main\.\(\*agent\)\.round +/.*/agent\.go:\d+",
                  r"created by main\.\(\*agent\)\.begin in goroutine 1 +/.*/agent\.go:\d+",
                  r"goroutines wait to send, all on one channel \(len 0, cap 0\), nobody receives", r"go1\.24\.\d+ "):
        check(re.search(words, text), f"the text holds {words}", text)


@test()
def a_goroutine_that_runs_is_not_held_up(t):
    process = start(t, built("spin"), "-n", 100000)
    process.ask("gaps")
    time_alone = 3
    poll(time_alone + 1, "some time alone", lambda begun=time.monotonic(): time.monotonic() - begun > time_alone)
    before = process.ask("gaps")
    watch = Watch(t, "-p", process.pid, "--min-blocked", "1ms", "100ms")
    watch.next()
    process.ask("gaps")
    for _ in range(30):
        report = watch.next()
        check_equal(count_at(report, "main.waitForEver"), 100000, "goroutines", report)
        for tid in harness.tids(process.pid):
            fields = harness.status(process.pid, tid)
            check(fields.get("State", "?")[0] not in "tT", f"thread {tid} is stopped", fields)
    after = process.ask("gaps")
    watch.end()
    t.note(f"longest gap {before['longest_s'] * 1e3:.2f} ms alone, {after['longest_s'] * 1e3:.2f} ms watched; not waiting "
           f"for a CPU {before['longest_running_s'] * 1e3:.2f} → {after['longest_running_s'] * 1e3:.2f} ms")
    # This machine is shared: what is due to others was there before too.
    check(after["longest_running_s"] <= max(0.010, 3 * before["longest_running_s"]),
          f"a gap of {after['longest_running_s']} s in a goroutine that ran", (before, after))

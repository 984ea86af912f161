# SPDX-License-Identifier: GPL-2.0-or-later
"""Stacks of a JVM, held against what the JVM itself says of them."""

import re
import subprocess

from harness import BUILT, SOURCES, Skip, check, check_equal, need, poll, tids
from harness import test
from leakmon import functions, snapshot

RUNTIME = re.compile(r"(java|jdk|sun)\.")
# methods of classes that are made at run time, and those below method handles: not every JVM shows them
HIDDEN = re.compile(r"\$\$Lambda|java\.lang\.invoke\.(LambdaForm|Invokers\$Holder|DirectMethodHandle\$Holder)")

PROGRAM = "com.example.Waits"
LEAVES = {  # thread: the innermost method of the program
    "wait": "waitForNotify",
    "enter": "enter",
    "lock": "takeLock",
    "latch": "await",
    "take": "take",
    "sleep": "sleep",
    "socket": "read",
    "recurse": "await",
    "gate": "await",
    "reflect": "await",
}
CASES = [  # (name, options of the JVM, rounds of warming up)
    ("interpreted", ["-Xint"], 0),
    ("as-it-comes", [], 0),
    ("warm", [], 20000),
    ("C1", ["-XX:TieredStopAtLevel=1"], 2000),
    ("C2", ["-XX:-TieredCompilation"], 20000),
    ("compiled", ["-Xcomp"], 200),
]


def build_java():
    """Where the classes are. Skips where there is no Java."""
    need("java", "javac")
    out, source = BUILT / "java", SOURCES / "java" / "Waits.java"
    out.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["java", "-version"], capture_output=True).returncode != 0:
        raise Skip("java does not start")
    newest = out / "com" / "example" / "Waits.class"
    if not newest.exists() or newest.stat().st_mtime < source.stat().st_mtime:
        done = subprocess.run(["javac", "-g", "-d", out, source], capture_output=True, text=True)
        check(done.returncode == 0, "building Waits.java failed", done.stderr)
    return out


def start(t, options, rounds):
    process = t.start("java", *options, "-XX:+UseSerialGC", "-cp", build_java(), PROGRAM, rounds)
    poll(30, "the threads are there", lambda: len(tids(process.pid)) > 10)
    return process


def expected(stack):
    """What the JVM says of a thread."""
    return [(name, file, line if line > 0 else None) for name, file, line in stack if not HIDDEN.search(name)]


def java_frames(site):
    return [(frame["function"], frame["file"], frame["line"]) for frame in site["stack"]
            if frame["module"] == "[java]" and not HIDDEN.search(frame["function"])]


def site_of(report, thread):
    found = [site for site in report["sites"] if any(member["comm"].startswith(thread) for member in site["members"])]
    check_equal(len(found), 1, f"sites of {thread}", report)
    return found[0]


@test(*CASES)
def java_stacks_are_what_the_jvm_says_they_are(t, name, options, rounds):
    process = start(t, options, rounds)
    report = snapshot(t, "-p", process.pid, "--members", "1000", "--min-blocked", "1ms")
    for thread in LEAVES:
        site = site_of(report, thread)
        check_equal(java_frames(site), expected(process.truth["threads"][thread]), f"the stack of {thread}", site)
        check_equal(site.get("stack_why"), None, f"the stack of {thread} is whole", site)
        own = [function for function, _, _ in java_frames(site) if not RUNTIME.match(function)]
        check_equal(own[0], f"{PROGRAM}.{LEAVES[thread]}", f"the innermost method of the program in {thread}", site)
        check_equal(site["stack"][site["place"]]["function"], own[0], f"which {thread} is known by", site)
    for site in report["sites"]:
        check(not any(frame["module"] == "[anon]" for frame in site["stack"]), "code without a name", site)


@test("interpreted", "warm")
def idle_workers_of_the_jdks_pools_are_pools(t, name):
    process = start(t, *next((options, rounds) for case, options, rounds in CASES if case == name))
    report = snapshot(t, "-p", process.pid, "--members", "1000", "--min-blocked", "1ms")
    pools = {"pool": ("java.util.concurrent.ThreadPoolExecutor.getTask", 3),
             "scheduled": ("java.util.concurrent.ThreadPoolExecutor.getTask", 1),
             "ForkJoinPool-1-": ("java.util.concurrent.ForkJoinPool.awaitWork", 1)}
    for thread, (method, count) in pools.items():
        site = site_of(report, thread)
        check(method in functions(site), f"{thread} waits in {method}", site)
        check_equal((site["count"], site["idle_pool"]), (count, True), f"count of {thread}, an idle pool", site)
    for thread in LEAVES:
        check_equal(site_of(report, thread)["idle_pool"], False, f"{thread} is no pool")


@test()
def the_same_program_has_the_same_sites_interpreted_and_compiled(t):
    sites = {}
    for name, options, rounds in CASES:
        process = start(t, options, rounds)
        report = snapshot(t, "-p", process.pid, "--members", "1000", "--min-blocked", "1ms")
        sites[name] = {thread: site_of(report, thread)["site"] for thread in LEAVES}
        process.end()
    for name in sites:
        check_equal(sites[name], sites["interpreted"], f"sites of {name}")

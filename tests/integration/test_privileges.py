# SPDX-License-Identifier: GPL-2.0-or-later
"""What leakmon sees with the six capabilities of deploy/, and no more: the same as root with all of them."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import time

import harness
from harness import Skip, check, check_equal, need, poll, test
from leakmon import BINARY, ROOT, outline, parse_lines, snapshot

sys.path.insert(0, str(ROOT / "tests" / "golang"))

import toolchains  # noqa: E402

SIX = ("bpf", "perfmon", "sys_ptrace", "syslog", "dac_read_search", "checkpoint_restore")
OWNER = "daemon"  # a user that every Debian has, of whom the watched programs are
WATCHER = "nobody"
SAME_S = 60
ALL = ["--min-blocked", "1ms", "--members", "1000"]


def with_only(capabilities, user=None):
    """The prefix that leaves a command no more than these capabilities, as that user (None: as root)."""
    need("setpriv")
    words = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    identity = ["--reuid", user, "--regid", str(pwd.getpwnam(user).pw_gid), "--clear-groups"] if user else []
    return ["setpriv", *identity, "--inh-caps", words, "--ambient-caps", words, "--bounding-set", words]


def binary_for_all(t):
    """leakmon where any user can start it."""
    directory = t.directory()
    directory.chmod(0o755)
    return shutil.copy(BINARY, directory / "leakmon")


def program_of_another(t, path):
    """A copy that its user alone may read, in a directory that he alone may enter."""
    directory = t.directory()
    own = shutil.copy(path, directory / path.name)
    os.chmod(own, 0o700)
    shutil.chown(own, OWNER)
    shutil.chown(directory, OWNER)
    return own


def start_as_owner(t, *words):
    return t.start("setpriv", "--reuid", OWNER, "--regid", str(pwd.getpwnam(OWNER).pw_gid), "--clear-groups", *words)


def essence(report):
    """What must not depend on who looks: all but times, counters and leakmon itself."""
    def frames(site):
        return tuple((frame["function"], frame["module"], frame["offset"], frame["line"]) for frame in site["stack"])

    def kernel(site):
        return tuple((frame["function"], frame["offset"]) for frame in site["kernel_stack"])

    sites = sorted((site["site"], site["kind"], site["wait"]["class"], site["wait"]["detail"] or "", site["count"],
                    frames(site), kernel(site)) for site in report["sites"])
    process = report["processes"][0]
    facts = {name: process[name] for name in
             ("exe", "build_id", "runtime", "go_version", "threads", "blocked_threads", "goroutines", "unavailable")}
    return {"sites": sites, "process": facts, "losses": report["losses"], "complete": report["complete"]}


def compare(t, process, user, what, before=()):
    """The report with six capabilities, once it is that of root: on a busy machine either may lack time for some names, but
    what is forbidden stays forbidden."""
    words = [*before, *with_only(SIX, user), binary_for_all(t), "snapshot", "--json", *ALL, "-p", str(process.pid)]
    end = time.monotonic() + SAME_S
    while True:
        expected = essence(snapshot(t, *ALL, "-p", process.pid))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        check_equal(done.returncode, 0, f"exit code with six capabilities, {what}", done.stderr)
        report = parse_lines(done.stdout)[0]
        got = essence(report)
        if got == expected and got["complete"]:
            break
        for part, value in expected.items():
            check(time.monotonic() < end or got[part] == value, f"{part}, {what}: expected {value!r}, got {got[part]!r}",
                  outline(report))
        check(time.monotonic() < end, f"the reports stay incomplete, {what}", outline(report))
    check(any(site[5] for site in got["sites"]), "there are user stacks to compare")
    check(any(site[6] and site[6][0][0] for site in got["sites"]), "kernel functions have names", outline(report))
    return report


@test((WATCHER, WATCHER), ("root", None))
def six_capabilities_see_what_root_sees(t, name, user):
    process = start_as_owner(t, program_of_another(t, harness.build("waits")))
    harness.settle(process.pid)
    report = compare(t, process, user, f"as {name}")
    functions = {frame["function"] for site in report["sites"] for frame in site["stack"]}
    for group in process.truth["groups"]:
        check(set(group["chain"]) <= functions, f"the functions of {group['name']} have names", outline(report))


@test((WATCHER, WATCHER), ("root", None))
def six_capabilities_see_a_program_that_was_deleted(t, name, user):
    path = program_of_another(t, harness.build("waits"))
    process = start_as_owner(t, path)
    harness.settle(process.pid)
    os.unlink(path)
    report = compare(t, process, user, f"as {name}")
    check(any(frame["function"] == process.truth["groups"][0]["chain"][0]
              for site in report["sites"] for frame in site["stack"]), "its functions have names", outline(report))


@test((WATCHER, WATCHER), ("root", None))
def six_capabilities_see_goroutines(t, name, user):
    try:
        program = toolchains.build("many", "1.24")
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None
    process = start_as_owner(t, program_of_another(t, program), "-n", "50")
    truth = process.line()
    harness.settle(process.pid)
    report = compare(t, process, user, f"as {name}")
    blocked = {site["stack"][-1]["function"]: site["count"] for site in report["sites"] if site["kind"] == "goroutine"}
    for group in truth["groups"]:
        counts = [site["count"] for site in report["sites"] if site["kind"] == "goroutine"
                  and any(frame["function"] == group["name"] for frame in site["stack"])]
        check(truth["each"] in counts, f"goroutines in {group['name']}", blocked)


@test()
def what_the_unit_forbids_is_not_missed(t):
    """The restrictions of leakmon.service, without systemd: no home, no /tmp of others, its system calls alone."""
    need("unshare", "systemd-analyze")
    path = program_of_another(t, harness.build("waits"))
    process = start_as_owner(t, path)
    harness.settle(process.pid)
    hidden = f'mount -t tmpfs none {os.path.dirname(path)} && exec "$0" "$@"'
    confine = [sys.executable, str(ROOT / "tests/deploy/confine.py"), str(ROOT / "deploy/systemd/leakmon.service")]
    # Python's own libraries need not be for all users here: so the confinement comes before the change of the user
    compare(t, process, None, "confined", before=["unshare", "--mount", "sh", "-c", hidden, *confine])
    compare(t, process, WATCHER, "confined, as nobody", before=["unshare", "--mount", "sh", "-c", hidden, *confine])


def start_watch(t, user):
    words = [*with_only(SIX, user), binary_for_all(t), "--json", "-p", str(os.getpid()), "100ms"]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def end():
        child.kill()
        child.wait()
        child.stderr.close()

    t.stack.callback(end)
    return child


@test((WATCHER, WATCHER), ("root", None))
def the_resolver_keeps_none_of_the_six(t, name, user):
    child = start_watch(t, user)

    def resolver():
        for pid in harness.children(child.pid):
            if harness.status(pid).get("Seccomp") == "2":
                return pid
        return None

    fields = harness.status(poll(10, "a resolver with its filter", resolver))
    for kind in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
        check_equal(int(fields[kind], 16), 0, f"{kind} of the resolver, started as {name}")
    check_equal(fields["NoNewPrivs"], "1", "no new privileges")
    held = harness.status(child.pid)
    wanted = sum(1 << number for number in (39, 38, 19, 34, 2, 40))
    check_equal(int(held["CapEff"], 16), wanted, "what leakmon itself has")
    child.terminate()
    poll(5, "leakmon ends, and its resolver", lambda: child.poll() is not None)
    check_equal(child.returncode, 0, "exit code")


def run_without(t, name):
    words = [*with_only([one for one in SIX if one != name], WATCHER), binary_for_all(t), "snapshot", "-p", str(os.getpid())]
    return subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, text=True)


@test("bpf", "perfmon")
def a_needed_capability_that_is_missing_is_named(t, name):
    done = run_without(t, name)
    check_equal(done.returncode, 77, "exit code", done.stderr)
    check(f"this process has no CAP_{name.upper()}:" in done.stderr, "the message names it, and it alone", done.stderr)


@test("sys_ptrace", "syslog", "dac_read_search", "checkpoint_restore")
def what_another_missing_capability_costs_is_said(t, name):
    done = run_without(t, name)
    check_equal(done.returncode, 0, "exit code", done.stderr)
    named = re.findall(r"has no (CAP_\w+)", done.stderr)
    check_equal(named, [f"CAP_{name.upper()}"], "what is named", done.stderr)


@test()
def the_unit_and_the_manifest_name_these_six(t):
    for path in (ROOT / "deploy/systemd/leakmon.service", ROOT / "deploy/kubernetes/daemonset.yaml"):
        words = path.read_text()
        found = {name for name in SIX if re.search(rf"\b(CAP_)?{name.upper()}\b", words)}
        check_equal(found, set(SIX), f"capabilities in {path.name}")

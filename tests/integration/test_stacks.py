# SPDX-License-Identifier: GPL-2.0-or-later
"""Every group of blocked threads: its count, its wait class, its functions, its lines."""

import pathlib
import re
import shutil
import subprocess

import harness
from harness import Skip, build, check, check_equal, markers, test
from leakmon import find_chain, find_in_order, functions, outline, seconds, sites_with, snapshot

ALL = ["--members", "1000", "--min-blocked", "1ms"]


def executable_segment(path):
    """(file offset, address) of the segment that holds the code."""
    text = subprocess.run(["readelf", "-lW", path], capture_output=True, text=True, check=True).stdout
    found = re.search(r"LOAD\s+(0x\w+)\s+(0x\w+)\s+\S+\s+\S+\s+\S+\s+R E", text)
    return int(found[1], 16), int(found[2], 16)


def functions_at(path, offsets):
    """The functions that addr2line finds for return addresses at these file offsets."""
    offset, address = executable_segment(path)
    words = ["addr2line", "-f", "-e", path, *(hex(at - offset + address - 1) for at in offsets)]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[::2]


def app_frames(site, path):
    return [frame for frame in site["stack"] if frame["module"] == path.name]


def check_members(site, group):
    if "tids" in group:
        check_equal(sorted(member["id"] for member in site["members"]), sorted(group["tids"]),
                    f"threads of {group['name']}")


def check_lines(site, group, at, marks):
    """The marked lines of the chain: of the blocking call, of the chain's functions, or of any of them by its name."""
    for frame in site["stack"][at:at + len(group["chain"])]:
        name = frame["function"]
        if name == group["chain"][0]:
            line = marks.get("WAIT:" + group["name"], marks.get(f"WAIT:{name}"))
        else:
            line = marks.get("CHAIN:" + group["name"], marks.get(f"WAIT:{name}"))
        if line:
            check_equal(frame["line"], line, f"line of {name}", frame)
            check(pathlib.Path(frame["file"]).suffix == ".c", "the file", frame)


def check_groups(report, process, path, marks, details):
    """Each group of the truth is one site, whole and exact, and there is no other but main's."""
    groups = [*process.truth["groups"], {"name": "main", "class": "pipe", "count": 1, "chain": ["main"]}]
    for group in groups:
        found = [site for site in report["sites"] if find_chain(functions(site), group["chain"]) >= 0]
        check_equal([site["count"] for site in found], [group["count"]], f"count of {group['name']}", report)
        site = found[0]
        at = find_chain(functions(site), group["chain"])
        check_equal(site["wait"]["class"], group["class"], f"class of {group['name']}", site)
        if "detail" in group and details:  # another libc may make another system call of it
            check_equal(site["wait"]["detail"], group["detail"], f"detail of {group['name']}", site)
        check_equal(site.get("stack_why"), None, f"the stack of {group['name']} is whole", site)
        check_members(site, group)
        check_lines(site, group, at, marks)
        named = [(frame["offset"], frame["function"]) for frame in app_frames(site, path)
                 if not frame["inlined"] and frame["function"] in group["chain"]]
        check_equal(len(named), len(group["chain"]), f"frames of {group['name']} in the program", site)
        check_equal(functions_at(path, [offset for offset, _ in named]), [name for _, name in named],
                    f"what addr2line says of the offsets of {group['name']}")
    check_equal(report["totals"]["sites"], len(groups), "sites", report)
    check_equal(report["totals"]["blocked_threads"], sum(group["count"] for group in groups), "blocked threads", report)


@test("waits", "waits-nopie", "waits-static", "waits-static-pie", "waits-clang", "waits-musl", "waits-musl-static")
def every_wait_is_shown_with_count_class_chain_and_lines(t, name):
    process = t.blocker(name)
    report = snapshot(t, "-p", process.pid, *ALL)
    check_groups(report, process, build(name), markers("waits.c"), details="musl" not in name)
    check_equal(report["losses"], {loss: 0 for loss in report["losses"]}, "losses")
    check(report["complete"], "the snapshot is complete")


def physical(site):
    """The offsets of a stack, without those of inlined calls."""
    return tuple(frame["offset"] for frame in site["stack"] if not frame["inlined"])


@test(("waits", "waits-stripped"), ("waits-static", "waits-static-stripped"))
def a_stripped_program_has_the_same_offsets_and_no_names(t, whole, stripped):
    symbols, none = t.blocker(whole), t.blocker(stripped)
    report = snapshot(t, "-p", f"{symbols.pid},{none.pid}", *ALL)
    by_offsets = {}
    for site in report["sites"]:
        by_offsets.setdefault(physical(site), {})[site["pid"]] = site
    if "static" in whole:
        # without the names of a static libc, the ways into a wait are places of their own: more sites, none less
        by_offsets = {offsets: row for offsets, row in by_offsets.items() if symbols.pid in row}
    check_equal({frozenset(row) for row in by_offsets.values()}, {frozenset((symbols.pid, none.pid))},
                "each stack is in both processes", report)
    for row in by_offsets.values():
        one, other = row[symbols.pid], row[none.pid]
        if "static" not in whole:
            check_equal(other["count"], one["count"], "count", report)
        for frame in app_frames(other, build(stripped)):
            check_equal((frame["function"], frame["file"], frame["line"]), (None, None, None), "names in a stripped program")
        # without the names of a static libc not every wait can be classified, and the class is part of a site
        if "static" not in whole:
            check_equal((other["wait"]["class"], other["site"]), (one["wait"]["class"], one["site"]), "class, site", (one, other))


@test()
def two_runs_of_a_program_have_the_same_sites(t):
    one, other = t.blocker("waits"), t.blocker("waits")
    sites = [{site["site"] for site in snapshot(t, "-p", process.pid, *ALL)["sites"]} for process in (one, other)]
    check_equal(sites[0], sites[1], "sites")


@test()
def waits_that_began_before_us_have_their_age(t):
    process = t.blocker("waits")
    report = snapshot(t, "-p", process.pid, *ALL)
    started = seconds(report["processes"][0]["start_time"])
    for site in report["sites"]:
        since = seconds(site["oldest_blocked_since"])
        check(started - 0.02 <= since <= started + 3, f"a wait since {since - started:.3f} s after the start", site)
        age = seconds(report["time"]) - since
        check(site["median_blocked_s"] <= age + 0.01, f"the median is {site['median_blocked_s']} of {age}", site)


@test()
def threads_blocked_for_less_than_the_minimum_are_not_counted(t):
    process = t.blocker("waits")
    report = snapshot(t, "-p", process.pid, "--min-blocked", "1h")
    check_equal((report["totals"]["blocked_threads"], report["sites"]), (0, []), "blocked for an hour")
    check_equal(report["totals"]["threads"], len(harness.tids(process.pid)), "threads")


@test(("C++", "waits-cpp"), ("Rust", "waits-rust"))
def names_of_other_languages_are_read(t, language, name):
    source = {"C++": "waits.cpp", "Rust": "waits.rs"}[language]
    marks, process = markers(source), t.blocker(name)
    report = snapshot(t, "-p", process.pid, *ALL)
    for group in process.truth["groups"]:
        found = [(site, find_in_order(functions(site), group["chain"])) for site in report["sites"]]
        found = [(site, at) for site, at in found if at]
        check_equal([site["count"] for site, _ in found], [group["count"]], f"count of {group['name']}", report)
        site, at = found[0]
        check_equal(site["wait"]["class"], group["class"], f"class of {group['name']}", site)
        frame = site["stack"][at[0]]
        check_equal((pathlib.Path(frame["file"] or "").name, frame["line"]), (source, marks["WAIT:" + group["name"]]),
                    f"line of {group['name']}", frame)
        raw = [name for name in functions(site) if name and (name.startswith("_ZN") or name.startswith("_R"))]
        check(not raw, "names are demangled", raw)


@test()
def inlined_calls_are_frames_with_lines(t):
    process, marks = t.blocker("inline"), markers("inline.c")
    report = snapshot(t, "-p", process.pid, *ALL)
    site = sites_with(report, "outer")[0]
    at = find_chain(functions(site), ["innermost", "middle", "outer"])
    check(at >= 0, "the chain", report)
    frames = site["stack"][at:at + 3]
    check_equal([frame["inlined"] for frame in frames], [True, True, False], "inlined", frames)
    check_equal([frame["line"] for frame in frames], [marks["WAIT:innermost"], marks["WAIT:middle"], marks["WAIT:outer"]],
                "lines", frames)
    check_equal(len({frame["offset"] for frame in frames}), 1, "one address", frames)
    check_equal(site["count"], 4, "count", report)


@test("kept", "library deleted", "library replaced by garbage", "program deleted")
def a_library_opened_at_run_time_is_read(t, what):
    directory = t.directory()
    program, library = (shutil.copy(build(name), directory / new) for name, new in (("dl", "dl"), ("plugin.so", "plugin.so")))
    process = t.start(program, library)
    harness.settle(process.pid)
    if "library" in what:
        library.unlink()
    if "garbage" in what:
        library.write_bytes(b"\x7fELF" + b"\xa5" * 4000)
    if "program" in what:
        program.unlink()
    report = snapshot(t, "-p", process.pid, *ALL)
    check_equal(sum(site["count"] for site in sites_with(report, "plugin_run")), 3, "count in the library", report)
    site = sites_with(report, "plugin_run")[0]
    check(find_chain(functions(site), ["plugin_wait", "plugin_run", "dl_start"]) >= 0, "the chain", report)
    frame = site["stack"][functions(site).index("plugin_wait")]
    check_equal((frame["module"], frame["line"]), ("plugin.so", markers("plugin.c")["WAIT:plugin"]), "the frame", frame)


@test("plain", "alternate", "anywhere", "generated")
def a_stack_goes_on_through(t, name):
    """… a signal frame, one on an alternate stack, one at any instruction; code that was made at run time."""
    process = t.blocker("sigframe")
    group = next(group for group in process.truth["groups"] if group["name"] == name)
    report = snapshot(t, "-p", process.pid, *ALL)
    found = [site for site in report["sites"] if group["chain"][-1] in functions(site)]
    check_equal(sum(site["count"] for site in found), group["count"], f"threads in {group['chain'][-1]}", report)
    names, start = functions(found[0]), 0
    for part in group["chain"]:
        check(part in names[start:], f"{part} follows in {names}", report)
        start = names.index(part, start) + 1
    if name != "generated":
        frame = found[0]["stack"][names.index("in_handler")]
        check_equal(frame["line"], markers("sigframe.c")["WAIT:handler"], "line", frame)


@test()
def collapsed_stacks_carry_the_same_counts(t):
    from leakmon import run

    process = t.blocker("waits")
    lines = run(t, "snapshot", "--format", "collapsed", "--min-blocked", "1ms", "-p", process.pid).text().splitlines()
    counts = {}
    for line in lines:
        stack, _, count = line.rpartition(" ")
        check(count.isdigit() and ";" in stack, "a line is STACK COUNT", line)
        counts[stack] = int(count)
    for group in process.truth["groups"]:
        chain = ";".join(reversed(group["chain"]))
        check_equal(sum(count for stack, count in counts.items() if chain in stack), group["count"],
                    f"count of {group['name']}", "\n".join(lines))
    check_equal(sum(counts.values()), len(harness.tids(process.pid)), "all threads", "\n".join(lines))


@test()
def text_shows_counts_and_functions(t):
    from leakmon import run

    process = t.blocker("waits")
    text = run(t, "snapshot", "--min-blocked", "1ms", "-p", process.pid).text()
    for group in process.truth["groups"]:
        check(group["chain"][0] in text and str(group["count"]) in text, f"{group['name']} is shown", text)
    check("\033" not in text, "no color where there is no terminal", text)

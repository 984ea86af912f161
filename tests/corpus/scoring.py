# SPDX-License-Identifier: GPL-2.0-or-later
"""Judges what leakmon found in one case against the truth, and sums all cases up."""

import dataclasses
import statistics

# Types that are true of programs without a leak or a deadlock as well.
HARMLESS = {"pileup", "stuck"}
# Below their frames are those of their runtimes: there any frame may be the one, and the members must fit.
MANAGED = {"Java", "Python"}
MEMBERS_SHARE = 0.9
NOT_COUNTED = "–"


@dataclasses.dataclass
class Score:
    case: object
    result: str  # ok, FAIL or skip
    why: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    seed: int = 0
    watched_s: float = 0
    level: str | None = None  # of a leak, at the end
    early_look: str | None = None  # … of one look early on; None = not asked
    one_look: str | None = None  # … and at the end
    alive: dict = dataclasses.field(default_factory=dict)  # level → threads leaked when it was first reached
    false_flags: int = 0  # at likely or above
    suspects: int = 0  # false ones that stayed below
    deadlock: dict = dataclasses.field(default_factory=dict)  # found, exact: bool; false: int
    false_orphans: int = 0
    confirmed: bool = False
    withdrawn: int = 0


def is_leak(found, case, truth, leaked):
    """Is this finding the leak that the program has?"""
    if found.type not in ("leak", "connections") or found.pid != truth["pid"]:
        return False
    if case.language in MANAGED:
        fitting = len(found.members & leaked)
        return truth["leaf"] in found.functions and fitting >= MEMBERS_SHARE * max(1, len(found.members))
    return found.leaf == truth["leaf"]


def best_level(levels):
    ranked = [level for level in ("confirmed", "likely", "suspect") if level in levels]
    return ranked[0] if ranked else None


def judge_look(case, truth, leaks, looked):
    """The level that one look gave the leak; None = it was not asked."""
    if not looked:
        return None
    leaked = {tid for _, tid in leaks}
    levels = {found.level for found in looked.found.values() if is_leak(found, case, truth, leaked)}
    return best_level(levels) or "nothing"


def judge_leak(score, truth, leaks, findings, looks):
    case, leaked = score.case, {tid for _, tid in leaks}
    right = [found for found in findings.found.values() if is_leak(found, case, truth, leaked)]
    score.level = best_level({found.last_level for found in right})
    for level in ("suspect", "likely"):
        times = [found.first[level] for found in right if found.reached(level)]
        if times:
            score.alive[level] = sum(t <= min(times) for t, _ in leaks)
    score.false_flags = count_false(findings, right)
    if score.level not in ("likely", "confirmed"):
        score.why.append(f"{score.level or 'nothing'} at the end, {len(leaked)} threads leaked")
        score.why += [f"there was: {found}" for found in findings.found.values()][:3]
    score.early_look, score.one_look = (judge_look(case, truth, leaks, looked) for looked in looks)
    if score.false_flags:
        score.why += [f"false: {found}" for found in findings.at("likely") if found not in right]


def count_false(findings, right=()):
    return len([found for found in findings.at("likely") if found not in right and found.type not in HARMLESS])


def judge_deadlock(score, truth, findings):
    wanted = frozenset(truth["tids"])
    cycles = {cycle for found in findings.found.values() if found.pid == truth["pid"] for cycle in found.cycles}
    last = any(found.type == "deadlock" and found.last_level == "confirmed" for found in findings.found.values())
    score.deadlock = {"found": any(cycle & wanted for cycle in cycles) and last, "exact": wanted in cycles,
                      "false": sum(not cycle & wanted for cycle in cycles)}
    if not score.deadlock["found"]:
        score.why.append("no confirmed deadlock at the end")
    elif cycles != {wanted}:
        score.why.append(f"threads {sorted(wanted)}, not {[sorted(cycle) for cycle in cycles]}")


def judge_orphan(score, truth, findings):
    right = [found for found in findings.found.values() if found.type == "orphaned_lock"
             and found.pid == truth["pid"] and found.last_level == "confirmed" and found.leaf == truth["leaf"]]
    score.deadlock = {"found": bool(right), "false": count_cycles(findings)}
    if not right:
        score.why.append("no confirmed orphaned lock at the end")
    if score.deadlock["false"]:
        score.why.append("a deadlock was confirmed, but there is none")


def count_cycles(findings):
    return len({cycle for found in findings.found.values() for cycle in found.cycles})


def judge_stuck(score, truth, findings):
    """Threads hang, but nobody's lock proves it: something must be said of them at the end, and no cycle confirmed."""
    right = [found for found in findings.found.values()
             if found.last_level and found.pid == truth["pid"] and found.leaf == truth["leaf"]]
    score.deadlock = {"false": count_cycles(findings)}
    if not right:
        score.why.append("nothing is said of the threads at the end")
    if score.deadlock["false"]:
        score.why.append("a deadlock was confirmed that nothing proves")


def judge_unconfirmed(score, findings):
    score.deadlock = {"false": count_cycles(findings)}
    wrong = [found for found in findings.at("confirmed") if found.type not in HARMLESS]
    wrong += [found for found in findings.at("likely") if found.type == "leak" and found not in wrong]
    score.false_flags = sum(found.type == "leak" for found in wrong)
    score.why += [str(found) for found in wrong]


def judge_silent(score, findings):
    score.false_flags = count_false(findings)
    score.suspects = len([found for found in findings.found.values() if found.type not in HARMLESS]) - score.false_flags
    score.deadlock = {"false": count_cycles(findings)}
    score.why += [str(found) for found in findings.at("likely") if found.type not in HARMLESS]


def judge_ambiguous(score, findings):
    score.level = best_level({found.level for found in findings.found.values()})
    wrong = [found for found in findings.at("confirmed") if found.type not in HARMLESS]
    score.confirmed = bool(wrong)
    score.why += [str(found) for found in wrong]


def judge(score, truth, leaks, findings, looks):
    """Fills the score in from what was found; looks: what one look found early on, and at the end, or None."""
    expect = score.case.expect
    if truth["kind"] != expect:
        score.why.append(f"the program says {truth['kind']}")
    elif expect == "leak":
        judge_leak(score, truth, leaks, findings, looks)
    elif expect == "deadlock":
        judge_deadlock(score, truth, findings)
    elif expect == "orphaned_lock":
        judge_orphan(score, truth, findings)
    elif expect == "stuck":
        judge_stuck(score, truth, findings)
    elif expect == "unconfirmed":
        judge_unconfirmed(score, findings)
    elif expect == "silent":
        judge_silent(score, findings)
    else:
        judge_ambiguous(score, findings)
    if expect != "orphaned_lock":
        orphans = [found for found in findings.at("confirmed") if found.type == "orphaned_lock"]
        score.false_orphans = len(orphans)
        score.why += [f"false: {found}" for found in orphans]
    score.withdrawn = len(findings.withdrawn)
    if findings.losses:
        score.notes.append("lost: " + ", ".join(f"{count} {cause}" for cause, count in findings.losses.items()))
    score.result = "FAIL" if score.why else "ok"


# --- all cases -------------------------------------------------------------------------------------------------------


def ratio(parts):
    parts = list(parts)
    return f"{sum(parts)} of {len(parts)}" + (f" ({100 * sum(parts) / len(parts):.0f} %)" if parts else "")


def median(values):
    values = list(values)
    return f"{statistics.median(values):g} (of {len(values)})" if values else NOT_COUNTED


def false_flag_rate(scores, scale_s):
    """Of the silent cases. A server-hour is one of the default horizon's time, which the scale makes shorter."""
    silent = [score for score in scores if score.case.expect == "silent"]
    hours = sum(score.watched_s for score in silent) / 3600
    flags = sum(score.false_flags for score in silent)
    return (f"{flags} in {len(silent)} cases; "
            f"{hours * 1800 / scale_s:.1f} server-hours, scaled ({hours:.2f} h of real time)")


def looks_too_bad(scores):
    """Was the leak missed in more than one of ten single looks? The goal is for all of them together, not for each."""
    looks = [score for score in scores if score.one_look is not None]
    hits = sum(score.one_look in ("likely", "confirmed") for score in looks)
    return len(looks) >= 10 and hits < 0.9 * len(looks)


def table(scores, scale_s):
    """Rows of "How it is judged": (figure, goal, result)."""
    done = [score for score in scores if score.result != "skip"]
    leaks = [score for score in done if score.case.expect == "leak"]
    looks = [score for score in leaks if score.one_look is not None]
    early = [score for score in leaks if score.early_look is not None]
    slow = [score for score in leaks if score.case.slow]
    locks = [score for score in done if score.case.expect == "deadlock"]
    orphans = [score for score in done if score.case.expect == "orphaned_lock"]
    found = [score for score in locks if score.deadlock.get("found")]
    stuck = [score for score in done if score.case.expect == "stuck"]
    ambiguous = [score for score in done if score.case.expect == "ambiguous"]
    strong = ("likely", "confirmed")
    return [
        ("leaks found, right process and leaf, ≥ likely", "100 %", ratio(score.level in strong for score in leaks)),
        ("… at least suspect", NOT_COUNTED, ratio(score.level is not None for score in leaks)),
        ("… after one look, at the end, ≥ likely", "≥ 90 %", ratio(score.one_look in strong for score in looks)),
        ("… after one look, early, ≥ suspect", NOT_COUNTED, ratio(score.early_look != "nothing" for score in early)),
        ("false flags ≥ likely where there is no leak", "0", false_flag_rate(done, scale_s)),
        ("… and suspects there", NOT_COUNTED, str(sum(score.suspects for score in done))),
        ("false flags ≥ likely in leaking programs", "0", str(sum(score.false_flags for score in leaks))),
        ("leaked threads alive at the first suspect flag, slow leaks, median", "≤ 12",
         median(score.alive["suspect"] for score in slow if "suspect" in score.alive)),
        ("leaked threads alive at the first likely flag, slow leaks, median", "≤ 30",
         median(score.alive["likely"] for score in slow if "likely" in score.alive)),
        ("deadlocks confirmed", "100 %", ratio(bool(score.deadlock.get("found")) for score in locks)),
        ("… with exactly their threads", "100 %", ratio(bool(score.deadlock.get("exact")) for score in found)),
        ("false cycles", "0", str(sum(score.deadlock.get("false", 0) for score in done))),
        ("orphaned locks confirmed", "100 %", ratio(bool(score.deadlock.get("found")) for score in orphans)),
        ("false orphaned locks", "0", str(sum(score.false_orphans for score in done))),
        ("hanging threads without a proof named in a finding", "100 %",
         ratio(not score.why for score in stuck)),
        ("ambiguous cases confirmed", "never", ratio(score.confirmed for score in ambiguous)),
    ]

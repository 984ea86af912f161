#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The corpus: programs with known truth, watched by leakmon; says how right it was. Needs root.

run.py [--horizon DUR] [--only REGEX] [--list] [--servers]

The programs' times and leakmon's both scale with --horizon: published figures need the default of leakmon, 1800s.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import programs  # noqa: E402
import scoring  # noqa: E402
import servers  # noqa: E402
import stressors  # noqa: E402
from cases import CASES  # noqa: E402
from watching import Together, Watch, look_once  # noqa: E402

ROOT = HERE.parents[1]
ALL_CASES = CASES + servers.CASES + stressors.CASES
STARTERS = {servers.ServerCase: servers.Server, stressors.StressCase: stressors.Stressor}
EARLY_LOOK = 1.4  # horizons: enough are old enough to be suspect, not yet to be likely
LOCK_CASE_S = 12  # two looks at each lock, a second apart or more, and some to spare
LOCK_CASE_HORIZONS = 0.1  # locks that are held for long, but not for ever, change hands meanwhile
STAGGER_S = 0.3  # between the starts of programs that are watched together: a hundred at once take longer than they may
stopping = threading.Event()
starting = threading.Lock()


def seconds(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", text)
    if not match or not float(match[1]):
        raise argparse.ArgumentTypeError(f"{text} is no duration")
    return float(match[1]) * {"ms": 1e-3, "s": 1, None: 1, "m": 60, "h": 3600}[match[2]]


def keep_watching(end, *children):
    """Until time.monotonic() says end."""
    while time.monotonic() < end and not stopping.wait(0.5):
        for child in children:
            child.check_alive()
    if stopping.is_set():
        raise programs.Skip("interrupted")


def interval_s(scale_s):
    return max(1, round(scale_s / 300))


def start_program(case, options, seed, directory):
    try:
        if options.together:
            with starting:
                time.sleep(STAGGER_S)
        return STARTERS.get(type(case), programs.Program)(case, options.horizon, seed, directory)
    except BaseException:
        if options.together:
            options.together.give_up()
        raise


def watch_case(score, options, directory):
    """Starts the program and leakmon, and judges when the time of the case is over."""
    case, scale_s = score.case, options.horizon
    watch, looks = None, [None, None]
    asks = case.expect == "leak" and case.one_look
    program = start_program(case, options, score.seed, directory)
    try:
        if options.together:
            watch = options.together.join(program.pids)
        else:
            watch = Watch(options.leakmon, program.pids, scale_s, interval_s(scale_s), directory)
        begun = time.monotonic()
        if asks:
            keep_watching(begun + EARLY_LOOK * scale_s, program, watch)
            looks[0] = look_once(options.leakmon, program.pids, scale_s)
        length_s = max(LOCK_CASE_S, max(LOCK_CASE_HORIZONS, case.horizons) * scale_s)
        keep_watching(begun + length_s, program, watch)
        findings = watch.end()
        score.watched_s = time.monotonic() - begun
        leaks = program.leaks
        score.why += program.wrong_totals(options.leakmon)
        score.notes += program.notes()
        if asks:
            looks[1] = look_once(options.leakmon, program.pids, scale_s)
        scoring.judge(score, program.truths[0], leaks, findings, looks)
        if options.evidence and score.result == "FAIL":
            keep_evidence(options.evidence, score, program.truths[0], findings)
    finally:
        if watch:
            watch.close()
        program.end()


def keep_evidence(folder, score, truth, findings):
    """The last report of a case that failed, with the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{score.case.name.replace('/', '-')}-{score.seed}.json"
    path.write_text(json.dumps({"why": score.why, "truth": truth, "report": findings.last_report}, indent=1) + "\n")


def run_case(case, options, seed):
    score = scoring.Score(case, "FAIL", seed=seed)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="leakmon-corpus-"))
    try:
        watch_case(score, options, directory)
    except programs.Skip as skip:
        score.result, score.why = "skip", [str(skip)]
    except programs.Broken as broken:
        score.why.append(str(broken))
    except Exception:
        score.why.append(traceback.format_exc().rstrip())
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return score


def describe(score):
    facts = []
    if score.level:
        facts.append(score.level)
    if score.one_look:
        facts.append(f"one look: {score.early_look}, then {score.one_look}")
    facts += [f"{count} leaked at first {level}" for level, count in score.alive.items()]
    if score.suspects:
        facts.append(f"{score.suspects} only suspect")
    if score.withdrawn:
        facts.append(f"{score.withdrawn} withdrawn")
    lines = [f"{score.result:4}  {score.case.name} (seed {score.seed}, {score.watched_s:.0f} s)"
             f"{': ' if facts or score.notes else ''}{', '.join(facts + score.notes)}"]
    lines += [f"      {line}" for reason in score.why for line in reason.splitlines()[:12]]
    return "\n".join(lines)


def run_all(cases, options):
    """Longest first, so many at a time; each is printed when it ends."""
    scores = []
    order = sorted(cases, key=lambda case: -case.horizons)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        futures = [pool.submit(run_case, case, options, options.seed + ALL_CASES.index(case)) for case in order]
        try:
            for future in concurrent.futures.as_completed(futures):
                scores.append(future.result())
                print(describe(scores[-1]), flush=True)
        except KeyboardInterrupt:
            stopping.set()
            pool.shutdown(cancel_futures=True)
    return scores


def try_again(scores, options):
    """At sixty times the speed a tenth of a second of a busy machine is six: a case that fails is run once more, alone.
    The table counts the first try."""
    again = {}
    for score in [score for score in scores if score.result == "FAIL"]:
        again[score.case.name] = run_case(score.case, options, score.seed)
        print("again:", describe(again[score.case.name]), flush=True)
    return again


def print_table(rows):
    width = max(len(row[0]) for row in rows)
    print(f"\n{'figure':{width}}  {'goal':6}  result")
    for figure, goal, result in rows:
        print(f"{figure:{width}}  {goal:6}  {result}")


def save(path, scores, rows, options):
    """For comparisons between versions."""
    entries = [{**dataclasses.asdict(score), "case": score.case.name} for score in scores]
    path.write_text(json.dumps({"horizon_s": options.horizon, "table": rows, "cases": entries}, indent=1) + "\n")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--horizon", type=seconds, default=30.0, metavar="DUR", help="of all times (default 30s)")
    parser.add_argument("--only", type=re.compile, default=re.compile(""), metavar="REGEX",
                        help="cases whose name matches")
    parser.add_argument("--list", action="store_true", help="list the cases")
    parser.add_argument("--jobs", type=int, default=12, metavar="N", help="cases at a time (default 12: they are idle)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the programs' random numbers (default 1)")
    parser.add_argument("--servers", action="store_true", help="real servers under load and stress-ng too, where they are installed")
    parser.add_argument("--again", action="store_true", help="run cases that fail once more; the table counts the first try")
    parser.add_argument("--together", action="store_true",
                        help="all cases at the same time, and one leakmon for all of them: for real time")
    parser.add_argument("--save", type=pathlib.Path, metavar="FILE", help="write the scores there, as JSON")
    parser.add_argument("--evidence", type=pathlib.Path, metavar="DIR", help="keep the last report of cases that fail")
    parser.add_argument("--leakmon", default=os.environ.get("LEAKMON", str(ROOT / "build" / "leakmon")), metavar="FILE",
                        help="the leakmon to judge (default: LEAKMON, or the one in build)")
    return parser.parse_args()


def main():
    options = parse_options()
    cases = [case for case in (ALL_CASES if options.servers else CASES) if options.only.search(case.name)]
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    if os.geteuid() != 0:
        print("corpus: needs root: all cases skipped")
        print(f"0 passed, 0 failed, {len(cases)} skipped")
        return 0
    if not os.access(options.leakmon, os.X_OK):
        print(f"corpus: there is no {options.leakmon}: build it with make\n0 passed, 1 failed, 0 skipped")
        return 1
    with tempfile.TemporaryDirectory(prefix="leakmon-corpus-") as directory:
        if options.together:
            options.jobs = len(cases)
            options.together = Together(options.leakmon, len(cases), options.horizon, interval_s(options.horizon),
                                        pathlib.Path(directory))
        scores = run_all(cases, options)
    rows = scoring.table(scores, options.horizon)
    print_table(rows)
    if options.save:
        save(options.save, scores, rows, options)
    again = try_again(scores, options) if options.again else {}
    results = [again.get(score.case.name, score).result for score in scores]
    if scoring.looks_too_bad(scores):
        print("FAIL  one look found too few of the leaks")
        results.append("FAIL")
    print(f"{results.count('ok')} passed, {results.count('FAIL')} failed, "
          f"{results.count('skip') + len(cases) - len(scores)} skipped")
    return 1 if "FAIL" in results else 0


if __name__ == "__main__":
    sys.exit(main())

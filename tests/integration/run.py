#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Integration tests: the real tool on real programs that block. Needs root. LEAKMON names another binary.

run.py [-k PATTERN]… [--long] [--list]
"""

import argparse
import importlib
import os
import pathlib
import pprint
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import harness  # noqa: E402
import leakmon  # noqa: E402


def show(evidence):
    """Evidence as text, cut to what one can read."""
    if callable(evidence):
        evidence = evidence()
    if isinstance(evidence, dict) and "sites" in evidence:
        evidence = leakmon.outline(evidence)
    text = evidence if isinstance(evidence, str) else pprint.pformat(evidence, width=160)
    return "\n".join("      " + line for line in text[:6000].splitlines())


def run_test(name, function, arguments, options):
    """Runs one test; returns "ok", "FAIL" or "skip"."""
    context = harness.Context(options.long)
    begun, reason, evidence = time.monotonic(), "", []
    try:
        try:
            function(context, *arguments)
            result = "ok"
        finally:
            evidence = [run.evidence() for run in context.runs[-2:]]
            context.close()
    except harness.Skip as skip:
        result, reason = "skip", str(skip)
    except harness.Failure as failure:
        result, reason = "FAIL", str(failure)
        evidence = [show(failure.evidence)] * (failure.evidence is not None) + [show(text) for text in evidence]
    except Exception:
        result, reason = "FAIL", traceback.format_exc().rstrip()
        evidence = [show(text) for text in evidence]
    notes = "".join(f"; {note}" for note in context.notes)
    print(f"{result:4}  {name} ({time.monotonic() - begun:.1f} s){': ' if reason else ''}{reason}{notes}")
    if result == "FAIL":
        print("\n".join(evidence))
    sys.stdout.flush()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("-k", dest="patterns", metavar="PATTERN", action="append", help="only tests whose name holds it")
    parser.add_argument("--long", action="store_true", help="the long versions of the tests that have one")
    parser.add_argument("--list", action="store_true", help="list the tests")
    options = parser.parse_args()
    for path in sorted(HERE.glob("test_*.py")):
        importlib.import_module(path.stem)
    tests = [test for test in harness.TESTS
             if (options.long or not test[3]) and (not options.patterns or any(p in test[0] for p in options.patterns))]
    if options.list:
        print("\n".join(test[0] for test in tests))
        return 0
    results = []
    if os.geteuid() != 0:
        print("integration: needs root: all tests skipped")
        results = ["skip"] * len(tests)
    elif not os.access(leakmon.BINARY, os.X_OK):
        print(f"integration: there is no {leakmon.BINARY}: build it with make")
        results = ["FAIL"]
    else:
        results = [run_test(*test[:3], options) for test in tests]
    print(", ".join(f"{results.count(result)} {word}"
                    for result, word in (("ok", "passed"), ("FAIL", "failed"), ("skip", "skipped"))))
    return 1 if "FAIL" in results else 0


if __name__ == "__main__":
    sys.exit(main())

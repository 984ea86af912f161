#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The scoring of the corpus is right itself: reports made by hand, judged against a truth made by hand."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import scoring  # noqa: E402
from cases import Case  # noqa: E402
from watching import Findings, application_leaf, plain_name  # noqa: E402

PID = 10


def frame(function, module="app", file=None):
    return {"function": function, "module": module, "file": file, "offset": 16}


def report(*findings, withdrawn=()):
    """findings: (type, level, leaf, extra); each has a site of its own, with the members 100 and 101."""
    sites, listed = [], []
    for kind, level, leaf, extra in findings:
        site = f"site of {leaf}"
        members = [{"id": tid} for tid in extra.get("members", (100, 101))]
        stack = [frame("futex_wait", "libc.so.6"), frame(leaf)]
        sites.append({"pid": PID, "site": site, "stack": stack, "members": members})
        listed.append({"type": kind, "level": level, "pid": PID, "site": site, "summary": "", "id": site,
                       "cycle": [{"id": tid} for tid in extra.get("cycle", ())]})
    return {"complete": True, "losses": {}, "sites": sites, "findings": listed, "withdrawn": list(withdrawn)}


def scored(expect, *reports, source="x.c", leaf="wait", tids=(), leaks=(), looks=(None, None)):
    findings = Findings()
    for number, made in enumerate(reports):
        findings.add(made, float(number))
    score = scoring.Score(Case("x", source, expect=expect), "FAIL")
    scoring.judge(score, {"kind": expect, "leaf": leaf, "pid": PID, "tids": list(tids)}, list(leaks), findings, looks)
    return score


class Leaks(unittest.TestCase):
    def test_one_is_found_only_at_likely_in_the_right_function_in_the_last_report(self):
        likely = report(("leak", "likely", "wait", {}))
        self.assertEqual(scored("leak", likely).result, "ok")
        self.assertEqual(scored("leak", likely, report()).result, "FAIL")
        self.assertEqual(scored("leak", report(("leak", "suspect", "wait", {}))).result, "FAIL")
        self.assertEqual(scored("leak", report(("stuck", "likely", "wait", {}))).result, "FAIL")
        elsewhere = scored("leak", report(("leak", "likely", "other", {})))
        self.assertEqual((elsewhere.result, elsewhere.false_flags), ("FAIL", 1))

    def test_threads_that_leaked_before_a_flag_are_counted(self):
        reports = [report(), report(("leak", "suspect", "wait", {})), report(("leak", "likely", "wait", {}))]
        score = scored("leak", *reports, leaks=[(0.5, 1), (0.9, 2), (1.5, 3), (9, 4)])
        self.assertEqual(score.alive, {"suspect": 2, "likely": 3})

    def test_of_managed_programs_the_members_must_fit_too(self):
        made = report(("leak", "likely", "java.util.Pool.wait", {}))
        self.assertEqual(scored("leak", made, source="x.java", leaks=[(0, 100), (0, 101)]).result, "ok")
        self.assertEqual(scored("leak", made, source="x.java", leaks=[(0, 100), (0, 102)]).result, "FAIL")
        self.assertEqual(scored("leak", report(("leak", "likely", "park", {})), source="x.java",
                                leaks=[(0, 100), (0, 101)]).result, "FAIL")

    def test_one_look_is_judged_apart(self):
        looks = []
        for level in ("suspect", "likely"):
            looks.append(Findings())
            looks[-1].add(report(("leak", level, "wait", {})), 0)
        score = scored("leak", report(("leak", "likely", "wait", {})), looks=looks)
        self.assertEqual((score.early_look, score.one_look, score.result), ("suspect", "likely", "ok"))
        missed = scored("leak", report(("leak", "likely", "wait", {})), looks=looks[::-1])
        self.assertEqual((missed.one_look, missed.result), ("suspect", "ok"))
        # the goal is for all of them: one of ten may be missed
        self.assertFalse(scoring.looks_too_bad([score] * 9 + [missed]))
        self.assertTrue(scoring.looks_too_bad([score] * 8 + [missed] * 2))


class Silence(unittest.TestCase):
    def test_a_flag_that_was_withdrawn_is_a_false_flag(self):
        score = scored("silent", report(("leak", "likely", "pool", {})), report(withdrawn=[{"id": "site of pool"}]))
        self.assertEqual((score.result, score.false_flags, score.withdrawn), ("FAIL", 1, 1))

    def test_suspects_and_harmless_findings_are_none(self):
        score = scored("silent", report(("leak", "suspect", "pool", {}), ("pileup", "confirmed", "lock", {})))
        self.assertEqual((score.result, score.false_flags, score.suspects), ("ok", 0, 1))

    def test_the_ambiguous_may_be_likely_but_never_confirmed(self):
        self.assertEqual(scored("ambiguous", report(("leak", "likely", "pool", {}))).result, "ok")
        self.assertEqual(scored("ambiguous", report(("leak", "confirmed", "pool", {})), report()).result, "FAIL")


class Locks(unittest.TestCase):
    def test_a_deadlock_counts_when_confirmed_with_exactly_its_threads(self):
        right = scored("deadlock", report(("deadlock", "confirmed", "lock", {"cycle": (1, 2)})), tids=(2, 1))
        self.assertEqual((right.result, right.deadlock), ("ok", {"found": True, "exact": True, "false": 0}))
        more = scored("deadlock", report(("deadlock", "confirmed", "lock", {"cycle": (1, 2, 3)})), tids=(1, 2))
        self.assertEqual((more.result, more.deadlock), ("FAIL", {"found": True, "exact": False, "false": 0}))
        other = scored("deadlock", report(("deadlock", "confirmed", "lock", {"cycle": (3, 4)})), tids=(1, 2))
        self.assertEqual((other.result, other.deadlock), ("FAIL", {"found": False, "exact": False, "false": 1}))
        soft = scored("deadlock", report(("deadlock", "likely", "lock", {"cycle": (1, 2)})), tids=(1, 2))
        self.assertEqual((soft.result, soft.deadlock["found"]), ("FAIL", False))

    def test_an_orphaned_lock_is_no_deadlock(self):
        self.assertEqual(scored("orphaned_lock", report(("orphaned_lock", "confirmed", "wait", {}))).result, "ok")
        deadlock = report(("deadlock", "confirmed", "wait", {"cycle": (1,)}))
        self.assertEqual(scored("orphaned_lock", deadlock).result, "FAIL")

    def test_an_orphaned_lock_whose_owner_lives_is_false(self):
        score = scored("silent", report(("orphaned_lock", "confirmed", "lock", {})))
        self.assertEqual((score.result, score.false_orphans, len(score.why)), ("FAIL", 1, 2))

    def test_what_resolves_itself_is_never_confirmed(self):
        self.assertEqual(scored("unconfirmed", report(("deadlock", "likely", "lock", {"cycle": (1, 2)}))).result, "ok")
        confirmed = scored("unconfirmed", report(("deadlock", "confirmed", "lock", {"cycle": (1, 2)})))
        self.assertEqual((confirmed.result, confirmed.deadlock["false"]), ("FAIL", 1))
        self.assertEqual(scored("unconfirmed", report(("leak", "likely", "lock", {}))).result, "FAIL")


class Names(unittest.TestCase):
    def test_the_leaf_is_the_first_frame_of_the_application(self):
        stack = [frame("futex_wait", "libc.so.6"), frame("std::sys::park"), frame("<alloc::Box<T> as core::X>::f"),
                 frame("__gthread_cond_wait"), frame("wait<F>", file="/usr/include/c++/12/condition_variable"),
                 frame("app::Client::next(int, A<b>)"), frame("main")]
        self.assertEqual(application_leaf(stack), "next")
        self.assertIsNone(application_leaf(stack[:3]))

    def test_the_leaf_of_a_goroutine_is_in_no_package_of_the_library(self):
        names = ["runtime.gopark", "internal/poll.(*FD).Read", "net/http.(*conn).serve", "sync.(*Mutex).Lock"]
        stack = [frame(name, file="/go/src/x.go") for name in names]
        for own in ("main.(*agent).round", "main.each[...].func1", "go.etcd.io/etcd/server/v3/lease.(*lessor).runLoop"):
            self.assertEqual(application_leaf([*stack, frame(own, file="/srv/x.go")]), own)
        self.assertIsNone(application_leaf(stack))

    def test_plain_names(self):
        for name, plain in (("peers::receive_all::h0123456789abcdef", "receive_all"), ("take_job", "take_job"),
                            ("void lock_other<std::mutex>(std::mutex&)", "lock_other")):
            self.assertEqual(plain_name(name), plain)


if __name__ == "__main__":
    unittest.main()

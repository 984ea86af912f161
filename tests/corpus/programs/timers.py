# SPDX-License-Identifier: GPL-2.0-or-later
"""Leak: each session starts a thread that does something every so often until it is cancelled; nobody cancels it."""

import sys

sys.dont_write_bytecode = True

import threading  # noqa: E402

from corpus import Corpus  # noqa: E402

TICK = 1 / 20  # 90 s of a horizon of 30 min

corpus = Corpus()


class Timer(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.cancelled = threading.Event()

    def run(self):
        corpus.say_leak()
        while not self.cancelled.wait(TICK * corpus.scale_s):
            pass


corpus.say_truth_and_ready("leak", "run")
while True:
    corpus.rest_until_next()
    Timer().start()

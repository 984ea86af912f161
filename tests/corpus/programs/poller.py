# SPDX-License-Identifier: GPL-2.0-or-later
"""Leak: a poller starts a thread for each poll; some answers never come, and their threads wait in queue.get()."""

import sys

sys.dont_write_bytecode = True

import queue  # noqa: E402
import threading  # noqa: E402

from corpus import Corpus  # noqa: E402

ANSWERED_SHARE = 4

corpus = Corpus()


def poll_device(answers, is_lost):
    if is_lost:
        corpus.say_leak()
    answers.get()


corpus.say_truth_and_ready("leak", "poll_device")
corpus.rate *= ANSWERED_SHARE + 1
while True:
    corpus.rest_until_next()
    is_lost = corpus.random.random() * (ANSWERED_SHARE + 1) < 1
    answers = queue.Queue()
    threading.Thread(target=poll_device, args=(answers, is_lost), daemon=True).start()
    if not is_lost:
        corpus.rest(corpus.exponential(1 / 3600))
        answers.put("answer")

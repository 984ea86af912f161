# SPDX-License-Identifier: GPL-2.0-or-later
"""Leak: every reconnect makes a ThreadPoolExecutor that is never shut down, and something keeps a reference to it."""

import sys

sys.dont_write_bytecode = True

from concurrent.futures import ThreadPoolExecutor  # noqa: E402

from corpus import Corpus  # noqa: E402

corpus = Corpus()
corpus.say_truth_and_ready("leak", "_worker")
connections = []
while True:
    corpus.rest_until_next()
    executor = ThreadPoolExecutor(max_workers=1)
    executor.submit(corpus.say_leak)
    connections.append(executor)

# SPDX-License-Identifier: GPL-2.0-or-later
"""No leak: a ThreadPoolExecutor under a load that ramps up over a horizon, then is steady with bursts."""

import sys

sys.dont_write_bytecode = True

from concurrent.futures import ThreadPoolExecutor  # noqa: E402

from corpus import Corpus  # noqa: E402

SERVICE = 1 / 450  # mean: 4 s of a horizon of 30 min

corpus = Corpus()
corpus.say_truth_and_ready("silent")
pool = ThreadPoolExecutor(max_workers=32)
while True:
    busy = 10 * min(1, 0.1 + corpus.elapsed())
    corpus.rest(corpus.exponential(SERVICE / busy))
    for _ in range(20 if corpus.random.random() < 0.01 else 1):
        pool.submit(corpus.rest, corpus.exponential(SERVICE))

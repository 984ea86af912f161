# SPDX-License-Identifier: GPL-2.0-or-later
"""What the Python programs of the corpus share; corpus.h says what the options and the log mean."""

import argparse
import json
import math
import os
import random
import threading
import time

_lock = threading.Lock()


class Corpus:
    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("shape", nargs="?", default="steady")
        parser.add_argument("--scale", type=float, default=1800)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--log", default="/dev/stdout")
        parser.add_argument("--arrival", default="steady")
        parser.add_argument("--rate", type=float, default=15)
        options = parser.parse_args()
        self.scale_s, self.shape, self.arrival, self.rate = options.scale, options.shape, options.arrival, options.rate
        self.log = open(options.log, "a", buffering=1)
        self.random = random.Random(options.seed)
        self.begun = time.monotonic()
        self.burst_left = 0
        threading.stack_size(256 * 1024)
        self.say("begin", pid=os.getpid(), seed=options.seed)

    def say(self, event, **more):
        with _lock:
            self.log.write(json.dumps({"t": time.clock_gettime(time.CLOCK_BOOTTIME), "event": event, **more}) + "\n")

    def say_leak(self):
        """The calling thread is about to block for ever."""
        self.say("leak", tid=threading.get_native_id())

    def say_truth_and_ready(self, kind, leaf=None):
        self.say("truth", kind=kind, leaf=leaf, pid=os.getpid(), tids=[])
        self.say("ready", pids=[os.getpid()])

    def elapsed(self):
        """In horizons."""
        return (time.monotonic() - self.begun) / self.scale_s

    def rest(self, horizons):
        time.sleep(horizons * self.scale_s)

    def exponential(self, mean):
        return -mean * math.log(1 - self.random.random())

    def rest_until_next(self):
        """Rests until the next of `rate` arrivals a horizon, as --arrival says."""
        gap = 1 / self.rate
        if self.arrival == "irregular":
            gap = self.exponential(gap)
        elif self.arrival == "accelerating":
            gap /= 0.5 + self.elapsed()
        elif self.arrival == "bursts" and self.burst_left:
            self.burst_left -= 1
            gap *= 0.02
        elif self.arrival == "bursts":
            self.burst_left = self.random.randint(2, 4)
            gap *= (self.burst_left + 1) * self.random.uniform(0.8, 1.2)
        else:
            gap *= self.random.uniform(0.8, 1.2)
        self.rest(gap)

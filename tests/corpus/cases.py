# SPDX-License-Identifier: GPL-2.0-or-later
"""The corpus as data: programs, what they do, and what leakmon must say of them. Times are minutes of the default
horizon of 30 min, scaled with it."""

import dataclasses

# kind: leak · deadlock · orphan · silent (nothing at likely or above) · ambiguous (nothing confirmed)


@dataclasses.dataclass
class Case:
    program: str  # of PROGRAMS
    name: str  # its first argument
    kind: str
    leaf: str = ""  # of a leak: a function that the finding must name
    minutes: float = 70
    slow: bool = True  # a leak of about one thread a minute: how many are there when it is flagged counts
    levels: tuple = ("likely", "confirmed")  # one of which a leak must reach

    @property
    def title(self):
        return f"{self.program}/{self.name}"


C = "gcc -O2 -g -fomit-frame-pointer -pthread -Wall -Wextra -o {out} {source} -lm"
CXX = "g++ -std=c++17 -O2 -g -fomit-frame-pointer -pthread -Wall -Wextra -o {out} {source}"

# name: (source, how it is built, how it is started)
PROGRAMS = {
    "leaks": ("leaks.c", C, "{out}"),
}

CASES = [
    Case("leaks", "executor-steady", "leak", "await_job"),
    Case("leaks", "executor-random", "leak", "await_job", minutes=85),
    Case("leaks", "executor-bursts", "leak", "await_job", minutes=85),
    Case("leaks", "timer", "leak", "tick"),
    Case("leaks", "timer-cond", "leak", "tick_or_stop"),
    Case("leaks", "failed-peer", "leak", "read_answer"),
    Case("leaks", "poller", "leak", "wait_for_poll"),
    Case("leaks", "busy-group", "leak", "wait_for_answer", minutes=85),
]

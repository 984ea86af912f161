# SPDX-License-Identifier: GPL-2.0-or-later
"""stress-ng's torture of threads and locks as negative controls: what blocks there for a moment blocks all the time."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time

from programs import Broken
from servers import END_DEADLINE_S, START_DEADLINE_S, descendants, find

STRESSORS = {
    "pthread": ["--pthread", "1", "--pthread-max", "64"],
    "futex": ["--futex", "2"],
    "mutex": ["--mutex", "1", "--mutex-procs", "8"],
}


@dataclasses.dataclass(frozen=True)
class StressCase:
    """Has what the runner reads of cases.Case."""

    stressor: str
    expect: str = "silent"
    horizons: float = 3
    language: str = ""
    one_look: bool = False
    slow: bool = False

    @property
    def name(self):
        return f"stress/{self.stressor}"


CASES = [StressCase(stressor) for stressor in STRESSORS]


class Stressor:
    """stress-ng at work, below everything else; has what the runner uses of programs.Program."""

    def __init__(self, case, _scale_s, seed, directory):
        self.messages = open(directory / "stress.log", "w+b")
        words = [find("stress-ng"), "--seed", str(seed), "--temp-path", str(directory), "--oomable", *STRESSORS[case.stressor]]
        self.child = subprocess.Popen(words, cwd=directory, stdin=subprocess.DEVNULL, stdout=self.messages,
                                      stderr=self.messages, preexec_fn=lambda: os.nice(19))
        self.case = case
        try:
            self.pids = self._wait_workers()
        except BaseException:
            self.end()
            raise
        self.truths, self.leaks = [{"kind": "silent", "pid": self.child.pid, "tids": [], "leaf": None}], []

    def _wait_workers(self):
        end = time.monotonic() + START_DEADLINE_S
        while len(pids := descendants(self.child.pid)) < 2:
            self.check_alive()
            if time.monotonic() > end:
                raise Broken(f"stress-ng starts no worker within {START_DEADLINE_S} s")
            time.sleep(0.1)
        return pids

    def check_alive(self):
        if self.child.poll() is not None:
            self.messages.seek(0)
            raise Broken(f"stress-ng ended with {self.child.returncode}: "
                         f"{self.messages.read()[-800:].decode(errors='replace')}")

    def notes(self):
        return []

    def wrong_totals(self, _leakmon):
        return []

    def end(self):
        pids = descendants(self.child.pid)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(END_DEADLINE_S)
        if self.child.poll() is None:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.wait()
        self.messages.close()

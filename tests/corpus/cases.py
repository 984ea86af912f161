# SPDX-License-Identifier: GPL-2.0-or-later
"""The cases of the corpus: which program in which shape, for how long, and what leakmon must say of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    source: str  # in programs/, those in Go in tests/golang/programs/
    shape: str = ""
    expect: str = "leak"  # leak, deadlock, orphaned_lock, stuck, unconfirmed, silent or ambiguous
    arrival: str = "steady"
    rate: float = 15  # threads leaked (or started) in a horizon
    horizons: float = 2.6  # how long it is watched; 0 = as long as two looks at every lock need
    one_look: bool = True  # the leak began with the process, in threads of its own: one look must find it
    slow: bool = False  # counts for the median of threads that have leaked when it is flagged

    @property
    def language(self):
        return {"c": "C", "cpp": "C++", "rs": "Rust", "java": "Java", "py": "Python", "go": "Go"}[self.source.rsplit(".", 1)[1]]


def leak(name, source, shape="", **more):
    more.setdefault("slow", more.get("rate", 15) <= 15)
    return Case(f"leak/{name}", source, shape, "leak", **more)


def silent(name, source, shape="", **more):
    more.setdefault("horizons", 3)
    return Case(f"silent/{name}", source, shape, "silent", **more)


def ambiguous(name, **more):
    return Case(f"ambiguous/{name}", "threads.c", name, "ambiguous", horizons=8, **more)


def lock(expect, name, source="deadlocks.c", **more):
    language = {"deadlocks.c": "", "deadlocks.cpp": "cpp-", "deadlocks.rs": "rust-"}[source]
    return Case(f"{expect}/{language}{name}", source, name, expect, horizons=0, **more)


CASES = [
    # The long ones first: they end last.
    # As clients that are idle, for the first 4 horizons: half of them are older after 8.
    leak("c-peers-silent", "peers.c", "silent", horizons=10, one_look=False, slow=False),
    ambiguous("fill", rate=26),
    ambiguous("joiners", rate=15),
    ambiguous("talkers", rate=15),
    ambiguous("lifetimes", rate=15),
    # An executor thread for each reconnect.
    leak("c-executor", "executor.c"),
    leak("c-executor-irregular", "executor.c", arrival="irregular", horizons=3.2),
    leak("c-executor-bursts", "executor.c", arrival="bursts", rate=45, one_look=False),
    leak("c-executor-accelerating", "executor.c", arrival="accelerating"),
    leak("c-executor-fast", "executor.c", rate=400, horizons=1.2, one_look=False),
    leak("cpp-executor", "executor.cpp"),
    leak("java-executor", "Executors.java"),
    leak("python-executor", "executor.py"),
    leak("python-executor-irregular", "executor.py", arrival="irregular", rate=24),
    # A pool of workers for each client object.
    leak("cpp-clients", "clients.cpp", rate=30),
    leak("cpp-clients-bursts", "clients.cpp", arrival="bursts", rate=60, one_look=False),
    leak("rust-clients", "clients.rs", rate=30),
    # Timers that nobody cancels.
    leak("c-timers-sleep", "timers.c", "sleep"),
    leak("c-timers-cond", "timers.c", "cond"),
    leak("c-timers-cond-irregular", "timers.c", "cond", arrival="irregular", rate=24),
    leak("java-timers", "Timers.java"),
    leak("python-timers", "timers.py"),
    # Failed peers.
    leak("c-peers-half", "peers.c", "half", horizons=3.2),
    leak("c-peers-event", "peers.c", "event", horizons=3.2),
    leak("rust-peers", "peers.rs", horizons=3.2),
    leak("rust-peers-irregular", "peers.rs", arrival="irregular", rate=24),
    # A thread for each poll.
    leak("c-poller-pipe", "poller.c", "pipe"),
    leak("c-poller-pipe-bursts", "poller.c", "pipe", arrival="bursts", rate=45, one_look=False),
    leak("c-poller-semaphore", "poller.c", "semaphore", rate=200),  # one object: looks like idle workers until 256
    leak("python-poller", "poller.py", horizons=3.2),
    # One in a hundred.
    leak("c-busy-threads", "busy.c", "threads", horizons=3.2),
    leak("c-busy-pool", "busy.c", "pool", horizons=3.2, one_look=False),
    # Goroutines: answers that nobody takes, a word to nobody, and what else keeps them waiting.
    leak("go-multiquery", "multiquery.go", rate=8),
    leak("go-multiquery-irregular", "multiquery.go", arrival="irregular", rate=12),
    leak("go-multiquery-bursts", "multiquery.go", arrival="bursts", rate=24, one_look=False),
    leak("go-multiquery-fast", "multiquery.go", rate=1800, horizons=1.2, one_look=False),  # every second
    leak("go-agent", "agent.go"),
    leak("go-agent-irregular", "agent.go", arrival="irregular", rate=24),
    leak("go-agent-accelerating", "agent.go", arrival="accelerating"),
    leak("go-timeout", "leaks.go", "timeout"),
    leak("go-context", "leaks.go", "context"),
    leak("go-lock", "leaks.go", "lock"),
    leak("go-waitgroup", "leaks.go", "waitgroup"),
    leak("go-worker", "leaks.go", "worker"),
    silent("go-multiquery-fixed", "multiquery.go", "fixed", rate=1800),
    silent("go-agent-fixed", "agent.go", "fixed", rate=1800),
    silent("go-pool", "healthy.go", "pool", rate=3600),
    silent("go-elastic", "healthy.go", "elastic", rate=3600),
    silent("go-web", "healthy.go", "web", rate=300),
    silent("go-tickers", "healthy.go", "tickers"),
    silent("go-fanout", "healthy.go", "fanout", rate=1800),
    silent("go-later", "healthy.go", "later", rate=3600),
    silent("go-contexts", "healthy.go", "contexts", rate=3600),
    silent("go-bursts", "healthy.go", "bursts"),
    silent("go-broadcast", "healthy.go", "broadcast", rate=300),
    silent("pool-reuse", "pools.c", "reuse"),
    silent("pool-autoscale", "pools.c", "autoscale"),
    silent("pool-lifo", "pools.c", "lifo"),
    silent("pool-diurnal", "pools.c", "diurnal", horizons=4),
    silent("pool-storm", "pools.c", "storm"),
    silent("keepalive", "threads.c", "keepalive"),
    silent("idle-timeouts", "threads.c", "idle"),
    silent("reconnect-storms", "threads.c", "reconnect"),
    silent("heavy-tail", "threads.c", "heavytail", rate=3600),
    silent("java-cached-pool", "Pool.java"),
    silent("python-pool", "pool.py"),
    silent("robust-recovered", "deadlocks.c", "robust", horizons=0),
    silent("lock-handed-on", "deadlocks.c", "handed-on", horizons=0),
    *(lock("deadlock", shape) for shape in ("abba", "recursive", "pi-mixed", "three", "rwlock", "self", "join")),
    *(lock("deadlock", shape, "deadlocks.cpp") for shape in ("mutex", "recursive_mutex", "shared_mutex")),
    *(lock("orphaned_lock", shape) for shape in ("owner-exited", "forked", "shared-exited", "robust-many")),
    Case("stuck/pi", "deadlocks.c", "pi", "stuck", horizons=1, one_look=False),
    lock("unconfirmed", "slow-holder"),
    lock("unconfirmed", "timed"),
    lock("unconfirmed", "mutex", "deadlocks.rs"),
]

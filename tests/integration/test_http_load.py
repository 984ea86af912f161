# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's HTTP side under a thousand clients of the worst kind: the watching goes on, and little is kept for them."""

import errno
import json
import os
import random
import resource
import selectors
import signal
import socket
import time

from daemon import Daemon
from harness import build, check, check_equal, poll, rss_bytes, test
from leakmon import seconds

CLIENTS = 1000
LOAD_S, LONG_LOAD_S = 6, 60
INTERVAL_S = 0.5
SLACK_S = 1.0  # of a machine that is busy
RSS_BYTES = 30 << 20
PAUSE_S = 0.2  # between two steps of a client


class Client:
    """One connection, made anew whenever it is closed; step is called now and then, and when there is something to read."""

    receive_bytes = 65536  # a time

    def __init__(self, port, selector):
        self.port, self.selector = port, selector
        self.socket = None
        self.closed = self.received = 0
        self.open()

    def open(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.prepare()
        self.socket.connect_ex(("127.0.0.1", self.port))
        self.selector.register(self.socket, selectors.EVENT_READ, self)

    def close(self):
        self.selector.unregister(self.socket)
        self.socket.close()

    def again(self):
        self.closed += 1
        self.close()
        self.open()

    def prepare(self):
        self.sent = 0

    def send(self, data):
        try:
            self.sent += self.socket.send(data)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno not in (errno.ENOTCONN, errno.EINPROGRESS):
                self.again()

    def read(self):
        try:
            data = self.socket.recv(self.receive_bytes)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.received += len(data)
        if not data:
            self.again()

    def step(self, chance):
        pass


class Idle(Client):
    """Connects, and says nothing."""


class SlowSender(Client):
    """A byte of a request now and then."""

    request = b"GET /api/v1/snapshot HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Filler: " + b"x" * 100000

    def step(self, chance):
        self.send(self.request[self.sent:self.sent + 1])


class SlowReader(Client):
    """Asks for all there is, over and over, and takes a few bytes of it now and then."""

    receive_bytes = 64

    def prepare(self):
        super().prepare()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)

    def read(self):
        pass  # only in steps

    def step(self, chance):
        super().read()
        if self.sent < 1000:
            path = chance.choice(("/api/v1/snapshot", "/metrics", "/", "/page.js", "/api/v1/history", "/api/v1/events"))
            self.send(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())


class Garbage(Client):
    """Bytes that are no request, or one that is too long, or of the wrong host."""

    def step(self, chance):
        self.send(chance.choice((
            chance.randbytes(chance.randrange(1, 5000)),
            b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n",
            b"POST /api/v1/snapshot HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n" + b"y" * 4096,
            b"\r\n" * 2000)))


def allow_descriptors(t, count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = min(count, hard) if hard != resource.RLIM_INFINITY else count
    if soft != resource.RLIM_INFINITY and soft < want:
        resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
        t.stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
    return want


def press(clients, selector, chance, deadline, meanwhile):
    next_step = time.monotonic()
    while time.monotonic() < deadline:
        for key, _ in selector.select(max(0, next_step - time.monotonic())):
            key.data.read()
        if time.monotonic() >= next_step:
            next_step = time.monotonic() + PAUSE_S
            for client in clients:
                client.step(chance)
            meanwhile()


def times_of(path):
    """When the reports were made that are in the file."""
    lines = path.read_text().split("\n")[:-1]
    return [seconds(json.loads(line)["time"]) for line in lines]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@test()
def a_thousand_bad_clients_do_not_delay_the_watching(t):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    t.note(f"seed {seed}")
    chance = random.Random(seed)
    count = min(CLIENTS, allow_descriptors(t, CLIENTS + 100) - 100)
    process = t.start(build("scale"), 300)
    reports = t.directory() / "reports"
    with open(reports, "wb") as out:
        daemon = Daemon(t, "--interval", f"{INTERVAL_S}s", "--min-blocked", "50ms", "--cpu-limit", "100", "--members", "300",
                        "-p", process.pid, "--json", stdout=out)
    poll(20, "its threads are reported", lambda: daemon.json("/api/v1/snapshot")["totals"]["blocked_threads"] >= 300)
    for path in ("/", "/metrics", "/api/v1/history"):
        daemon.text(path)
    held, rss = descriptors(daemon.pid), rss_bytes(daemon.pid)
    most = {"rss": rss, "descriptors": held}

    def measure():
        most["rss"] = max(most["rss"], rss_bytes(daemon.pid))
        most["descriptors"] = max(most["descriptors"], descriptors(daemon.pid))

    begun = time.time()
    with selectors.DefaultSelector() as selector:
        clients = [kind(daemon.port, selector) for kind in (Idle, SlowSender, SlowReader, Garbage)
                   for _ in range(count // 4)]
        press(clients, selector, chance, time.monotonic() + (LONG_LOAD_S if t.long else LOAD_S), measure)
        # one who asks properly is served between them
        asked = time.monotonic()
        poll(30, "it answers one who asks properly", lambda: daemon.get("/-/healthy", deadline_s=5)[0] == 200)
        answered_s = time.monotonic() - asked
        for client in clients:
            client.close()
    ended = time.time()
    poll(10, "a report after", lambda: times_of(reports)[-1] > ended)
    times = [at for at in times_of(reports) if at > begun - 2 * INTERVAL_S]
    gap_s = max(later - at for at, later in zip(times, times[1:]))
    closed, received = sum(client.closed for client in clients), sum(client.received for client in clients)
    t.note(f"{count} clients, closed {closed} times, {received >> 10} KiB read; longest gap {gap_s:.2f} s, "
           f"+{(most['rss'] - rss) >> 10} KiB, {most['descriptors'] - held} more descriptors, answered in {answered_s:.1f} s")
    check(closed > count, "bad clients are thrown out")
    check(gap_s < 2 * INTERVAL_S + SLACK_S, f"{gap_s:.2f} s between two reports", times)
    check(most["rss"] - rss < RSS_BYTES, f"{(most['rss'] - rss) >> 20} MiB more", most)
    check(most["descriptors"] - held <= 100, "its connections are bounded", most)
    poll(30, f"it has {held} descriptors again", lambda: descriptors(daemon.pid) <= held)
    check_equal(daemon.status("/-/healthy"), 200, "it answers", daemon.messages())
    daemon.end(signal.SIGTERM)

# SPDX-License-Identifier: GPL-2.0-or-later
"""What a daemon says to its page, from golden files: the built files with their policy, reports, history, events."""

import contextlib
import email.utils
import http.server
import json
import pathlib
import queue
import re
import socket
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]


def files_of_the_page():
    """Path -> (content type, file), as user/web/assets.c has them."""
    source = (ROOT / "user/web/assets.c").read_text()
    types = dict(re.findall(r'#define (\w+) "([^"]+)"', source))
    return {path: (types[kind], ROOT / file) for path, kind, file in re.findall(r'X\("([^"]+)", (\w+), "([^"]+)"\)', source)}


def policy():
    """The policy of user/web/assets.h."""
    text = re.search(r"#define LM_ASSET_SECURITY(.*?)\n\n", (ROOT / "user/web/assets.h").read_text(), re.S).group(1)
    return "".join(re.findall(r'"([^"]*)"', text))


def seconds_of(text):
    return email.utils.mktime_tz(email.utils.parsedate_tz(text)) if "," in text else \
        time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(seconds))


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_):
        pass  # browsers close connections as they like


class Daemon:
    """A server on a port of its own; what it says is set by whoever tests."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = []
        self.streams = []
        self.connections = set()
        self.history = True
        self.report = None
        self.generation = 0
        self.unchanged = 0  # answers without a body
        self.late_s = 0.2  # how old the report is by the server's clock
        self.files = files_of_the_page()
        self.policy = policy()
        self.server = None
        self.port = 0
        self.up()

    def up(self):
        handler = type("Handler", (Handler,), {"daemon": self})
        self.server = Server(("127.0.0.1", self.port), handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self):
        """As when the daemon ends: connections break, new ones are refused."""
        self.server.shutdown()
        self.server.server_close()
        self.tell(None)
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"

    def say(self, report):
        with self.lock:
            self.report = report
            self.generation += 1

    def tell(self, text):
        """An event to all that listen; None ends their streams."""
        for stream in list(self.streams):
            stream.put(text)

    def asked(self, begin):
        return [path for path in self.requests if path.startswith(begin)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    daemon = None

    def setup(self):
        super().setup()
        self.daemon.connections.add(self.connection)

    def finish(self):
        self.daemon.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        report = self.daemon.report
        at = seconds_of(report["time"]) + self.daemon.late_s if report else time.time()
        return email.utils.formatdate(at, usegmt=True)

    def answer(self, status, content_type, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_json(self, status, value, headers=()):
        self.answer(status, "application/json", json.dumps(value).encode(), headers)

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.daemon.requests.append(self.path)
        parameters = dict(urllib.parse.parse_qsl(query))
        if path in self.daemon.files:
            content_type, file = self.daemon.files[path]
            return self.answer(200, content_type, file.read_bytes(), [("Content-Security-Policy", self.daemon.policy)])
        known = {"/api/v1/snapshot": self.snapshot, "/api/v1/history": self.history, "/api/v1/events": self.events}
        if path in known:
            return known[path](parameters)
        return self.answer_json(404, {"error": "there is no such path"})

    def snapshot(self, _):
        with self.daemon.lock:
            report, tag = self.daemon.report, f'"{self.daemon.generation}"'
        if report is None:
            return self.answer_json(503, {"error": "no report yet"})
        if self.headers.get("If-None-Match") == tag:
            self.daemon.unchanged += 1
            self.send_response(304)
            self.send_header("ETag", tag)
            self.end_headers()
            return None
        return self.answer_json(200, report, [("ETag", tag)])

    def history(self, parameters):
        if not self.daemon.history:
            return self.answer_json(503, {"error": "no history is kept: the disk is read-only"})
        if "pid" in parameters:
            return self.answer_json(200, self.process_history(int(parameters["pid"])))
        return self.answer_json(200, self.site_history(parameters["site"], seconds_of(parameters.get("from", "1970-01-01T00:00:00Z"))))

    def site_history(self, site, begin):
        """A growth by steps to what the report says now, in at most 200 points."""
        report = self.daemon.report
        row = next((row for row in report["sites"] if row["site"] == site), None)
        now = seconds_of(report["time"])
        points = []
        if row:
            for i in range(200):
                if now - 60 * (199 - i) < begin:
                    continue
                count = int(row["count"] * (i / 199) ** 1.2) if row["count"] < 1e6 else row["count"]
                points.append({"time": rfc3339(now - 60 * (199 - i)), "step_s": 60.0, "pid": row["pid"], "comm": row["comm"],
                    "count": count, "arrived": 1, "departed": 0, "oldest_blocked_since": None})
        return {"schema": "leakmon.history/1", "site": site, "points": points}

    def process_history(self, pid):
        report = self.daemon.report
        now = seconds_of(report["time"])
        process = next((row for row in report["processes"] if row["pid"] == pid), None)
        go = (process or {}).get("go") or {}
        points = []
        if go.get("goroutines"):
            for i in range(200):
                points.append({"time": rfc3339(now - 60 * (199 - i)), "step_s": 60.0, "pid": pid, "comm": process["comm"],
                    "goroutines": 30 + int((go["goroutines"] - 30) * i / 199),
                    "gc_count": int((go["gc_count"] or 0) * i / 199),
                    "heap_live_bytes": int((go["heap_live_bytes"] or 0) * (0.5 + i / 398) + 400000 * (i % 7))})
        return {"schema": "leakmon.history/1", "pid": pid, "points": points}

    @staticmethod
    def next_event(stream):
        try:
            return stream.get(timeout=1)
        except queue.Empty:
            return ": still here\n\n" # whoever has gone is noticed

    def events(self, _):
        stream = queue.Queue()
        self.daemon.streams.append(stream)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b": here\n\n")
        self.wfile.flush()
        try:
            while (text := self.next_event(stream)) is not None:
                self.wfile.write(text.encode())
                self.wfile.flush()
        except OSError:
            pass
        self.daemon.streams.remove(stream)
        self.close_connection = True

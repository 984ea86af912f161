# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon of ours at work on a free port of loopback, and what it answers."""

import json
import pathlib
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from harness import Failure, check, check_equal, poll
from leakmon import BINARY, check_clean


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Daemon:
    """`leakmon daemon` with a state directory of its own; ends with the test."""

    def __init__(self, t, *arguments, state=None, port=None, ready=True, **options):
        self.port = port or free_port()
        self.state = pathlib.Path(state or t.directory() / "state")
        self.log = t.directory() / "log"
        self.words = [BINARY, "daemon", "--listen", f"127.0.0.1:{self.port}", "--state-dir", str(self.state),
                      *map(str, arguments)]
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stderr=log,
                                          **{"stdout": subprocess.DEVNULL, **options})
        self.pid = self.child.pid
        t.stack.callback(self.close)
        t.runs.append(self)
        if ready:
            poll(60, "the daemon is ready", self.is_ready)

    def is_ready(self):
        if self.child.poll() is not None:
            raise Failure(f"the daemon ended with {self.child.poll()}", self.messages())
        return self.status("/-/ready") == 200

    def get(self, path, headers=None, deadline_s=10):
        """(status, headers, body)"""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=deadline_s) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()
        except OSError:
            return 0, {}, b""

    def status(self, path):
        return self.get(path)[0]

    def text(self, path):
        status, _, body = self.get(path)
        check_equal(status, 200, f"status of {path}", body[:500])
        return body.decode()

    def json(self, path):
        return json.loads(self.text(path))

    def findings(self, pid):
        return [finding for finding in self.json("/api/v1/findings")["findings"] if finding["pid"] == pid]

    def until_found(self, pid, level, deadline_s=60):
        """The first finding about the process of that level."""

        def found():
            return next((finding for finding in self.findings(pid) if finding["level"] == level), None)

        return poll(deadline_s, f"a {level} finding about {pid}", found)

    def messages(self):
        return self.log.read_text(errors="surrogateescape")

    def send(self, number):
        self.child.send_signal(number)

    def said(self, text, deadline_s=20):
        poll(deadline_s, f"the log says {text!r}", lambda: text in self.messages())

    def end(self, number=signal.SIGTERM, code=0, deadline_s=10):
        self.send(number)
        check_equal(self.child.wait(deadline_s), code, "exit code", self.messages()[-2000:])
        check_clean(self.messages().encode("utf-8", "surrogateescape"), "stderr")

    def evidence(self):
        return f"{' '.join(self.words)} → {self.child.poll()}\nlog: {self.messages()[-3000:]}"

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()

# SPDX-License-Identifier: GPL-2.0-or-later
"""A headless Chromium, driven through chromedriver by the WebDriver protocol: plain HTTP and JSON."""

import base64
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowDown": "\ue015", "ArrowUp": "\ue013", "ArrowRight": "\ue014",
        "ArrowLeft": "\ue012", "Tab": "\ue004"}


class BrowserError(Exception):
    pass


def missing():
    """What is not installed, or None."""
    for program in ("chromium", "chromedriver"):
        if not shutil.which(program):
            return f"{program} is not installed (tests/deps.sh test)"
    return None


class Browser:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="leakmon-page-")
        self.process = subprocess.Popen(["chromedriver", "--port=0", "--log-level=SEVERE"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
        self.session = None
        try:
            self.port = self.read_port()
            self.open_session()
        except Exception:
            self.close()
            raise

    def read_port(self):
        for line in self.process.stdout:
            found = re.search(r"started successfully on port (\d+)", line)
            if found:
                return int(found.group(1))
        raise BrowserError("chromedriver did not start")

    def open_session(self):
        arguments = ["--headless=new", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-default-browser-check",
            "--force-color-profile=srgb", "--hide-scrollbars", "--js-flags=--max-old-space-size=512",
            f"--user-data-dir={self.profile}", "--window-size=1280,900",
            # whatever the page may ask for: nothing outside is found
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")
        capabilities = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}}
        answer = self.call("POST", "/session", {"capabilities": capabilities}, whole=True)
        self.session = answer["sessionId"]
        self.call("POST", "/timeouts", {"script": 60000, "pageLoad": 60000})
        self.cdp("Performance.enable", timeDomain="threadTicks")

    def call(self, method, path, body=None, whole=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        try:
            text = None if method == "GET" else json.dumps(body or {})
            prefix = f"/session/{self.session}" if not whole else ""
            connection.request(method, prefix + path, text, {"Content-Type": "application/json"})
            answer = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(answer, dict) and "error" in answer:
            raise BrowserError(f"{answer['error']}: {answer.get('message', '').splitlines()[0]}")
        return answer

    def cdp(self, command, **parameters):
        return self.call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def go(self, url):
        self.call("POST", "/url", {"url": "about:blank"})
        self.call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """The value of a JavaScript expression, or of a body with return."""
        body = script if "return " in script else f"return ({script});"
        return self.call("POST", "/execute/sync", {"script": body, "args": list(arguments)})

    def wait(self, script, *arguments, deadline_s=30, what=None):
        """The first true value of it."""
        end = time.monotonic() + deadline_s
        while True:
            value = self.run(script, *arguments)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"never came: {what or script} (last: {value!r})")
            time.sleep(0.03)

    def press(self, *keys):
        actions = []
        for key in keys:
            value = KEYS.get(key, key)
            actions += [{"type": "keyDown", "value": value}, {"type": "keyUp", "value": value}]
        self.call("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def click(self, selector):
        element = self.call("POST", "/element", {"using": "css selector", "value": selector})
        self.call("POST", f"/element/{element[ELEMENT]}/click")

    def size(self, width, height):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, scheme):
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, path, whole=False):
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = self.cdp("Page.captureScreenshot", format="png", captureBeyondViewport=whole,
            **({"clip": self.whole_page()} if whole else {}))
        path.write_bytes(base64.b64decode(answer["data"]))

    def cpu_s(self):
        """What the page's thread has computed so far: a machine that does other things too does not change it."""
        metrics = self.cdp("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    def whole_page(self):
        size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
        return {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 6000), "scale": 1}

    def console(self):
        """What was logged since the last call: [{"level", "message"}]."""
        return self.call("POST", "/se/log", {"type": "browser"})

    def network(self):
        """The addresses asked for since the last call."""
        addresses = []
        for entry in self.call("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                addresses.append(message["params"]["request"]["url"])
        return addresses

    def close(self):
        try:
            if self.session:
                self.call("DELETE", "")
        except (OSError, ValueError, BrowserError):
            pass
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            self.process.kill()
        self.process.stdout.close()
        shutil.rmtree(self.profile, ignore_errors=True)

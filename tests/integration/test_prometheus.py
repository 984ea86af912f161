# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole way of an alert: a program that leaks, the daemon, a real Prometheus with the shipped rules, a real Alertmanager,
and the message that somebody is woken by."""

import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness import Failure, Skip, build, check, check_equal, find_program, need, poll, read_text, test
from leakmon import BINARY, ROOT, is_alive

RULES = ROOT / "deploy" / "prometheus" / "leakmon.rules.yml"
FOUND_S = 150  # until Alertmanager has delivered: a horizon of 10 s, on a machine that does other things as well


# --- servers --------------------------------------------------------------------------------------------------------------


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def get(url, deadline_s=5):
    """The answer's body; "" if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=deadline_s) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def get_json(url):
    text = get(url)
    return json.loads(text) if text else None


class Server:
    """A process that writes to a file what it says, ended by its PID."""

    def __init__(self, t, name, *words):
        self.name, self.log = name, t.directory() / "log"
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        t.stack.callback(self.end)

    def ready(self, url, deadline_s=60):
        def answers():
            check(self.child.poll() is None, f"{self.name} ended with {self.child.poll()}", read_text(self.log)[-3000:])
            return get(url)

        try:
            poll(deadline_s, f"{self.name} is ready", answers)
        except Failure as failure:
            raise Failure(str(failure), read_text(self.log)[-3000:]) from None

    def end(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.wait()


class Receiver:
    """Takes what Alertmanager sends: the pager of this test."""

    def __init__(self, t):
        self.messages, lock = [], threading.Lock()
        messages = self.messages

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    messages.append((self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        t.stack.callback(thread.join)
        t.stack.callback(server.server_close)
        t.stack.callback(server.shutdown)

    def alerts(self, path):
        return [alert for at, body in list(self.messages) if at == path for alert in body["alerts"]]


# --- the shipped files, faster ----------------------------------------------------------------------------------------------


def write_faster(directory, port, alertmanager_port, receiver_port):
    """The files of deploy/prometheus as they are, but for addresses and waiting times."""
    rules = re.sub(r"(?m)^( +for: )\d+[mh]$", r"\g<1>2s", RULES.read_text())
    check(rules.count("for: 2s") == rules.count("- alert:"), "every alert waits 2 s here")
    (directory / "leakmon.rules.yml").write_text(rules)
    config = (RULES.parent / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:9469", f"127.0.0.1:{port}").replace("127.0.0.1:9093", f"127.0.0.1:{alertmanager_port}")
    config = re.sub(r"(scrape|evaluation)_interval: 30s", r"\1_interval: 1s", config)
    (directory / "prometheus.yml").write_text(config)
    alerts = (RULES.parent / "alertmanager.yml").read_text().replace("127.0.0.1:9099", f"127.0.0.1:{receiver_port}")
    alerts = alerts.replace("group_wait: 30s", "group_wait: 1s").replace("group_interval: 5m", "group_interval: 1s")
    (directory / "alertmanager.yml").write_text(alerts)


class Monitoring:
    """A Prometheus and an Alertmanager that watch what listens on a port."""

    def __init__(self, t, port):
        need("prometheus", "prometheus-alertmanager")
        prometheus_port, alertmanager_port = free_ports(2)
        directory = t.directory()
        self.pager = Receiver(t)
        write_faster(directory, port, alertmanager_port, self.pager.port)
        self.alertmanager = Server(
            t, "Alertmanager", find_program("prometheus-alertmanager"), f"--config.file={directory}/alertmanager.yml",
            f"--storage.path={directory}/alertmanager", f"--web.listen-address=127.0.0.1:{alertmanager_port}",
            "--cluster.listen-address=")
        self.prometheus = Server(
            t, "Prometheus", find_program("prometheus"), f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/prometheus", f"--web.listen-address=127.0.0.1:{prometheus_port}")
        self.url = f"http://127.0.0.1:{prometheus_port}"
        self.alertmanager.ready(f"http://127.0.0.1:{alertmanager_port}/-/ready")
        self.prometheus.ready(f"{self.url}/-/ready")

    def query(self, expression):
        found = get_json(f"{self.url}/api/v1/query?query={urllib.request.quote(expression)}")
        return found["data"]["result"] if found else []

    def evaluate(self, expression):
        """The samples of an expression, which must be one that can be evaluated."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?query={urllib.request.quote(expression)}", timeout=20) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise Failure(f"{expression}: {error.read().decode()[:500]}") from None

    def wait_for_targets(self):
        def are_up():
            targets = (get_json(f"{self.url}/api/v1/targets") or {"data": {"activeTargets": []}})["data"]["activeTargets"]
            return targets and all(target["health"] == "up" for target in targets)

        try:
            poll(60, "all targets are up", are_up)
        except Failure as failure:
            raise Failure(str(failure), get(f"{self.url}/api/v1/targets")[:3000]) from None

    def evidence(self):
        return {"alerts": get_json(f"{self.url}/api/v1/alerts"), "pager": self.pager.messages[-3:],
                "findings": self.query("leakmon_finding_info"), "sites": self.query("leakmon_site_count")}

    def wait_for_alert(self, what, wanted, deadline_s=FOUND_S):
        """The first alert on any receiver that the function takes."""
        try:
            return poll(deadline_s, what, lambda: next((alert for path in ("/page", "/ticket")
                                                        for alert in self.pager.alerts(path) if wanted(alert["labels"])), None))
        except Failure as failure:
            raise Failure(str(failure), self.evidence()) from None

    def everything_said_of(self, process):
        """Alerts of the rules, pending ones as well, and messages, that name the process."""
        active = (get_json(f"{self.url}/api/v1/alerts") or {"data": {"alerts": []}})["data"]["alerts"]
        sent = [alert for _, body in self.pager.messages for alert in body["alerts"]]
        return [alert["labels"] for alert in active + sent if alert["labels"].get("process") == process]


def check_leak_alert(alert, monitoring, process, function):
    labels, notes = alert["labels"], alert["annotations"]
    check_equal(labels["type"], "leak", "type", alert)
    check_equal(labels["function"], function, "function", alert)
    check(re.fullmatch("[0-9a-f]{16}", labels["site"]), "the site is named", alert)
    check(process in notes["summary"] and function in notes["summary"], "the sentence names both", notes)
    check(labels["site"] in notes["command"], "the command is for this site", notes)
    counts = monitoring.query(f'leakmon_site_count{{site="{labels["site"]}",process="{process}"}}')
    check(counts and float(counts[0]["value"][1]) > 3, "the site's count is a series", counts)
    nodes = monitoring.query(f'site:leakmon_nodes:count{{site="{labels["site"]}"}}')
    check(nodes and nodes[0]["value"][1] == "1", "the bug is on one node", nodes)


def check_dashboards(monitoring, instance):
    """Every panel of the shipped dashboards can be asked, and those on findings and sites have an answer."""
    variables = (('instance="$instance"', f'instance="{instance}"'), ("$instance", ".*"), ("$process", ".*"),
                 ("$__rate_interval", "1m"))
    empty = []
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                expression = target["expr"]
                for name, value in variables:
                    expression = expression.replace(name, value)
                if not monitoring.evaluate(expression):
                    empty.append(f"{path.stem}: {panel['title']}")
    missing = [title for title in empty if "Findings" in title or "sites" in title and "Growth" not in title]
    check(not missing, f"panels without data: {missing}", empty)


# --- tests ------------------------------------------------------------------------------------------------------------------


def own_name(t, name):
    """A blocker under a name that no other test of this machine has: metrics tell processes apart by it."""
    return pathlib.Path(shutil.copy(build(name), t.directory() / f"{name}-{os.getpid()}"))


def start_daemon(t, *arguments):
    done = subprocess.run([BINARY, "daemon", "--help"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode or b"--listen" not in done.stdout:
        raise Skip("this leakmon has no daemon")
    [port] = free_ports(1)
    daemon = Server(t, "leakmon", BINARY, "daemon", "--listen", f"127.0.0.1:{port}", "--state-dir", t.directory() / "state",
                    "--interval", "1s", "--horizon", "10s", *arguments)
    daemon.ready(f"http://127.0.0.1:{port}/-/ready")
    return daemon, port


@test()
def a_leak_wakes_somebody_and_a_pool_does_not(t):
    need("prometheus", "prometheus-alertmanager")
    pool, leak = own_name(t, "pool"), own_name(t, "leak")
    healthy = t.start(pool, "fixed", 32)
    daemon, port = start_daemon(t)
    monitoring = Monitoring(t, port)
    monitoring.wait_for_targets()
    leaking = t.start(leak, 200)
    alert = monitoring.wait_for_alert(
        "an alert for the leak", lambda labels: labels.get("process") == leak.name and labels.get("level") in ("likely", "confirmed"))
    check_leak_alert(alert, monitoring, leak.name, "wait_for_result")
    check_equal(monitoring.everything_said_of(pool.name), [], "alerts of the healthy program", monitoring.evidence)
    names = {alert["labels"]["alertname"] for path in ("/page", "/ticket") for alert in monitoring.pager.alerts(path)}
    check(not names & {"LeakmonDown", "LeakmonAbsent", "LeakmonStalled", "LeakmonRestarts"}, "leakmon itself is well", names)
    check(is_alive(healthy.pid) and is_alive(leaking.pid), "both programs still run")
    check(daemon.child.poll() is None, "the daemon still runs", lambda: read_text(daemon.log)[-3000:])


class Exporter:
    """What the daemon would say, from text: the harness and the rules are tested also where there is no daemon."""

    def __init__(self, t):
        exporter = self
        self.findings, self.begun, self.healthy = "", time.monotonic(), True

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = exporter.text().encode()
                self.send_response(200 if exporter.healthy else 503)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        t.stack.callback(thread.join)
        t.stack.callback(server.server_close)
        t.stack.callback(server.shutdown)

    def text(self):
        count = int((time.monotonic() - self.begun) * 10) + 1
        golden = (ROOT / "tests/golden/ended.prom").read_text()  # nothing is blocked there
        golden = re.sub(r"(?m)^(leakmon_scans_total) .*$", rf"\1 {count}", golden)
        golden = re.sub(r"(?m)^(leakmon_losses_total\{.*\}) .*$", r"\1 0", golden)
        for level in re.findall('level="(\w+)"', self.findings):
            golden = golden.replace(f'leakmon_findings{{level="{level}",type="leak"}} 0', f'leakmon_findings{{level="{level}",type="leak"}} 1')
        return golden + f"""leakmon_site_oldest_blocked_timestamp_seconds{{process="leak",site="9f2c41d07be1a3c5"}} 1795432080
leakmon_site_count{{process="pool",site="00000000000000aa"}} 32
leakmon_site_count{{process="leak",site="9f2c41d07be1a3c5"}} {count + 10}
leakmon_site_info{{site="00000000000000aa",function="take_job",module="pool",kind="thread"}} 1
leakmon_site_info{{site="9f2c41d07be1a3c5",function="wait_for_result",module="leak",kind="thread"}} 1
""" + self.findings


@test()
def the_rules_fire_on_what_metrics_say_and_reach_the_right_receiver(t):
    exporter = Exporter(t)
    monitoring = Monitoring(t, exporter.port)
    monitoring.wait_for_targets()
    poll(30, "losses and looks have a history", lambda: monitoring.query("rate(leakmon_scans_total[10m]) > 0"))
    check_equal(monitoring.everything_said_of("leak"), [], "alerts before there is a finding")
    place = 'leakmon_finding_info{process="leak",site="9f2c41d07be1a3c5",level="%s",type="leak"} 1\n'
    exporter.findings = place % "likely"
    alert = monitoring.wait_for_alert("a ticket", lambda labels: labels.get("process") == "leak", 60)
    check_leak_alert(alert, monitoring, "leak", "wait_for_result")
    check_equal([one["labels"]["alertname"] for one in monitoring.pager.alerts("/page")], [], "nobody is woken by it")
    exporter.findings = place % "confirmed"
    alert = monitoring.wait_for_alert("a page", lambda labels: labels.get("level") == "confirmed", 60)
    check_leak_alert(alert, monitoring, "leak", "wait_for_result")
    paged = {one["labels"]["alertname"] for one in monitoring.pager.alerts("/page")}
    check_equal(paged, {"LeakmonFindingConfirmed"}, "what woke somebody")
    check_equal(monitoring.everything_said_of("pool"), [], "alerts of the healthy program", monitoring.evidence)
    check_dashboards(monitoring, f"127.0.0.1:{exporter.port}")
    exporter.healthy = False
    monitoring.wait_for_alert("a ticket for the target", lambda labels: labels["alertname"] == "LeakmonDown", 60)

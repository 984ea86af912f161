# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers as negative controls: started by us on loopback from a directory of ours, under load, then ended."""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from programs import Broken, Skip  # it says where dumps is

import dumps

HERE = pathlib.Path(__file__).resolve().parent
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
START_DEADLINE_S = 60
END_DEADLINE_S = 10
LOADS = ["constant", "ramp", "bursts"]


@dataclasses.dataclass(frozen=True)
class ServerCase:
    """Has what the runner reads of cases.Case."""

    server: str
    load: str
    expect: str = "silent"
    horizons: float = 3
    language: str = ""
    one_look: bool = False
    slow: bool = False

    @property
    def name(self):
        return f"server/{self.server}-{self.load}"


def find(*programs):
    for program in programs:
        if path := shutil.which(program, path=PATH):
            return path
    raise Skip(f"{programs[0]} is not installed")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)
    return path


# --- each server: (directory, port, scale_s) → its words, its environment, the protocol of its clients ---------------


def nginx(home, port, scale_s):
    write(home / "html" / "page", "hello\n")
    config = write(home / "nginx.conf", f"""
        daemon off; pid {home}/pid; error_log {home}/error.log; worker_processes 2;
        events {{ worker_connections 256; }}
        http {{ access_log off; keepalive_timeout {max(1, scale_s / 24):.0f}s;
                aio threads;
                server {{ listen 127.0.0.1:{port}; root {home}/html; }} }}""")
    return [find("nginx"), "-p", str(home), "-e", f"{home}/error.log", "-c", str(config)], {}, "http"


def apache(home, port, scale_s):
    modules = pathlib.Path("/usr/lib/apache2/modules")
    write(home / "html" / "page", "hello\n")
    names = {"mpm_worker_module": "mod_mpm_worker.so", "authz_core_module": "mod_authz_core.so"}
    loads = "\n".join(f"LoadModule {name} {modules / file}" for name, file in names.items())
    config = write(home / "apache.conf", f"""{loads}
        ServerRoot {home}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {home}/pid\nErrorLog {home}/error.log
        User www-data\nGroup www-data\nDocumentRoot {home}/html\nMutex file:{home}\nDefaultRuntimeDir {home}
        StartServers 2\nThreadsPerChild 40\nMaxRequestWorkers 80\nMinSpareThreads 10\nMaxSpareThreads 80
        KeepAliveTimeout {max(1, scale_s / 24):.0f}\nMaxKeepAliveRequests 0\n""")
    return [find("apache2"), "-D", "FOREGROUND", "-f", str(config)], {}, "http"


def mariadb(home, port, _scale_s):
    data = home / "data"  # empty: it does without system tables
    data.mkdir()
    return [find("mariadbd"), "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={home}/socket",
            f"--pid-file={home}/pid", "--bind-address=127.0.0.1", f"--port={port}", "--skip-grant-tables",
            "--innodb-buffer-pool-size=16M", "--skip-networking=0"], {}, "mysql"


def redis(home, port, scale_s):
    server = home / "redis-server"  # one program under many names; Debian has this name in the package with the service
    server.symlink_to(os.path.realpath(find("redis-server", "redis-check-rdb")))
    return [str(server), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home), "--save",
            f"{max(1, scale_s / 30):.0f} 1", "--daemonize", "no"], {}, "redis"


TOMCAT_PAGE = """
import jakarta.servlet.http.*;
public class Page extends HttpServlet {
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws java.io.IOException {
        try { Thread.sleep((long) (Math.random() * PAUSE_MS)); } catch (InterruptedException error) { return; }
        response.setContentLength(6);
        response.getWriter().print("hello\\n");
    }
}"""
TOMCAT_WEB = """<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="5.0">
    <servlet><servlet-name>page</servlet-name><servlet-class>Page</servlet-class></servlet>
    <servlet-mapping><servlet-name>page</servlet-name><url-pattern>/page</url-pattern></servlet-mapping></web-app>"""


def tomcat(home, port, scale_s):
    catalina = pathlib.Path("/usr/share/tomcat10")
    if not (catalina / "bin" / "bootstrap.jar").exists():
        raise Skip("tomcat10 is not installed")
    classes = home / "webapps" / "ROOT" / "WEB-INF" / "classes"
    source = write(home / "Page.java", TOMCAT_PAGE.replace("PAUSE_MS", f"{scale_s * 1000 / 900:.0f}"))
    done = subprocess.run([find("javac"), "-cp", f"{catalina}/lib/servlet-api.jar", "-d", str(classes), str(source)],
                          capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"javac: {done.stderr[-500:]}")
    write(home / "conf" / "web.xml", TOMCAT_WEB)
    write(home / "conf" / "server.xml", f"""<Server port="-1"><Service name="Catalina">
        <Connector address="127.0.0.1" port="{port}" maxThreads="60" minSpareThreads="4"
                   keepAliveTimeout="{scale_s * 1000 / 24:.0f}" maxKeepAliveRequests="-1"/>
        <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
        </Service></Server>""")
    for name in ("temp", "work", "logs"):
        (home / name).mkdir()
    classes = f"{catalina}/bin/bootstrap.jar:{catalina}/bin/tomcat-juli.jar"
    return [find("java"), "-Xmx128m", f"-Dcatalina.home={catalina}", f"-Dcatalina.base={home}",
            f"-Djava.io.tmpdir={home}/temp", "-cp", classes, "org.apache.catalina.startup.Bootstrap", "start"], {}, "http"


def etcd(home, port, _scale_s):
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    return [find("etcd"), "--data-dir", f"{home}/data", "--listen-client-urls", client, "--advertise-client-urls",
            client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
            f"default={peer}"], {}, "etcd"


def prometheus(home, port, scale_s):
    every = max(1, scale_s / 120)
    config = write(home / "prometheus.yml", f"""
        global: {{ scrape_interval: {every:.0f}s, scrape_timeout: {every:.0f}s }}
        scrape_configs: [{{ job_name: itself, static_configs: [{{ targets: ["127.0.0.1:{port}"] }}] }}]""")
    return [find("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={home}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"], {}, "prometheus"


def caddy(home, port, scale_s):
    write(home / "html" / "page", "hello\n")
    config = write(home / "caddy.json", json.dumps({
        "admin": {"listen": f"127.0.0.1:{free_port()}", "config": {"persist": False}},
        "apps": {"http": {"servers": {"own": {
            "listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True},
            "idle_timeout": f"{max(1, scale_s / 24):.0f}s", "routes": [
                {"match": [{"path": ["/metrics"]}], "handle": [{"handler": "metrics"}]},
                {"handle": [{"handler": "file_server", "root": f"{home}/html"}]}]}}}}}))
    return [find("caddy"), "run", "--config", str(config)], {"HOME": str(home), "XDG_DATA_HOME": str(home)}, "http"


def node(home, port, scale_s):
    script = write(home / "server.js", f"""
        const http = require('http'), fs = require('fs');
        http.createServer((request, response) => setTimeout(() => fs.readFile(__filename, () => {{
            response.writeHead(200, {{'Content-Length': 6}}); response.end('hello\\n');
        }}), Math.random() * {scale_s * 1000 / 900:.0f})).listen({port}, '127.0.0.1');""")
    return [find("node"), str(script)], {"HOME": str(home)}, "http"


SERVERS = {function.__name__: function
           for function in (nginx, apache, mariadb, redis, tomcat, etcd, prometheus, caddy, node)}
GO_SERVERS = ("etcd", "prometheus", "caddy")
QUIET_DEADLINE_S = 30
CASES = [ServerCase(server, load) for server in SERVERS for load in LOADS]


def descendants(pid):
    """Of a process, itself included, parents first."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for tid in os.listdir(f"/proc/{parent}/task"):
                found += map(int, pathlib.Path(f"/proc/{parent}/task/{tid}/children").read_text().split())
    return found


class Server:
    """A server at work under load; has what the runner uses of programs.Program."""

    def __init__(self, case, scale_s, seed, directory):
        directory.chmod(0o755)  # apache's children are not root
        home, self.port = directory / "home", free_port()
        home.mkdir()
        self.errors = open(directory / "server.log", "w+b")
        self.load_log = open(directory / "load.log", "w+b")
        self.load, self.case, self.totals = None, case, None
        words, more, protocol = SERVERS[case.server](home, self.port, scale_s)
        self.child = subprocess.Popen(words, cwd=home, env={**os.environ, "GOTRACEBACK": "system", **more}, stdin=subprocess.DEVNULL,
                                      stdout=self.errors, stderr=self.errors)
        try:
            self._wait_ready()
            clients = [os.path.realpath(sys.executable), str(HERE / "load.py"), protocol, str(self.port), case.load]
            self.load = subprocess.Popen([*clients, "--scale", f"{scale_s:g}", "--seed", str(seed)],
                                         stdin=subprocess.DEVNULL, stdout=self.load_log, stderr=self.errors)
            self._wait_answers()
        except BaseException:
            self.end()
            raise
        self.pids = descendants(self.child.pid)
        self.truths, self.leaks = [{"kind": "silent", "pid": self.child.pid, "tids": [], "leaf": None}], []

    def _wait_ready(self):
        end = time.monotonic() + START_DEADLINE_S
        while True:
            self.check_alive()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if time.monotonic() > end:
                raise Broken(f"no server listens within {START_DEADLINE_S} s: {self._messages()}")
            time.sleep(0.1)

    def counts(self):
        self.load_log.seek(0)
        lines = self.load_log.read().splitlines()
        return json.loads(lines[-1]) if lines else {"answers": 0, "errors": 0}

    def notes(self):
        notes = ["{answers} answers, {errors} errors".format(**self.counts())]
        if self.totals:
            notes.append("{} goroutines at rest, by its own dump {}, by its metric {}".format(*self.totals))
        return notes

    def _wait_answers(self):
        end = time.monotonic() + START_DEADLINE_S
        while not self.counts()["answers"]:
            self.check_alive()
            if time.monotonic() > end:
                raise Broken(f"the server answers nothing: {self.counts()} {self._messages()}")
            time.sleep(0.2)

    def own_metric(self):
        """How many goroutines the server says that it has while it answers: those that gather its metrics are in it."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/metrics", headers={"Connection": "close"})
            text = connection.getresponse().read().decode(errors="replace")
        found = re.search(r"^go_goroutines (\d+)", text, re.M)
        return int(found[1]) if found else None

    def goroutines(self, leakmon):
        done = subprocess.run([leakmon, "snapshot", "--json", "-p", str(self.child.pid)], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=60, check=False)
        return json.loads(done.stdout)["totals"]["goroutines"] if done.returncode == 0 else None

    def quiet_total(self, leakmon):
        """leakmon's count when three in a row are the same, now that nobody asks the server any more."""
        end, seen = time.monotonic() + QUIET_DEADLINE_S, []
        while len(seen) < 3 or len(set(seen[-3:])) > 1:
            if time.monotonic() > end:
                raise Broken(f"the goroutines do not come to rest: {seen[-8:]}")
            time.sleep(0.3)
            seen.append(self.goroutines(leakmon))
        return seen[-1]

    def wrong_totals(self, leakmon):
        """Why leakmon's count of goroutines is not that of the server's own dump, which ends it; [] if it is, or if the
        server is not of Go. The server's metric is no such truth: it counts what it takes to tell it."""
        if self.case.server not in GO_SERVERS:
            return []
        self.load.kill()
        self.load.wait()
        metric, total = self.own_metric(), self.quiet_total(leakmon)
        self.child.send_signal(signal.SIGABRT)  # caddy has another use for SIGQUIT
        self.child.wait(END_DEADLINE_S)
        self.errors.seek(0)
        dump = dumps.parse(self.errors.read().decode(errors="replace"))
        own = sum(1 for goid, goroutine in dump.items() if goid and not goroutine.is_system)
        self.totals = (total, own, metric)
        return [] if total == own else [f"{total} goroutines, its own dump has {own}, its metric says {metric}"]

    def _messages(self):
        self.errors.seek(0)
        return self.errors.read()[-800:].decode(errors="replace")

    def check_alive(self):
        for child in (self.child, self.load):
            if child and child.poll() is not None:
                raise Broken(f"{child.args[0]} ended with {child.returncode}: {self._messages()}")

    def end(self):
        if self.load:
            self.load.kill()
            self.load.wait()
        pids = descendants(self.child.pid)
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.child.wait(END_DEADLINE_S)
        if self.child.poll() is None:
            for pid in reversed(pids):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.wait()
        self.errors.close()
        self.load_log.close()

# SPDX-License-Identifier: GPL-2.0-or-later
"""`leakmon daemon`: what it keeps over restarts, how it is told things, what it does when something fails."""

import contextlib
import fcntl
import json
import os
import random
import re
import signal
import socket
import sqlite3
import subprocess
import time

import harness
from daemon import Daemon, free_port
from harness import Skip, build, check, check_equal, children, is_alive, need, poll, status, test
from leakmon import BINARY, ROOT, check_snapshot, kernel_objects, run, wait_gone
from test_go import SEED
from test_exports import VERSION as PPROF_VERSION, cumulative, pprof, toolchains

# Of tests that want a verdict soon: a leak is likely after a horizon.
FAST = ("--interval", "500ms", "--horizon", "6s", "--min-blocked", "100ms", "--cpu-limit", "0")
LEAK_MS = 100
KILLS, LONG_KILLS = 12, 200  # of the whole daemon; its history alone is killed 200 times in a unit test
CAPABILITIES = {2, 19, 34, 38, 39, 40}  # DAC_READ_SEARCH, SYS_PTRACE, SYSLOG, PERFMON, BPF, CHECKPOINT_RESTORE


def leak(t):
    return t.start(build("leak"), LEAK_MS)


def capabilities(pid, field):
    bits = int(status(pid)[field].strip(), 16)
    return {number for number in range(64) if bits >> number & 1}


def check_whole(state):
    """Nobody may have the history open meanwhile."""
    with contextlib.closing(sqlite3.connect(state / "history.db")) as database:
        check_equal(database.execute("PRAGMA integrity_check").fetchall(), [("ok",)], "integrity of the history")


@test()
def every_endpoint_answers_about_what_runs(t):
    process = leak(t)
    daemon = Daemon(t, *FAST, "-p", process.pid)
    finding = daemon.until_found(process.pid, "likely")
    report = daemon.json("/api/v1/snapshot")
    check_snapshot({**report, "self": {key: report["self"][key] for key in ("cpu_s", "rss_bytes", "bpf_bytes", "scan_s")}})
    site = daemon.json(f"/api/v1/sites/{finding['site']}")
    check_equal(site["now"][0]["pid"], process.pid, "the site's process", site)
    poll(10, "there are points", lambda: len(daemon.json(f"/api/v1/history?site={finding['site']}")["points"]) > 2)
    points = daemon.json(f"/api/v1/history?site={finding['site']}")["points"]
    counts = [point["count"] for point in points]
    check(counts == sorted(counts) and counts[-1] > counts[0], "the site grew", points)
    check(int(daemon.text(f"/threads?pid={process.pid}")) >= counts[-1], "threads")
    check_equal(daemon.status(f"/goroutines?pid={process.pid}"), 404, "it is no Go program")
    metrics = daemon.text("/metrics")
    check(re.search(r'^leakmon_findings\{level="likely",type="leak"\} 1$', metrics, re.M), "a finding in the metrics", metrics)
    check(re.search(r"^process_resident_memory_bytes [1-9]", metrics, re.M), "the memory of leakmon", metrics)
    check("<script" in daemon.text("/"), "the page")
    check_equal(daemon.status("/nothing"), 404, "what is not there")


@test()
def a_finding_goes_on_over_a_restart(t):
    process = leak(t)
    first = Daemon(t, *FAST)
    before = first.until_found(process.pid, "likely")
    first.end()
    check("found: " in first.messages(), "it was told", first.messages())
    second = Daemon(t, *FAST, state=first.state)
    after = second.until_found(process.pid, "likely", deadline_s=5)
    check_equal((after["id"], after["since"][:19], after["level"]), (before["id"], before["since"][:19], before["level"]),
                "id, since and level", (before, after))
    check(before["evidence"]["retrospective"] or not after["evidence"]["retrospective"], "what was watched still is",
          (before, after))
    check(f"found: likely leak in leak[{process.pid}]" not in second.messages(), "it is not told again", second.messages())
    changes = second.json("/api/v1/history")["changes"]
    mine = [change for change in changes if change["id"] == before["id"]]
    check("found" in json.dumps(mine), "its beginning is remembered", mine)
    process.end()
    second.said(f"ended: likely leak in leak[{process.pid}]")


@test("multiquery", "agent")
def a_finding_about_goroutines_goes_on_over_a_restart(t, program):
    try:
        words = [toolchains.build(program, toolchains.IN_CI[-1]), *SEED]
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None
    process = t.start(*words)
    first = Daemon(t, *FAST, "-p", process.pid)
    before = first.until_found(process.pid, "likely")
    first.end()
    second = Daemon(t, *FAST, "-p", process.pid, state=first.state)
    after = poll(20, "the finding", lambda: next((f for f in second.findings(process.pid) if f["id"] == before["id"]), None))
    check_equal((after["since"][:19], after["level"]), (before["since"][:19], before["level"]), "since and level",
                (before, after))
    check(f"found: likely leak in {before['comm']}" not in second.messages(), "it is not told again", second.messages())


@test()
def kill_at_any_moment_leaves_a_whole_history_and_nothing_in_the_kernel(t):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    t.note(f"seed {seed}")
    chance = random.Random(seed)
    process = leak(t)
    state = t.directory() / "state"
    port, opened, kills = free_port(), 0, LONG_KILLS if t.long else KILLS
    for _ in range(kills):
        daemon = Daemon(t, "--interval", "100ms", "--horizon", "6s", "-p", process.pid, state=state, port=port, ready=False)
        poll(20, "it has BPF objects", lambda: kernel_objects(daemon.pid) or daemon.child.poll() is not None)
        time.sleep(chance.random())
        workers = children(daemon.pid)
        daemon.send(signal.SIGKILL)
        daemon.child.wait(10)
        wait_gone([daemon.pid, *workers])
        if (state / "history.db").exists():
            check_whole(state)
            opened += 1
    t.note(f"killed {kills} times; there was a history {opened} times")
    check(opened > kills // 2, f"there was a history {opened} times")
    last = Daemon(t, *FAST, "-p", process.pid, state=state, port=port)
    check("broken" not in last.messages(), "it opens what is there", last.messages())
    last.end()


@test()
def sigterm_ends_it_within_a_second(t):
    daemon = Daemon(t, "--interval", "10s")
    workers = children(daemon.pid)
    begun = time.monotonic()
    daemon.end()
    took_s = time.monotonic() - begun
    t.note(f"{took_s:.2f} s")
    wait_gone(workers)
    # the machine may be busy: a loop that waits for its interval, or for a client, takes longer than that
    check(took_s < 3, f"it ended after {took_s:.1f} s")


@test()
def it_keeps_few_capabilities_and_so_does_what_it_starts(t):
    daemon = Daemon(t, "--interval", "1s")
    for field in ("CapPrm", "CapEff", "CapBnd"):
        check(capabilities(daemon.pid, field) <= CAPABILITIES, field, capabilities(daemon.pid, field))
    check_equal(status(daemon.pid)["NoNewPrivs"].strip(), "1", "no new privileges")
    for worker in children(daemon.pid):
        check_equal(capabilities(worker, "CapEff"), set(), "capabilities of the resolver")


@test()
def the_configuration_is_read_again_and_a_wrong_one_changes_nothing(t):
    config = t.directory() / "leakmon.yml"
    config.write_text("interval: 1h\nhorizon: 30s\n")
    daemon = Daemon(t, "--config", config)
    generation = daemon.json("/api/v1/snapshot")["time"]
    config.write_text("interval: 200ms\nhorizon: 60s\n")
    daemon.send(signal.SIGHUP)
    daemon.said("horizon has changed: that needs a restart")
    daemon.said("the configuration was read again")
    poll(20, "reports come more often", lambda: daemon.json("/api/v1/snapshot")["time"] != generation)
    config.write_text("interval: 200ms\nintervall: 3s\n")
    daemon.send(signal.SIGHUP)
    daemon.said("line 2")
    daemon.said("the configuration stays as it was")
    check_equal(daemon.status("/-/healthy"), 200, "it goes on")


@test()
def a_wrong_configuration_is_an_error_that_names_it(t):
    config = t.directory() / "leakmon.yml"
    for text, parts in (("interval: 5x\n", ("line 1", "interval", "5x")), ("a: 1\n", ("line 1", '"a"')),
                        ("listen: nowhere\n", ("listen", "nowhere")), ("interval: [1s, 2s]\n", ("interval", "list")),
                        ("interval: 1s\ninterval: 2s\n", ("line 2", "interval")), ("- 1\n", ("options",)),
                        ("kernel-threads: maybe\n", ("kernel-threads", "maybe"))):
        config.write_text(text)
        for more in ([], ["--check-config"]):
            result = run(t, "daemon", "--config", config, *more, code=64)
            for part in (str(config), *parts):
                check(part in result.messages(), f"{part} is named", result.messages())
    config.write_text("interval: 2s\n")
    check("right" in run(t, "daemon", "--config", config, "--check-config").text(), "a right one")
    result = run(t, "daemon", "--config", "/nowhere/leakmon.yml", code=2)
    check("/nowhere/leakmon.yml" in result.messages(), "the file is named", result.messages())
    web = t.directory() / "web.yml"
    web.write_text("basic_auth_users:\n  alice: secret\n")
    for path, more, code, part in (("/nowhere/web.yml", ["--check-config"], 2, "the web configuration cannot be opened"),
                                   ("/nowhere/web.yml", [], 2, "the web configuration cannot be opened"),
                                   (web, ["--check-config"], 64, "alice")):
        result = run(t, "daemon", "--listen", "127.0.0.1:0", "--web-config", path, *more, code=code)
        check(str(path) in result.messages() and part in result.messages(), f"{path} and {part!r}", result.messages())


@test()
def an_address_in_use_is_named(t):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(t, "daemon", "--listen", f"127.0.0.1:{port}", "--state-dir", t.directory(), code=2)
    check(f"127.0.0.1:{port}" in result.messages() and "--listen" in result.messages(), "what to do", result.messages())


@test("--format text", "--format json", "-j", "")
def reports_are_written_where_that_is_asked_for(t, options):
    path = t.directory() / "out"
    with open(path, "wb") as out:
        daemon = Daemon(t, "--interval", "200ms", "-p", os.getpid(), *options.split(), stdout=out)
    before = daemon.json("/api/v1/snapshot")["time"]
    poll(20, "a second report", lambda: daemon.json("/api/v1/snapshot")["time"] != before)
    daemon.end()
    text = path.read_text()
    check(text.startswith({"--format text": "leakmon ", "": ""}.get(options, "{")) and bool(text) == bool(options), "reports", text)


@test()
def a_reader_of_reports_that_is_late_holds_nothing_up(t):
    process = t.blocker("waits")
    reader, writer = os.pipe()
    t.stack.callback(os.close, reader)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    daemon = Daemon(t, "-p", process.pid, "-j", "--interval", "200ms", "--min-blocked", "1ms", stdout=writer)
    os.close(writer)
    daemon.said("its reader takes no more")
    before = daemon.json("/api/v1/snapshot")["time"]
    poll(20, "reports go on", lambda: daemon.json("/api/v1/snapshot")["time"] > before)
    data = b""
    while data.count(b"\n") < 5:
        data += os.read(reader, 65536)
    check_equal({json.loads(line)["schema"] for line in data.split(b"\n")[:5]}, {"leakmon.snapshot/1"}, "whole reports")
    daemon.said("reports are written again")
    daemon.end()


@test()
def a_report_is_logged_when_asked_for(t):
    process = t.blocker("waits")
    daemon = Daemon(t, "--interval", "1s", "--min-blocked", "1ms", "-p", process.pid)
    daemon.send(signal.SIGUSR1)
    daemon.said("cond_start")


@test()
def reports_replace_a_file_or_follow_each_other_on_stdout(t):
    process = t.blocker("waits")
    path = t.directory() / "report.json"
    daemon = Daemon(t, "--interval", "200ms", "-p", process.pid, "--json", "-o", path)
    first = poll(10, "a report", lambda: path.exists() and json.loads(path.read_text()))
    poll(10, "another", lambda: json.loads(path.read_text())["time"] > first["time"])
    daemon.end()
    lines = t.directory() / "lines"
    with open(lines, "wb") as out:
        daemon = Daemon(t, "--interval", "200ms", "-p", process.pid, "--json", stdout=out)
    poll(10, "three reports", lambda: lines.read_bytes().count(b"\n") >= 3)
    daemon.end()
    for line in lines.read_text().splitlines():
        check_equal(json.loads(line)["schema"], "leakmon.snapshot/1", "schema")


def small_disk(t, kib):
    """A file system of its own that is soon full."""
    path = t.directory()
    need("mount")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", path], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"no tmpfs can be mounted: {done.stderr.strip()}")
    t.stack.callback(subprocess.run, ["umount", "-l", path], check=False)
    return path


@test()
def a_full_disk_costs_the_history_and_not_the_watching(t):
    process = leak(t)
    disk = small_disk(t, 4096)
    daemon = Daemon(t, *FAST, "-p", process.pid, state=disk / "state")
    poll(20, "there is a history", lambda: daemon.json("/api/v1/history")["schema"])
    with open(disk / "fill", "wb") as fill:
        try:
            while True:
                fill.write(b"\0" * 65536)
                fill.flush()
        except OSError:
            pass
    daemon.said("the history could not be written, and leakmon watches on", 60)
    poll(20, "reports say so", lambda: "history" in str(daemon.json("/api/v1/snapshot")["self"]["given_up"]))
    daemon.until_found(process.pid, "likely")
    os.unlink(disk / "fill")
    daemon.said("the history is written again", 60)
    daemon.end()
    check_whole(disk / "state")


@test()
def a_state_directory_that_cannot_be_used_costs_the_history_alone(t):
    process = leak(t)
    path = t.directory() / "file"
    path.write_text("no directory")
    daemon = Daemon(t, *FAST, "-p", process.pid, state=path)
    daemon.said("there is no history")
    check(str(path) in daemon.messages(), "the directory is named", daemon.messages())
    check_equal(daemon.status("/api/v1/history"), 503, "the history")
    daemon.until_found(process.pid, "likely")


@test()
def two_daemons_do_not_share_a_history(t):
    first = Daemon(t, "--interval", "1s")
    second = Daemon(t, "--interval", "1s", state=first.state)
    second.said("there is no history")
    check_equal(first.status("/api/v1/history"), 200, "the first one's history")


@test()
def output_that_fails_does_not_stop_the_watching(t):
    process = leak(t)
    disk = small_disk(t, 64)
    (disk / "fill").write_bytes(b"\0" * 60000)
    daemon = Daemon(t, *FAST, "-p", process.pid, "--json", "-o", disk / "report.json")
    daemon.said("the report could not be written to")
    daemon.until_found(process.pid, "likely")
    check(not [name for name in os.listdir(disk) if name not in ("fill", "report.json")], "nothing is left", os.listdir(disk))
    os.unlink(disk / "fill")


@test()
def a_service_manager_hears_of_it(t):
    path = t.directory() / "notify"
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(20)
        daemon = Daemon(t, "--interval", "500ms", env={**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "30000000"})

        def listen_for(line):
            while line not in heard:
                heard.extend(manager.recv(4096).decode().splitlines())

        listen_for("READY=1")
        heard.clear()
        listen_for("WATCHDOG=1")
        daemon.send(signal.SIGHUP)
        listen_for("RELOADING=1")
        listen_for("READY=1")
        daemon.send(signal.SIGTERM)
        listen_for("STOPPING=1")
        check_equal(daemon.child.wait(10), 0, "exit code")


@test()
def a_socket_of_the_service_manager_is_served(t):
    with socket.socket() as ours:
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        port = ours.getsockname()[1]

        # as systemd does it: the socket is descriptor 3, the variables name the process that will be leakmon
        code = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execv(sys.argv[1], sys.argv[1:])"
        fd = os.dup2(ours.fileno(), 3) if ours.fileno() != 3 else 3
        words = ["python3", "-c", code, BINARY, "daemon", "--state-dir", t.directory(), "--interval", "1s"]
        child = subprocess.Popen(list(map(str, words)), pass_fds=(fd,), env={**os.environ, "LISTEN_FDS": "1"},
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.stack.callback(child.wait)
    t.stack.callback(child.kill)
    daemon = Daemon.__new__(Daemon)
    daemon.port, daemon.child, daemon.log = port, child, t.directory() / "log"
    daemon.log.write_text("")
    poll(30, "it answers on that socket", daemon.is_ready)


@test()
def a_process_that_ends_is_told_in_events(t):
    process = leak(t)
    daemon = Daemon(t, *FAST, "-p", process.pid)
    daemon.until_found(process.pid, "likely")
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=30) as client:
        client.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{daemon.port}\r\n\r\n".encode())
        got = b""
        while b"event: finding" not in got:
            got += client.recv(65536)
        process.end()
        while b"event: ended" not in got:
            data = client.recv(65536)
            check(data, "the stream goes on", got[-2000:])
            got += data
    check(is_alive(daemon.pid), "the daemon goes on when all that it watched has ended")


@test()
def the_page_shows_what_the_daemon_has_found(t):
    need("chromedriver", "chromium")
    process = leak(t)
    daemon = Daemon(t, *FAST, "-p", process.pid)
    daemon.until_found(process.pid, "likely")
    done = subprocess.run([ROOT / "tests" / "page" / "run.py"], capture_output=True, text=True, timeout=200, check=False,
                          env={**os.environ, "LEAKMON_URL": f"http://127.0.0.1:{daemon.port}"})
    check(done.returncode == 0 and re.search(r"^[1-9]\d* passed, 0 failed", done.stdout, re.M), "the page's own tests",
          done.stdout[-3000:] + done.stderr[-1000:])


def go_program(t, version, count):
    """A Go program with so many goroutines that wait, and what it says of itself."""
    try:
        program = toolchains.build("many", version)
    except toolchains.Missing as missing:
        raise Skip(str(missing)) from None
    process = t.start(program, "-n", count)
    truth = process.line()
    harness.settle(process.pid, running=1)
    return process, truth


@test()
def goroutines_of_an_unmodified_go_program_are_one_number(t):
    process, _ = go_program(t, toolchains.IN_CI[0], 500)
    daemon = Daemon(t, "--interval", "300ms", "-p", process.pid)
    poll(20, "500 goroutines", lambda: int(daemon.text(f"/goroutines?pid={process.pid}")) >= 500)


@test()
def go_tool_pprof_opens_the_addresses(t):
    native = t.blocker("waits")
    process, truth = go_program(t, PPROF_VERSION, 500)
    daemon = Daemon(t, "--interval", "300ms", "--min-blocked", "1ms", "-p", f"{native.pid},{process.pid}")
    url = f"http://127.0.0.1:{daemon.port}/debug/pprof"
    poll(20, "500 goroutines", lambda: int(daemon.text(f"/goroutines?pid={process.pid}")) >= 500)
    top = pprof(t, f"{url}/threads?pid={native.pid}", "-top", "-nodecount=500")
    counts = cumulative(top)
    check("Type: count" in top, "count is the default", top)
    for group in native.truth["groups"]:
        check(int(counts.get(group["chain"][-1], 0)) >= group["count"], f"count of {group['name']}", top)
    check("Type: age" in pprof(t, f"{url}/threads?pid={native.pid}", "-top", "-sample_index=age"), "ages")
    counts = cumulative(pprof(t, f"{url}/goroutines?pid={process.pid}", "-top", "-nodecount=500"))
    for group in truth["groups"]:
        check_equal(int(counts.get(group["name"], 0)), truth["each"], f"goroutines in {group['name']}", counts)
    check(daemon.text(f"/debug/pprof/goroutines?debug=1&pid={process.pid}").startswith("goroutine profile: total"), "text")


@test()
def a_site_of_thousands_is_kept_over_a_restart(t):
    process = t.start(build("asked"))
    process.ask("5000", deadline_s=60)
    daemon = Daemon(t, *FAST, "-p", process.pid)
    poll(30, "they are reported", lambda: daemon.json("/api/v1/snapshot")["totals"]["blocked_threads"] > 5000)
    daemon.end()  # saves what is known of each site
    check("could not be written" not in daemon.messages(), "it was saved", daemon.messages())

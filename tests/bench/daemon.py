"""What the daemon costs: on an idle machine, and on one that switches all the time."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

LEAKMON = "build/leakmon"
OUT = "build/bench"
PROCESSES = 100
THREADS = 20_000
START_S = 70  # what is new is read once, and --cpu-limit takes three reports each time to slow the looks


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def family(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return [pid, *map(int, children.read().split())]


def cpu_ns(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/schedstat") as schedstat:
            total += int(schedstat.read().split()[0])
    return total


def rss_mib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as status:
            total += int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])
    return total / 1024


def switches():
    with open("/proc/stat") as stat:
        return int(re.search(r"^ctxt (\d+)", stat.read(), re.M)[1])


def measure(pids, seconds, *words):
    """The share of a CPU that the daemon and its resolver use, their memory, and the machine's switches a second."""
    port = free_port()
    with tempfile.TemporaryDirectory() as state:
        daemon = subprocess.Popen([LEAKMON, "daemon", "--listen", f"127.0.0.1:{port}", "--state-dir", state,
                                   *(["-p", ",".join(map(str, pids))] if pids else []), *words], stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while time.monotonic() < end:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=10).close()
                    break
                except OSError:
                    time.sleep(0.1)
            time.sleep(START_S)
            us = family(daemon.pid)
            begun, cpu, switched = time.monotonic(), cpu_ns(us), switches()
            time.sleep(seconds)
            took = time.monotonic() - begun
            return (cpu_ns(us) - cpu) / 1e9 / took, rss_mib(us), (switches() - switched) / took
        finally:
            daemon.terminate()
            daemon.wait()


def bench_idle(seconds):
    idle = [subprocess.Popen(["sleep", "10000"]) for _ in range(PROCESSES)]
    try:
        share, memory, _ = measure([process.pid for process in idle], seconds)
    finally:
        for process in idle:
            process.kill()
            process.wait()
    print(f"the daemon, {PROCESSES} idle processes, a look each second")
    print(f"  {100 * share:.2f} % of one CPU (goal 0.3 %), {memory:.0f} MiB for all its processes (goal 40 MiB)\n")


def bench_busy(seconds):
    blocked = subprocess.Popen([f"{OUT}/threads", str(THREADS)], stdout=subprocess.PIPE, text=True)
    blocked.stdout.readline()
    switching = [subprocess.Popen(["taskset", "-c", str(cpu), "perf", "bench", "sched", "pipe", "-l", "1000000000"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
                 for cpu in range(os.cpu_count())]
    try:
        share, memory, switched = measure([], seconds)
    finally:
        for process in switching:
            os.killpg(process.pid, signal.SIGKILL)  # it has a child
            process.wait()
        blocked.kill()
        blocked.wait()
        blocked.stdout.close()
    print(f"the daemon, the whole machine, {THREADS} blocked threads, {switched:,.0f} switches a second")
    print(f"  {100 * share:.2f} % of one CPU beyond the switch path (goal 2 %), {memory:.0f} MiB\n")


def bench(quick):
    bench_idle(20 if quick else 60)
    bench_busy(40 if quick else 120)

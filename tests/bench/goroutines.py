# SPDX-License-Identifier: GPL-2.0-or-later
"""What it costs a Go program that somebody looks at its goroutines: the gaps in the time of one that runs without end on a
thread of its own, beside many that wait. What the thread waited for a CPU is not due to who looks, and is told apart."""

import contextlib
import pathlib
import statistics
import subprocess
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "golang"), str(ROOT / "tests" / "integration")]

import compare  # noqa: E402
import toolchains  # noqa: E402

VERSION = "1.24"
WAITING = 10_000
LEAKMON = str(ROOT / "build" / "leakmon")
DLV = ROOT / "build" / "go" / "delve" / "usr" / "bin" / "dlv"
DLV_DEADLINE_S = 60


def program():
    names = ["spin.go", "truth.go", "pprof_server.go"]
    return toolchains.build_files("bench-spin", {name: (toolchains.SOURCES / name).read_text() for name in names}, VERSION)


def delve():
    """Debian's of the version that goes with the compiler; None if it cannot be had."""
    if not DLV.exists():
        script = f'. tests/suite.sh; suite_open trixie "{DLV.parents[2]}.apt" && suite_unpack "{DLV.parents[2]}.apt" delve && ' \
                 f'mv "{DLV.parents[2]}.apt/tree" "{DLV.parents[2]}"; rm -rf "{DLV.parents[2]}.apt"'
        subprocess.run(["bash", "-c", script], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return str(DLV) if DLV.exists() else None


@contextlib.contextmanager
def nobody(_):
    yield lambda: None


@contextlib.contextmanager
def leakmon(target):
    child = subprocess.Popen([LEAKMON, "-o", "/dev/null", "-p", str(target.pid), "--min-blocked", "1ms", "100ms"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.5)  # the first look is past
    try:
        yield lambda: None
    finally:
        child.terminate()
        child.wait()


def pprof(debug):
    @contextlib.contextmanager
    def fetch(target):
        url = f"http://{target.ask('listen')['address']}/debug/pprof/goroutine?debug={debug}"

        def once():
            with urllib.request.urlopen(url, timeout=30) as answer:
                while answer.read(1 << 16):
                    pass
        yield once
    return fetch


@contextlib.contextmanager
def attached(target):
    """Attaches, lists the goroutines, lets go."""
    def once():
        subprocess.run([str(DLV), "attach", str(target.pid), "--allow-non-terminal-interactive=true"],
                       input=b"goroutines\nquit\nn\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=DLV_DEADLINE_S, check=False)
    yield once


def measure(binary, seconds, look):
    """Of each second: (longest gap, longest that was no waiting for a CPU), in µs."""
    target = compare.Program(binary, "-n", WAITING)
    found = []
    try:
        with look(target) as once:
            target.ask("gaps")
            for _ in range(seconds):
                end = time.monotonic() + 1
                once()
                time.sleep(max(0.0, end - time.monotonic()))
                gaps = target.ask("gaps")
                found.append((gaps["longest_s"] * 1e6, gaps["longest_running_s"] * 1e6))
    finally:
        target.end()
    return found


def bench(seconds):
    try:
        binary = program()
    except toolchains.Missing as missing:
        print(f"gaps in a Go program: skipped, {missing}\n")
        return
    rows = [("nobody looks", nobody, 1), ("leakmon, ten looks a second", leakmon, 1),
            ("pprof debug=1, once a second", pprof(1), 1), ("pprof debug=2, once a second", pprof(2), 1)]
    if delve():
        rows.append(("delve attaches, once a second", attached, 4))
    print(f"the longest gap in each second of a spinning goroutine beside {WAITING:,} that wait, µs: with what it waited for a\n"
          "CPU, and what is due to stops and faults alone")
    print(f"  {'':30} {'median':>9} {'longest':>9}   {'median':>9} {'longest':>9}  over 1 ms")
    for name, look, fewer in rows:
        found = measure(binary, max(3, seconds // fewer), look)
        whole, own = [gap for gap, _ in found], [gap for _, gap in found]
        print(f"  {name:30} {statistics.median(whole):9,.0f} {max(whole):9,.0f}   {statistics.median(own):9,.0f} "
              f"{max(own):9,.0f}  {sum(gap > 1000 for gap in own)} of {len(own)}", flush=True)
    print("  goal: with leakmon none over 1 ms that is due to it")


if __name__ == "__main__":
    bench(int(sys.argv[1]) if len(sys.argv) > 1 else 20)

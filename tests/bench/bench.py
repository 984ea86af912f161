#!/usr/bin/env python3
"""Speed, side by side in one run: ratios against an empty program and offcputime. Absolute figures are this machine's."""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True

import daemon  # noqa: E402
import goroutines  # noqa: E402

OUT = "build/bench"
LEAKMON = "build/leakmon"
REPEATS = 5
SETTLE_S = 0.5  # the kernel frees what a program that has ended had there


def start(command, ready=None, cpu=1):
    """A background command on one CPU; waits for its READY line, or that long."""
    process = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    if ready is None:
        if process.stdout.readline().strip() != "READY":
            sys.exit(f"bench: {command[0]} could not be started")
    else:
        time.sleep(ready)
    return process


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def perf_bench(words, cpu=0):
    text = subprocess.run(["taskset", "-c", str(cpu), "perf", "bench", *words], capture_output=True, text=True,
                          check=True).stdout
    return float(re.search(r"([\d.]+) usecs/op", text).group(1))


def interleaved(variants, rounds, measure):
    """Medians and spreads of each variant, measured in turn. What else the machine does only ever adds, so that of a few
    measurements in a row the smallest counts."""
    samples = {name: [] for name in variants}
    for _ in range(rounds):
        for name, begin in variants.items():
            process = begin()
            samples[name].append(min(measure() for _ in range(REPEATS)))
            if process:
                end(process)
                time.sleep(SETTLE_S)
    return {name: (statistics.median(values), max(values) - min(values)) for name, values in samples.items()}


def watch(*words):
    """leakmon with its output thrown away, once a second."""
    return lambda: start([LEAKMON, "-o", "/dev/null", *words, "1"], ready=1.5)


def bench_switch(rounds, loops):
    other = subprocess.Popen(["sleep", "1000"])
    variants = {
        "nothing": lambda: None,
        "an empty program": lambda: start([f"{OUT}/attach", f"{OUT}/empty.bpf.o"]),
        "leakmon": watch(),
        "leakmon -p another": watch("--futex", "off", "-p", str(other.pid)),
    }
    offcputime = shutil.which("offcputime", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if offcputime:
        variants["offcputime"] = lambda: start([offcputime, "1000"], ready=2.5)
    result = interleaved(variants, rounds, lambda: perf_bench(["sched", "pipe", "-l", str(loops)]))
    other.kill()
    other.wait()
    nothing = result["nothing"][0]
    empty = result["an empty program"][0] - nothing
    print("perf bench sched pipe on one CPU, µs an operation (two switches), medians")
    for name, (median, spread) in result.items():
        added = median - nothing
        note = "" if name == "nothing" else f"  added {added:6.3f}  {added / empty:5.2f} × empty"
        print(f"  {name:22} {median:7.3f}{note}  (spread {spread:.2f})")
    if offcputime:
        ratio = (result["offcputime"][0] - nothing) / (result["leakmon"][0] - nothing)
        print(f"  offcputime adds {ratio:.1f} × what leakmon adds")
    print("  goals: leakmon ≤ 2 × empty and ≤ 1/15 of offcputime; -p another ≤ 1.3 × empty\n")


def bench_syscall(rounds, loops):
    result = interleaved({"nothing": lambda: None, "leakmon": watch()}, rounds,
                         lambda: perf_bench(["syscall", "basic", "-l", str(loops)]))
    nothing, leakmon = result["nothing"][0], result["leakmon"][0]
    print("perf bench syscall basic (getppid), µs an operation, medians")
    print(f"  nothing {nothing:.4f} (spread {result['nothing'][1]:.4f}), leakmon {leakmon:.4f} "
          f"(spread {result['leakmon'][1]:.4f}): {100 * (leakmon / nothing - 1):+.1f} %")
    print("  goal: within 2 %\n")


def bench_many(count):
    target = start([f"{OUT}/threads", str(count)])
    begun = time.monotonic()
    watcher = subprocess.Popen([LEAKMON, "-p", str(target.pid), "--min-blocked", "1ms", "-j", "1", "6"],
                               stdout=subprocess.PIPE, text=True)
    reports, first = [], None
    for line in watcher.stdout:
        first = first or time.monotonic() - begun
        reports.append(json.loads(line))
    watcher.wait()
    watcher.stdout.close()
    end(target)
    cpu = [report["self"]["cpu_s"] for report in reports]
    looked = reports[0]["totals"]["threads"]
    each = statistics.median((b - a) * 1e6 / looked for a, b in zip(cpu[1:], cpu[2:]))
    print(f"{count} blocked threads in one process, seven sites")
    print(f"  counted {reports[-1]['totals']['blocked_threads']} of {looked}; first report after {first:.2f} s (goal 2 s)")
    print(f"  an unchanged thread costs {each:.2f} µs CPU a look, kernel and user (goal 2 µs)")
    print(f"  leakmon and its resolver: {reports[-1]['self']['rss_bytes'] / 2**20:.0f} MiB (goal 96 MiB)\n")


def gaps(seconds, watched):
    """The longest gap of each second in a spinning thread of a process with 1,000 blocked ones, in µs."""
    target = start([f"{OUT}/threads", "1000", "spin"], cpu=0)
    watcher = start([LEAKMON, "-o", "/dev/null", "-p", str(target.pid), "--min-blocked", "1ms", "100ms"],
                    ready=1) if watched else None
    found = [int(target.stdout.readline()) for _ in range(seconds)]
    if watcher:
        end(watcher)
    end(target)
    return found


def bench_gaps(seconds):
    alone, watched = gaps(seconds, False), gaps(seconds, True)
    print("the longest gap in each second of a spinning thread of the target, µs; ten looks a second")
    for name, found in (("alone", alone), ("watched", watched)):
        print(f"  {name:8} median {statistics.median(found):.0f}, longest {max(found)}, over 2,000: "
              f"{sum(gap > 2000 for gap in found)} of {len(found)}")
    print("  goal: none over 2,000 that is due to leakmon\n")


def bench_verdicts():
    found = json.loads(subprocess.run([f"{OUT}/verdicts"], check=True, capture_output=True).stdout)
    print("all verdicts on 10,000 groups with 1,000,000 residences, none of them obvious")
    print(f"  {found['ms']:.0f} ms, {found['mib']:.0f} MiB (goals 50 ms, 64 MiB)\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds: about a minute")
    quick = parser.parse_args().quick
    if os.geteuid() != 0:
        sys.exit("bench: run it as root: sudo make bench")
    if not shutil.which("perf"):
        sys.exit("bench: there is no perf: apt-get install linux-perf")
    bench_switch(3 if quick else 9, 30_000)
    bench_syscall(3 if quick else 9, 1_000_000)
    bench_many(20_000)
    bench_verdicts()
    daemon.bench(quick)
    bench_gaps(5 if quick else 20)
    goroutines.bench(5 if quick else 20)


if __name__ == "__main__":
    main()

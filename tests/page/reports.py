# SPDX-License-Identifier: GPL-2.0-or-later
"""The reports that the page is shown: golden ones, and some made of them."""

import copy
import json
import pathlib
import random

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"

MARKUP = ['<img src=x onerror="window.owned=1">', "<script>window.owned=1</script>", '"><svg onload=window.owned=1>',
          "javascript:window.owned=1", "</bdi></td><h1>owned</h1>", "${window.owned=1}{{owned}}", "__proto__", "constructor"]
KEPT = {"schema", "time", "since", "oldest_blocked_since", "newest_blocked_since", "site"}


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def everywhere(value, texts):
    """Every text of the report is one of these, but for times and what rows are found by."""
    if isinstance(value, dict):
        return {key: item if key in KEPT else everywhere(item, texts) for key, item in value.items()}
    if isinstance(value, list):
        return [everywhere(item, texts) for item in value]
    if isinstance(value, str):
        texts.append(texts.pop(0))
        return texts[-1]
    return value


def of_markup():
    report = everywhere(golden("leaky"), list(MARKUP))
    go = everywhere(golden("go"), list(MARKUP))
    report["sites"] += go["sites"]
    report["processes"] += go["processes"]
    report["losses"] = {text: i + 1 for i, text in enumerate(MARKUP)}
    report["complete"] = False
    return report


def empty():
    report = golden("ended")
    report["notes"] = []
    return report


def everything():
    """Threads and goroutines, findings of both, losses, and what could not be seen."""
    report, go, nameless = golden("leaky"), golden("go"), golden("nameless")
    report["sites"] = report["sites"][:2] + go["sites"] + nameless["sites"] + report["sites"][2:]
    report["processes"] += go["processes"] + nameless["processes"]
    report["losses"], report["complete"] = nameless["losses"], False
    report["totals"] = {**report["totals"], "goroutines": 1241, "sites": len(report["sites"]),
        "processes": len(report["processes"])}
    report["findings"].insert(1, {**report["findings"][1], "id": "1111222233334444", "level": "confirmed", "pid": 4711,
        "site": "1111222233334444", "held_back": None, "exhaustion": {"resource": "memory.max", "limit": 2147483648,
        "at": "2026-11-24T09:12:00.123Z"},
        "summary": "1,204 goroutines of api, created by main.multiQuery, entered main.query over 52 min, spread over 12 of "
        "12 time slices; none has left."})
    return report


def many(sites, seed=1):
    """A machine with that many sites, deep stacks, and names of every length."""
    chance = random.Random(seed)
    report = golden("leaky")
    template = report["sites"][0]
    words = ["accept", "Session", "read", "Handle", "poll", "queue", "drain", "Flush", "worker", "main", "io", "Store", "commit"]
    report["sites"] = []
    report["processes"] = []
    for i in range(sites):
        pid = 1000 + i % 60
        site = copy.deepcopy(template)
        frames = []
        for depth in range(chance.randrange(4, 24)):
            name = "::".join(chance.choice(words) for _ in range(chance.randrange(1, 4)))
            frames.append({"function": f"{name}_{chance.randrange(40)}", "module": f"server{pid % 7}", "build_id": None,
                "offset": 64 * depth, "file": f"src/{chance.choice(words).lower()}.cc", "line": chance.randrange(1, 900),
                "inlined": False})
        outer = [{**frames[0], "function": "main", "file": "main.cc", "line": 12}, {**frames[0], "function": f"run_{i % 5}"}]
        site.update(site=f"{i:016x}", pid=pid, comm=f"server{pid % 7}", count=chance.randrange(1, 300) if i % 3 else 1,
            stack=frames + list(reversed(outer)), members=[], idle_pool=i % 10 == 9, rate_per_h=chance.random() * 100,
            median_blocked_s=chance.random() * 5000)
        report["sites"].append(site)
    for pid in range(1000, 1060):
        report["processes"].append({**golden("leaky")["processes"][0], "pid": pid, "comm": f"server{pid % 7}"})
    report["findings"] = [{**report["findings"][1], "site": f"{i:016x}", "pid": 1000 + i % 60, "id": f"f{i:015x}",
        "level": ("confirmed", "likely", "suspect")[i % 3]} for i in range(12)]
    report["totals"].update(sites=sites, processes=60, threads=90000, blocked_threads=sum(site["count"] for site in report["sites"]))
    return report

# SPDX-License-Identifier: GPL-2.0-or-later
"""Threads that wait in every way that Python programs do, at lines that are marked. Prints its truth, ends with stdin.

waits.py [leak MS | damage]: as above; or a thread more every MS milliseconds, which never ends; or threads whose frames
have been overwritten with what cannot be (they never run again).
"""

import concurrent.futures
import json
import os
import queue
import socket
import sys
import threading
import time

condition, never = threading.Condition(), threading.Event()
pairs = []
idle, busy = (concurrent.futures.ThreadPoolExecutor(workers) for workers in (3, 1))


def named(function):
    """The function's name as the interpreter has it: qualified since 3.11."""
    code = function.__code__
    return getattr(code, "co_qualname", code.co_name)


def wait_for_result():
    with condition:
        condition.wait()  # WAIT:wait_for_result


def serve():
    wait_for_result()  # WAIT:serve


def consume():
    return queue.Queue().get()  # WAIT:consume


def nap():
    time.sleep(  # WAIT:nap
        100000)


class Client:
    def receive(self):
        pairs.append(socket.socketpair())
        return pairs[-1][0].recv(100)  # WAIT:receive

    def größe(self):
        return self.receive()  # WAIT:größe


def compare(_):
    never.wait()  # WAIT:compare


def sort():
    return sorted([1], key=compare)  # WAIT:sort


def generate():
    yield 1
    never.wait()  # WAIT:generate


def iterate():
    for _ in generate():  # WAIT:iterate
        pass


def descend(depth):
    if depth:
        return descend(depth - 1)  # WAIT:descend
    return never.wait()  # WAIT:bottom


def dig():
    descend(40)  # WAIT:dig


def job():
    never.wait()  # WAIT:job


class Worker(threading.Thread):
    def run(self):
        serve()  # WAIT:run


GROUPS = [
    # name, count, what the threads run, its chain of (function, mark), innermost first
    ("condition", 3, serve, [(wait_for_result, "wait_for_result"), (serve, "serve")]),
    ("queue", 4, consume, [(consume, "consume")]),
    ("sleep", 2, nap, [(nap, "nap")]),
    ("socket", 2, lambda: Client().größe(),  # WAIT:socket
     [(Client.receive, "receive"), (Client.größe, "größe"), (None, "socket")]),
    ("callback", 2, sort, [(compare, "compare"), (sort, "sort")]),
    ("generator", 2, iterate, [(generate, "generate"), (iterate, "iterate")]),
    ("recursion", 2, dig, [(descend, "bottom")] + [(descend, "descend")] * 40 + [(dig, "dig")]),
]


def leak(interval_s):
    while True:
        Worker(daemon=True).start()
        time.sleep(interval_s)


def damage():
    """Since 3.11: the innermost frame leads to itself, to nowhere, or runs what is no code."""
    import ctypes

    previous, code = (48, 32) if sys.version_info < (3, 12) else (8, 0)
    threads = [threading.Thread(target=dig, daemon=True) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    frames = sys._current_frames()
    for thread, (offset, value) in zip(threads, [
            (previous, None), (previous, 0x4141414141414140), (code, 0x7ffffffff000), (code, id(threads)), (previous, 8)]):
        frame = ctypes.c_uint64.from_address(id(frames[thread.ident]) + 24).value
        ctypes.c_uint64.from_address(frame + offset).value = frame if value is None else value
    print(json.dumps({"threads": len(threads)}), flush=True)
    sys.stdin.read()
    os._exit(0)


def main():
    truth = []
    for name, count, function, chain in GROUPS:
        for _ in range(count):
            threading.Thread(target=function, daemon=True).start()
        truth.append({"name": name, "count": count,
                      "chain": [[named(part or function), mark] for part, mark in chain]})
    for _ in range(2):
        Worker(daemon=True).start()
    truth.append({"name": "subclass", "count": 2, "chain": [
        [named(wait_for_result), "wait_for_result"], [named(serve), "serve"], [named(Worker.run), "run"]]})
    for future in [idle.submit(time.sleep, 0.2) for _ in range(3)]:
        future.result()
    busy.submit(job)
    truth.append({"name": "busy", "count": 1, "chain": [[named(job), "job"]]})
    print(json.dumps({"groups": truth, "idle": 3, "version": sys.version_info[:2]}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["damage"]:
        damage()
    elif sys.argv[1:]:
        threading.Thread(target=leak, args=(int(sys.argv[2]) / 1000,), daemon=True).start()
        print(json.dumps({}), flush=True)
    else:
        main()
    sys.stdin.read()  # WAIT:main
    os._exit(0)

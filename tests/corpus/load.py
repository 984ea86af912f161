#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of one server on loopback: at most 60, that come, ask now and then over one connection, and leave.

load.py PROTOCOL PORT SHAPE --scale S --seed N: runs until it is ended; protocols: http, etcd, prometheus, redis, mysql;
shapes: constant, ramp, bursts. Prints a line of JSON a second: {"clients", "answers", "errors"}.
"""

import argparse
import asyncio
import json
import random
import time

# In horizons:
STAY = 0.1  # mean, of a client
PAUSE = 1 / 180  # mean, between its requests: 10 s of a horizon of 30 min
BURST_EVERY, BURST_LASTS = 0.15, 0.03
RAMP = 2

counts = {"clients": 0, "answers": 0, "errors": 0}


def wanted_clients(shape, elapsed):
    if shape == "ramp":
        return 2 + 38 * min(1, elapsed / RAMP)
    if shape == "bursts":
        return 55 if elapsed % BURST_EVERY < BURST_LASTS else 5
    return 20


class Http:
    request = b"GET /page HTTP/1.1\r\nHost: localhost\r\n\r\n"

    async def greet(self, reader, writer):
        pass

    async def ask(self, reader, writer):
        writer.write(self.request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head[:40])
        await reader.readexactly(int(head.split(b"content-length:")[1].split()[0]))


class Etcd(Http):
    def __init__(self):
        body = b'{"key": "a2V5", "value": "dmFsdWU="}'
        head = f"POST /v3/kv/put HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        self.request = head.encode() + body


class Prometheus(Http):
    request = b"GET /api/v1/query?query=sum(rate(prometheus_http_requests_total[1m])) HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Redis:
    async def greet(self, reader, writer):
        pass

    async def ask(self, reader, writer):
        writer.write(b"INCR counter\r\n")
        if not (await reader.readuntil(b"\r\n")).startswith(b":"):
            raise ValueError("no number")


class Mysql:
    CAPABILITIES = 0x200 | 0x8000 | 0x80000  # protocol 4.1, secure connection, plugin authentication
    PLUGIN = b"mysql_native_password\0"

    async def packet(self, reader):
        head = await reader.readexactly(4)
        return await reader.readexactly(int.from_bytes(head[:3], "little"))

    def send(self, writer, number, data):
        writer.write(len(data).to_bytes(3, "little") + bytes([number]) + data)

    async def greet(self, reader, writer):
        await self.packet(reader)
        self.send(writer, 1, self.CAPABILITIES.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + b"\x21" +
                  bytes(23) + b"root\0" + b"\0" + self.PLUGIN)
        if (await self.packet(reader))[0]:
            raise ValueError("not let in")

    async def ask(self, reader, writer):
        self.send(writer, 0, b"\x03DO SLEEP(0.02)")
        if (await self.packet(reader))[0]:
            raise ValueError("not done")


PROTOCOLS = {"http": Http, "etcd": Etcd, "prometheus": Prometheus, "redis": Redis, "mysql": Mysql}


async def be_client(options):
    counts["clients"] += 1
    protocol, writer = PROTOCOLS[options.protocol](), None
    leaves = time.monotonic() + random.expovariate(1 / (STAY * options.scale))
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", options.port)
        await protocol.greet(reader, writer)
        while time.monotonic() < leaves:
            await protocol.ask(reader, writer)
            counts["answers"] += 1
            await asyncio.sleep(random.expovariate(1 / (PAUSE * options.scale)))
    except asyncio.IncompleteReadError:
        pass  # the server has closed an idle connection
    except (OSError, ValueError, IndexError):
        counts["errors"] += 1
        await asyncio.sleep(0.2)
    finally:
        counts["clients"] -= 1
        if writer:
            writer.close()


async def run(options):
    begun, tasks, told = time.monotonic(), set(), 0
    while True:
        now = time.monotonic()
        while counts["clients"] < wanted_clients(options.shape, (now - begun) / options.scale):
            task = asyncio.create_task(be_client(options))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            await asyncio.sleep(0)
        if now - told >= 1:
            print(json.dumps(counts), flush=True)
            told = now
        await asyncio.sleep(options.scale / 3600)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("protocol", choices=PROTOCOLS)
    parser.add_argument("port", type=int)
    parser.add_argument("shape", choices=["constant", "ramp", "bursts"])
    parser.add_argument("--scale", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()

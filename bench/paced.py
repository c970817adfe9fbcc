"""Requests at a constant rate, and how long each took from when it was *due*.

A load generator that waits for an answer before it asks again sends less just when the server
is slow, and so does not see how slow ("coordinated omission"). Here the moments are fixed
beforehand: a request that cannot be sent in time, because every connection waits for an
answer, has been waiting since it was due. A program of its own, so that nothing else has to be
done in its process; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import select
import socket
import sys
import time
from typing import Final

AGENTS: Final = ("Chrome/126.0 Safari/537.36", "Version/17.5 Safari/605.1.15", "Firefox/127.0")
MADE: Final = 5000
GIVE_UP: Final = 10.0
"""Seconds after the last request was due."""


def requests(objects: int, prefix: str, seed: int) -> list[bytes]:
    """Return requests for PREFIX1 .. PREFIXN, drawn Zipf-like, each with fields of its own."""
    dice = random.Random(seed)
    return [
        (
            f"GET {prefix}{int(objects ** dice.random())} HTTP/1.1\r\nHost: assets.example.com\r\n"
            f"User-Agent: Mozilla/5.0 {AGENTS[number % 3]}\r\nAccept: */*\r\n"
            f"Accept-Language: de;q=0.{number % 9 + 1}\r\nCookie: session={number:x}\r\n\r\n"
        ).encode()
        for number in range(MADE)
    ]


class Client:
    """One connection. due: of the request that is under way."""

    __slots__ = ("due", "received", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.received = b""

    def read(self, size: int) -> bool:
        """Take what has come; return whether the answer is whole. Leaves when it is wrong."""
        data = self.received + self.socket.recv(65536)
        head, blank, body = data.partition(b"\r\n\r\n")
        if blank and len(body) >= size:
            if len(body) > size or head[9:12] != b"200" or b"\r\nX-Cache-Status: HIT" not in head:
                sys.exit(f"not a hit of {size} bytes: {head!r} and {len(body)} bytes")
            self.received = b""
            return True
        if data == self.received:
            sys.exit(f"a connection was closed after {data[:300]!r}")
        self.received = data
        return False


def percentile(ordered: list[float], part: float) -> float:
    """Return a percentile of sorted seconds, in microseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e6


def go_first() -> None:
    """Let the kernel run us as soon as something is due, where it lets us say so."""
    with contextlib.suppress(OSError, AttributeError):
        os.nice(-15)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def run(options: argparse.Namespace) -> dict[str, float]:
    """Send and measure."""
    go_first()
    made = requests(options.objects, options.prefix, options.seed)
    clients = {}
    poll = select.epoll()
    for _ in range(options.connections):
        client = Client(options.port)
        clients[client.socket.fileno()] = client
        poll.register(client.socket.fileno(), select.EPOLLIN)
    idle = collections.deque(clients.values())
    total, gap = int(options.rate * options.seconds), 1 / options.rate
    took: list[float] = []
    late: list[float] = []
    clock, size, poll_fd = time.perf_counter, options.size, poll.fileno()
    started = clock() + 0.05
    processor = time.process_time()
    sent, free_since = 0, 0.0
    while len(took) < total:
        now = clock()
        while sent < total and idle and (due := started + sent * gap) <= now:
            client = idle.popleft()
            client.due = due
            client.socket.send(made[sent % MADE])
            sent += 1
            late.append(clock() - max(due, free_since))
        wait = GIVE_UP
        if idle and sent < total:
            wait = max(0.0, started + sent * gap - clock())
        # An epoll object waits whole milliseconds; select waits for it as briefly as wanted.
        if not select.select([poll_fd], [], [], wait)[0]:
            if wait == GIVE_UP:
                sys.exit(f"nothing has come for {GIVE_UP} s: {len(took)} answers to {sent}")
            continue
        for fd, _ in poll.poll(0):
            client = clients[fd]
            if client.read(size):
                now = clock()
                took.append(now - client.due)
                if not idle:
                    free_since = now  # what is late until now waited for the server, not for us
                idle.append(client)
    spent, wall = time.process_time() - processor, clock() - started
    took.sort()
    late.sort()
    names = {"p50_us": 0.5, "p90_us": 0.9, "p99_us": 0.99, "p999_us": 0.999, "max_us": 1.0}
    found = {name: percentile(took, part) for name, part in names.items()}
    found["late_p99_us"] = percentile(late, 0.99)
    return {**found, "requests": total, "rate": total / wall, "generator": spent / wall}


def main(arguments: list[str]) -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--objects", type=int, default=10_000)
    parser.add_argument("--prefix", default="/obj/")
    parser.add_argument("--size", type=int, default=1024, help="bytes of each body")
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(run(parser.parse_args(arguments))))


if __name__ == "__main__":
    main(sys.argv[1:])

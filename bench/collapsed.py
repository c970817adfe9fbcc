"""What an origin sends when many clients ask at once for one large object that is not cached.

The origin is a few lines in here, and so are the clients: all of them connect, then all ask, and
each compares every byte it gets. Prints the bytes and requests that the origin saw and the memory
of s3shield, and leaves with status 1 when the origin sent more than the object or a process grew
past the limit. Linux only.
"""

from __future__ import annotations

import argparse
import atexit
import os
import random
import re
import selectors
import shutil
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rig import ROOT, Group, s3shield, stop_all

STATE: Final = ROOT / ".bench" / f"collapsed-{os.getpid()}"
MIB: Final = 1 << 20
PERIOD: Final = MIB + 7
"""Of the body: no power of two, so that what is off by blocks is seen."""
BODY: Final = random.Random(1).randbytes(PERIOD) * 2
INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = {workers}
access_log = DIRECTORY/access.log combined

[cache:bench]
path = DIRECTORY/cache
max_size = 100g

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d
range_connections = {connections}
"""


def part(offset: int, length: int) -> bytes:
    """Return that part of the body; length: at most a period."""
    at = offset % PERIOD
    return BODY[at : at + length]


class Origin:
    """Answers GET, of a range too. sent: body bytes so far; asked: requests."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = self.asked = 0
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            start, stop, status, more = 0, self.size, "200 OK", ""
            found = re.search(rb"\r\nrange: *bytes=(\d+)-(\d*)", head, re.IGNORECASE)
            if found:
                start = int(found[1])
                stop = min(stop, int(found[2]) + 1) if found[2] else stop
                status = "206 Partial Content"
                more = f"Content-Range: bytes {start}-{stop - 1}/{self.size}\r\n"
            fields = f'Content-Length: {stop - start}\r\nETag: "large"\r\nConnection: close\r\n'
            with self._lock:
                self.asked += 1
            connection.sendall(f"HTTP/1.1 {status}\r\n{fields}{more}\r\n".encode())
            while start < stop:
                piece = part(start, min(MIB // 4, stop - start))
                connection.sendall(piece)
                start += len(piece)
                with self._lock:
                    self.sent += len(piece)


class Client:
    """One GET; every byte of the body is compared. status: X-Cache-Status."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setblocking(False)
        self.received = 0
        self.status = ""
        self._head = b""

    def ask(self) -> None:
        """Send the request."""
        self.socket.send(b"GET /large HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")

    def read(self) -> bool:
        """Take what has come; return False at the end."""
        data = self.socket.recv(MIB // 2)
        if not data:
            return False
        if not self.status:
            self._head += data
            if b"\r\n\r\n" not in self._head:
                return True
            head, _, data = self._head.partition(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200 "):
                sys.exit(f"a client got {head.splitlines()[0]!r}")
            found = re.search(rb"\r\nX-Cache-Status: (\w+)", head)
            self.status = found[1].decode() if found else "-"
        if data != part(self.received, len(data)):
            sys.exit(f"a body differs after {self.received} bytes")
        self.received += len(data)
        return True


def resident(group: Group) -> tuple[float, float]:
    """Return the largest anonymous and the largest peak resident set, of a process, in MiB."""
    memory = group.memory().values()
    return (
        max(each.get("RssAnon", 0) for each in memory) / 1024,
        max(each.get("VmHWM", 0) for each in memory) / 1024,
    )


def drive(clients: list[Client], group: Group, size: int) -> list[float]:
    """Let all clients ask and read; return the anonymous memory along the way, in MiB."""
    seen: list[float] = []
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.ask()
            selector.register(client.socket, selectors.EVENT_READ, client)
        due = 0.0
        while selector.get_map():
            ready = selector.select(60)
            if not ready:
                sys.exit("nothing has come for a minute")
            for key, _ in ready:
                client = key.data
                if not client.read():
                    selector.unregister(client.socket)
                    client.socket.close()
                    if client.received != size:
                        sys.exit(f"a body ended after {client.received} of {size} bytes")
            if time.monotonic() >= due:
                seen.append(resident(group)[0])
                due = time.monotonic() + 0.5
    return seen


def main(arguments: list[str]) -> int:
    """Ask and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=100, help="how many (%(default)s)")
    parser.add_argument("--mib", type=int, default=1024, help="size (%(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of s3shield (%(default)s)")
    parser.add_argument(
        "--connections", type=int, default=1, help="range_connections (%(default)s)"
    )
    parser.add_argument("--limit", type=float, default=200.0, help="MiB (%(default)s)")
    options = parser.parse_args(arguments)
    size = options.mib * MIB
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(stop_all)
    STATE.mkdir(parents=True)
    if shutil.disk_usage(STATE).free < size * 1.2:
        sys.exit(f"{STATE} has no room for {options.mib} MiB")
    origin = Origin(size)
    ini = INI.format(origin=origin.port, workers=options.workers, connections=options.connections)
    group = s3shield(STATE / "s3shield", ini)
    before, _ = resident(group)
    clients = [Client(group.port) for _ in range(options.clients)]
    started = time.monotonic()
    seen = drive(clients, group, size)
    took = time.monotonic() - started
    _, peak = resident(group)
    total = options.clients * size
    print(f"{options.clients} clients, {options.mib} MiB each, every byte compared:", end=" ")
    print(f"{took:.0f} s, {total / took / 1e9:.2f} GB/s")
    words = [client.status for client in clients]
    print(", ".join(f"{words.count(word)} {word}" for word in sorted(set(words))))
    print(f"the origin sent {origin.sent} bytes in {origin.asked} requests", end=" ")
    print(f"({origin.sent - size:+d} from the object's size)")
    middle = seen[len(seen) // 2]
    print(f"anonymous memory: {before:.0f} MiB before, {middle:.0f} half-way,", end=" ")
    print(f"{max(seen):.0f} at most; peak RSS, with mapped files: {peak:.0f} MiB")
    stop_all()
    return 0 if origin.sent == size and max(seen) <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

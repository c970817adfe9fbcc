"""Peak memory of s3shield while a large object streams, through a miss, to a slow client.

The origin is a few lines in here: it makes the object up as it sends it and can send far
faster than the client reads. The client compares every byte. Prints the peak resident set
of the largest process and leaves with status 1 when it is over the limit. Linux only.
"""

from __future__ import annotations

import argparse
import atexit
import os
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

STATE: Final = ROOT / ".bench" / f"stream-{os.getpid()}"
BLOCK: Final = 1 << 20
PATTERN: Final = bytes(range(256)) * (BLOCK // 256)

INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = DIRECTORY/access.log combined

[cache:bench]
path = DIRECTORY/cache
max_size = 100g

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d
"""


def block(number: int) -> bytes:
    """Return one MiB of the object: its number, then the pattern."""
    return number.to_bytes(8, "big") + PATTERN[8:]


class Origin:
    """Answers any GET with `size` bytes, as fast as they are taken. sent: bytes so far."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.sent = 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self.listening.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65536)
                if not received:
                    return
                head += received
            fields = f'Content-Length: {self.size}\r\nETag: "large"\r\nConnection: close'
            connection.sendall(f"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n".encode())
            for number in range(self.size // BLOCK):
                connection.sendall(block(number))
                self.sent += BLOCK


class Client:
    """Reads one object slowly and compares it."""

    def __init__(self, port: int) -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.connection.sendall(b"GET /large HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        self.stream = self.connection.makefile("rb", buffering=256 * 1024)
        self.status = self.stream.readline().decode().strip()
        self.fields: dict[str, str] = {}
        while (line := self.stream.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            self.fields[name.lower()] = value.strip()

    def read(self, size: int, rate: float) -> float:
        """Read `size` bytes at no more than `rate` bytes a second; return the seconds taken."""
        started = time.monotonic()
        for number in range(size // BLOCK):
            received = self.stream.read(BLOCK)
            if received != block(number):
                sys.exit(f"the body differs in its MiB number {number} ({len(received)} bytes)")
            early = started + (number + 1) * BLOCK / rate - time.monotonic()
            if early > 0:
                time.sleep(early)
        if self.stream.read(1):
            sys.exit("there is more than the object's body")
        return time.monotonic() - started


def peak(group: Group) -> tuple[float, str]:
    """Return the largest peak resident set in MiB, and a line on every process."""
    memory = group.memory()
    peaks = {pid: each.get("VmHWM", 0) / 1024 for pid, each in memory.items()}
    line = ", ".join(
        f"{pid}: {peaks[pid]:.0f} ({memory[pid].get('RssAnon', 0) / 1024:.0f} of it anonymous now)"
        for pid in sorted(peaks)
    )
    return max(peaks.values()), line


def main(arguments: list[str]) -> int:
    """Stream and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=5.0, help="size (%(default)s)")
    parser.add_argument("--rate", type=float, default=150.0, help="MiB/s read (%(default)s)")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds before reading begins")
    parser.add_argument("--limit", type=float, default=120.0, help="MiB (%(default)s)")
    options = parser.parse_args(arguments)
    size = int(options.gib * 1024) * BLOCK
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(stop_all)
    STATE.mkdir(parents=True)
    if shutil.disk_usage(STATE).free < size * 1.2:
        sys.exit(f"{STATE} has no room for {options.gib} GiB")
    origin = Origin(size)
    group = s3shield(STATE / "s3shield", INI.format(origin=origin.port))
    before, _ = peak(group)
    client = Client(group.port)
    print(f"{client.status}, X-Cache-Status: {client.fields.get('x-cache-status')}")
    if " 200 " not in f"{client.status} " or client.fields.get("x-cache-status") != "MISS":
        sys.exit("that is no miss")
    time.sleep(options.pause)
    paused, _ = peak(group)
    took = client.read(size, options.rate * BLOCK)
    after, line = peak(group)
    print(f"{options.gib:g} GiB in {took:.0f} s, every byte compared; {line}")
    print(f"peak RSS: {before:.0f} MiB before, {paused:.0f} with the client not reading, ", end="")
    print(f"{after:.0f} MiB in all (limit {options.limit:.0f})")
    again = Client(group.port)
    print(f"asked again: {again.status}, X-Cache-Status: {again.fields.get('x-cache-status')}")
    took = again.read(size, 1e12)
    last, _ = peak(group)
    print(f"read from the cache in {took:.1f} s ({size / took / 1e9:.1f} GB/s); ", end="")
    print(f"peak RSS with it: {last:.0f} MiB (mapped pages of the file count while mapped)")
    stop_all()
    return 0 if after <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

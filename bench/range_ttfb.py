"""Time to first byte of a range far inside a huge object that is not cached, and what it costs.

The same range is asked of the origin, which has the object, and of s3shield in front of it, by
turns; each time of an object that s3shield has not seen. Prints medians and their ratio, and the
bytes that the origin sent for each range. The origin is nginx on loopback, which answers faster
than any S3, or a server in Python (`--origin python`), or one that takes its time (`--think 5`).
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import http.server
import os
import shutil
import socket
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import ClassVar, Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rig import ROOT, need, nginx, s3shield, stop_all

STATE: Final = ROOT / ".bench" / f"range-{os.getpid()}"
BLOCK: Final = 1 << 20
ORIGIN: Final = """
    log_format sent "$request_uri $status $body_bytes_sent";
    server {{ listen 127.0.0.1:PORT backlog=4096; root {root}; access_log {root}/sent.log sent; }}
"""
INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = DIRECTORY/access.log combined

[cache:bench]
path = DIRECTORY/cache
max_size = 50g

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d
"""


class Asking:
    """A client of one server. kept: on one connection; else connects for each, as curl does."""

    def __init__(self, port: int, *, kept: bool) -> None:
        self.port = port
        self.kept = kept
        self.connect()

    def connect(self) -> None:
        """Open the connection that is used from now on."""
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, path: str, first: int, last: int) -> tuple[float, float]:
        """Return seconds to the first byte of the body and to the last."""
        head = f"GET {path} HTTP/1.1\r\nHost: h\r\nRange: bytes={first}-{last}\r\n\r\n".encode()
        started = time.perf_counter()
        if not self.kept:
            self.connect()
        self.socket.sendall(head)
        got = b""
        while b"\r\n\r\n" not in got or not got.partition(b"\r\n\r\n")[2]:
            piece = self.socket.recv(65536)
            if not piece:
                raise SystemExit(f"{path}: the connection ended after {got[:200]!r}")
            got += piece
        begun = time.perf_counter() - started
        answer, _, body = got.partition(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 206 "):
            raise SystemExit(f"{path}: {answer.splitlines()[0]!r}")
        while len(body) < last - first + 1:
            body += self.socket.recv(65536)
        if body != b"\0" * (last - first + 1):
            raise SystemExit(f"{path}: not the bytes that were asked for")
        return begun, time.perf_counter() - started


class Huge(http.server.BaseHTTPRequestHandler):
    """An object of zeros as large as you like, in ranges."""

    protocol_version = "HTTP/1.1"
    size = 0
    think = 0.0
    sent: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        """Answer one range."""
        first, last = map(int, self.headers["Range"].partition("=")[2].split("-"))
        time.sleep(self.think)
        self.send_response(206)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Content-Range", f"bytes {first}-{last}/{self.size}")
        self.send_header("ETag", f'"{self.path}"')
        self.end_headers()
        self.sent.append(last - first + 1)
        with contextlib.suppress(OSError):
            self.wfile.write(bytes(last - first + 1))

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def python_origin(options: argparse.Namespace) -> int:
    """Start it; return its port."""
    Huge.size, Huge.think = options.size, options.think / 1000
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Huge)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def nginx_origin(options: argparse.Namespace, files: Path) -> int:
    """Start it with a file that takes no room, under many names; return its port."""
    need("nginx")
    files.mkdir(parents=True)
    with (files / "huge").open("wb") as file:
        file.truncate(options.size)
    for number in range(options.ranges):
        (files / str(number)).symlink_to("huge")
    return nginx("origin", STATE / "origin", ORIGIN.format(root=files)).port


def main(arguments: list[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranges", type=int, default=60, help="how many (%(default)s)")
    parser.add_argument("--size", type=int, default=10 << 30, help="bytes (%(default)s)")
    parser.add_argument("--first", type=int, default=5_000_000_000, help="offset (%(default)s)")
    parser.add_argument("--length", type=int, default=1000, help="bytes (%(default)s)")
    parser.add_argument("--origin", choices=("nginx", "python"), default="nginx")
    parser.add_argument(
        "--think", type=float, default=0.0, help="ms that a Python origin waits (%(default)s)"
    )
    parser.add_argument(
        "--connect", action="store_true", help="a new connection for each range, as curl does"
    )
    options = parser.parse_args(arguments)
    if options.think:
        options.origin = "python"
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(stop_all)
    files = STATE / "files"
    origin = nginx_origin(options, files) if options.origin == "nginx" else python_origin(options)
    product = s3shield(STATE / "s3shield", INI.format(origin=origin))
    direct = Asking(origin, kept=not options.connect)
    through = Asking(product.port, kept=not options.connect)
    first, last = options.first, options.first + options.length - 1
    times: dict[str, list[tuple[float, float]]] = {"origin": [], "s3shield": []}
    for number in range(options.ranges):
        turn = [("origin", direct), ("s3shield", through)]
        for name, asking in turn if number % 2 else reversed(turn):
            times[name].append(asking.ask(f"/{number}", first, last))
        time.sleep(0.05)  # the rest of the block is not to be in the next one's way
    time.sleep(0.5)
    sent = Huge.sent
    if options.origin == "nginx":
        lines = (files / "sent.log").read_text().splitlines()
        sent = [int(line.split()[2]) for line in lines]
    fetched = sum(sent) - options.ranges * options.length
    print(f"{'':<10}{'first byte us':>16}{'min':>8}{'max':>8}{'last byte us':>16}")
    medians = {}
    for name, found in times.items():
        begun = [seconds * 1e6 for seconds, _ in found]
        medians[name] = statistics.median(begun)
        whole = statistics.median(seconds * 1e6 for _, seconds in found)
        print(f"{name:<10}{medians[name]:>16.0f}{min(begun):>8.0f}{max(begun):>8.0f}{whole:>16.0f}")
    print(f"\nratio of the medians: {medians['s3shield'] / medians['origin']:.2f}")
    print(
        f"fetched for each range: {fetched / options.ranges / BLOCK:.2f} blocks of 1 MiB,"
        f" in {len(sent) / options.ranges - 1:.2f} requests"
    )
    stop_all()


if __name__ == "__main__":
    main(sys.argv[1:])

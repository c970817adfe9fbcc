"""A replica takes over under load: how many GETs fail, how long the switch takes, and the way back.

    replica.py [--clients N] [--seconds S] [--workers N]

Two origins on loopback, one of them the replica of the other; the daemon before them; clients
that ask for objects which nobody has asked for: 20 kB, 300 kB and 6 MB. The first origin is
killed (SIGKILL, later started again), hangs (SIGSTOP, later SIGCONT), answers 403. For each:

GETs      of all clients, and those that failed: another status, a short body, wrong bytes
switch    from the trouble until the replica's first answer, and until the first one's last; the
          longest that a client waited for an answer meanwhile
back      from the end of the trouble until the first one's first answer, and until all are its

Prints a line for each. Nothing is signed or checked here: that is what the tests do.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Final

import attrs

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.rig import free_port, s3shield, stop_all

SIZES: Final = (20_000, 300_000, 20_000, 20_000, 300_000, 20_000, 20_000, 6_000_000)
PIECE: Final = 65_536
PATTERN: Final = bytes(range(251)) * 40_000

INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = {workers}
error_log = DIRECTORY/error.log info

[cache:main]
path = DIRECTORY/cache

[bucket:first]
aws_s3_bucket = b
aws_endpoint = http://127.0.0.1:{first}
aws_region = eu-central-1
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_secret_key = nobody-looks-at-it
replica = second
replica_on = http_403
replica_timeout = {timeout:g}s

[bucket:second]
aws_s3_bucket = b
aws_endpoint = http://127.0.0.1:{second}
aws_region = us-east-1
aws_access_key = AKIAI44QH8DHBEXAMPLE
aws_secret_key = nobody-looks-at-it

[location:/]
bucket = first
proxy_cache = main
proxy_cache_valid = 200 60m
"""


# --- an origin --------------------------------------------------------------------------


class Bucket:
    """Answers /b/SIZE/ANYTHING with so many bytes; after SIGUSR1 with 403, until SIGUSR2."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.forbidden = False

    def answer(self, target: str, span: str) -> tuple[bytes, int, int]:
        """Return head, and the offsets of the body."""
        if self.forbidden:
            body = b"<Error><Code>AccessDenied</Code></Error>"
            return b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body), 0, 0
        size = int(target.split("/")[2])
        start, end, status, more = 0, size, "200 OK", ""
        if span:
            first, _, last = span.removeprefix("bytes=").partition("-")
            start, end = int(first), min(size, int(last or size) + 1)
            status = "206 Part"
            more = f"Content-Range: bytes {start}-{end - 1}/{size}\r\n"
        head = (
            f'HTTP/1.1 {status}\r\nContent-Length: {end - start}\r\nETag: "{size}"\r\n'
            f"X-From: {self.name}\r\n{more}\r\n"
        )
        return head.encode(), start, end

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                spans = [line[6:].strip() for line in lines if line.lower().startswith("range:")]
                head, start, end = self.answer(lines[0].split(" ")[1], "".join(spans))
                writer.write(head)
                for at in range(start, end, PIECE):
                    writer.write(PATTERN[at : min(end, at + PIECE)])
                    await writer.drain()
        writer.close()

    async def run(self, port: int) -> None:
        """Serve for ever."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, setattr, self, "forbidden", True)
        loop.add_signal_handler(signal.SIGUSR2, setattr, self, "forbidden", False)
        server = await asyncio.start_server(self.serve, "127.0.0.1", port, backlog=1024)
        await server.serve_forever()


def start_origin(name: str, port: int) -> subprocess.Popen[bytes]:
    """Start one, and wait until it listens."""
    process = subprocess.Popen([sys.executable, __file__, "origin", name, str(port)])
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return process
        time.sleep(0.02)


# --- clients ----------------------------------------------------------------------------


@attrs.frozen
class Got:
    """One GET. began, ended: monotonic seconds. origin: who gave it. wrong: what was, or empty."""

    began: float
    ended: float
    origin: str
    wrong: str


class Clients:
    """So many threads that ask for one object after the other, on a connection each."""

    def __init__(self, port: int, count: int, name: str) -> None:
        self.port = port
        self.name = name  # in the names of what is asked for
        self.got: list[Got] = []
        self.over = False
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each end its request."""
        self.over = True
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        connection: socket.socket | None = None
        while not self.over:
            number = next(self._numbers)
            size = SIZES[number % len(SIZES)]
            began, origin, wrong = time.monotonic(), "", ""
            try:
                if connection is None:
                    connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
                origin, wrong = self._get(connection, f"/{size}/{self.name}{number}", size)
            except OSError as error:
                wrong = str(error) or type(error).__name__
            if wrong and connection is not None:
                connection.close()
                connection = None
            self.got.append(Got(began, time.monotonic(), origin, wrong))
            time.sleep(0.01)
        if connection is not None:
            connection.close()

    def _get(self, connection: socket.socket, path: str, size: int) -> tuple[str, str]:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        got = bytearray()
        while b"\r\n\r\n" not in got:
            piece = connection.recv(PIECE)
            if not piece:
                return "", "no answer"
            got += piece
        head, _, body = bytes(got).partition(b"\r\n\r\n")
        status = head.split(b" ")[1].decode()
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        pieces, there = [body], len(body)
        while there < length:
            piece = connection.recv(1 << 20)
            if not piece:
                return "", f"{there} of {length} bytes"
            pieces.append(piece)
            there += len(piece)
        origin = fields.get(b"x-from", b"").decode()
        if status != "200":
            return origin, f"status {status}"
        return origin, "" if b"".join(pieces) == PATTERN[:size] else "wrong bytes"


# --- the measurement --------------------------------------------------------------------


def report(name: str, got: list[Got], trouble: float, mended: float) -> str:
    """Return the line about one trouble. trouble, mended: when it began and ended."""
    wrong = [each for each in got if each.wrong]
    during = [each for each in got if trouble <= each.ended < mended]
    firsts = [each.ended for each in during if each.origin == "first"]
    replica = [each.ended for each in during if each.origin == "second"]
    switch = (replica[0] if replica else mended) - trouble
    last = (firsts[-1] if firsts else trouble) - trouble
    longest = max((each.ended - each.began for each in during), default=0.0)
    after = [each for each in got if each.began >= mended and not each.wrong]
    back = next((each.ended - mended for each in after if each.origin == "first"), None)
    others = [each.ended - mended for each in after if each.origin == "second"]
    told = (
        "not back yet"
        if back is None
        else f"{back:.2f} s, all after {max(others, default=0):.2f} s"
    )
    reasons = ", ".join(sorted({each.wrong for each in wrong}))
    return (
        f"{name:<8} {len(got):>6} GETs, {len(wrong)} failed{f' ({reasons})' if wrong else ''}; "
        f"switch: the replica's first after {switch:.2f} s, the first's last after {last:.2f} s,"
        f" longest wait {longest:.2f} s; back: {told}"
    )


def measure(clients_count: int, seconds: float, workers: int, timeout: float) -> int:
    """Do it; return how many GETs failed."""
    ports = {"first": free_port(), "second": free_port()}
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        origins = {name: start_origin(name, port) for name, port in ports.items()}
        try:
            ini = INI.format(workers=workers, timeout=timeout, **ports)
            daemon = s3shield(Path(directory), ini)
            for name in ("killed", "hangs", "403"):
                clients = Clients(daemon.port, clients_count, name)
                time.sleep(1.0)
                first = origins["first"]
                trouble = time.monotonic()
                signals = {"killed": signal.SIGKILL, "hangs": signal.SIGSTOP, "403": signal.SIGUSR1}
                first.send_signal(signals[name])
                time.sleep(seconds)
                if name == "killed":
                    first.wait()
                    origins["first"] = start_origin("first", ports["first"])
                else:
                    first.send_signal(signal.SIGCONT if name == "hangs" else signal.SIGUSR2)
                mended = time.monotonic()
                # A breaker is open for up to 15 s.
                time.sleep(18.0)
                clients.stop()
                got = sorted(clients.got, key=lambda each: each.ended)
                failed += sum(bool(each.wrong) for each in got)
                print(report(name, got, trouble, mended), flush=True)
        finally:
            for process in origins.values():
                process.kill()
                process.wait()
            stop_all()
    return failed


def main(arguments: list[str]) -> int:
    """Measure, or be an origin."""
    if arguments[:1] == ["origin"]:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(Bucket(arguments[1]).run(int(arguments[2])))
        return 0
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=16, help="default: 16")
    parser.add_argument("--seconds", type=float, default=12.0, help="of trouble; default: 12")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=2.0, help="replica_timeout; default: 2")
    options = parser.parse_args(arguments)
    return 1 if measure(options.clients, options.seconds, options.workers, options.timeout) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

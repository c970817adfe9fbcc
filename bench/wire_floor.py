"""What the server channel costs by itself: a site that answers a constant, under wrk.

    python bench/wire_floor.py [--rounds N] [--seconds S]

Runs three servers in turns: `minimal`, the least that parses a request on uvloop and
answers it; `request`, which makes a request object of it besides; and `channel`,
s3shield's own with all its rules. Prints medians, and ratios of pairs of runs, by the
clock and by the server's processor time, which a busy machine disturbs less. Needs
wrk and Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httptools
import uvloop

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: s3shield\r\nContent-Type: text/plain\r\n"
    b'ETag: "0123456789abcdef0123456789abcdef"\r\nLast-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\n'
    b"Accept-Ranges: bytes\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nAge: 10\r\n"
    b"X-Cache-Status: HIT\r\nContent-Length: 1024\r\n"
)
BODY = b"x" * 1024


class Minimal(asyncio.Protocol):
    """Parses, collects the fields, answers: no rule, no limit, no timeout."""

    def connection_made(self, transport):  # noqa: D102 - asyncio's and llhttp's names
        self.write = transport.write
        self.data_received = httptools.HttpRequestParser(self).feed_data
        transport.set_protocol(self)

    def on_message_begin(self):  # noqa: D102
        self.fields = {}
        self.target = b""

    def on_url(self, target):  # noqa: D102
        self.target += target

    def on_header(self, name, value):  # noqa: D102
        name = name.lower()
        if name in self.fields:
            self.fields[name] += b", " + value
        else:
            self.fields[name] = value

    def on_message_complete(self):  # noqa: D102
        self.path, _, self.query = self.target.partition(b"?")
        self.write(b"".join((HEAD, b"\r\n", BODY)))


class Requested:
    """What `Requesting` makes of a request."""

    __slots__ = ("headers", "method", "path", "peer", "query", "target")


class Requesting(Minimal):
    """Makes a request object besides: what a site could work with."""

    def connection_made(self, transport):  # noqa: D102
        self.peer = transport.get_extra_info("peername")[0].encode()
        self.write = transport.write
        self.parser = httptools.HttpRequestParser(self)
        self.data_received = self.parser.feed_data
        transport.set_protocol(self)

    def on_message_complete(self):  # noqa: D102
        request = Requested()
        request.method = self.parser.get_method()
        request.target = self.target
        request.path, _, request.query = self.target.partition(b"?")
        request.headers = self.fields
        request.peer = self.peer
        self.site(request)

    def site(self, _request):  # noqa: D102
        self.write(b"".join((HEAD, b"\r\n", BODY)))


def serve(kind: str, sock: socket.socket) -> None:
    """Serve on `sock` until killed."""
    if kind != "channel":
        protocol = {"minimal": Minimal, "request": Requesting}[kind]
        loop = uvloop.new_event_loop()
        loop.run_until_complete(loop.create_server(protocol, sock=sock, backlog=511))
        loop.run_forever()
        return
    # Only this kind may install a reactor.
    from s3shield.wire import uvloop_reactor  # noqa: PLC0415

    uvloop_reactor.install()
    from twisted.internet import reactor  # noqa: PLC0415

    from s3shield.wire.channel_factory import ChannelFactory  # noqa: PLC0415
    from s3shield.wire.listen import listen_socket  # noqa: PLC0415

    def site(_request, downstream):
        downstream.reply(HEAD, BODY)

    factory = ChannelFactory(site, reactor)
    reactor.callWhenRunning(listen_socket, reactor, sock, factory, None)
    reactor.run()


def processor_seconds(pid: int) -> float:
    """Return what `pid` has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(kind: str, seconds: int) -> tuple[float, float]:
    """Return one run's requests a second, and microseconds of processor for each."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(511)
        port = sock.getsockname()[1]
        server = subprocess.Popen(
            [sys.executable, __file__, "--serve", kind, "--fd", str(sock.fileno())],
            pass_fds=[sock.fileno()],
        )
    try:
        with socket.create_connection(("127.0.0.1", port)) as probe:
            probe.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            probe.recv(1)
        before = processor_seconds(server.pid)
        out = subprocess.run(
            ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(HERE / "wire_floor.lua"),
             f"http://127.0.0.1:{port}/"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        used = processor_seconds(server.pid) - before
    finally:
        server.kill()
        server.wait()
    found = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    assert found, out
    assert "Non-2xx" not in out, out
    assert "Socket errors" not in out, out
    requests = re.search(r"([0-9]+) requests in", out)
    assert requests, out
    return float(found[1]), used * 1e6 / int(requests[1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=3)
    arguments.add_argument("--serve", choices=["minimal", "request", "channel"])
    arguments.add_argument("--fd", type=int)
    options = arguments.parse_args()
    if options.serve:
        serve(options.serve, socket.socket(fileno=options.fd))
        return
    rates: dict[str, list[tuple[float, float]]] = {"minimal": [], "request": [], "channel": []}
    for _ in range(options.rounds):
        for kind, found in rates.items():
            found.append(measure(kind, options.seconds))
            time.sleep(0.2)
    for kind, found in rates.items():
        runs = " ".join(f"{rate:,.0f}" for rate, _ in found)
        rate, each = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"{kind:8} {rate:9,.0f}/s {each:6.2f} us each   ({runs})")
    for kind in ("minimal", "request"):
        pairs = list(zip(rates["channel"], rates[kind], strict=True))
        clock = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        processor = statistics.median(theirs[1] / ours[1] for ours, theirs in pairs)
        print(f"channel / {kind}: {clock:.2f} by the clock, {processor:.2f} by processor time")


if __name__ == "__main__":
    main()

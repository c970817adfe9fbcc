"""What the benchmarks of one worker have in common: an origin, and hits as fast as they come."""

from __future__ import annotations

import http.server
import re
import statistics
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import attrs

from bench.rig import Group

__all__ = ["Loop", "origin", "ratio"]

BODY: Final = b"benchmark " * 102 + b"four"


class _Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer anything with 1 KiB."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def origin() -> Iterator[int]:
    """An origin while it is needed; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


@attrs.define
class Loop:
    """32 connections that ask for one target. cpu_us, rate: of each run so far."""

    name: str
    group: Group
    target: str
    fields: Mapping[str, str] = attrs.field(factory=dict)
    cpu_us: list[float] = attrs.field(factory=list)
    rate: list[float] = attrs.field(factory=list)

    def run(self, seconds: int) -> None:
        """Ask for so long."""
        before = self.group.cpu_seconds()
        fields = [word for pair in self.fields.items() for word in ("-H", ": ".join(pair))]
        url = f"http://127.0.0.1:{self.group.port}{self.target}"
        command = ["wrk", "-t1", "-c32", f"-d{seconds}s", *fields, url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = self.group.cpu_seconds() - before
        found = re.search(r"(\d+) requests in ([\d.]+)s", text)
        if found is None or "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"{self.name}: not all was answered:\n{text}")
        self.cpu_us.append(used / int(found[1]) * 1e6)
        self.rate.append(int(found[1]) / float(found[2]))


def ratio(ours: list[float], others: list[float]) -> float:
    """Return the median of the ratios of runs that were made side by side."""
    return statistics.median([one / other for one, other in zip(ours, others, strict=True)])

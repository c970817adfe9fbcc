"""What metrics and the access log cost a hit.

    python -m bench.metered [--seconds 3] [--rounds 5]

One worker with hits of 1 KiB, four ways: log and metrics off and on. All four run, and are asked
in turn; told is the median of processor time for each request, and of requests a second, as a
ratio to both off. With metrics an admin listener is there, too, and is asked once a second.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Final

import attrs

from bench.rig import Group, s3shield, stop_all
from tests.ports import free_port

INI: Final = """\
[s3shield]
listen = 127.0.0.1:PORT
workers = 1
access_log = {log}
metrics = {metrics}
admin_listen = 127.0.0.1:{admin}

[cache:bench]
path = DIRECTORY/cache

[location:/]
origin = http://127.0.0.1:{origin}
proxy_cache = bench
proxy_cache_valid = 200 1d
"""
BODY: Final = b"x" * 1024


class _Origin(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer anything."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@attrs.define
class _Way:
    """One of the four."""

    name: str
    group: Group
    admin: int
    scraped: bool
    cpu_us: list[float] = attrs.field(factory=list)
    rate: list[float] = attrs.field(factory=list)

    def run(self, seconds: int) -> None:
        """Ask for hits as fast as they come."""
        over = threading.Event()
        scraper = threading.Thread(target=self._scrape, args=(over,))
        if self.scraped:
            scraper.start()
        before = self.group.cpu_seconds()
        url = f"http://127.0.0.1:{self.group.port}/object"
        command = ["wrk", "-t1", "-c32", f"-d{seconds}s", url]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = self.group.cpu_seconds() - before
        over.set()
        if self.scraped:
            scraper.join()
        found = re.search(r"(\d+) requests in ([\d.]+)s", text)
        if found is None or "Non-2xx" in text or "Socket errors" in text:
            raise SystemExit(f"{self.name}: not all was answered:\n{text}")
        requests = int(found[1])
        self.cpu_us.append(used / requests * 1e6)
        self.rate.append(requests / float(found[2]))

    def _scrape(self, over: threading.Event) -> None:
        while not over.wait(1.0):
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=20)
            connection.request("GET", "/metrics")
            if connection.getresponse().status != http.HTTPStatus.OK:
                raise SystemExit("the metrics were not told")
            connection.close()


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Origin)
    threading.Thread(target=origin.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        ways = []
        for log in (False, True):
            for metrics in (False, True):
                name = f"log {'on' if log else 'off'}, metrics {'on' if metrics else 'off'}"
                admin = free_port()
                text = INI.format(
                    log="DIRECTORY/access.log combined" if log else "off",
                    metrics="on" if metrics else "off",
                    admin=admin,
                    origin=origin.server_port,
                )
                group = s3shield(Path(folder) / str(len(ways)), text)
                ways.append(_Way(name, group, admin, metrics))
                for _ in range(2):
                    with urllib.request.urlopen(f"http://127.0.0.1:{group.port}/object") as got:
                        fate = got.headers["X-Cache-Status"]
                if fate != "HIT":
                    raise SystemExit(f"{name}: the object is not stored")
        time.sleep(1.0)
        for _ in range(options.rounds):
            for way in ways:
                way.run(options.seconds)
        stop_all()
    origin.shutdown()
    base = ways[0]
    for way in ways:
        cpu, rate = statistics.median(way.cpu_us), statistics.median(way.rate)
        dearer = statistics.median(
            [one / other for one, other in zip(way.cpu_us, base.cpu_us, strict=True)]
        )
        faster = statistics.median(
            [one / other for one, other in zip(way.rate, base.rate, strict=True)]
        )
        print(
            f"{way.name:<24} {cpu:7.2f} us a hit (x {dearer:.3f})   "
            f"{rate:8.0f} hits/s (x {faster:.3f})"
        )


if __name__ == "__main__":
    main()

"""What metrics and the access log cost a hit.

    python -m bench.metered [--seconds 3] [--rounds 5]

One worker with hits of 1 KiB, four ways: log and metrics off and on. All four run, and are asked
in turn; told is the median of processor time for each request, and of requests a second, as a
ratio to both off. With metrics an admin listener is there, too, and is asked once a second.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Final

import attrs

from bench.closed_loop import Loop, origin, ratio
from bench.rig import s3shield, stop_all
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


@attrs.define
class _Way:
    """One of the four."""

    loop: Loop
    admin: int
    scraped: bool

    def run(self, seconds: int) -> None:
        """Ask for hits as fast as they come."""
        over = threading.Event()
        scraper = threading.Thread(target=self._scrape, args=(over,))
        if self.scraped:
            scraper.start()
        self.loop.run(seconds)
        over.set()
        if self.scraped:
            scraper.join()

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
    with tempfile.TemporaryDirectory() as folder, origin() as port:
        ways = []
        for log in (False, True):
            for metrics in (False, True):
                name = f"log {'on' if log else 'off'}, metrics {'on' if metrics else 'off'}"
                admin = free_port()
                text = INI.format(
                    log="DIRECTORY/access.log combined" if log else "off",
                    metrics="on" if metrics else "off",
                    admin=admin,
                    origin=port,
                )
                group = s3shield(Path(folder) / str(len(ways)), text)
                ways.append(_Way(Loop(name, group, "/object"), admin, metrics))
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
    base = ways[0].loop
    for loop in [way.loop for way in ways]:
        cpu, rate = statistics.median(loop.cpu_us), statistics.median(loop.rate)
        dearer, faster = ratio(loop.cpu_us, base.cpu_us), ratio(loop.rate, base.rate)
        print(
            f"{loop.name:<24} {cpu:7.2f} us a hit (x {dearer:.3f})   "
            f"{rate:8.0f} hits/s (x {faster:.3f})"
        )


if __name__ == "__main__":
    main()

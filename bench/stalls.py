"""What holds a worker's event loop for more than 5 ms while it does everything at once.

    python -m bench.stalls [--seconds 20] [--limit 5]

One worker with `stall_log`: hits and misses of 1 KiB at a fixed rate, cold objects of 100 MiB
that are stored, others that are read from a disk whose page cache is dropped, purges by prefix.
Told is each place that held the loop, how often and for how long; and apart from these, how
often there was no processor for it: here the load has a part of the same processors, and a hold
that the kernel caused is nobody's in the daemon.
"""

from __future__ import annotations

import argparse
import http.client
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.rig import need, stop_all
from bench.rows_latency import beside, paced
from bench.sides import Field, Options
from demo.daemon import program

_HELD: Final = re.compile(r"event loop held for (\d+) ms: (.*?)(?: \((.*)\))?$")
_MORE: Final = re.compile(r"event loop held (?:(once)|(\d+) times) more, for up to (\d+) ms: (.*)$")
_PLACE: Final = re.compile(r":\d+ ")
_PURGE_EVERY: Final = 1.0


class Misses(threading.Thread):
    """Asks for small objects that are not there, one after the other, and purges them again."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.over = threading.Event()
        self.asked = self.purged = 0
        self._side = field.sides[0]
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", self._side.group.port, timeout=60
        )
        self._ini = field.directory / "s3shield" / "bench.ini"

    def run(self) -> None:
        """Go on until `over`."""
        command = [*program("s3shield"), "purge", "-c", str(self._ini), "--yes"]
        url = f"http://assets.example.com:{self._side.group.port}/cold/obj/"
        turn = 0
        while not self.over.is_set():
            turn += 1
            since = time.monotonic()
            while time.monotonic() - since < _PURGE_EVERY and not self.over.is_set():
                path = f"/cold/obj/{turn}.{self.asked}/{1 + self.asked % 100}"
                self._side.group.get(path, self._connection)
                self.asked += 1
            done = subprocess.run([*command, f"{url}{turn}.*"], capture_output=True, check=False)
            if done.returncode:
                raise SystemExit(f"a purge failed: {done.stderr.decode()}")
            self.purged += 1


def told(log: Path) -> Iterator[tuple[str, int, int, str]]:
    """Yield place, how often, the longest in ms, and the remark of each line about a hold."""
    for line in log.read_text(errors="replace").splitlines():
        if found := _HELD.search(line):
            yield _PLACE.sub(" ", found[2]), 1, int(found[1]), found[3] or ""
        elif found := _MORE.search(line):
            yield _PLACE.sub(" ", found[4]), 1 if found[1] else int(found[2]), int(found[3]), ""


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--limit", type=int, default=5, help="milliseconds (%(default)s)")
    parser.add_argument("--rate", type=int, default=5000, help="hits a second (%(default)s)")
    options = parser.parse_args()
    need("nginx", "openssl")
    folder = Path(tempfile.mkdtemp(prefix="stalls-"))
    try:
        field = Field(
            Options(seconds=options.seconds, state=folder, varnish=False),
            "stalls",
            only="s3shield",
            more=f"stall_log = {options.limit}ms\nadmin_listen = unix:DIRECTORY/admin.sock\n",
        )
        field.fill("obj")
        field.fill("o100m")
        side = field.sides[0]
        log = side.group.directory / "output.log"
        begin = log.stat().st_size
        prefix = "/slow/o100m/run/"
        others: dict[str, list[object]] = {
            "fill": ["fill", side.group.port, prefix],
            "cold reads": ["cold", side.group.port, "/o100m/", side.cache],
        }
        more: dict[str, float] = {}
        misses = Misses(field)
        misses.start()
        with beside(others, more):
            run = paced(side, options.rate, options.seconds, 32, 1)
        misses.over.set()
        misses.join()
        time.sleep(1.5)  # what is counted is told after a second
        stop_all()
        print(
            f"{run.requests:,} hits at {run.more['rate']:,.0f}/s, p99 {run.p99_us:,.0f} us; "
            f"{misses.asked:,} misses, {misses.purged} purges; "
            + ", ".join(f"{name} {value:,.0f}" for name, value in more.items())
        )
        holds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        remarks: dict[str, str] = {}
        with log.open("rb") as file:
            file.seek(begin)
            new = folder / "new.log"
            new.write_bytes(file.read())
        for place, count, longest, remark in told(new):
            holds[place][0] += count
            if longest >= holds[place][1]:
                holds[place][1] = longest
                remarks[place] = remark or remarks.get(place, "")
        if not holds:
            print(f"nothing held the loop for more than {options.limit} ms")
        for place, (count, longest) in sorted(holds.items(), key=lambda each: -each[1][1]):
            print(f"{count:6} times, at most {longest:4} ms: {place}  {remarks[place]}")
    finally:
        stop_all()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

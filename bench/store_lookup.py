"""The store alone: lookups, and lookups while everything is being stored.

    python bench/store_lookup.py [--entries 20000] [--size 1024] [--seconds 3] [--alone]

One process, as a worker's event loop would use it. Prints one line a measurement:
operations a second, and the 50th, 99th and 99.9th percentile of one operation in us.
"""

import argparse
import hashlib
import itertools
import random
import shutil
import tempfile
import time
from pathlib import Path

from s3shield.policy import EntryMeta
from s3shield.store import Store

META = EntryMeta(
    status=200,
    born=1.0,
    response_time=1.0,
    fresh_until=1e12,
    etag=b'"0123456789abcdef0123456789abcdef"',
)
HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: s3shield\r\nContent-Type: text/plain\r\n"
    b'ETag: "0123456789abcdef0123456789abcdef"\r\n'
    b"Last-Modified: Mon, 23 Nov 2026 00:00:00 GMT\r\nAccept-Ranges: bytes\r\n"
    b"Content-Length: 1024\r\n"
)


class Loop:
    """No threads are used here, so nothing comes back from them."""

    def callFromThread(self, function, *args):
        """Call it now."""
        function(*args)

    def callLater(self, _seconds, _function):
        """Never: no body has gaps here."""


def report(name, times):
    times.sort()
    total = sum(times)
    at = [times[min(len(times) - 1, int(len(times) * part))] * 1e6 for part in (0.5, 0.99, 0.999)]
    print(
        f"{name:34} {len(times) / total:10,.0f}/s"
        f"   p50 {at[0]:7.2f}   p99 {at[1]:8.2f}   p99.9 {at[2]:9.2f}   max {times[-1] * 1e6:9.0f}"
    )


def timed(operation, arguments, seconds):
    """Time each call of `operation` for so many seconds."""
    clock = time.perf_counter
    times = []
    end = clock() + seconds
    for argument in arguments:
        start = clock()
        operation(*argument)
        now = clock()
        times.append(now - start)
        if now > end:
            break
    return times


def both(lookup, store, lookups, stores, rate, seconds):
    """Look up as fast as possible while `rate` entries a second are stored."""
    clock = time.perf_counter
    looked, stored = [], []
    start = last = clock()
    while last < start + seconds:
        if len(stored) < (last - start) * rate:
            store(*next(stores))
            now = clock()
            stored.append(now - last)
        else:
            lookup(*next(lookups))
            now = clock()
            looked.append(now - last)
        last = now
    return looked, stored


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a body")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--rate", type=int, default=10_000, help="stores a second meanwhile")
    parser.add_argument("--alone", action="store_true", help="as a single worker: not shared")
    options = parser.parse_args()

    path = Path(tempfile.mkdtemp(prefix="s3shield-bench-"))
    store = Store(path / "cache", reactor=Loop(), pool=None, shared=not options.alone)
    try:
        body = b"x" * options.size

        def entry(number):
            key = b"main|bucket|/obj/%d" % number
            return hashlib.sha256(key).digest()[:16], key

        known = [entry(number) for number in range(options.entries)]
        new = (entry(number) for number in itertools.count(options.entries))

        def put(digest, key):
            store.put(digest, key, META, HEAD, body)

        for one in known:
            put(*one)
        store.flush()
        lookups = itertools.cycle(random.choices(known, k=200_000))
        report("lookup", timed(store.get, lookups, options.seconds))
        missing = [entry(-number) for number in range(1, 1000)]
        report("lookup, nothing there", timed(store.get, itertools.cycle(missing), 1))
        report("touch", timed(store.touch, ((digest,) for digest, _ in lookups), 1))
        looked, stored = both(store.get, put, lookups, new, options.rate, options.seconds)
        report(f"lookup at {options.rate} stores/s", looked)
        report(f"store at {options.rate} stores/s", stored)
        start = time.perf_counter()
        burst = [next(new) for _ in range(20_000)]
        report("store, all at once", timed(put, burst, 60))
        store.flush()
        print(f"{'committed':34} {len(burst) / (time.perf_counter() - start):10,.0f}/s")
        store.close()
        start = time.perf_counter()
        store = Store(path / "cache", reactor=Loop(), pool=None, shared=not options.alone)
        opened = time.perf_counter() - start
        print(f"opened {store.stats().entries:,} entries in {opened * 1e3:.1f} ms")
    finally:
        store.close()
        shutil.rmtree(path)


if __name__ == "__main__":
    main()

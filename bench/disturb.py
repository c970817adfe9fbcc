"""What goes on beside small hits: large objects are filled, read from a cold disk, or streamed.

    disturb.py fill PORT PREFIX       GET PREFIX1/1, PREFIX2/1, ...: each a miss of 100 MiB
    disturb.py cold PORT PREFIX DIR   GET PREFIX1 .. PREFIX4 in turns, after dropping the page
                                      cache of what is large in DIR; at most 100 MB/s
    disturb.py fast PORT PATH         GET PATH again and again, as fast as it comes

Goes on until its standard input ends, then prints one line of JSON: bytes read, whole objects,
seconds. Every object's size, status and X-Cache-Status is looked at, its body at its ends.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if __package__ in (None, ""):  # run as a file, not as a module
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.objects import KINDS, Kind, body_of

PIECE: Final = 512 * 1024
LARGE: Final = 50 << 20
COLD_RATE: Final = 100e6
LOOKED_AT: Final = 4096


def over() -> bool:
    """Return whether we are to end."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def drop(directory: Path) -> None:
    """Let the kernel forget the contents of large files."""
    for path in directory.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it was evicted meanwhile
            if path.is_file() and path.stat().st_size >= LARGE:
                fd = os.open(path, os.O_RDONLY)
                try:
                    os.fdatasync(fd)
                    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                finally:
                    os.close(fd)


class Reader:
    """Reads objects over one connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.bytes = self.objects = 0
        self._room = bytearray(PIECE)

    def get(self, path: str, kind: Kind, number: int, status: str, rate: float | None) -> bool:
        """Read one object, no faster than `rate` bytes a second; return False when told to end.

        Leaves when the answer is wrong.
        """
        head = f"GET {path} HTTP/1.1\r\nHost: assets.example.com\r\n\r\n".encode()
        self.socket.sendall(head)
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.socket.recv(4096)
            if not more:
                sys.exit(f"{path}: the connection ended after {got!r}")
            got += more
        answer, _, first = got.partition(b"\r\n\r\n")
        size = kind.size(number)
        for wanted in (b"200 OK", b"Content-Length: %d\r\n" % size, status.encode()):
            if wanted not in answer + b"\r\n":
                sys.exit(f"{path}: wanted {wanted!r}, got {answer!r}")
        started, done = time.monotonic(), len(first)
        room = memoryview(self._room)
        begin, end = first[:LOOKED_AT], first[-LOOKED_AT:]
        while done < size:
            count = self.socket.recv_into(room)
            if not count:
                sys.exit(f"{path}: cut after {done} of {size} bytes")
            if len(begin) < LOOKED_AT:
                begin += bytes(room[: LOOKED_AT - len(begin)][:count])
            end = (end + bytes(room[max(0, count - LOOKED_AT) : count]))[-LOOKED_AT:]
            done += count
            self.bytes += count
            if over():
                return False
            if rate and (early := started + done / rate - time.monotonic()) > 0:
                time.sleep(early)
        right = body_of(kind, number, size - LOOKED_AT, LOOKED_AT)
        if begin != body_of(kind, number, 0, LOOKED_AT) or end != right or done != size:
            sys.exit(f"{path}: not the object's body")
        self.objects += 1
        return True


def objects(what: str, prefix: str, directory: Path | None) -> Iterator[tuple[str, int, str]]:
    """Yield path, number of the object, and X-Cache-Status of what to read next."""
    for index in itertools.count():
        if what == "fill":
            yield f"{prefix}{index}/1", 1, "X-Cache-Status: MISS"
        elif what == "cold":
            assert directory is not None
            drop(directory)
            number = 1 + index % KINDS["o100m"].count
            yield f"{prefix}{number}", number, "X-Cache-Status: HIT"
        else:
            yield prefix, 1, "X-Cache-Status: HIT"


def main(arguments: list[str]) -> None:
    """Read until told to end; print."""
    what, port, prefix, *directory = arguments
    kind = KINDS["huge" if what == "fast" else "o100m"]
    reader = Reader(int(port))
    rate = COLD_RATE if what == "cold" else None
    started = time.monotonic()
    for path, number, status in objects(what, prefix, Path(directory[0]) if directory else None):
        if over() or not reader.get(path, kind, number, status, rate):
            break
    found = {"bytes": reader.bytes, "objects": reader.objects}
    print(json.dumps({**found, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(sys.argv[1:])

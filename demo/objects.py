"""What lies in the demo's private bucket."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Final
from urllib.parse import quote

import attrs

__all__ = ["LARGE", "Sample", "samples"]

LARGE: Final = 64 << 20
_SIDE: Final = 96


@attrs.frozen
class Sample:
    """One object. key: str, as S3 names it. body: bytes."""

    key: str
    content_type: str
    body: bytes = attrs.field(repr=False)

    @property
    def path(self) -> str:
        """The request target a browser would send for it, from the leading slash on.

        `'` and `+` are legal in a path and stay as they are, as clients send them.
        """
        return "/" + quote(self.key, safe="/~'+!*()")


def samples(large: int = LARGE) -> list[Sample]:
    """Return the objects: text, an image, a large file, and keys that proxies get wrong."""
    text = "text/plain; charset=utf-8"
    plain = [
        ("hello.txt", text, b"Hello from a private bucket.\n"),
        ("pictures/tile.png", "image/png", _png()),
        ("large/video.bin", "application/octet-stream", random.Random(2).randbytes(large)),
        ("empty.txt", text, b""),
    ]
    awkward = [
        "with space.txt",
        "one+one.txt",
        "it's.txt",
        "café.txt",
        "100%.txt",
        "two//slashes.txt",
    ]
    keys = [(key, text, f"The key is {key}\n".encode()) for key in awkward]
    return [Sample(*each) for each in plain + keys]


def _png() -> bytes:
    """Return a small true-colour picture, so that a browser has something to show."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    rows = (
        b"\0" + b"".join(bytes((2 * x, 2 * y, 255 - x - y)) for x in range(_SIDE))
        for y in range(_SIDE)
    )
    header = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")

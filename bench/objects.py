"""What the origin holds, and whether what came back is that.

Every object has a body of its own, so that a mix-up is seen. KIND/NUMBER names one: `obj/7`.
"""

from __future__ import annotations

import http.client
import os
import random
from pathlib import Path
from typing import Final

import attrs

from bench.rig import Group

__all__ = ["KINDS", "Doubt", "Kind", "body_of", "make", "sample", "visit"]

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
_MADE: Final = 1_760_000_000
"""Modification time of all files: bodies of one size have one entity tag then."""
_PIECE: Final = 64 * KIB


class Doubt(Exception):  # noqa: N818  # says what it is
    """The measurement would not mean what it says; the text tells why."""


@attrs.frozen
class Kind:
    """Objects of one size, or of sizes from 1 KiB to 4 MiB. count: how many there are."""

    name: str
    count: int
    bytes: int

    def size(self, number: int) -> int:
        """Return that of one of them."""
        return self.bytes or KIB << number % 13


KINDS: Final = {
    kind.name: kind
    for kind in (
        Kind("obj", 10_000, KIB),
        Kind("o64k", 1000, 64 * KIB),
        Kind("o1m", 100, MIB),
        Kind("o16m", 8, 16 * MIB),
        Kind("mixed", 390, 0),
        Kind("o100m", 4, 100 * MIB),
        Kind("large", 1, GIB),
        Kind("huge", 1, 2 * GIB),
    )
}


def _piece(kind: Kind, number: int, index: int) -> bytes:
    """Return 64 KiB of a large body, number `index` of it."""
    mark = b"%s %d %d\n" % (kind.name.encode(), number, index)
    return (mark * (_PIECE // len(mark) + 1))[:_PIECE]


def body_of(kind: Kind, number: int, first: int = 0, length: int | None = None) -> bytes:
    """Return `length` bytes of a body from `first` on; all when left out."""
    size = kind.size(number)
    stop = size if length is None else first + length
    if size <= _PIECE:
        mark = b"%s %d\n" % (kind.name.encode(), number)
        return (mark * (size // len(mark) + 1))[first:stop]
    begin, end = first // _PIECE, -(-stop // _PIECE)
    pieces = b"".join(_piece(kind, number, index) for index in range(begin, end))
    return pieces[first - begin * _PIECE : stop - begin * _PIECE]


def make(directory: Path, kind: Kind) -> None:
    """Write all objects of a kind, once."""
    where = directory / kind.name
    if where.exists():
        return
    half = directory / f"{kind.name}.half"
    half.mkdir(parents=True, exist_ok=True)
    for number in range(1, kind.count + 1):
        path = half / str(number)
        with path.open("wb") as file:
            for first in range(0, kind.size(number), MIB):
                length = min(MIB, kind.size(number) - first)
                file.write(body_of(kind, number, first, length))
        os.utime(path, (_MADE, _MADE))
    half.rename(where)


def whole(response: http.client.HTTPResponse, kind: Kind, number: int) -> bool:
    """Read a response; return whether its body is the object's."""
    right, done = True, 0
    while piece := response.read(MIB):
        right = right and piece == body_of(kind, number, done, len(piece))
        done += len(piece)
    return right and done == kind.size(number)


def sample(kind: Kind, most: int, seed: int) -> list[int]:
    """Return the numbers of some of them, of few when they are large."""
    most = min(kind.count, most, max(1, 256 * MIB // max(kind.bytes, KIB)))
    return random.Random(seed).sample(range(1, kind.count + 1), most)


def visit(
    group: Group,
    kind: Kind,
    numbers: list[int],
    status: str | None,
    path: str = "/{kind}/{number}",
) -> None:
    """Get each object, compare it and, when `status` is given, its X-Cache-Status.

    Raises Doubt with the first that is not as it should be.
    """
    connection = http.client.HTTPConnection("127.0.0.1", group.port, timeout=60)
    for number in numbers:
        target = path.format(kind=kind.name, number=number)
        connection.request("GET", target, headers={"Host": "assets.example.com"})
        response = connection.getresponse()
        word = response.getheader("X-Cache-Status", "-")
        right = whole(response, kind, number)
        if response.status != 200 or not right or status not in (None, word):
            raise Doubt(
                f"{group.name}: {target} came back as {response.status} {word}"
                f"{'' if right else ', not with its own body'}"
                f"{'' if status is None else f'; wanted: {status}'}"
            )
    connection.close()

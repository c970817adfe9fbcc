"""Writing pieces of a body into its file. Blocks: for threads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

__all__ = ["write_pieces"]

_ONCE: Final = 256 << 10
"""Bytes to a system call. The kernel gives each call's pages as one piece of memory if it can; to
find a megabyte in one piece costs several times what copying it does."""
_MOST: Final = 512  # below every system's IOV_MAX
_pwritev: Final = getattr(os, "pwritev", None)


def write_pieces(fd: int, offset: int, pieces: Sequence[bytes]) -> None:
    """Write all of `pieces`, one behind the other, from `offset` on. Raises OSError."""
    for some in _portions(pieces):
        size = sum(map(len, some))
        wrote = 0 if _pwritev is None else _pwritev(fd, some, offset)
        if wrote < size:
            rest = memoryview(b"".join(some))[wrote:]
            while rest:
                wrote = os.pwrite(fd, rest, offset + size - len(rest))
                rest = rest[wrote:]
        offset += size


def _portions(pieces: Sequence[bytes]) -> Iterator[list[bytes | memoryview]]:
    """Yield the pieces in lists of at most `_ONCE` bytes, long ones cut."""
    some: list[bytes | memoryview] = []
    room = _ONCE
    for piece in pieces:
        view: bytes | memoryview = piece
        if len(piece) > room:
            view = memoryview(piece)
            while len(view) > room:
                some.append(view[:room])
                view = view[room:]
                yield some
                some, room = [], _ONCE
        some.append(view)
        room -= len(view)
        if len(some) == _MOST or not room:
            yield some
            some, room = [], _ONCE
    if some:
        yield some

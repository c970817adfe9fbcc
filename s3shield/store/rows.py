"""Keys and values of the index's other sub-databases. Pure.

keys, tags: text + NUL + digest -> empty (ordered: a prefix is a cursor scan)
lru:        minute (u32, big-endian) + digest -> weight
atime:      digest -> minute + weight
meta:       TOTALS -> bytes and entries stored; the rest by name

A minute is a 60-second period since the epoch.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

__all__ = [
    "ATIME",
    "LRU",
    "MINUTE",
    "NOTHING",
    "TEXT_LIMIT",
    "TOTALS",
    "WEIGHT",
    "LruRow",
    "Totals",
    "Weight",
    "lru_row",
    "minute_of",
    "text_row",
    "weigh",
]

TEXT_LIMIT: Final = 480
"""Bytes of a text that order its row: LMDB's keys are at most 511 bytes."""
MINUTE: Final = 60
_BLOCK: Final = 4096

LRU: Final = struct.Struct(">I16s")
ATIME: Final = struct.Struct(">IQQ")
WEIGHT: Final = struct.Struct(">QQ")
TOTALS: Final = struct.Struct(">QQ")


class Weight(NamedTuple):
    """Bytes that an entry takes. size: all of them. disk: those of its body file."""

    size: int
    disk: int


NOTHING: Final = Weight(0, 0)


class LruRow(NamedTuple):
    """One entry in order of last use."""

    minute: int
    digest: bytes
    weight: Weight


class Totals(NamedTuple):
    """What the index holds. size: bytes, head, key and body. entries: count."""

    size: int
    entries: int


def weigh(record: int, body_file: int) -> Weight:
    """Weigh an entry by the bytes of its record and of its body file (0: it has none)."""
    disk = (body_file + _BLOCK - 1) // _BLOCK * _BLOCK
    return Weight(record + disk, disk)


def minute_of(now: float) -> int:
    """Return the minute that `now`, seconds since the epoch, is in."""
    return int(now) // MINUTE


def text_row(text: bytes, digest: bytes) -> bytes:
    """Return the row of an entry in order of `text`: a cache key or a tag."""
    return b"".join((text[:TEXT_LIMIT], b"\0", digest))


def lru_row(key: bytes, value: bytes) -> LruRow:
    """Read a row of `lru`."""
    minute, digest = LRU.unpack(key)
    return LruRow(minute, digest, Weight(*WEIGHT.unpack(value)))

"""The bytes of one stored entry, and `Entry`, which reads them. Pure.

A record is a fixed part (`_FIXED`, little-endian) and then, without gaps:

    head    the response head as it goes on the wire
    key     the cache key's text; compared on every lookup
    etag    only when the ETag's value does not stand in the head
    blocks  what is known of a body file's blocks of `1 << block_shift` bytes:
            when not COMPLETE a bitmap of those present (bit i of byte i // 8), then
            in either case one CRC-32 (u32) for each block
    tags    purge tags, NUL between them
    body    an inline body; nothing when the body has a file

The fixed part holds the offset of each section's end, so no section is searched for.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from typing import Final

from s3shield.policy import EntryMeta, StoredResponse

from .blocks import present_bytes

__all__ = [
    "FORMAT",
    "NO_BLOB",
    "Entry",
    "EntryMark",
    "RecordError",
    "encode",
    "pack_checksums",
    "rebuilt",
    "refreshed",
    "restamped",
]

FORMAT: Final = 1
"""Version of everything in the store: record, rows, names of files."""
NO_BLOB: Final = bytes(16)

# format, block_shift, status, flags, era, marks, last_modified, born, response_time,
# fresh_until, swr_until, sie_until, size, blob, head_end, key_end, etag_at, etag_end,
# blocks_at, tags_at, body_at
_FIXED: Final = struct.Struct("<BBHIIIqdddddQ16sIIIIIII")
_ERA: Final = struct.Struct("<I")
_ERA_AT: Final = 8
_unpack = _FIXED.unpack_from
_START: Final = _FIXED.size
_OBJECT: Final = 640
"""Bytes of an Entry's own, and of the numbers and names that it points to."""


class RecordError(ValueError):
    """Bytes that are not a record of this format version."""


class EntryMark(enum.IntFlag):
    """What the store itself remembers of an entry; the numbers are part of the format."""

    COMPLETE = 1
    """Every byte of the body is there."""


_COMPLETE: Final = int(EntryMark.COMPLETE)  # `&` of two flags takes a microsecond


class Entry:
    """One stored response: a `policy.StoredResponse` with its head, key and body.

    Not an attrs value: it is built on the hit path. Never changed once made, `seen` apart.

    digest: bytes, 16. raw: bytes, the record; made anew each time. status, born,
    response_time, fresh_until, swr_until, sie_until, flags, etag, last_modified: see
    `policy.EntryMeta`.
    head: bytes, wire head. key: bytes, the cache key's text. size: int, bytes in the body.
    body: bytes, or None when the body has a file. blob: bytes, 16, that file's id, or None.
    block_shift: int, log2 of the block size of a body file. era: int, how many unclean
    stops of the operating system the store had seen when the body was written.
    seen: int, for the index: the transaction in which it read this entry.

    Raises RecordError when the bytes are no record of this format.
    """

    __slots__ = (
        "_blocks_at",
        "_body_at",
        "_etag_at",
        "_etag_end",
        "_format",
        "_front",
        "_tags_at",
        "blob",
        "block_shift",
        "body",
        "born",
        "digest",
        "era",
        "flags",
        "fresh_until",
        "head",
        "key",
        "last_modified",
        "marks",
        "response_time",
        "seen",
        "sie_until",
        "size",
        "status",
        "swr_until",
    )

    block_shift: int
    blob: bytes | None
    body: bytes | None
    born: float
    era: int
    flags: int
    fresh_until: float
    last_modified: int
    marks: int
    response_time: float
    seen: int
    sie_until: float
    size: int
    status: int
    swr_until: float

    def __init__(self, raw: bytes, digest: bytes = b"") -> None:
        try:
            (
                self._format,
                self.block_shift,
                self.status,
                self.flags,
                self.era,
                self.marks,
                self.last_modified,
                self.born,
                self.response_time,
                self.fresh_until,
                self.swr_until,
                self.sie_until,
                self.size,
                blob,
                head_end,
                key_end,
                self._etag_at,
                self._etag_end,
                self._blocks_at,
                self._tags_at,
                body_at,
            ) = _unpack(raw)
        except struct.error as error:
            raise RecordError("too short for a record") from error
        if self._format != FORMAT or body_at > len(raw):
            raise RecordError("not a record of this format")
        self.digest = digest
        self.head = raw[_START:head_end]
        self.key = raw[head_end:key_end]
        self._body_at = body_at
        if blob == NO_BLOB:
            # The body is held once: remembered entries are many.
            self._front = raw[:body_at]
            self.blob = None
            self.body = raw[body_at:]
        else:
            self._front = raw
            self.blob = blob
            self.body = None

    @property
    def raw(self) -> bytes:
        """The record."""
        return self._front if self.body is None else self._front + self.body

    @property
    def memory(self) -> int:
        """About how many bytes this object takes."""
        inline = 0 if self.body is None else len(self.body)
        return _OBJECT + 2 * len(self._front) + inline

    @property
    def etag(self) -> bytes:
        """The ETag field's value as sent, or empty."""
        return self._front[self._etag_at : self._etag_end]

    @property
    def complete(self) -> bool:
        """Whether every byte of the body is stored."""
        return bool(self.marks & _COMPLETE)

    @property
    def blocks(self) -> bytes:
        """The block section as it is."""
        return self._front[self._blocks_at : self._tags_at]

    @property
    def on_disk(self) -> int:
        """Bytes of the body file that are there."""
        if self.blob is None:
            return 0
        if self.complete:
            return self.size
        return present_bytes(self.blocks, self.size, self.block_shift)

    @property
    def checksums(self) -> tuple[int, ...]:
        """CRC-32 of each block of the body file; empty when none are known."""
        blocks = self.blocks
        if not self.complete:
            count = (self.size + (1 << self.block_shift) - 1) >> self.block_shift
            blocks = blocks[(count + 7) // 8 :]
        count = len(blocks) // 4
        return struct.unpack(f"<{count}I", blocks[: 4 * count])

    @property
    def tags(self) -> tuple[bytes, ...]:
        """Purge tags."""
        section = self._front[self._tags_at : self._body_at]
        return tuple(section.split(b"\0")) if section else ()

    @property
    def meta(self) -> EntryMeta:
        """A copy of what `policy` decided about this response."""
        return EntryMeta(
            status=self.status,
            born=self.born,
            response_time=self.response_time,
            fresh_until=self.fresh_until,
            swr_until=self.swr_until,
            sie_until=self.sie_until,
            flags=self.flags,
            etag=self.etag,
            last_modified=self.last_modified,
        )

    def __repr__(self) -> str:
        where = "inline" if self.blob is None else self.blob.hex()
        return f"<Entry {self.digest.hex()} {self.status} {self.size} bytes {where}>"


def encode(
    meta: StoredResponse,
    head: bytes,
    key: bytes,
    *,
    body: bytes = b"",
    blob: bytes | None = None,
    size: int | None = None,
    tags: Iterable[bytes] = (),
    blocks: bytes = b"",
    block_shift: int = 0,
    era: int = 0,
    complete: bool = True,
) -> bytes:
    """Return the record of a response.

    body: the inline body, empty when `blob` (16 bytes) names a file. size: bytes in the
    whole body, that of `body` when None. tags: empty ones and any with a NUL are left out.
    """
    head_end = _START + len(head)
    key_end = head_end + len(key)
    etag = meta.etag
    found = head.find(etag)
    if found >= 0:
        etag_at, stray = _START + found, b""
    else:
        etag_at, stray = key_end, etag
    blocks_at = key_end + len(stray)
    tags_at = blocks_at + len(blocks)
    labels = b"\0".join([tag for tag in tags if tag and b"\0" not in tag])
    fixed = _FIXED.pack(
        FORMAT,
        block_shift,
        meta.status,
        meta.flags,
        era,
        EntryMark.COMPLETE if complete else 0,
        meta.last_modified,
        meta.born,
        meta.response_time,
        meta.fresh_until,
        meta.swr_until,
        meta.sie_until,
        len(body) if size is None else size,
        blob or NO_BLOB,
        head_end,
        key_end,
        etag_at,
        etag_at + len(etag),
        blocks_at,
        tags_at,
        tags_at + len(labels),
    )
    return b"".join((fixed, head, key, stray, blocks, labels, body))


def refreshed(entry: Entry, meta: StoredResponse, head: bytes) -> bytes:
    """Return `entry`'s record with another meta and head, its body kept."""
    return encode(
        meta,
        head,
        entry.key,
        body=entry.body or b"",
        blob=entry.blob,
        size=entry.size,
        tags=entry.tags,
        blocks=entry.blocks,
        block_shift=entry.block_shift,
        era=entry.era,
        complete=entry.complete,
    )


def rebuilt(entry: Entry, blocks: bytes, era: int, *, complete: bool) -> bytes:
    """Return `entry`'s record with another block section, as of `era`."""
    return encode(
        entry,
        entry.head,
        entry.key,
        blob=entry.blob,
        size=entry.size,
        tags=entry.tags,
        blocks=blocks,
        block_shift=entry.block_shift,
        era=era,
        complete=complete,
    )


def restamped(raw: bytes, era: int) -> bytes:
    """Return the record with another `era`."""
    return b"".join((raw[:_ERA_AT], _ERA.pack(era), raw[_ERA_AT + 4 :]))


def pack_checksums(checksums: Iterable[int]) -> bytes:
    """Return the block section of a complete body: one u32 a block."""
    values = tuple(checksums)
    return struct.pack(f"<{len(values)}I", *values)

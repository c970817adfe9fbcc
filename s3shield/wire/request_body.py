"""The body of a request that somebody wants, taken out of the bytes that come (RFC 9112 7.1)."""

from __future__ import annotations

import re
from typing import Final

from s3shield.wire.request_head import UNKNOWN_LENGTH, Refused

__all__ = ["CONTINUE", "BodyReader"]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CRLF: Final = b"\r\n"
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n\0]*)?")
_LINE: Final = 4096
"""Bytes of one line between chunks; of all trailers, which are dropped, eight times that.

The same holds of extensions, less 16 bytes and twice its size for each chunk.
"""


class BodyReader:
    """Reads one body.

    length: bytes, or UNKNOWN_LENGTH for chunks. limit: most bytes. Raises Refused (413).
    """

    __slots__ = ("_bytes", "_chunked", "_ended", "_left", "_limit", "_overhead", "_size")

    def __init__(self, length: int, limit: int) -> None:
        self._chunked = length == UNKNOWN_LENGTH
        self._limit = limit
        self._bytes = bytearray()
        self._left = 0 if self._chunked else length  # of the body, or of a chunk and its CRLF
        self._size = self._left
        self._ended = False  # the last chunk was there: trailers follow
        self._overhead = 0
        self._check()

    @property
    def held(self) -> int:
        """Bytes that were read and not taken."""
        return len(self._bytes)

    def take(self) -> bytes:
        """Return what was read since the last time."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken

    def passes(self, data: bytes) -> bool:
        """Tell whether all of `data` is body and not its end; then it counts as read."""
        if self._chunked or len(data) >= self._left:
            return False
        self._left -= len(data)
        return True

    def feed(self, pending: bytearray) -> bool:
        """Take the body's bytes out of `pending`; True when all are there.

        Raises Refused for bad chunks (400) and for too much (413).
        """
        if not self._chunked:
            self._take(pending)
            return not self._left
        while True:
            if self._left > 2:
                self._left -= 2
                self._take(pending)
                self._left += 2
            if self._left:
                if self._left > 2 or len(pending) < 2:
                    return False
                if not pending.startswith(_CRLF):
                    raise Refused(400, "a chunk without an end")
                del pending[:2]
                self._left = 0
            end = pending.find(_CRLF)
            if end < 0 or end > _LINE:
                if len(pending) > _LINE:
                    raise Refused(400, "a line between chunks is too long")
                return False
            line = bytes(pending[:end])
            del pending[: end + 2]
            if self._read_line(line):
                return True

    def _take(self, pending: bytearray) -> None:
        take = min(self._left, len(pending))
        if take:
            self._bytes += pending[:take]
            del pending[:take]
            self._left -= take

    def _read_line(self, line: bytes) -> bool:
        """Read the size of a chunk, or a trailer; True at the end of the message."""
        if self._ended:
            self._overhead += len(line)
            if b"\n" in line or b"\r" in line or self._overhead > 8 * _LINE:
                raise Refused(400, "trailers")
            return not line
        match = _SIZE.fullmatch(line)
        if match is None:
            raise Refused(400, "no size of a chunk")
        size = int(match[1], 16)
        # Extensions and tiny chunks cost more than they bring.
        self._overhead = max(0, self._overhead + len(line) - 2 * size - 16)
        if self._overhead > 8 * _LINE:
            raise Refused(400, "chunks that are mostly extensions")
        self._ended = not size
        if size:
            self._size += size
            self._check()
            self._left = size + 2
        return False

    def _check(self) -> None:
        if self._size > self._limit:
            raise Refused(413, "the body is too large")

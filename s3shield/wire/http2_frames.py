"""What a client's HTTP/2 frames cost, seen before anything is done about them.

Theory of operation. `h2` is told nothing of a connection that misbehaves, so every byte
passes here first. Only the frames' heads are read (RFC 9113 section 4.1). A frame that
asks for work and brings nothing costs a token; tokens come back with time and with what we
send, so that a client which reads its answers never runs out. Nothing here grows.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["FRAME_LIMIT", "Bucket", "FloodError", "FrameCount"]

FRAME_LIMIT: Final = 16 * 1024
"""Bytes of a frame's payload; SETTINGS_MAX_FRAME_SIZE, which nobody may exceed."""
BLOCK_LIMIT: Final = 64 * 1024
"""Bytes of one field block as it is sent: HEADERS and all of its CONTINUATION."""
CONTINUATIONS: Final = 16
"""CONTINUATION frames of one field block."""

_HEAD: Final = 9
_DATA: Final = 0x0
_HEADERS: Final = 0x1
_CONTINUATION: Final = 0x9
_END_HEADERS: Final = 0x4
_SMALL: Final = 256
"""Bytes of a DATA frame below which it costs something."""

_CALM: Final = 0xB
_FRAME_SIZE: Final = 0x6


class FloodError(Exception):
    """The connection must end. code: the GOAWAY's (RFC 9113 section 7); the text is for the log."""

    def __init__(self, why: str, code: int = _CALM) -> None:
        super().__init__(why)
        self.code = code


@attrs.define
class Bucket:
    """Tokens: `burst` at first and at most, `rate` a second come back."""

    burst: float
    rate: float
    _left: float = attrs.field(init=False)
    _since: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens at the monotonic second `now`; False when there are none."""
        if self._since is not None:
            self._left = min(self.burst, self._left + (now - self._since) * self.rate)
        self._since = now
        self._left -= cost
        return self._left >= 0

    def give(self, tokens: float) -> None:
        """Put tokens back."""
        self._left = min(self.burst, self._left + tokens)


class FrameCount:
    """Counts the frames of one connection as their bytes come.

    bucket: pays for frames that bring nothing. block: the number of the field block that has
    begun and not ended, or 0.
    """

    __slots__ = ("_blocks", "_continued", "_head", "_left", "_preface", "_size", "block", "bucket")

    def __init__(self, preface: int, bucket: Bucket) -> None:
        self.bucket = bucket
        self.block = 0
        self._blocks = 0
        self._preface = preface  # bytes of the client's preface to come
        self._head = b""
        self._left = 0  # of the payload
        self._size = 0  # bytes of the field block
        self._continued = 0

    def add(self, data: bytes, now: float) -> None:
        """Look at what was read at the monotonic second `now`. Raises FloodError."""
        at = 0
        if self._preface:
            at = min(self._preface, len(data))
            self._preface -= at
        size = len(data)
        while at < size:
            if self._left:
                taken = min(self._left, size - at)
                self._left -= taken
                at += taken
                continue
            head = self._head + data[at : at + _HEAD - len(self._head)]
            at += len(head) - len(self._head)
            if len(head) < _HEAD:
                self._head = head
                return
            self._head = b""
            self._begin(int.from_bytes(head[:3], "big"), head[3], head[4], now)

    def _begin(self, length: int, kind: int, flags: int, now: float) -> None:
        """Count a frame whose head is there."""
        if length > FRAME_LIMIT:
            raise FloodError("a frame longer than it may be", _FRAME_SIZE)
        self._left = length
        if kind == _HEADERS:
            self._size, self._continued = length, 0
            self._blocks += 1
            self.block = self._blocks
        elif kind == _CONTINUATION and self.block:
            self._size += length
            self._continued += 1
            if self._continued > CONTINUATIONS or self._size > BLOCK_LIMIT:
                raise FloodError("fields without end")
        else:
            if (kind != _DATA or length < _SMALL) and not self.bucket.take(now):
                raise FloodError("too many frames that bring nothing")
            return
        if flags & _END_HEADERS:
            self.block = 0

"""What a client has sent and is not served yet: heads to come, bodies that nobody wants."""

from __future__ import annotations

from typing import Final

from s3shield.wire.request_head import HeadReader, Refused

__all__ = ["Backlog"]

_END: Final = b"\r\n\r\n"
_CRLF: Final = b"\r\n"


class Backlog:
    """The unserved bytes of one connection, in order.

    body: int, bytes of an unwanted body that are dropped as they come. partial: whether
    part of a head is there and was looked at. refused: bytes, what there was of the head
    when `next_head` raised.
    """

    __slots__ = ("_bytes", "_foreseen", "body", "refused")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._foreseen = 0  # bytes that were looked at as part of a head
        self.body = 0
        self.refused = b""

    def __len__(self) -> int:
        return len(self._bytes)

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    @property
    def partial(self) -> bool:
        """Whether a head has begun and not ended."""
        return self._foreseen > 0

    def add(self, data: bytes) -> None:
        """Take what was read."""
        self._bytes += data
        self.drop_body()

    def clear(self) -> None:
        """Forget it all."""
        self._bytes.clear()

    def drop_body(self) -> None:
        """Drop what belongs to an unwanted body."""
        if self.body:
            dropped = min(self.body, len(self._bytes))
            self.body -= dropped
            del self._bytes[:dropped]

    def next_head(self, reader: HeadReader) -> bytes | None:
        """Cut off the next whole head; None when it is not whole. Raises `Refused`."""
        pending = self._bytes
        while pending.startswith(_CRLF):  # RFC 9112 section 2.2
            del pending[:2]
        if self.body or not pending or pending == b"\r":
            return None
        end = pending.find(_END, max(0, self._foreseen - 3))
        head = bytes(pending if end < 0 else pending[: end + 4])
        try:
            if end < 0:
                reader.foresee(head[self._foreseen :], pending)
                self._foreseen = len(pending)
                return None
            del pending[: end + 4]
            self._foreseen = 0
            reader.check_size(head)
        except Refused:
            self.refused = head
            raise
        return head

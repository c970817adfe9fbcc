"""Why a HEAD was refused: the answer to a HEAD has no document, so a GET is asked for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .s3_errors import MAX_ERROR_BODY

if TYPE_CHECKING:
    from s3shield.policy import Fields, OriginFailure, ResponseHead

    from .origin import Call

__all__ = ["ONE_BYTE", "Wondering"]

ONE_BYTE: Final[Fields] = ((b"Range", b"bytes=0-0"),)
"""What goes with that GET: should it be answered, there is next to nothing to read."""


class Wondering:
    """A `wire.Receiver` of that GET.

    solved: is called with the document, or nothing where there is none: once. call: set by
    whoever asks, so that a whole object need not be read.
    """

    __slots__ = ("_body", "_over", "_solved", "call")

    def __init__(self, solved: Callable[[bytes], None]) -> None:
        self._solved = solved
        self._body = b""
        self._over = False
        self.call: Call | None = None

    def _end(self, body: bytes) -> None:
        if not self._over:
            self._over = True
            self._solved(body)

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Want no object."""
        if head.status < 300 and self.call is not None:
            self.call.cancel()
            self._end(b"")

    def origin_data(self, data: bytes) -> None:
        """Collect the document."""
        if len(self._body) < MAX_ERROR_BODY:
            self._body += data[: MAX_ERROR_BODY - len(self._body)]

    def origin_end(self) -> None:
        """The document is whole."""
        self._end(self._body)

    def origin_failed(self, failure: OriginFailure) -> None:
        """It will not be known."""
        self._end(b"")

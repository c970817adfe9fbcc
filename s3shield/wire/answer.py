"""Short answers of the wire itself, to what never becomes a request."""

from __future__ import annotations

from email.utils import formatdate
from typing import Final

__all__ = ["plain_answer"]

_REASONS: Final = {
    400: b"Bad Request",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    411: b"Length Required",
    413: b"Content Too Large",
    414: b"URI Too Long",
    417: b"Expectation Failed",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    505: b"HTTP Version Not Supported",
}


def plain_answer(status: int) -> tuple[bytes, bytes]:
    """Return head (as for `Downstream.reply`) and body of a short text answer."""
    reason = _REASONS[status]
    body = b"%d %b\n" % (status, reason)
    allow = b"Allow: GET, HEAD\r\n" if status == 405 else b""
    head = b"HTTP/1.1 %d %b\r\nDate: %b\r\n%bContent-Type: text/plain\r\nContent-Length: %d\r\n" % (
        status,
        reason,
        formatdate(usegmt=True).encode(),
        allow,
        len(body),
    )
    return head, body

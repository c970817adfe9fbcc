"""The answers that are ours: a status and one short line of plain text."""

from __future__ import annotations

import http
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from s3shield.policy import Fields, ResponseHead

__all__ = ["Refusal", "in_our_words", "reason_phrase", "refusal_head"]

_KEPT: Final = frozenset({b"content-range", b"date", b"retry-after"})

_TEXT: Final[dict[int, str]] = {
    400: "The request is not valid.",
    401: "A name and a password, or a token, are needed.",
    403: "Not allowed.",
    404: "There is nothing here.",
    405: "This method is not allowed here.",
    408: "The request took too long.",
    410: "This is here no longer.",
    411: "The length of the body must be told.",
    412: "A precondition of the request does not hold.",
    413: "The request is too large.",
    416: "The range lies outside of what there is.",
    429: "Too many requests; try again in a moment.",
    500: "Something failed here.",
    421: "This name is not served on this connection.",
    501: "This is not passed on.",
    502: "The origin gave no usable answer.",
    503: "There is too much to do; try again in a moment.",
    504: "The origin did not answer in time.",
}


def reason_phrase(status: int) -> bytes:
    """Return the reason phrase of `status` (RFC 9110 section 15), possibly empty."""
    try:
        return http.HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""


Refusal = tuple[bytes, bytes]
"""(head: status line and fields each with CRLF, no blank line; body)."""


def refusal_head(
    status: int, fields: Fields = (), *, now: Callable[[], float], server: bytes = b"s3shield"
) -> Refusal:
    """Return an answer of our own making with `fields` added."""
    phrase = reason_phrase(status)
    body = b"%d %b\n%b\n" % (status, phrase, _TEXT.get(status, "").encode("ascii"))
    head = (
        b"HTTP/1.1 %d %b\r\nServer: %b\r\nDate: %b\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
    ) % (status, phrase, server, formatdate(now(), usegmt=True).encode("ascii"), len(body))
    return head + b"".join([b"%b: %b\r\n" % field for field in fields]), body


def in_our_words(status: int, head: ResponseHead) -> tuple[ResponseHead, bytes]:
    """Return head and body to have in the place of a bucket's error, whose head is `head`."""
    text, body = refusal_head(status, now=lambda: 0.0)
    kept = tuple(field for field in head.fields if field[0].lower() in _KEPT)
    fields = (
        (b"Content-Type", b"text/plain; charset=utf-8"),
        (b"Content-Length", b"%d" % len(body)),
        *kept,
    )
    return ResponseHead(status, text[13 : text.index(b"\r\n")], fields), body

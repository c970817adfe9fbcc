"""Entity tags: lists of them, strong and weak comparison (RFC 9110 8.8.3)."""

from __future__ import annotations

import re
from typing import Final

from .dates import parse_date
from .message import ResponseHead

__all__ = [
    "is_strong",
    "listed_tags",
    "received_etag",
    "received_last_modified",
    "strong_match",
    "weak_match",
]

# etagc excludes the quote and controls, and includes obs-text and commas.
_TAG: Final = re.compile(rb'[ \t]*((?:W/)?"[^"\x00-\x20\x7f]*+"|[^,"\s]++)[ \t]*(?:,|\Z)')
_QUOTED: Final = re.compile(rb'(?:W/)?"[^"\x00-\x20\x7f]*+"')
_PRINTABLE: Final = re.compile(rb"[^\x00-\x1f\x7f]+")


def listed_tags(value: bytes) -> list[bytes]:
    """Return the entity tags in an If-Match or If-None-Match value, as written.

    What is no entity tag is left out, but a bare word is kept: it can equal an ETag that
    the origin wrote without quotes. Never raises.
    """
    tags = []
    position = 0
    while position < len(value):
        tag = _TAG.match(value, position)
        if tag is not None:
            tags.append(tag[1])
            position = tag.end()
        else:
            comma = value.find(b",", position)
            position = len(value) if comma < 0 else comma + 1
    return tags


def is_strong(tag: bytes) -> bool:
    """Tell whether `tag` is a well-formed strong entity tag."""
    return tag.startswith(b'"') and _QUOTED.fullmatch(tag) is not None


def strong_match(one: bytes, other: bytes) -> bool:
    """Compare two tags strongly: both strong, and equal (RFC 9110 8.8.3.2)."""
    return one == other and is_strong(one)


def weak_match(one: bytes, other: bytes) -> bool:
    """Compare two tags weakly: equal without their `W/` (RFC 9110 8.8.3.2).

    Two equal tags that both lack quotes match too.
    """
    return bool(one) and one.removeprefix(b"W/") == other.removeprefix(b"W/")


def received_etag(head: ResponseHead) -> bytes:
    """Return a response's ETag as sent; empty when absent, several or unprintable."""
    values = {value.strip(b" \t") for value in head.get_all(b"etag")}
    tag = values.pop() if len(values) == 1 else b""
    return tag if _PRINTABLE.fullmatch(tag) else b""


def received_last_modified(head: ResponseHead, now: float) -> int:
    """Return Last-Modified in epoch seconds, at least 0; -1 when absent or no date."""
    values = head.get_all(b"last-modified")
    instant = parse_date(values[0], now) if values else None
    return -1 if instant is None else max(0, instant)

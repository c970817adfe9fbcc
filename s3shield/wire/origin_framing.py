"""Where an origin's response ends, and whether its connection outlives it.

RFC 9112 sections 6 and 9.3, as far as llhttp leaves it to us: it has refused conflicting
and malformed lengths before we see the fields. Pure.
"""

from __future__ import annotations

import re
from typing import Final

from s3shield.policy import Fields

__all__ = ["HEAD_LIMIT", "RefusedError", "persists", "read_framing"]

HEAD_LIMIT: Final = 64 * 1024
"""Bytes of status line and fields that an origin may send, interim responses included."""

_TIMEOUT: Final = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class RefusedError(Exception):
    """The origin's answer must not be believed; the text says why."""


def read_framing(fields: Fields) -> tuple[int | None, bool, float | None]:
    """Return the body's length, whether it is chunked, and the keep-alive seconds promised.

    length: None without Content-Length. Raises RefusedError for a transfer coding other
    than a single chunked: nothing else was asked for, and nothing else is undone.
    """
    length: int | None = None
    chunked = False
    announced: float | None = None
    for name, value in fields:
        size = len(name)
        if size == 14:
            if name.lower() == b"content-length":
                length = int(value)
        elif size == 17:
            if name.lower() == b"transfer-encoding":
                if chunked or value.strip().lower() != b"chunked":
                    raise RefusedError("transfer coding " + repr(value[:40])[1:])
                chunked = True
        elif size == 10 and name.lower() == b"keep-alive" and (match := _TIMEOUT.search(value)):
            announced = float(match[1])
    return length, chunked, announced


def persists(version: str, fields: Fields) -> bool:
    """Whether the connection persists, by HTTP `version` ("1.1") and Connection alone.

    For a response to HEAD without framing, which llhttp takes for a body until close.
    """
    tokens = [
        token.strip()
        for name, value in fields
        if name.lower() == b"connection"
        for token in value.lower().split(b",")
    ]
    return b"close" not in tokens and (version != "1.0" or b"keep-alive" in tokens)

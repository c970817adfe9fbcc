"""The client's conditions, answered from what is stored (RFC 9110 13, RFC 9111 4.3.2)."""

from __future__ import annotations

import enum
import re
from typing import Final

from .dates import parse_date
from .entry import StoredResponse
from .etags import listed_tags, strong_match, weak_match
from .message import Request

__all__ = ["Precondition", "conditional", "if_range", "not_modified_head"]

_GET_OR_HEAD: Final = frozenset({b"GET", b"HEAD"})
_STATUS_LINE: Final = b"HTTP/1.1 304 Not Modified\r\n"
# RFC 9110 15.4.5, and what is not about the representation but about this message.
_KEPT: Final = re.compile(
    rb"^(?:date|etag|last-modified|cache-control|content-location|expires|vary|via|server"
    rb"|[^:\r\n]*-cache-control|access-control-[^:\r\n]*|cross-origin-[^:\r\n]*"
    rb"|timing-allow-origin|strict-transport-security|set-cookie):[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)


class Precondition(enum.Enum):
    """What a request's conditions come to."""

    PROCEED = "proceed"
    """Answer as if there were none."""
    NOT_MODIFIED = "not modified"
    """Answer 304."""
    FAILED = "failed"
    """Answer 412."""


_PROCEED: Final = Precondition.PROCEED
_NOT_MODIFIED: Final = Precondition.NOT_MODIFIED


def _origin_conditions_hold(request: Request, entry: StoredResponse) -> bool:
    """If-Match, else If-Unmodified-Since (RFC 9110 13.1.1, 13.1.4)."""
    match = request.headers.get(b"if-match")
    if match is not None:
        return match.strip(b" \t") == b"*" or any(
            strong_match(tag, entry.etag) for tag in listed_tags(match)
        )
    since = request.headers.get(b"if-unmodified-since")
    instant = parse_date(since, entry.response_time) if since is not None else None
    return instant is None or entry.last_modified <= instant


def conditional(
    request: Request, entry: StoredResponse, *, as_origin: bool = False
) -> Precondition:
    """Evaluate `request`'s conditions against a stored response that may answer it.

    as_origin: evaluate If-Match and If-Unmodified-Since too; only then FAILED is
    possible. They do not apply to a cache (RFC 9111 4.3.2), but in front of a bucket this
    is all that the client will meet. If-None-Match compares weakly and hides
    If-Modified-Since, which is for GET and HEAD and ignored when it is no date. Without
    Last-Modified the time the response was made is compared. Conditions are about 2xx
    responses only (RFC 9110 13.2.1).
    """
    headers = request.headers
    if not 200 <= entry.status < 300:
        return _PROCEED
    if as_origin and not _origin_conditions_hold(request, entry):
        return Precondition.FAILED
    if request.method not in _GET_OR_HEAD:
        return _PROCEED
    none_match = headers.get(b"if-none-match")
    if none_match is not None:
        etag = entry.etag
        if none_match == etag and none_match:
            return _NOT_MODIFIED  # as nearly every client writes it
        if none_match.strip(b" \t") == b"*" or any(
            weak_match(tag, etag) for tag in listed_tags(none_match)
        ):
            return _NOT_MODIFIED
        return _PROCEED
    since = headers.get(b"if-modified-since")
    if since is None:
        return _PROCEED
    instant = parse_date(since, entry.response_time)
    modified = entry.last_modified if entry.last_modified >= 0 else int(entry.born)
    return _PROCEED if instant is None or modified > instant else _NOT_MODIFIED


def if_range(request: Request, entry: StoredResponse) -> bool:
    """Tell whether a Range may be honoured: no If-Range, or one that holds.

    An entity tag compares strongly; a date must be exactly Last-Modified, and that must
    be a second older than the response to be strong (RFC 9110 13.1.5, 8.8.2.2).
    """
    value = request.headers.get(b"if-range")
    if value is None:
        return True
    value = value.strip(b" \t")
    if value.endswith(b'"'):
        return strong_match(value, entry.etag)
    instant = parse_date(value, entry.response_time)
    return (
        instant is not None
        and instant == entry.last_modified
        and entry.last_modified + 1 <= entry.born
    )


def not_modified_head(head: bytes) -> bytes:
    """Return the wire head of the 304 that stands for a stored 200's wire head.

    Without what describes the representation: the client has that (RFC 9110 15.4.5).
    """
    return _STATUS_LINE + b"".join(_KEPT.findall(head))

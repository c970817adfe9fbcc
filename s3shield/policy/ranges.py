"""Ranges of bytes: what was asked, what is answered (RFC 9110 section 14)."""

from __future__ import annotations

import enum
import hashlib
import re
from functools import lru_cache
from typing import Final, Literal

import attrs

from .conditional import if_range
from .entry import StoredResponse
from .message import Request, ResponseHead
from .options import CachePolicy

__all__ = [
    "UNSATISFIABLE",
    "ContentRange",
    "Multipart",
    "RangeOutcome",
    "Ranges",
    "multipart",
    "parse_content_range",
    "parse_range",
    "partial_head",
    "select_ranges",
    "unsatisfiable_head",
    "whole_head",
]


class RangeOutcome(enum.Enum):
    """What `parse_range` returns when there is nothing to send."""

    UNSATISFIABLE = "unsatisfiable"


UNSATISFIABLE: Final = RangeOutcome.UNSATISFIABLE
"""Answer 416."""

Ranges = list[tuple[int, int]] | Literal[RangeOutcome.UNSATISFIABLE] | None
"""Half-open (start, end) pairs, never empty; or UNSATISFIABLE; or None: answer in full."""

_RANGE: Final = re.compile(rb"[ \t]*bytes[ \t]*=(.*)", re.IGNORECASE | re.DOTALL)
_ONE_RANGE: Final = re.compile(rb"bytes=(\d{1,18})-(\d{1,18})")
_SPEC: Final = re.compile(rb"(\d+)-(\d*)|-(\d+)")
_CONTENT_RANGE: Final = re.compile(
    rb"[ \t]*bytes[ \t]+(?:(\d{1,18})-(\d{1,18})|(\*))/(?:(\d{1,18})|\*)[ \t]*", re.IGNORECASE
)
_FRAMING: Final = re.compile(
    rb"^(?:content-length|content-range):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
_CONTENT_TYPE: Final = re.compile(
    rb"^content-type:[ \t]*([^\r\n]*)\r\n", re.IGNORECASE | re.MULTILINE
)
_SAID_WITH_416: Final = re.compile(
    rb"^(?:date|via|server|accept-ranges|access-control-[^:\r\n]*|strict-transport-security)"
    rb":[^\n]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_HUGE: Final = 1 << 62


def _position(digits: bytes) -> int:
    digits = digits.lstrip(b"0")
    return int(digits or b"0") if len(digits) < 19 else _HUGE


def _coalesced(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge ranges that overlap, in the order in which they were first asked for.

    RFC 9110 14.2 and 15.3.7.2: so no octet is sent twice, whatever was asked.
    """
    ordered = sorted(range(len(ranges)), key=lambda n: ranges[n])
    merged: list[tuple[int, int, int]] = []  # start, end, first asked as number
    for number in ordered:
        start, end = ranges[number]
        if merged and start < merged[-1][1]:
            low, high, first = merged[-1]
            merged[-1] = (low, max(high, end), min(first, number))
        else:
            merged.append((start, end, number))
    return [(start, end) for start, end, _ in sorted(merged, key=lambda part: part[2])]


def parse_range(value: bytes, size: int, max_ranges: int = 32) -> Ranges:
    """Return the ranges that a Range value asks of `size` bytes.

    Positions past the end are clamped, overlapping ranges merged, the order kept.
    UNSATISFIABLE when the value is well-formed and no range of it can be met: `bytes=-0`,
    or all start at or after the end. None, answer in full: another unit, malformed, more
    than `max_ranges`, or a suffix of nothing (RFC 9110 14.1.2, 14.2). Never raises.
    """
    one = _ONE_RANGE.fullmatch(value)
    if one is not None:  # as nearly every client writes it: all that follows comes to this
        start, end = int(one[1]), int(one[2]) + 1
        if start < end and start < size and max_ranges > 0:
            return [(start, min(size, end))]
    asked = _RANGE.fullmatch(value)
    if asked is None:
        return None
    specs = [spec for spec in (s.strip(b" \t") for s in asked[1].split(b",")) if spec]
    if not specs or len(specs) > max_ranges:
        return None
    ranges: list[tuple[int, int]] = []
    for spec in specs:
        parts = _SPEC.fullmatch(spec)
        if parts is None:
            return None
        first, last, suffix = parts.groups()
        if suffix is not None:
            length = min(_position(suffix), size)
            if length:
                ranges.append((size - length, size))
            elif size == 0 and _position(suffix):
                return None  # satisfiable, yet no Content-Range could say so
            continue
        start = _position(first)
        end = _position(last) + 1 if last else size
        if last and end <= start:
            return None
        if start < size:
            ranges.append((start, min(end, size)))
    return _coalesced(ranges) if ranges else UNSATISFIABLE


def select_ranges(
    request: Request, entry: StoredResponse, size: int, policy: CachePolicy
) -> Ranges:
    """Return what of `entry`, of `size` bytes, a request asks for: see `parse_range`.

    None also when there is no Range, the method is not GET, the stored status is not
    200, or If-Range does not hold. Ask `conditional` first (RFC 9110 13.2.2).
    """
    value = request.headers.get(b"range")
    if value is None or request.method != b"GET" or entry.status != 200:
        return None
    if not if_range(request, entry):
        return None
    return parse_range(value, size, policy.max_ranges)


@attrs.frozen
class ContentRange:
    """A Content-Range of bytes.

    start, end: half-open; both None in the `bytes */N` of a 416. size: of the whole, None
    for `*`.
    """

    start: int | None
    end: int | None
    size: int | None


def parse_content_range(value: bytes | None) -> ContentRange | None:
    """Return what a Content-Range says, or None when absent, malformed or impossible.

    RFC 9110 14.4: last before first, or last beyond the size, is invalid. Never raises.
    """
    found = _CONTENT_RANGE.fullmatch(value) if value is not None else None
    if found is None:
        return None
    size = int(found[4]) if found[4] is not None else None
    if found[3] is not None:
        return None if size is None else ContentRange(None, None, size)
    start, end = int(found[1]), int(found[2]) + 1
    if end <= start or (size is not None and end > size):
        return None
    return ContentRange(start, end, size)


@lru_cache(2048)
def _fields(head: bytes) -> bytes:
    """Return a wire head without its status line and what describes its framing."""
    return _FRAMING.sub(b"", head[head.index(b"\n") + 1 :])


def partial_head(head: bytes, start: int, end: int, size: int) -> bytes:
    """Return the wire head of a 206 with bytes start to end (half-open) of `size`.

    head: the stored wire head of the 200. RFC 9110 15.3.7.
    """
    return b"HTTP/1.1 206 Partial Content\r\n%bContent-Range: bytes %d-%d/%d\r\n%b" % (
        _fields(head),
        start,
        end - 1,
        size,
        b"Content-Length: %d\r\n" % (end - start),
    )


def unsatisfiable_head(head: bytes, size: int) -> bytes:
    """Return the wire head of a 416 without a body (RFC 9110 15.5.17).

    head: the stored wire head; of its fields only those about the message are kept.
    """
    return b"HTTP/1.1 416 Range Not Satisfiable\r\n%bContent-Range: bytes */%d\r\n%b" % (
        b"".join(_SAID_WITH_416.findall(head)),
        size,
        b"Content-Length: 0\r\n",
    )


@attrs.frozen
class Multipart:
    """A 206 of several ranges (RFC 9110 14.6).

    head: wire head with Content-Length. parts: for each range what goes before its
    bytes. tail: what goes after the last.
    """

    head: bytes
    parts: tuple[bytes, ...]
    tail: bytes


def multipart(
    head: bytes, ranges: list[tuple[int, int]], size: int, boundary: bytes | None = None
) -> Multipart:
    """Return how to send several ranges of a body of `size` bytes.

    head: the stored wire head. ranges: half-open pairs. boundary: up to 70 characters
    that the body does not contain; by default a digest of head and ranges.
    """
    if boundary is None:
        boundary = hashlib.sha256(head + repr(ranges).encode()).hexdigest()[:40].encode()
    found = _CONTENT_TYPE.search(head)
    kind = b"Content-Type: %b\r\n" % found[1] if found is not None else b""
    parts = tuple(
        b"\r\n--%b\r\n%bContent-Range: bytes %d-%d/%d\r\n\r\n"
        % (boundary, kind, start, end - 1, size)
        for start, end in ranges
    )
    tail = b"\r\n--%b--\r\n" % boundary
    length = sum(map(len, parts)) + len(tail) + sum(end - start for start, end in ranges)
    whole = b"HTTP/1.1 206 Partial Content\r\n%b%b%b" % (
        _CONTENT_TYPE.sub(b"", _fields(head)),
        b"Content-Type: multipart/byteranges; boundary=%b\r\n" % boundary,
        b"Content-Length: %d\r\n" % length,
    )
    return Multipart(whole, parts, tail)


def whole_head(head: ResponseHead) -> ResponseHead:
    """Return the 200 that an origin's 206 is a part of, without Content-Length."""
    fields = tuple(
        field
        for field in head.fields
        if field[0].lower() not in {b"content-range", b"content-length"}
    )
    return ResponseHead(200, b"OK", fields)

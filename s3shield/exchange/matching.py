"""What to ask the origin for when only a part is wanted, and whether its answer fits. Pure.

RFC 9110 sections 14 (ranges), 13.1 (If-Match, If-Unmodified-Since) and 15.3.7.3: parts
are put together only when a strong validator says that they are of one representation.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from s3shield.policy import (
    ContentRange,
    Fields,
    Request,
    ResponseHead,
    StoredResponse,
    format_date,
    parse_content_range,
    parse_date,
    parse_range,
    strong_match,
    whole_head,
)

__all__ = [
    "Match",
    "Wanted",
    "beginning",
    "combinable",
    "guard",
    "match",
    "of_length",
    "wanted",
    "whole_of",
]

_NO_END: Final = 1 << 60
DEEP: Final = 64 << 10
"""Bytes before the one that is needed which are not worth another request to do without."""
_CHANGED: Final = frozenset({404, 410, 412, 416})


@attrs.frozen
class Wanted:
    """The part of an object of unknown size to ask for: whole blocks.

    value: of the Range field. start: offset asked from; end: asked up to, None for the
    end. suffix: bytes from the end that are asked for, 0 when `start` counts. first: the
    first offset that the client needs, from the end when `suffix` is not 0.
    """

    value: bytes
    start: int
    end: int | None
    suffix: int
    first: int

    def fits(self, found: ContentRange) -> bool:
        """Tell whether a part is inside what was asked, and has what is needed first.

        An origin may send less than was asked for (RFC 9110 15.3.7), but nothing else.
        """
        if found.start is None or found.end is None or found.size is None:
            return False
        size = found.size
        low, high, need = self.start, size, self.first
        if self.suffix:
            low, need = max(0, size - self.suffix), max(0, size - self.first)
        elif self.end is not None:
            high = min(size, self.end)
        inside = low <= found.start and found.end <= high
        return inside and found.start <= need and (need < found.end or found.end == size)


def wanted(request: Request, shift: int, max_ranges: int) -> Wanted | None:
    """Return what to ask for to serve `request`; None: the whole. Blocks of `1 << shift`."""
    value = request.headers.get(b"range")
    if value is None or request.method != b"GET":
        return None
    ranges = parse_range(value, _NO_END, max_ranges)
    if not isinstance(ranges, list):
        return None
    first, end = ranges[0]
    block = 1 << shift
    if end == _NO_END and first > _NO_END // 2:
        tail = _NO_END - first
        # A block more, so that the block in which the suffix begins is whole.
        suffix = tail + block - 1
        return Wanted(b"bytes=-%d" % suffix, 0, None, suffix, tail)
    start = first >> shift << shift
    if end == _NO_END:
        return Wanted(b"bytes=%d-" % start, start, None, 0, first) if start else None
    stop = (end + block - 1) >> shift << shift
    return Wanted(b"bytes=%d-%d" % (start, stop - 1), start, stop, 0, first)


def beginning(found: Wanted | None, most: int) -> Wanted | None:
    """Return no more than the first `most` bytes of what is wanted; None: of the whole."""
    if found is None:
        return Wanted(b"bytes=0-%d" % (most - 1), 0, most, 0, 0)
    if found.suffix or (found.end is not None and found.end - found.start <= most):
        return found
    end = found.start + most
    return Wanted(b"bytes=%d-%d" % (found.start, end - 1), found.start, end, 0, found.first)


def at_once(found: Wanted) -> Wanted:
    """Return the same, but from the very byte that is needed, if that is deep in its block.

    Else the client would wait for what comes before it: half a block, on the average. The
    price is a second request, for the beginning of the block (`Sparse.rest_of`).
    """
    if found.suffix or found.first - found.start <= DEEP:
        return found
    end = b"" if found.end is None else b"%d" % (found.end - 1)
    value = b"bytes=%d-%b" % (found.first, end)
    return attrs.evolve(found, value=value, start=found.first)


def of_length(part: ContentRange, length: int | None) -> bool:
    """Tell whether a body of `length` bytes, None when not known, can be this part."""
    if part.start is None or part.end is None:
        return False
    return length is None or length == part.end - part.start


def whole_of(head: ResponseHead, part: ContentRange) -> ResponseHead:
    """Return the 200 that a 206 is a part of, with the whole's Content-Length."""
    whole = whole_head(head)
    size = (b"Content-Length", b"%d" % (part.size or 0))
    return ResponseHead(200, b"OK", (*whole.fields, size))


def combinable(meta: StoredResponse, *, dated: bool = True) -> bool:
    """Tell whether parts of this representation can be told from those of another one.

    dated: by Last-Modified, if need be.
    """
    if meta.status != 200:
        return False
    if meta.etag:
        return strong_match(meta.etag, meta.etag)
    # RFC 9110 8.8.2.2: a date is strong once it is older than the answer.
    return dated and 0 <= meta.last_modified <= meta.born - 1


def guard(meta: StoredResponse) -> Fields:
    """Return the condition under which the origin may send another part."""
    if meta.etag:
        return ((b"If-Match", meta.etag),)
    return ((b"If-Unmodified-Since", format_date(meta.last_modified)),)


class Match(enum.Enum):
    """What an answer to a guarded request for `[start, stop)` is."""

    PART = 1
    """The part, or the beginning of it."""
    WHOLE = 2
    """All of the same representation: the origin knows no ranges."""
    CHANGED = 3
    """There is another representation now, or none."""
    INVALID = 4
    """A part that nobody asked for, or no sense at all."""
    OTHER = 5
    """An error."""


def _same(meta: StoredResponse, head: ResponseHead) -> bool:
    dates = head.get_all(b"last-modified")
    modified = parse_date(dates[0], meta.response_time) if dates else None
    if modified is not None and meta.last_modified >= 0 and modified != meta.last_modified:
        return False
    if meta.etag:
        return strong_match(meta.etag, (head.get(b"etag") or b"").strip(b" \t"))
    return modified == meta.last_modified and head.get(b"etag") is None


def match(
    meta: StoredResponse, size: int, head: ResponseHead, length: int | None, start: int, stop: int
) -> tuple[Match, int]:
    """Judge an answer; return also the offset at which its bytes end (0: no bytes).

    meta, size: what is stored. length: body bytes to come, None when not known.
    """
    if head.status in _CHANGED:
        return Match.CHANGED, 0
    if head.status == 200:
        if _same(meta, head) and length == size:
            return Match.WHOLE, size
        return Match.CHANGED, 0
    if head.status != 206:
        return (Match.INVALID if head.status < 400 else Match.OTHER), 0
    found = parse_content_range(head.get(b"content-range"))
    if found is None or found.start is None or found.end is None:
        return Match.INVALID, 0
    if found.size != size or not _same(meta, head):
        return Match.CHANGED, 0
    if found.start != start or found.end > stop or not of_length(found, length):
        return Match.INVALID, 0
    return Match.PART, found.end

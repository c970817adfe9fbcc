"""The rest of an answer that broke off: what to ask another bucket, and whether it fits. Pure.

RFC 9110 sections 14.2 and 13.1.1. Only a strong ETag says that two buckets have the same
bytes, see `versions`.
"""

from __future__ import annotations

from typing import Final

import attrs

from s3shield.policy import (
    ContentRange,
    Fields,
    ResponseHead,
    parse_content_range,
    received_etag,
    strong_match,
)

__all__ = ["Rest"]

_OTHERS: Final = frozenset(
    {b"range", b"if-range", b"if-match", b"if-none-match"}
    | {b"if-modified-since", b"if-unmodified-since"}
)


@attrs.frozen
class Rest:
    """What is missing: `[start, end)` of `size` bytes. tag: the strong ETag."""

    tag: bytes
    start: int
    end: int
    size: int

    @classmethod
    def of(cls, head: ResponseHead, length: int | None, got: int) -> Rest | None:
        """Return what is missing of an answer, None where it cannot be had elsewhere.

        length: its body's bytes, None when not known. got: those that have come.
        """
        tag = received_etag(head)
        if length is None or got >= length or not strong_match(tag, tag):
            return None
        if head.status == 200:
            return cls(tag, got, length, length)
        part = parse_content_range(head.get(b"content-range")) if head.status == 206 else None
        if part is None or part.start is None or part.end is None or part.size is None:
            return None
        if part.end - part.start != length:
            return None
        return cls(tag, part.start + got, part.end, part.size)

    def fields(self, extra: Fields) -> Fields:
        """Return what goes with the request. extra: what went with the one that broke off."""
        kept = tuple([field for field in extra if field[0].lower() not in _OTHERS])
        span = b"bytes=%d-%d" % (self.start, self.end - 1)
        return (*kept, (b"Range", span), (b"If-Match", self.tag))

    def fits(self, head: ResponseHead, length: int | None) -> bool:
        """Tell whether an answer is just this. length: as above."""
        return (
            head.status == 206
            and parse_content_range(head.get(b"content-range"))
            == ContentRange(self.start, self.end, self.size)
            and length == self.end - self.start
            and strong_match(self.tag, received_etag(head))
        )

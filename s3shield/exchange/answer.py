"""What a client gets of a representation: all of it, a range, 304, 412 or 416. Pure.

RFC 9110 section 13.2.2 gives the order: preconditions, then If-Range, then Range.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import attrs

from s3shield.policy import (
    UNSATISFIABLE,
    CachePolicy,
    Fields,
    Precondition,
    Request,
    StoredResponse,
    conditional,
    multipart,
    not_modified_head,
    partial_head,
    select_ranges,
)

__all__ = ["SELECTIVE", "Answer", "Refused", "Representation", "answer", "choose"]

SELECTIVE: Final = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"range"}
)
"""Request fields (lower-case) with which the answer may be other than the whole."""


@attrs.frozen
class Representation:
    """What is there to answer with.

    meta: validators and status. head: wire head, without Age and X-Cache-Status. size:
    body size in bytes, None while it is not known. seekable: whether its bytes can be
    had in any order; if not, several ranges are answered with the whole. home: digest and
    key text of the entry that it will be, None where it is one already, or not stored.
    """

    meta: StoredResponse
    head: bytes
    size: int | None
    seekable: bool = True
    home: tuple[bytes, bytes] | None = None


Part = tuple[bytes, int, int]
"""(what goes before, start, end): one range of several."""


@attrs.define  # not frozen: that takes three times as long to make, once a request
class Answer:
    """One response: status, wire head, and which bytes `[start, end)` of the body.

    end None: to the end, wherever that is. lead: what goes before these bytes. rest:
    further (lead, start, end), in order. tail: what goes after the last.
    """

    status: int
    head: bytes
    start: int = 0
    end: int | None = 0
    lead: bytes = b""
    rest: tuple[Part, ...] = ()
    tail: bytes = b""

    @property
    def length(self) -> int | None:
        """Bytes to send in all, None when not known."""
        if self.end is None:
            return None
        total = len(self.lead) + self.end - self.start + len(self.tail)
        return total + sum([len(lead) + end - start for lead, start, end in self.rest])

    def spans(self, size: int) -> list[tuple[int, int]]:
        """Return the half-open ranges of a body of `size` bytes that it needs."""
        first = (self.start, size if self.end is None else self.end)
        return [first, *[(start, end) for _, start, end in self.rest]]


@attrs.frozen
class Refused:
    """412 or 416: a short text of ours, and the fields that go with it."""

    status: int
    fields: Fields = ()


def answer(request: Request, what: Representation, policy: CachePolicy) -> Answer | Refused:
    """Return what `request` gets of `what`."""
    return choose(request, what.meta, what.head, what.size, policy, seekable=what.seekable)


def choose(
    request: Request,
    meta: StoredResponse,
    head: bytes,
    size: int | None,
    policy: CachePolicy,
    *,
    seekable: bool = True,
) -> Answer | Refused:
    """Return what `request` gets of a representation; see `Representation`."""
    if SELECTIVE.isdisjoint(request.headers):
        return _whole(request, meta, head, size)
    verdict = conditional(request, meta, as_origin=policy.is_bucket)
    if verdict is Precondition.NOT_MODIFIED:
        return _not_modified(head)
    if verdict is Precondition.FAILED:
        return Refused(412)
    if size is None:
        return _whole(request, meta, head, size)
    ranges = select_ranges(request, meta, size, policy)
    if ranges is UNSATISFIABLE:
        return Refused(416, ((b"Content-Range", b"bytes */%d" % size),))
    if ranges is None or (len(ranges) > 1 and not seekable):
        return _whole(request, meta, head, size)  # for several ranges RFC 9110 14.2 allows it
    start, stop = ranges[0]
    if len(ranges) > 1:
        several = multipart(head, ranges, size)
        lead, *leads = several.parts
        rest = tuple((more, *span) for more, span in zip(leads, ranges[1:], strict=True))
        return Answer(206, several.head, start, stop, lead, rest, several.tail)
    return Answer(206, partial_head(head, start, stop, size), start, stop)


def _whole(request: Request, meta: StoredResponse, head: bytes, size: int | None) -> Answer:
    return Answer(meta.status, head, 0, 0 if request.method == b"HEAD" else size)


@lru_cache(8192)
def _not_modified(head: bytes) -> Answer:
    """Return the 304 in place of a stored head: the same one for all who ask for it."""
    return Answer(304, not_modified_head(head))

"""What a client gets of a representation: all of it, a range, 304, 412 or 416. Pure.

RFC 9110 section 13.2.2 gives the order: preconditions, then If-Range, then Range.
"""

from __future__ import annotations

from typing import Final

import attrs

from s3shield.policy import (
    UNSATISFIABLE,
    Fields,
    Precondition,
    Request,
    StoredResponse,
    conditional,
    if_range,
    not_modified_head,
    parse_range,
    partial_head,
)

__all__ = ["SELECTIVE", "Answer", "Refused", "Representation", "answer"]

SELECTIVE: Final = frozenset(
    {b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"range"}
)
"""Request fields (lower-case) with which the answer may be other than the whole."""


@attrs.frozen
class Representation:
    """What is there to answer with.

    meta: validators and status. head: wire head, without Age and X-Cache-Status. size:
    body size in bytes, None while it is not known.
    """

    meta: StoredResponse
    head: bytes
    size: int | None


@attrs.frozen
class Answer:
    """One response: status, wire head, and which bytes `[start, end)` of the body.

    end None: to the end, wherever that is.
    """

    status: int
    head: bytes
    start: int = 0
    end: int | None = 0


@attrs.frozen
class Refused:
    """412 or 416: a short text of ours, and the fields that go with it."""

    status: int
    fields: Fields = ()


def answer(request: Request, what: Representation) -> Answer | Refused:
    """Return what `request` gets of `what`."""
    end = 0 if request.method == b"HEAD" else what.size
    if SELECTIVE.isdisjoint(request.headers):
        return Answer(what.meta.status, what.head, 0, end)
    verdict = conditional(request, what.meta)
    if verdict is Precondition.NOT_MODIFIED:
        return Answer(304, not_modified_head(what.head))
    if verdict is Precondition.FAILED:
        return Refused(412)
    wanted = request.headers.get(b"range")
    if (
        wanted is not None
        and request.method == b"GET"
        and what.meta.status == 200
        and what.size is not None
        and if_range(request, what.meta)
    ):
        ranges = parse_range(wanted, what.size)
        if ranges is UNSATISFIABLE:
            return Refused(416, ((b"Content-Range", b"bytes */%d" % what.size),))
        # Several ranges: the whole, as RFC 9110 14.2 allows.
        if ranges is not None and len(ranges) == 1:
            start, stop = ranges[0]
            return Answer(206, partial_head(what.head, start, stop, what.size), start, stop)
    return Answer(what.meta.status, what.head, 0, end)

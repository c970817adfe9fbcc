"""A part that is not stored, and what a client gets of it. Pure.

The origin was asked for whole blocks, so its answer has more than the client wants; it is
not asked again just because it does not allow its answer to be stored.
"""

from __future__ import annotations

import attrs

from s3shield.policy import ContentRange, Request, ResponseHead

from .answer import Answer

__all__ = ["cut", "is_several"]


def cut(plan: Answer, part: ContentRange) -> Answer | None:
    """Return `plan`, made for the whole body, for the bytes of `part` alone.

    None when they are not all that the plan needs.
    """
    start, size = part.start, part.size
    if start is None or part.end is None or size is None:
        return None
    spans = plan.spans(size)
    if min(low for low, _ in spans) < start or max(high for _, high in spans) > part.end:
        return None
    end = size if plan.end is None else plan.end
    rest = tuple((lead, low - start, high - start) for lead, low, high in plan.rest)
    return attrs.evolve(plan, start=plan.start - start, end=end - start, rest=rest)


def is_several(head: ResponseHead, request: Request) -> bool:
    """Tell whether a 206 is of several ranges, where the client asked for several."""
    kind = (head.get(b"content-type") or b"").lstrip().lower()
    return kind.startswith(b"multipart/byteranges") and b"," in request.headers.get(b"range", b"")

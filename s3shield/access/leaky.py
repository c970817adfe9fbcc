"""nginx's leaky bucket: what `limit_req` decides, in whole numbers as nginx does it.

Every request pours 1000 into the bucket of its key, and `rate` of these thousandths of a
request run out each second. What a request finds there, itself included, is the excess:
over the burst it is refused and pours nothing; over `delay` it waits until that much has
run out. The first request of a key finds nothing and pours nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

__all__ = ["REFUSED", "Bucket", "Leak", "pour"]

REFUSED = -1
_ONE = 1000


@attrs.frozen
class Leak:
    """The numbers of one `limit_req`, in thousandths of a request.

    rate: each second. burst: the most that may be over. delay: what may be over without
    waiting; None: everything (`nodelay`).
    """

    rate: int
    burst: int = 0
    delay: int | None = 0


Bucket = tuple[int, int]
"""(millisecond at which it was last poured into, what was in it then)."""


def _excess(bucket: Bucket | None, rate: int, now: int) -> int:
    """Return what is in a bucket when one more request has come, at millisecond `now`."""
    if bucket is None:
        return 0
    last, excess = bucket
    return max(excess - rate * max(now - last, 0) // 1000 + _ONE, 0)


def pour(asked: Sequence[tuple[Leak, Bucket | None]], now: int) -> tuple[int, int, list[Bucket]]:
    """Return what becomes of a request that comes at millisecond `now`.

    asked: each limit that it is under, with the bucket of its key, None: no request of this
    key was there. Returns (milliseconds to wait or REFUSED, which limit says so, the buckets
    as they are then: none when it is refused, since then none of them counts it).
    """
    after: list[Bucket] = []
    for number, (leak, bucket) in enumerate(asked):
        excess = _excess(bucket, leak.rate, now)
        if excess > leak.burst:
            return REFUSED, number, []
        after.append((now, excess))
    longest = decisive = 0
    for number, (leak, _) in enumerate(asked):
        over = 0 if leak.delay is None else after[number][1] - leak.delay
        wait = over * 1000 // leak.rate if over > 0 else 0
        if wait > longest:
            longest, decisive = wait, number
    return longest, decisive, after

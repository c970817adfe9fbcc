"""When to ask an overloaded bucket again, and when to leave it alone. Pure.

A retry costs one of the bucket's budget, so that a bucket in trouble meets at most a few
requests a second more than clients send, however many clients there are. Pauses double,
and each is drawn anew ("full jitter"), so that workers do not come back all at once.

AWS, "Best practices design patterns: optimizing Amazon S3 performance"; the AWS
Architecture Blog, "Exponential Backoff And Jitter".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

__all__ = ["ALONE", "REPLACED", "Budget", "Patience", "Seldom", "is_passing", "pause"]

_FIRST: Final = 0.1
_LONGEST: Final = 2.0

_PASSING: Final = frozenset(
    {"InternalError", "ServiceUnavailable", "SlowDown", "Busy", "RequestLimitExceeded"}
    | {"ThrottlingException", "TooManyRequests", "RequestThrottled", "BandwidthLimitExceeded"}
)
_PASSING_STATUS: Final = frozenset({429, 500, 502, 503, 504})


@attrs.frozen
class Patience:
    """How long one request waits for a bucket. tries: beside the first. total: seconds."""

    tries: int
    total: float


ALONE: Final = Patience(3, 5.0)
REPLACED: Final = Patience(1, 0.5)
"""Of a bucket with a replica: by then that one has answered."""


def is_passing(status: int, code: str) -> bool:
    """Tell whether an answer is likely another one in a moment."""
    return status in _PASSING_STATUS or code in _PASSING


def pause(
    tries: int,
    spent: float,
    random: Callable[[], float],
    retry_after: bytes | None = None,
    patience: Patience = ALONE,
) -> float | None:
    """Return the seconds until the next try, None for no further one.

    tries: how often it was asked again before. spent: seconds since the first try: the next
    one begins within the patience. random: gives floats from 0 to 1. retry_after: the answer's
    Retry-After, of which seconds count (RFC 9110 section 10.2.3); a date is not waited for.
    """
    if tries >= patience.tries:
        return None
    wait = random() * min(_LONGEST, _FIRST * 2**tries)
    if retry_after is not None and retry_after.isdigit():
        wait = max(wait, float(retry_after[:6]))
    return wait if spent + wait <= patience.total else None


class Budget:
    """So many retries at once, and so many a second from then on."""

    __slots__ = ("_left", "_most", "_rate", "_since")

    def __init__(self, most: int = 20, rate: float = 2.0) -> None:
        self._most = self._left = float(most)
        self._rate = rate
        self._since = 0.0

    def take(self, now: float) -> bool:
        """Take one; False when there is none. now: monotonic seconds."""
        gained = max(0.0, now - self._since) * self._rate
        self._left = min(self._most, self._left + gained)
        self._since = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Seldom:
    """Lets one message of a kind pass a minute, and counts the others."""

    __slots__ = ("_every", "_kinds")

    _MOST: Final = 128

    def __init__(self, every: float = 60.0) -> None:
        self._every = every
        self._kinds: dict[str, tuple[float, int]] = {}

    def passes(self, kind: str, now: float) -> int | None:
        """Return how many were held back since the last that passed; None: hold it back too.

        kind: str. now: monotonic seconds.
        """
        kinds = self._kinds
        until, held = kinds.get(kind, (now, 0))
        if now < until:
            kinds[kind] = (until, held + 1)
            return None
        if kind not in kinds and len(kinds) >= self._MOST:
            kinds.clear()  # an origin that makes up codes without end
        kinds[kind] = (now + self._every, 0)
        return held

"""How far this machine's clock is from S3's, learned from the `Date` of its answers. Pure.

S3 takes a request that is signed up to 15 minutes off (RequestTimeTooSkewed beyond it).
"""

from __future__ import annotations

from typing import Final

from s3shield.policy import parse_date

__all__ = ["ALLOWED", "MOST", "learn_offset", "skewed"]

ALLOWED: Final = 15 * 60
"""Seconds that S3 lets a clock be off."""
MOST: Final = 24 * 3600
"""Seconds that are learned at most: an hour or a time zone, not a date that somebody gives
to have us sign for next year."""
_LEAST: Final = 60
"""Seconds that a new offset must differ by, or it explains nothing."""


def learn_offset(date: bytes | None, clock: float, current: float) -> float | None:
    """Return the seconds to add to this machine's clock, or None for what `date` does not tell.

    date: value of an answer's Date. clock: epoch seconds as this machine has them, at the
    arrival. current: the offset that the refused request was signed with.
    """
    there = None if date is None else parse_date(date, clock)
    if there is None:
        return None
    offset = there - clock
    if abs(offset) > MOST or abs(offset - current) < _LEAST:
        return None
    return offset if abs(offset) >= _LEAST else 0.0


def skewed(date: bytes | None, now: float) -> bool:
    """Tell whether S3 must have refused a request signed at `now`: HEAD's answers say no code."""
    there = None if date is None else parse_date(date, now)
    return there is not None and abs(there - now) > ALLOWED

"""When to get new credentials in place of those that end. Pure: time and chance come in.

AWS's SDKs renew 15 minutes before the end, and sources have new ones at least 5 minutes
before it ("Retrieve security credentials from instance metadata"). They may still give the
old ones when they are asked early, so that one look is not enough.
"""

from __future__ import annotations

from typing import Final

__all__ = ["renew_in", "retry_in"]

_AHEAD: Final = 900.0
_ENDLESS: Final = 300.0
_SHORTEST: Final = 1.0
_LONGEST: Final = 86_400.0
_RETRY: Final = 60.0
_HURRY: Final = 5.0


def renew_in(expires: float | None, now: float, jitter: float) -> float:
    """Return the seconds until the next look for credentials, after one that went well.

    expires, now: epoch seconds; None: no end is known, and who gave them may change them at
    any time. jitter: 0 to 1, makes it up to a tenth earlier, so that processes do not ask
    all at once. At a third of what is left, or 15 minutes before the end, whatever is later;
    at least one second, at most a day.
    """
    if expires is None:
        wait = _ENDLESS
    else:
        left = expires - now
        wait = max(left / 3, left - _AHEAD)
        wait = min(_LONGEST, wait)
    return max(_SHORTEST, wait * (1.0 - jitter / 10))


def retry_in(failures: int, jitter: float, *, good: bool) -> float:
    """Return the seconds until the next look, after `failures` (1 or more) that failed.

    good: whether there are credentials that are still good: then it grows to a minute, else
    to five seconds. jitter: 0 to 1, makes it up to half of that earlier.
    """
    wait = min(_RETRY if good else _HURRY, 2.0 ** min(failures - 1, 10))
    return wait * (1.0 - jitter / 2)

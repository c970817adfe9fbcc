"""How long a response is fresh, and how old it already is (RFC 9111 4.2).

The lifetime comes from the first of: a forced `proxy_cache_valid`, X-Accel-Expires, a
targeted field (RFC 9213) in the place of Cache-Control and Expires, s-maxage, max-age,
Expires, `proxy_cache_valid`, a guess from Last-Modified. What an operator says counts
from when the response was received; what the origin says counts from its birth, so that
age spent in other caches is subtracted.
"""

from __future__ import annotations

import enum
from typing import Final

import attrs

from .dates import parse_date
from .fields import (
    MAX_DELTA,
    NO_DIRECTIVES,
    Directives,
    parse_age,
    response_directives,
    targeted_directives,
)
from .message import ResponseHead
from .options import CachePolicy
from .structured import parse_dictionary

__all__ = [
    "HEURISTIC_STATUSES",
    "Freshness",
    "LifetimeSource",
    "assess",
    "current_age",
    "date_value",
    "initial_age",
]

HEURISTIC_STATUSES: Final = frozenset(
    {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501}
)
"""Statuses whose lifetime may be guessed (RFC 9110 15.1; 451: RFC 7725 section 3)."""

_HEURISTIC_FRACTION: Final = 10
_HEURISTIC_CAP: Final = 86400


class LifetimeSource(enum.Enum):
    """Which rule gave the lifetime."""

    FORCED = "proxy_cache_valid, forced"
    ACCEL = "X-Accel-Expires"
    TARGETED = "targeted field"
    S_MAXAGE = "s-maxage"
    MAX_AGE = "max-age"
    EXPIRES = "Expires"
    TABLE = "proxy_cache_valid"
    HEURISTIC = "heuristic"
    NONE = "none"

    @property
    def from_operator(self) -> bool:
        """Whether it counts from receipt, and 0 means do not store (nginx)."""
        return self in _OPERATOR

    @property
    def explicit(self) -> bool:
        """Whether somebody said it, so that any final status may be stored."""
        return self not in _IMPLIED


_OPERATOR: Final = frozenset({LifetimeSource.FORCED, LifetimeSource.ACCEL, LifetimeSource.TABLE})
_IMPLIED: Final = frozenset({LifetimeSource.HEURISTIC, LifetimeSource.NONE})


@attrs.frozen
class Freshness:
    """A response's lifetime in whole seconds, its source, and the directives in force."""

    lifetime: int
    source: LifetimeSource
    directives: Directives


def date_value(head: ResponseHead, response_time: float) -> int:
    """Return the Date of a response in epoch seconds, else when it was received.

    RFC 9110 6.6.1. Of several lines the first that is a date counts.
    """
    for value in head.get_all(b"date"):
        instant = parse_date(value, response_time)
        if instant is not None:
            return instant
    return int(response_time)


def initial_age(head: ResponseHead, request_time: float, response_time: float) -> float:
    """Return `corrected_initial_age` (RFC 9111 4.2.3) in seconds.

    Date has whole seconds, so the apparent age is taken from the whole second of receipt:
    a response made just now is not half a second old.
    """
    apparent_age = max(0, int(response_time) - date_value(head, response_time))
    response_delay = max(0.0, response_time - request_time)
    received_age = parse_age(head.get(b"age")) or 0
    return min(float(MAX_DELTA), max(float(apparent_age), received_age + response_delay))


def current_age(born: float, now: float) -> int:
    """Return the Age to send, whole seconds: 0 <= age <= 2**31 (RFC 9111 4.2.3, 5.1)."""
    return min(MAX_DELTA, max(0, int(now - born)))


def _accel_lifetime(head: ResponseHead, response_time: float) -> int | None:
    """Read nginx's `X-Accel-Expires`: seconds, or `@` and an epoch second; else ignored."""
    values = head.get_all(b"x-accel-expires")
    if not values:
        return None
    value = values[0].strip(b" \t")
    absolute = value.startswith(b"@")
    digits = value[1:] if absolute else value
    if not digits.isdigit() or len(digits) > 15:
        return None
    seconds = int(digits) - int(response_time) if absolute else int(digits)
    return min(max(0, seconds), MAX_DELTA)


def _targeted(head: ResponseHead, policy: CachePolicy) -> Directives | None:
    """Return the first targeted field that counts: there, parsed and not empty."""
    for name in policy.targets:
        if name in policy.ignore_headers:
            continue
        value = head.get(name)
        members = parse_dictionary(value) if value is not None else None
        if members:
            return targeted_directives(members)
    return None


def _expires_lifetime(head: ResponseHead, response_time: float) -> int | None:
    """Expires minus Date; 0 when it is no date, or says two things (RFC 9111 4.2.1, 5.3)."""
    values = {value.strip(b" \t") for value in head.get_all(b"expires")}
    if not values:
        return None
    instant = parse_date(values.pop(), response_time)
    if instant is None or values:
        return 0
    return min(max(0, instant - date_value(head, response_time)), MAX_DELTA)


def _guess(head: ResponseHead, response_time: float) -> int | None:
    """A tenth of the time since Last-Modified, a day at most (RFC 9111 4.2.2)."""
    values = head.get_all(b"last-modified")
    modified = parse_date(values[0], response_time) if values else None
    if modified is None:
        return None
    since = date_value(head, response_time) - modified
    return min(since // _HEURISTIC_FRACTION, _HEURISTIC_CAP) if since > 0 else None


def assess(head: ResponseHead, response_time: float, policy: CachePolicy) -> Freshness:
    """Return how long `head` is fresh under `policy`. Never raises.

    response_time: epoch seconds at which the head was received.
    """
    table = policy.valid.lifetime(head.status)
    if policy.valid_force and table is not None:
        return Freshness(table, LifetimeSource.FORCED, NO_DIRECTIVES)
    ignored = policy.ignore_headers
    accel = None
    if b"x-accel-expires" not in ignored:
        accel = _accel_lifetime(head, response_time)
    if accel is not None:
        # As in nginx it stands in for Cache-Control and Expires, restrictions and all.
        return Freshness(accel, LifetimeSource.ACCEL, NO_DIRECTIVES)

    directives = _targeted(head, policy)
    targeted = directives is not None
    if directives is None:
        directives = NO_DIRECTIVES
        if b"cache-control" not in ignored:
            directives = response_directives(head.get(b"cache-control"))
    source = LifetimeSource.TARGETED
    if directives.s_maxage is not None:
        source = source if targeted else LifetimeSource.S_MAXAGE
        return Freshness(directives.s_maxage, source, directives)
    if directives.max_age is not None:
        source = source if targeted else LifetimeSource.MAX_AGE
        return Freshness(directives.max_age, source, directives)
    if not targeted and b"expires" not in ignored:
        lifetime = _expires_lifetime(head, response_time)
        if lifetime is not None:
            return Freshness(lifetime, LifetimeSource.EXPIRES, directives)
    if table is not None:
        return Freshness(table, LifetimeSource.TABLE, directives)
    if policy.heuristic and (head.status in HEURISTIC_STATUSES or directives.public):
        lifetime = _guess(head, response_time)
        if lifetime is not None:
            return Freshness(lifetime, LifetimeSource.HEURISTIC, directives)
    return Freshness(0, LifetimeSource.NONE, directives)

"""Several scoped keys for one region and service: which one signs now, and until when.

A key is good for seven days from 00:00 UTC of its scope's day. The newest that is good
signs, so that a key made for each day is used on that day alone, and those before it are
there for the days on which nobody made a new one. Pure: time comes in.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

import attrs

from .scope import WEEK, ScopedKey

__all__ = ["KeyNotice", "KeyRing", "key_notice"]

_HOUR: Final = 3600
_WARN: Final = (24 * _HOUR, 48 * _HOUR)
"""Seconds before the end at which there is a warning, the nearest first."""


def _in_order(keys: Iterable[ScopedKey]) -> tuple[ScopedKey, ...]:
    return tuple(sorted(keys, key=lambda key: key.scope.date))


@attrs.frozen
class KeyRing:
    """Scoped keys of one region and service.

    keys: at least one, in the order of their days; of two for the same day the later counts.
    Raises ValueError when there is none, or they are for several regions or services.
    """

    keys: tuple[ScopedKey, ...] = attrs.field(converter=_in_order)
    _begins: tuple[int, ...] = attrs.field(init=False, eq=False, repr=False)

    @_begins.default
    def _of_each(self) -> tuple[int, ...]:
        return tuple([key.scope.begins for key in self.keys])

    def __attrs_post_init__(self) -> None:
        if len({(key.scope.region, key.scope.service) for key in self.keys}) != 1:
            raise ValueError("the keys of a ring are for one region and service, at least one key")

    @classmethod
    def pick(
        cls, keys: Iterable[ScopedKey], region: str | None = None, service: str | None = None
    ) -> KeyRing:
        """Return those of `keys` that are for a region and service.

        region: None when the keys say it. service: None for s3, or for the only one there
        is. Raises ValueError, for the operator, when no key fits or several regions do.
        """
        keys = tuple(keys)
        fits = [key for key in keys if region in (None, key.scope.region)]
        services = {key.scope.service for key in fits}
        if service is None:
            service = services.pop() if len(services) == 1 else "s3"
        fits = [key for key in fits if key.scope.service == service]
        regions = sorted({key.scope.region for key in fits})
        if not fits:
            there = sorted({f"{key.scope.region}/{key.scope.service}" for key in keys})
            wanted = service if region is None else f"{region}/{service}"
            raise ValueError(f"no key in it is for {wanted}, only for {', '.join(there)}")
        if len(regions) > 1:
            raise ValueError(
                f"there are keys for {' and '.join(regions)} in it: say which with aws_region"
            )
        return cls(fits)

    @property
    def region(self) -> str:
        """The region of all keys."""
        return self.keys[0].scope.region

    @property
    def service(self) -> str:
        """The service of all keys."""
        return self.keys[0].scope.service

    def at(self, now: float) -> ScopedKey:
        """Return the key to sign with at `now`, epoch seconds: the newest that has begun.

        When none has, the first to come; when all are over, the last: S3 has the last word.
        """
        return self.keys[max(bisect_right(self._begins, now) - 1, 0)]

    def valid(self, now: float) -> bool:
        """Tell whether there is a key that is good at `now`."""
        begun = bisect_right(self._begins, now)
        return begun > 0 and now < self._begins[begun - 1] + WEEK

    def expires(self, now: float) -> int:
        """Return until when there is a good key from `now` on, without a gap: epoch seconds.

        In the past when all that have begun are over; 0 when none has begun.
        """
        end = 0
        for key in self.keys:
            if key.scope.begins > max(now, end):
                break
            end = key.scope.ends
        return end


@attrs.frozen
class KeyNotice:
    """What an operator is told about the end of a ring. Each different one is told once.

    expired: an error; else a warning. expires: as `KeyRing.expires`. step: which of the
    warnings, in hours before the end; or the hours that have passed since it.
    """

    expired: bool
    expires: int
    step: int


def key_notice(ring: KeyRing, now: float) -> KeyNotice | None:
    """Return what there is to tell at `now`: within 48 h, within 24 h, each hour after; or None.

    Who remembers the last one and tells those that differ tells each in its time, one only
    of those that were missed, and the first of a new ring at once.
    """
    expires = ring.expires(now)
    left = expires - now
    if left <= 0:
        return KeyNotice(expired=True, expires=expires, step=int(-left // _HOUR))
    for before in _WARN:
        if left <= before:
            return KeyNotice(expired=False, expires=expires, step=before // _HOUR)
    return None

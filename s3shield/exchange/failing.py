"""What clients are told when the origin failed before anything was sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    CacheStatus,
    FailureKind,
    GiveUp,
    OriginFailure,
    ServeStale,
    on_origin_error,
)

if TYPE_CHECKING:
    from s3shield.store import Entry

    from .location import Location
    from .transaction import Transaction

__all__ = ["FIRST", "SECOND", "give_stale", "packed", "refuse", "unpacked"]

FIRST: Final = 0
SECOND: Final = 1
"""Attempt number of the flight that a waiter leads after the first failed."""


def give_stale(
    location: Location,
    waiting: list[Transaction],
    entry: Entry | None,
    failure: OriginFailure,
) -> bool:
    """Answer those who selected `entry` with it, where policy lets it stand in; else False."""
    if not waiting:
        return True
    now = location.around.clock()
    verdict = on_origin_error(waiting[0].request, entry, failure, now, location.policy)
    if not isinstance(verdict, ServeStale) or entry is None:
        return False
    for transaction in waiting:
        transaction.reason = failure.reason()
        location.give_entry(transaction, entry, CacheStatus.STALE)
    return True


def refuse(
    location: Location, transaction: Transaction, entry: Entry | None, failure: OriginFailure
) -> None:
    """Tell a client for whom nothing can stand in."""
    now, policy = location.around.clock(), location.policy
    verdict = on_origin_error(transaction.request, entry, failure, now, policy)
    status = failure.gateway_status
    if isinstance(verdict, GiveUp) and not failure.status:
        status = verdict.status
    transaction.reason = failure.reason()
    transaction.cache_status = CacheStatus.MISS
    transaction.refuse(status)


def packed(failure: OriginFailure, attempt: int) -> bytes:
    """Return what tells other workers of it. attempt: FIRST or SECOND."""
    return b"%d %d %b" % (attempt, failure.status, failure.kind.name.encode("ascii"))


def unpacked(note: bytes) -> tuple[OriginFailure, int]:
    """Return failure and attempt number."""
    attempt, status, kind = note.split(b" ")
    detail = "as another worker was told"
    return OriginFailure(FailureKind[kind.decode("ascii")], detail, int(status)), int(attempt)

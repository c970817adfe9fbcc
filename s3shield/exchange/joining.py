"""Who fetches, and who waits for another's fetch, in this worker or in another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3shield.policy import CacheStatus, NoStoreReason, stale_while_updating

if TYPE_CHECKING:
    from .elsewhere import Joinable
    from .flight import Flight
    from .location import Location
    from .transaction import Transaction

__all__ = ["enter", "join", "launch"]


def launch(location: Location, flight: Flight) -> None:
    """Let a flight begin, and others find it; or its clients wait for another worker's."""
    if enter(location, flight):
        flight.begin()
        return
    entry = flight.entry
    if entry is not None and not stale_while_updating(entry, location.around.clock()):
        entry = None
    elsewhere = location.zone.flights.get(flight.digest)
    for transaction in flight.surrender():
        if entry is not None:
            location.give_entry(transaction, entry, CacheStatus.UPDATING)
        elif elsewhere is None or not join(location, elsewhere, transaction):
            location.pass_on(transaction, NoStoreReason.PARTIAL_CONTENT)


def enter(location: Location, flight: Flight) -> bool:
    """Let others find a flight; False when another worker has one for the same key."""
    if flight.joinable:
        claiming = location.zone.claiming
        if claiming is not None and not claiming.enter(location, flight, location.rules.lock_age):
            return False
        location.zone.flights[flight.digest] = flight
    return True


def join(location: Location, flight: Joinable, transaction: Transaction) -> bool:
    """Let a client wait for a flight; False when that has nothing for it."""
    missed, transaction.cache_status = transaction.cache_status, CacheStatus.HIT
    transaction.collapsed = missed
    if not flight.join(transaction):
        transaction.cache_status, transaction.collapsed = missed, None
        return False
    timeout = location.rules.lock_timeout
    if timeout is not None:
        transaction.timer = location.around.call_later(
            timeout, lambda: _waited(location, flight, transaction)
        )
    return True


def _waited(location: Location, flight: Joinable, transaction: Transaction) -> None:
    """It has waited for another's fetch for long enough: nginx, proxy_cache_lock_timeout."""
    transaction.timer = None
    if flight.part_with(transaction):
        transaction.refusal = NoStoreReason.LOCK_TIMEOUT
        location.fetch_alone(transaction)

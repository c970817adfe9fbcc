"""Changing a cache that no daemon has: with the store itself, for as long as it takes."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from s3shield.store import Selector, Store, StoreError, Tenant

__all__ = ["purge_offline"]


def purge_offline(path: Path, selector: Selector, who: str) -> int:
    """Remove what is meant from the cache in `path`; return the number of responses.

    who: the configuration file, for a daemon that is started meanwhile. Raises StoreError,
    TenantError where a daemon has the cache.
    """
    tenant = Tenant(path, who)
    try:
        return _purged(path, selector)
    finally:
        tenant.leave()


def _purged(path: Path, selector: Selector) -> int:
    # A reactor of our own, that nobody else in this process sees.
    reactor = SelectReactor()
    found: list[int | Failure] = []

    def work() -> None:
        try:
            store = Store(path, reactor=reactor, pool=reactor.getThreadPool(), shared=False)
        except StoreError:
            done(Failure())  # type: ignore[no-untyped-call]  # Twisted's
            return

        def close(result: int | Failure) -> None:
            store.close()
            done(result)

        store.purge(selector, soft=False).addBoth(close)

    def done(result: int | Failure) -> None:
        found.append(result)
        reactor.stop()

    reactor.callWhenRunning(work)
    reactor.run(installSignalHandlers=False)
    (result,) = found
    if isinstance(result, Failure):
        result.raiseException()
    assert isinstance(result, int)
    return result

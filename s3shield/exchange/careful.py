"""A location whose every request must be looked at: conditions, `Cache-Status`.

Chosen when the configuration is loaded, so that other locations pay nothing for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3shield.policy import HIT, CacheStatus, NoStoreReason, decide
from s3shield.routing import any_true

from .location import Location

if TYPE_CHECKING:
    from s3shield.policy import Request
    from s3shield.routing import Route
    from s3shield.wire import Downstream

__all__ = ["CarefulLocation"]


class CarefulLocation(Location):
    """See the module's text."""

    def serve(self, request: Request, route: Route, downstream: Downstream) -> None:
        """Answer `request` now, or see to it that it will be answered."""
        transaction = self.transaction(request, route, downstream)
        if request.method not in self._methods:
            self.other_method(transaction)
            return
        if self._zone is None:
            self._relay(transaction, NoStoreReason.CACHE_OFF)
            return
        rules = self.rules
        if rules.no_cache and any_true(rules.no_cache, request):
            transaction.refusal = NoStoreReason.BYPASS
        if rules.bypass and any_true(rules.bypass, request):
            transaction.cache_status = CacheStatus.BYPASS
            self.fetch_alone(transaction)
            return
        entry = self._zone.lookup(route, request, self.policy)
        decision = decide(request, entry, self.around.clock(), self.policy)
        if decision is HIT:
            assert entry is not None
            self._touch(entry.digest)
            self.give_entry(transaction, entry, CacheStatus.HIT)
        else:
            self.resolve(transaction, entry, decision)

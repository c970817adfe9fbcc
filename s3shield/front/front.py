"""All phases, in their order, and what they have in common in one process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3shield.config import LocationConfig

from .access import Access
from .counts import Counts
from .cross_origin import cross_origin
from .directory import index, slash_redirect
from .error_pages import error_pages
from .limiting import Limits, uploads
from .listing import Listings
from .pacing import limit_rate
from .phase import Ground, Phase, Serve
from .process import Process
from .secure import secure
from .security_fields import security_fields
from .try_files import try_files

if TYPE_CHECKING:
    from s3shield.exchange import Location, Site

__all__ = ["Front"]


class Front:
    """What stands before the locations of one process.

    configs, locations: alike in order. Everything that phases remember from one request to the
    next (counts, keys, files that were read) is here once, whatever listener it came in by.
    """

    def __init__(
        self,
        configs: Sequence[LocationConfig],
        locations: Sequence[Location],
        process: Process,
    ) -> None:
        self._pairs = list(zip(configs, locations, strict=True))
        # The first sees a request first. What changes answers (the pages of errors) is outside of
        # what gives them, and pages of errors are for other origins, too; who may come in is asked
        # before anything is done for him.
        self._access = Access(configs, process)
        limited = any(each.limits.counts for each in configs)
        self._limits = Limits(Counts(process.memory) if limited else None)
        self._phases: list[Phase] = [
            security_fields,
            cross_origin,
            error_pages,
            secure,
            self._limits.requests,
            self._limits.connections,
            limit_rate,
            uploads,
            self._access.phase,
            try_files,
            slash_redirect,
            index,
            Listings().phase,
        ]

    def start(self) -> None:
        """Begin with what takes a while, before requests come."""
        self._access.start()

    def stop(self) -> None:
        """Let go of what is held: requests are over."""
        self._access.stop()

    def lead(self, site: Site) -> list[Serve]:
        """Return what serves each location, for requests that come in by `site`."""
        return [self._led(config, location, site) for config, location in self._pairs]

    def _led(self, config: LocationConfig, location: Location, site: Site) -> Serve:
        ground = Ground(location, config, self._limits.again(config, site))
        serve: Serve = location.serve
        for phase in reversed(self._phases):
            serve = phase(ground, serve)
        return serve

"""What operators of one process are shown, and may do: the admin listener's site."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from twisted.logger import Logger
from twisted.web.server import Site

from s3shield import __version__
from s3shield.config import Config
from s3shield.exchange import Health, Purger, Zone
from s3shield.metrics import Board, Meter, Snapshot, VersionError, snapshot
from s3shield.ops import (
    AccessLog,
    Gate,
    Readiness,
    Tally,
    admin_site,
    bucket_states,
    key_reasons,
    run_aside,
)

from .measures import Measures
from .origins import Origins

__all__ = ["Administration"]


class Administration:
    """See the module's text. Counts what goes through `access_log` from now on.

    file: descriptor of the memory that keeps the numbers of all processes of the daemon; None:
    there is but this one. clock: epoch seconds. zones: those of this process by cache, once there
    are any. Raises OSError.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        config: Config,
        access_log: AccessLog,
        file: int | None,
        *,
        clock: Callable[[], float] = time.time,
        origins: Origins,
        zones: Mapping[str, Zone],
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._access_log = access_log
        self._clock = clock
        self._origins = origins
        self._zones = zones
        self._meter: Meter | None = None
        self._board: Board | None = None
        self._tally = Tally()
        self.health: list[Health] = []
        daemon = config.daemon
        if daemon.admin_listen is None or not daemon.admin.metrics:
            return
        try:
            self._board = Board(file)
        except VersionError as why:
            text = str(why)
            self._board = Board()
            self.log.warn("other processes do not see this one's metrics: {why}", why=text)
        access_log.measure(self._tally.take)

    def site(
        self,
        keys_end: Callable[[], Mapping[str, float]],
        credentials_end: Callable[[], Mapping[str, float]],
        draining: Callable[[], bool],
    ) -> Site:
        """Return the site. keys_end, credentials_end: return epoch seconds by bucket."""
        admin = self._config.daemon.admin
        states = partial(bucket_states, self._origins.buckets, keys_end)
        readiness = Readiness(
            keys=lambda: key_reasons(
                states(), credentials_end(), self._clock(), admin.ready_valid_for
            ),
            absent=self._absent,
            caches={name: cache.path for name, cache in self._config.caches.items()},
            draining=draining,
            aside=partial(run_aside, self._reactor),
            reactor=self._reactor,
        )
        return admin_site(
            self.purger(),
            states,
            self._clock,
            None if self._board is None else self.numbers,
            self._config.daemon.prices,
            readiness=readiness,
            gate=Gate(admin.admin_allow, admin.admin_token),
        )

    def start(
        self,
        keys_end: Callable[[], Mapping[str, float]],
        credentials_end: Callable[[], Mapping[str, float]],
        clients: Callable[[], int],
    ) -> None:
        """Begin to tell. clients: returns how many connections there are. Raises OSError."""
        if self._board is None:
            return
        caches = self._config.caches
        measures = Measures(
            self._zones,
            {name: each.max_size for name, each in caches.items() if each.max_size is not None},
            self._origins,
            keys_end,
            credentials_end,
            clients,
            lambda: self._access_log.lost,
        )
        self._meter = Meter(
            self._board,
            self._tally,
            measures,
            reactor=self._reactor,
            wall=self._clock,
            settle=self._access_log.flush,
        )
        self._meter.start()

    def stop(self) -> None:
        """Tell what there is, and no more."""
        meter, self._meter = self._meter, None
        if meter is not None:
            meter.stop()

    def numbers(self) -> Snapshot:
        """Return the numbers of all processes: this one's of now, the others' of a second ago."""
        assert self._board is not None
        if self._meter is not None:
            self._meter.flush()
        return snapshot(self._board.totals(), self._board.seats(), self._clock(), __version__)

    def _absent(self) -> Iterator[str]:
        """Yield the buckets whose health object is not there, nor that of any replica."""
        gone = {each.name for each in self.health if not each.good}
        for name in gone:
            replicas = [each.name for each in self._config.replicas(name)]
            if all(each in gone for each in replicas):
                yield name

    def purger(self) -> Purger:
        """Return what purges."""
        zones = [
            None if location.cache is None else self._zones[location.cache]
            for location in self._config.locations
        ]
        return Purger(self._config.routing(), zones)

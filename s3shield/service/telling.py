"""What one process tells of itself to all: its meter, and the numbers of all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.logger import Logger

from s3shield import __version__
from s3shield.metrics import Board, Meter, Snapshot, Source, VersionError, snapshot
from s3shield.ops import AccessLog, Tally

__all__ = ["Telling"]


class Telling:
    """Counts what goes through `access_log` from now on, and tells it once it is started.

    file: descriptor of the memory that all processes of the daemon share; None: there is but
    this one. clock: epoch seconds. Raises OSError.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, access_log: AccessLog, file: int | None, clock: Callable[[], float]
    ) -> None:
        self._reactor = reactor
        self._access_log = access_log
        self._clock = clock
        self._tally = Tally()
        try:
            self._board = Board(file)
        except VersionError as why:
            text = str(why)
            self._board = Board()
            self.log.warn("other processes do not see this one's metrics: {why}", why=text)
        self._meter: Meter | None = None
        access_log.measure(self._tally.take)

    def start(self, source: Source) -> None:
        """Begin to tell. Raises OSError."""
        self._meter = Meter(
            self._board,
            self._tally,
            source,
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
        if self._meter is not None:
            self._meter.flush()
        totals: Mapping[Any, Any] = self._board.totals()
        return snapshot(totals, self._board.seats(), self._clock(), __version__)

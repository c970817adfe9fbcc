"""What the locations of one process that compress have in common, and how they are made."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from s3shield.config import LocationConfig
from s3shield.exchange import (
    CarefulLocation,
    CodedCarefulLocation,
    CodedLocation,
    Compressing,
    Forms,
    Location,
    Surroundings,
)

__all__ = ["Compression"]

_THREADS: Final = 2
"""Threads that compress: the event loop needs the core too."""


class Compression:
    """Threads, where a location wants them, and locations. reactor: the running one."""

    def __init__(self, reactor: Any, locations: Iterable[LocationConfig]) -> None:
        self._threads: ThreadPool | None = None
        self.compressing: Compressing | None = None
        if any(each.cache and each.compression.codings for each in locations):
            self._threads = ThreadPool(_THREADS, _THREADS, "s3shield-compress")
            self._threads.start()
            self.compressing = Compressing(partial(deferToThreadPool, reactor, self._threads))

    def kind(self, config: LocationConfig, *, careful: bool) -> type[Location]:
        """Return the class of a location. careful: each of its requests must be looked at."""
        if config.cache and config.compression.codings:
            return CodedCarefulLocation if careful else CodedLocation
        return CarefulLocation if careful else Location

    def equip(self, config: LocationConfig, location: Location, around: Surroundings) -> None:
        """Give a location that compresses what it needs."""
        if isinstance(location, CodedLocation | CodedCarefulLocation):
            assert self.compressing is not None
            location.forms = Forms(
                config.compression,
                config.policy,
                location.zone,
                around,
                self.compressing,
                largest=location.largest,
                keep_filling=location.keep_filling,
            )

    def stop(self) -> None:
        """Make nothing to its end: nobody waits for it any more."""
        if self.compressing is not None:
            self.compressing.stop()

    def close(self) -> None:
        """End the threads, when they have done what they are at."""
        if self._threads is not None:
            self._threads.stop()

"""One process's numbers: collected where they arise, and put on the board each second."""

from __future__ import annotations

import json
import os
import resource
import sys
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from .board import Board
from .families import FAMILIES, LAG, Key

__all__ = ["Meter", "Source", "Tallied"]

_SAMPLE: Final = 0.25
_FLUSH: Final = 4
"""Samples of the loop's lag from one flush to the next."""
_REMEMBERED: Final = 30
"""Flushes for which the longest lag is told."""
_OBJECTS: Final = 30
_LAG_KEY: Final = ("s3shield_event_loop_lag_seconds",)


class Tallied(Protocol):
    """Sums of requests that are over: `ops.Tally`."""

    requests: int
    hits: int
    sent: int
    cached: int

    def drain(self) -> dict[Key, list[float]]:
        """Return what has come since the last time, as additions to series."""

    def objects(self, most: int) -> list[tuple[str, float, float]]:
        """Return (key, requests, bytes) of those asked for most."""


class Source(Protocol):
    """Where the other numbers come from."""

    def counters(self) -> Mapping[Key, float]:
        """Return counters as they stand, from zero at the start of this process."""

    def additions(self) -> Mapping[Key, Sequence[float]]:
        """Return what is to be added to series since the last time."""

    def gauges(self) -> Mapping[Key, float]:
        """Return gauges; those with `age` as an instant, epoch seconds."""


class Meter:
    """See the module's text.

    settle: has the access log count what it has not yet. wall: epoch seconds. Raises OSError
    when too many processes tell already.
    """

    log = Logger()

    def __init__(
        self,
        board: Board,
        tally: Tallied,
        source: Source,
        *,
        reactor: IReactorTime,
        wall: Callable[[], float],
        settle: Callable[[], None],
    ) -> None:
        self.board = board
        self._tally = tally
        self._source = source
        self._reactor = reactor
        self._wall = wall
        self._settle = settle
        self._started = wall()
        self._told: dict[Key, float] = {}
        self._unwritten: dict[Key, list[float]] = {}
        self._call: IDelayedCall | None = None
        self._due = 0.0
        self._samples = 0
        self._lags = [0.0] * (len(LAG) + 2)
        self._longest = 0.0
        self._remembered: deque[float] = deque(maxlen=_REMEMBERED)
        board.sit()

    def start(self) -> None:
        """Begin to tell."""
        self.flush()
        self._wait()

    def stop(self) -> None:
        """Tell what there is, and no more."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        for _ in range(3):
            if self.flush():
                break
        self.board.rise()

    def _wait(self) -> None:
        self._due = self._reactor.seconds() + _SAMPLE
        self._call = self._reactor.callLater(_SAMPLE, self._tick)

    def _tick(self) -> None:
        lag = max(0.0, self._reactor.seconds() - self._due)
        self._wait()
        self._lags[0] += lag
        self._lags[1 + bisect_left(LAG, lag)] += 1
        self._longest = max(self._longest, lag)
        self._samples += 1
        if self._samples >= _FLUSH:
            try:
                self.flush()
            except Exception:
                self.log.failure("the metrics could not be told")

    def flush(self) -> bool:
        """Tell what there is now; False where another process was at it: it comes later."""
        self._samples = 0
        self._settle()
        self._remembered.append(self._longest)
        self._longest = 0.0
        self._collect()
        self.board.tell(self._text(), self._wall())
        if not self.board.add(self._unwritten):
            return False
        self._unwritten = {}
        return True

    def _collect(self) -> None:
        """Gather what is to be added, to that which could not be last time."""
        self._put(self._tally.drain())
        self._put(self._source.additions())
        counters = self._source.counters()
        self._put({key: [value - self._told.get(key, 0.0)] for key, value in counters.items()})
        self._told.update(counters)
        lags, self._lags = self._lags, [0.0] * (len(LAG) + 2)
        self._put({_LAG_KEY: lags})

    def _put(self, found: Mapping[Key, Sequence[float]]) -> None:
        unwritten = self._unwritten
        for key, values in found.items():
            known = unwritten.get(key)
            unwritten[key] = (
                list(values)
                if known is None
                else [one + other for one, other in zip(known, values, strict=True)]
            )

    def _text(self) -> bytes:
        tally = self._tally
        said: dict[str, Any] = {
            "started": self._started,
            "lag": max(self._remembered, default=0.0),
            "resident": _resident(),
            "requests": tally.requests,
            "hits": tally.hits,
            "sent_bytes": tally.sent,
            "cached_bytes": tally.cached,
            "gauges": [
                [list(key), value]
                for key, value in self._source.gauges().items()
                if key[0] in FAMILIES
            ],
            "objects": tally.objects(_OBJECTS),
        }
        text = json.dumps(said).encode("ascii")
        if len(text) > 200_000:  # of a seat's: thousands of origins
            said["gauges"] = said["objects"] = []
            text = json.dumps(said).encode("ascii")
        return text


def _resident() -> int:
    """Return bytes of memory; at its peak where the system tells no other."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

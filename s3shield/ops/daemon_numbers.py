"""What the parent counts of itself, and the memory that it makes for the numbers of all."""

from __future__ import annotations

from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from s3shield.metrics import Board, Key
from s3shield.ops.surroundings import shared_memory

__all__ = ["DaemonNumbers"]

_RETRY: Final = 0.05


class DaemonNumbers:
    """Make it once; it lives as long as the daemon. fd: of the memory, for workers."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._file = shared_memory()
        self._board = Board(self._file.fileno())
        self._waiting: dict[Key, list[float]] = {}
        self._again: IDelayedCall | None = None

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._file.fileno()

    def restarted(self) -> None:
        """A worker died, another one is started in its place."""
        self._add("s3shield_worker_restarts_total")

    def reloaded(self, good: bool) -> None:
        """A reload is over."""
        self._add("s3shield_reloads_total", "done" if good else "refused")

    def stop(self) -> None:
        """Count no more."""
        if self._again is not None:
            self._again.cancel()
            self._again = None

    def _add(self, *key: str) -> None:
        self._waiting.setdefault(key, [0.0])[0] += 1
        if self._again is None:
            self._write()

    def _write(self) -> None:
        """Add what waits; in a moment where another process is at it."""
        self._again = None
        if self._board.add(self._waiting):
            self._waiting.clear()
        else:
            self._again = self._reactor.callLater(_RETRY, self._write)

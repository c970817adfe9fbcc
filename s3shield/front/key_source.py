"""Where keys for tokens come from, as who checks tokens sees it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred

from s3shield.access import TokenKey

__all__ = ["KeySource", "Waiting"]

_AT_ONCE: Final = 32
"""Waiting requests that go on in one turn of the event loop."""


class KeySource(Protocol):
    """Keys that change while the process runs.

    keys: those in use; None: there have never been any. changed: called after each change.
    """

    keys: tuple[TokenKey, ...] | None
    changed: list[Callable[[], None]]

    def start(self) -> None:
        """Look for keys, and again from time to time."""

    def stop(self) -> None:
        """Look no more; nobody who waits is answered."""

    def more(self) -> Deferred[None] | None:
        """Look whether there are newer ones; fires when that is over, one way or the other.

        None: that has just been done, or is not the way here. Who does not want to wait any
        longer cancels what he got: nobody else notices.
        """


class Waiting:
    """Those who wait for one thing. reactor: IReactorTime."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._all: dict[Deferred[None], None] = {}
        self._free: deque[Deferred[None]] = deque()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    def one(self) -> Deferred[None]:
        """Return what fires with the others."""
        waits: Deferred[None] = Deferred(lambda gone: self._all.pop(gone, None))
        self._all[waits] = None
        return waits

    def fire(self) -> None:
        """Let all go on; each has a signature to check, so not all in one turn of the loop."""
        going = bool(self._free)
        self._free.extend(self._all)
        self._all.clear()
        if not going:
            self._go()

    def forget(self) -> None:
        """Let nobody go on."""
        self._all.clear()
        self._free.clear()

    def _go(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._free))):
            waits = self._free.popleft()
            if not waits.called:  # it was not cancelled
                waits.callback(None)
        if self._free:
            self._reactor.callLater(0, self._go)

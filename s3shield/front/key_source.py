"""Where keys for tokens come from, as who checks tokens sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from s3shield.access import TokenKey

__all__ = ["KeySource", "Waiting"]


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
    """Those who wait for one thing."""

    def __init__(self) -> None:
        self._all: dict[Deferred[None], None] = {}

    def one(self) -> Deferred[None]:
        """Return what fires with the others."""
        waits: Deferred[None] = Deferred(lambda gone: self._all.pop(gone, None))
        self._all[waits] = None
        return waits

    def fire(self) -> None:
        """Let all go on."""
        waiting, self._all = self._all, {}
        for each in waiting:
            each.callback(None)

    def forget(self) -> None:
        """Let nobody go on."""
        self._all.clear()

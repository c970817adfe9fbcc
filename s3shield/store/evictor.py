"""Keeps the store within its limits: in one of the processes that share it."""

from __future__ import annotations

import fcntl
import os
from typing import Any, Final

from .eviction import Limits
from .store import Store

__all__ = ["Evictor"]

_PERIOD: Final = 1.0
_RETRY: Final = 5
"""Periods between two attempts to be elected, and between two looks at deleted files."""


class Evictor:
    """Wakes every second, and makes room when the process is the elected one.

    reactor: IReactorTime. Every process has one: when the elected process ends, however
    it does, another takes over within seconds.
    """

    def __init__(self, store: Store, reactor: Any, limits: Limits) -> None:
        self.limits = limits
        self._store = store
        self._reactor = reactor
        self._name = store.path / "evictor.lock"
        self._handle = -1
        self._periods = 0
        self._busy = False
        self._call: Any = None

    @property
    def elected(self) -> bool:
        """Whether this process is the one."""
        return self._handle >= 0

    def start(self) -> None:
        """Begin to wake up."""
        self._wake()

    def stop(self) -> None:
        """No longer wake up, and let another process be elected."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self._resign()

    def _wake(self) -> None:
        self._call = self._reactor.callLater(_PERIOD, self._wake)
        if self._periods % _RETRY == 0:
            self._store.release_deleted()
            self._stand()
        self._periods += 1
        if self.elected and not self._busy:
            self._busy = True
            self._store.keep_within(self.limits).addBoth(self._rest)

    def _rest(self, _result: object) -> None:
        self._busy = False

    def _stand(self) -> None:
        """Stand for election; an elected process sees whether it still holds the file."""
        try:
            if self.elected:
                if os.fstat(self._handle).st_nlink:
                    return
                self._resign()  # deleted with the whole directory
            handle = os.open(self._name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return  # no directory, no descriptor: the store reports it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
        else:
            self._handle = handle

    def _resign(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

"""Disk writes of many bodies handed to threads in groups.

To wake a thread, to give it the interpreter's lock and to come back costs more than a small
write does. So only a few calls go to threads at a time; those that come meanwhile wait, and go
together in one as soon as a thread is back: the busier it is, the larger the groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from .files import Threads

__all__ = ["Together"]

_MOST: Final = 2
"""Threads at work at a time. One would leave the disk idle while its results come back."""

_Call = tuple[Callable[..., Any], tuple[Any, ...]]


class Together:
    """A `files.Threads` for what may wait for one another. Event loop's thread only.

    Calls begin in the order they came; two of one body must not be under way at a time, here as
    with the threads themselves.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._running = 0
        self._calls: list[_Call] = []
        self._told: list[Deferred[Any]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Return its result, or fail with what it raised, on the event loop's thread."""
        done: Deferred[Any] = Deferred()
        self._calls.append((function, args))
        self._told.append(done)
        if self._running < _MOST:
            self._go()
        return done

    def _go(self) -> None:
        calls, self._calls = self._calls, []
        told, self._told = self._told, []
        self._running += 1
        running = self._threads(_run, calls)
        running.addBoth(self._ran, told)

    def _ran(self, results: list[Any] | Failure, told: list[Deferred[Any]]) -> None:
        self._running -= 1
        if self._calls:
            self._go()
        if isinstance(results, Failure):  # the pool itself failed
            results = [results] * len(told)
        for done, result in zip(told, results, strict=True):
            (done.errback if isinstance(result, Failure) else done.callback)(result)


def _run(calls: list[_Call]) -> list[Any]:
    """Make the calls, in a thread; return the result of each, a Failure where it raised."""
    results: list[Any] = []
    for function, args in calls:
        try:
            results.append(function(*args))
        except Exception:
            results.append(Failure())  # type: ignore[no-untyped-call]  # Twisted's
    return results

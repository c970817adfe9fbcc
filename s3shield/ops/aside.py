"""Threads that may hang: they end with the process, which waits for none of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from threading import Thread
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

__all__ = ["run_aside"]


def run_aside(
    reactor: IReactorFromThreads, function: Callable[..., Any], *words: object
) -> Deferred[Any]:
    """Return what `function` returns, called with `words` in a thread of its own.

    For what is done once in a while: a thread of a pool that hangs would be joined at the
    end of the process, and be missed until then.
    """
    done: Deferred[Any] = Deferred()

    def work() -> None:
        try:
            result, answer = function(*words), done.callback
        except Exception:
            result, answer = Failure(), done.errback  # type: ignore[no-untyped-call,assignment]  # Twisted's
        # The loop may be gone by now.
        with contextlib.suppress(RuntimeError):
            reactor.callFromThread(answer, result)

    try:
        Thread(target=work, name="s3shield-aside", daemon=True).start()
    except RuntimeError:  # the system has no more threads
        done.errback(Failure())  # type: ignore[no-untyped-call]  # Twisted's
    return done

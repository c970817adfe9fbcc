"""`GET /ready`: whether requests had better be sent here, and why not.

`/live` asks for nothing but an answer: what is stored is served whatever is wrong. This is for
a balancer that has others to send to.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from s3shield.ops.bucket_state import BucketState

__all__ = ["Readiness", "key_reasons"]

_PATIENCE: Final = 5.0
"""Seconds that a disk has to take a file."""


def key_reasons(
    states: Iterable[BucketState], ends: Mapping[str, float], now: float, enough: float
) -> list[str]:
    """Return what is wrong with keys and credentials. Pure.

    ends: epoch seconds, by bucket, at which credentials end that a source gave. enough: seconds
    for which all must be good.
    """
    found = []
    for state in states:
        if state.without_credentials:
            found.append(f"bucket {state.name}: there are no credentials to sign with")
            continue
        for what, end in (
            ("signing key", state.key_expires),
            ("credentials", ends.get(state.name)),
        ):
            left = enough if end is None else end - now
            if left <= 0:
                found.append(f"bucket {state.name}: its {what} ended {-left:.0f} s ago")
            elif left < enough:
                found.append(f"bucket {state.name}: {left:.0f} s are left of its {what}")
    return found


def _write(path: str) -> None:
    """Write to a file without a name. Raises OSError."""
    with tempfile.TemporaryFile(dir=path, buffering=0) as file:
        file.write(bytes(4096))


@attrs.define
class Readiness:
    """See the module's text.

    keys: returns what `key_reasons` does. absent: returns the names of buckets that cannot be
    asked, as their health objects and breakers have it. caches: directory by name. draining:
    whether this process is about to end. aside: calls a function in a thread that may hang.
    """

    keys: Callable[[], list[str]]
    absent: Callable[[], Iterable[str]]
    caches: Mapping[str, str]
    draining: Callable[[], bool]
    aside: Callable[..., Deferred[Any]]
    reactor: IReactorTime
    write: Callable[[str], None] = _write
    _hanging: set[str] = attrs.field(factory=set, init=False)

    def check(self) -> Deferred[list[str]]:
        """Return, in words, all that is wrong; nothing when it is ready."""
        found = ["this process is about to end"] if self.draining() else []
        found += self.keys()
        found += [
            f"bucket {name}: its health object is not there" for name in sorted(self.absent())
        ]
        writes = [self._try(name, path) for name, path in self.caches.items()]
        return gatherResults(writes).addCallback(
            lambda troubles: found + [each for each in troubles if each]
        )

    def _try(self, name: str, path: str) -> Deferred[str]:
        late = f"cache {name}: {path} does not take a file within {_PATIENCE:g} s"
        if name in self._hanging:
            return succeed(late)  # no second thread for it

        def failed(failure: Failure) -> str:
            why = failure.value
            if not isinstance(why, OSError):
                failure.raiseException()
            reason = getattr(why, "strerror", None) or why
            return f"cache {name}: cannot write in {path}: {reason}"

        def done(result: str) -> str:
            self._hanging.discard(name)
            return result

        self._hanging.add(name)
        writing = self.aside(self.write, path)
        writing.addCallbacks(lambda _: "", failed)
        writing.addBoth(done)
        return self._in_time(writing, late)

    def _in_time(self, writing: Deferred[str], late: str) -> Deferred[str]:
        """Return the result, or `late` when it does not come; the write itself goes on."""
        answer: Deferred[str] = Deferred()
        limit = self.reactor.callLater(_PATIENCE, partial(answer.callback, late))

        def over(result: str) -> None:
            if limit.active():
                limit.cancel()
                answer.callback(result)

        writing.addCallback(over)
        return answer

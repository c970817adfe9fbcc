"""Requests of our own in a client's place, and answers that a phase takes for itself.

Theory of operation. A phase that may have to do something else than give an answer asks
with an `InnerRequest` and an `Intercept`, which lets every answer pass but those that the
phase wants. A wanted answer goes no further, its record is kept out of the log, and the phase
is told: at once when the answer was at hand, else in a later turn of the event loop, for
whoever answers has not come to its end and must not be asked again from inside.

Sent on to another location (`led`) a request counts its steps: at most 10, as in nginx
(NGX_HTTP_MAX_URI_CHANGES).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import attrs
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger

from s3shield.policy import InnerRequest, Request
from s3shield.routing import parse_target
from s3shield.wire import Downstream, Octets

from .passing import Passing

if TYPE_CHECKING:
    from s3shield.routing import Route

    from .phase import Ground

__all__ = ["MISSING", "READS", "Caught", "Intercept", "give_back", "lead", "path_of", "with_path"]

MISSING: Final = frozenset({404, 410})
"""Statuses by which an object is not there."""
READS: Final = frozenset({b"GET", b"HEAD"})
MAX_HOPS: Final = 10

_log = Logger()


@attrs.frozen
class Caught:
    """An answer that was not passed on.

    request: what it is to. head, body: as of `Downstream.reply`; body None when it was
    to come in pieces.
    """

    request: InnerRequest
    status: int
    head: bytes
    body: Octets | None


def status_of(head: bytes) -> int:
    """Return the status of a head in wire form."""
    return int(head[9:12])


class Intercept(Passing):
    """Takes the answers to one request that `wanted` is true of, and passes on the others.

    then: called once with an answer that was taken. changed: makes the head of one that is
    passed on.
    """

    __slots__ = (
        *("_call_soon", "_changed", "_gone", "_pending"),
        *("_request", "_taken", "_then", "_wanted", "_within"),
    )

    def __init__(
        self,
        request: InnerRequest,
        inner: Downstream,
        wanted: Callable[[int], bool],
        then: Callable[[Caught], None],
        call_soon: Callable[[Callable[[], None]], object],
        changed: Callable[[bytes], bytes] | None = None,
    ) -> None:
        super().__init__(inner)
        self._request = request
        self._wanted = wanted
        self._then: Callable[[Caught], None] | None = then
        self._call_soon = call_soon
        self._changed = changed
        self._pending: Callable[[], None] | None = None
        self._gone: Callable[[], None] | None = None
        self._taken = False
        self._within = True

    def ask(self, serve: Callable[[Downstream], None]) -> None:
        """Have the request served by `serve`, and go on with its answer if that was taken."""
        serve(self)
        self._within = False
        pending, self._pending = self._pending, None
        if pending is not None:
            pending()

    def disarm(self) -> None:
        """Take no answer any more."""
        self._wanted = _nothing

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if self._taken:
            return
        status = status_of(head)
        if self._wanted(status):
            self._take(status, head, body)
            return
        self.inner.reply(head if self._changed is None else self._changed(head), body)
        self._let_go()

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`; whoever sends what is not passed on may stop."""
        if self._taken:
            producer.stopProducing()
            return
        status = status_of(head)
        if not self._wanted(status):
            changed = head if self._changed is None else self._changed(head)
            self.inner.start(changed, length, producer)
            self._let_go()
            return
        gone = self._gone
        self._take(status, head, None)
        producer.stopProducing()
        if gone is not None:
            gone()

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        if not self._taken:
            self.inner.inform(head)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        if not self._taken:
            self.inner.write(data)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if not self._taken:
            self.inner.finish()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        if not self._taken:
            self.inner.abort()
            self._let_go()

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if not self._taken:
            self._gone = gone
            self.inner.on_gone(gone)

    def _take(self, status: int, head: bytes, body: Octets | None) -> None:
        self._taken = self._request.quiet = True
        then = self._let_go()
        if then is None:
            return
        pending = partial(then, Caught(self._request, status, head, body))
        if self._within:
            self._pending = pending
        else:
            self._call_soon(pending)

    def _let_go(self) -> Callable[[Caught], None] | None:
        """Forget who knows this object, lest they keep each other; return what was to be done."""
        then, self._then = self._then, None
        self._gone = self._request.left = None
        return then


def _nothing(_status: int) -> bool:
    return False


def give_back(ground: Ground, route: Route, caught: Caught, downstream: Downstream) -> None:
    """Let the client have an answer that was taken, as if it had not been."""
    request = caught.request
    request.quiet = False
    if caught.body is None:
        ground.refuse(request, route, downstream, caught.status)
        return
    downstream.reply(caught.head, caught.body)
    record, request.record = request.record, None
    if record is not None:
        # Whoever is further out may not give it to the client either.
        ground.location.around.log((*record[:2], request, *record[3:]))


def path_of(request: Request) -> tuple[bytes, bytes | None]:
    """Return path and query of a target of whichever form, undecoded."""
    if request.path.startswith(b"/"):
        return request.path, request.query
    target = parse_target(request.target)
    return target.path, target.query


def with_path(path: bytes, query: bytes | None) -> bytes:
    """Return a target."""
    return path if query is None else b"%b?%b" % (path, query)


def lead(ground: Ground, request: InnerRequest, route: Route, downstream: Downstream) -> None:
    """Send a request to the location that its target is of, unless it goes in a circle."""
    if request.hops >= MAX_HOPS:
        _log.error(
            "{target}: redirects within the site go in a circle",
            target=request.outer.path.decode("ascii", "backslashreplace"),
        )
        ground.refuse(request, route, downstream, 500)
        return
    request.hops += 1
    if request.left is not None and not request.probe:
        request.left()
        request.left = None
    ground.again(request, downstream)

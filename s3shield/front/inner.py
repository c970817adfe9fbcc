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
        "_call_soon",
        "_caught",
        "_changed",
        "_gone",
        "_request",
        "_then",
        "_wanted",
        "_within",
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
        self._then = then
        self._call_soon = call_soon
        self._changed = changed
        self._caught: Caught | None = None
        self._gone: Callable[[], None] | None = None
        self._within = True

    def ask(self, serve: Callable[[Downstream], None]) -> None:
        """Have the request served by `serve`, and go on with its answer if that was taken."""
        serve(self)
        self._within = False
        if self._caught is not None:
            self._then(self._caught)

    def disarm(self) -> None:
        """Take no answer any more."""
        self._wanted = _nothing

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if self._caught is not None:
            return
        status = status_of(head)
        if self._wanted(status):
            self._catch(status, head, body)
        else:
            self.inner.reply(head if self._changed is None else self._changed(head), body)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`; whoever sends what is not passed on may stop."""
        if self._caught is not None:
            producer.stopProducing()
            return
        status = status_of(head)
        if not self._wanted(status):
            changed = head if self._changed is None else self._changed(head)
            self.inner.start(changed, length, producer)
            return
        self._catch(status, head, None)
        producer.stopProducing()
        gone, self._gone = self._gone, None
        if gone is not None:
            gone()

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        if self._caught is None:
            self.inner.inform(head)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        if self._caught is None:
            self.inner.write(data)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self._caught is None:
            self.inner.finish()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        if self._caught is None:
            self.inner.abort()

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if self._caught is None:
            self._gone = gone
            self.inner.on_gone(gone)

    def _catch(self, status: int, head: bytes, body: Octets | None) -> None:
        self._caught = caught = Caught(self._request, status, head, body)
        self._request.quiet = True
        if not self._within:
            self._call_soon(lambda: self._then(caught))


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
    if request.record is not None:
        ground.location.around.log(request.record)


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

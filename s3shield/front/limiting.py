"""`limit_req` and `limit_conn`: nginx's, of its preaccess phase, in its order.

A request that is led to another location (an index, a page of errors) after a limit was
asked about it is not asked again, as in nginx.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from s3shield.access import REFUSED
from s3shield.config import LocationConfig
from s3shield.policy import InnerRequest, Request
from s3shield.wire import Downstream, Octets, StreamedRequest

from .admitted import serve_upload
from .counts import Counts, digests
from .passing import Ending
from .phase import Ground, Serve
from .telling import Seldom

if TYPE_CHECKING:
    from s3shield.routing import Route

    class Timer(Protocol):
        """What is to happen, unless it is cancelled."""

        def cancel(self) -> None: ...


__all__ = ["Limits", "uploads"]

_log = Logger()
_CLIENT_GONE = 499
_AT_ONCE = 64 * 1024
"""Bytes that every connection takes at once."""


class Limits:
    """The limits of all locations of one process.

    counts: None: there are no limits.
    """

    def __init__(self, counts: Counts | None) -> None:
        self._counts = counts

    def again(
        self, config: LocationConfig, lead: Callable[[Request, Downstream], None]
    ) -> Callable[[Request, Downstream], None]:
        """Return `lead`, such that it asks no more about requests of this location."""
        if not config.limits.counts:
            return lead

        def led(request: Request, downstream: Downstream) -> None:
            if isinstance(request, InnerRequest):
                request.counted = True
            lead(request, downstream)

        return led

    def requests(self, ground: Ground, serve: Serve) -> Serve:
        """The phase of `limit_req`."""
        config = ground.config.limits
        counts = self._counts
        if not config.req or counts is None:
            return serve
        around = ground.location.around
        tell = partial(_teller, around.monotonic)
        lines = [
            (line.key.value, digests(line.counted_by), line.leak, tell(f"limit_req {line}"))
            for line in config.req
        ]

        def limited(request: Request, route: Route, downstream: Downstream) -> None:
            if isinstance(request, InnerRequest) and request.counted:
                serve(request, route, downstream)
                return
            wait, asked, told = 0, [], []
            for value, digest, leak, tell in lines:
                key = value(request)
                if key:  # nginx: no key, no limit
                    asked.append((digest(key), leak))
                    told.append(tell)
            if asked:
                wait, which = counts.pour(asked, int(around.monotonic() * 1000))
                if wait:
                    peer = request.peer.decode("latin-1")
                    what = "refused" if wait == REFUSED else f"delayed by {wait} ms"
                    would = "would be " if config.req_dry_run else ""
                    told[which](f"a request of {peer} {would}{what}")
            if not wait or config.req_dry_run:
                serve(request, route, downstream)
            elif wait == REFUSED:
                ground.refuse(request, route, downstream, config.req_status)
            else:
                _Delayed(ground, request, route, downstream, serve).begin(wait / 1000)

        return limited

    def connections(self, ground: Ground, serve: Serve) -> Serve:
        """The phase of `limit_conn`."""
        config = ground.config.limits
        counts = self._counts
        if not config.conn or counts is None:
            return serve
        around = ground.location.around
        tell = partial(_teller, around.monotonic)
        lines = [
            (line.key.value, digests(line.counted_by), line.most, tell(f"limit_conn {line}"))
            for line in config.conn
        ]

        def limited(request: Request, route: Route, downstream: Downstream) -> None:
            if isinstance(request, InnerRequest) and request.counted:
                serve(request, route, downstream)
                return
            entered: list[int] = []
            for value, digest, most, told in lines:
                key = value(request)
                if not key:
                    continue
                place = counts.enter(digest(key), most)
                if place:
                    entered.append(place)
                    continue
                would = "would be " if config.conn_dry_run else ""
                told(f"a request of {request.peer.decode('latin-1')} {would}refused")
                for each in entered:
                    counts.leave(each)
                entered = []
                if not config.conn_dry_run:
                    ground.refuse(request, route, downstream, config.conn_status)
                    return
                break
            if not entered:
                serve(request, route, downstream)
                return
            counted = _Counted(downstream, counts, entered, around.call_soon)
            try:
                serve(request, route, counted)
            except BaseException:
                counted.end()  # the connection answers, and not through here
                raise

        return limited


def uploads(ground: Ground, serve: Serve) -> Serve:
    """The phase that gives a location its bodies, of which limits let nothing be read before.

    Where somebody is asked who he is the gate does so.
    """
    config = ground.config
    if not config.limits.counts or config.asks or not config.takes_bodies:
        return serve

    def admitted(request: Request, route: Route, downstream: Downstream) -> None:
        if isinstance(request, StreamedRequest):
            serve_upload(ground, serve, request, route, downstream)
        else:
            serve(request, route, downstream)

    return admitted


def _say(what: str, text: str) -> None:
    _log.warn("{what}: {text}", what=what, text=text)


def _teller(monotonic: Callable[[], float], what: str) -> Callable[[str], None]:
    """Return what tells the error log of one line's requests."""
    return Seldom(partial(_say, what), monotonic).tell


class _Delayed:
    """A request that waits for its turn."""

    __slots__ = ("_ground", "_serve", "_timer", "_waiting")

    def __init__(
        self,
        ground: Ground,
        request: Request,
        route: Route,
        downstream: Downstream,
        serve: Serve,
    ) -> None:
        self._ground = ground
        # None when it waits no more: a downstream may know of this for as long as it lives.
        self._waiting: tuple[Request, Route, Downstream] | None = (request, route, downstream)
        self._serve = serve
        self._timer: Timer | None = None

    def begin(self, seconds: float) -> None:
        """Wait so long, or until the client leaves."""
        assert self._waiting is not None
        self._timer = self._ground.location.around.call_later(seconds, self._go_on)
        self._waiting[2].on_gone(self._left)

    def _go_on(self) -> None:
        waiting, self._waiting, self._timer = self._waiting, None, None
        if waiting is None:
            return
        try:
            self._serve(*waiting)
        except Exception:
            _log.failure("a request that had waited could not be served")
            waiting[2].abort()

    def _left(self) -> None:
        waiting, self._waiting = self._waiting, None
        timer, self._timer = self._timer, None
        if waiting is not None and timer is not None:
            timer.cancel()
            self._ground.location.transaction(*waiting).log(_CLIENT_GONE, 0)


@implementer(IPushProducer)
class _Counted(Ending):
    """A response that counts for its keys until the client has taken it.

    What a connection holds without complaining (64 KiB of a stream of HTTP/2, 256 KiB of
    HTTP/1.1) is not waited for: with nginx that is what the kernel has.
    """

    __slots__ = ("_call_soon", "_closing", "_counts", "_paused", "_places", "_producer")

    def __init__(
        self,
        inner: Downstream,
        counts: Counts,
        places: list[int],
        call_soon: Callable[[Callable[[], None]], object],
    ) -> None:
        super().__init__(inner)
        self._counts = counts
        self._places = places
        self._call_soon = call_soon
        self._producer: IPushProducer | None = None
        self._paused = self._closing = False
        self.watch()

    def ended(self) -> None:
        """See `Ending.ended`."""
        for place in self._places:
            self._counts.leave(place)

    # Downstream

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`; what may wait long for a client's window is streamed."""
        if len(body) <= _AT_ONCE:
            super().reply(head, body)
        elif not self.begun:
            super().start(head, len(body), self)
            self.inner.write(memoryview(body))
            self.finish()

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self._producer = producer
        super().start(head, length, self)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        self._producer = None
        if self._paused:
            self._closing = True
        else:
            super().finish()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self._producer = None
        super().abort()

    # IPushProducer

    def pauseProducing(self) -> None:
        """The client reads more slowly than it is written to."""
        self._paused = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._paused = False
        if self._producer is not None:
            self._producer.resumeProducing()
        elif self._closing:
            self._call_soon(self._close)  # a transport may call this from inside our write

    def stopProducing(self) -> None:
        """The client has gone."""
        producer, self._producer = self._producer, None
        self.end()
        if producer is not None:
            producer.stopProducing()

    def _close(self) -> None:
        if not self._paused:
            super().finish()

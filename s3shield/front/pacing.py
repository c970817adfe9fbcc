"""`limit_rate`: a response's bytes as fast as it says, and no faster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from s3shield.access import Pace
from s3shield.policy import Request
from s3shield.wire import Downstream, Octets

from .passing import Ending
from .phase import Ground, Serve

if TYPE_CHECKING:
    from s3shield.exchange import Surroundings
    from s3shield.routing import Route

__all__ = ["Paced", "limit_rate"]

_SHORTEST = 0.005
"""Seconds that are worth a timer."""


def limit_rate(ground: Ground, serve: Serve) -> Serve:
    """The phase."""
    config = ground.config.limits
    if not config.rate:
        return serve
    around = ground.location.around

    def paced(request: Request, route: Route, downstream: Downstream) -> None:
        serve(request, route, Paced(downstream, Pace(config.rate, config.rate_after), around))

    return paced


@implementer(IPushProducer)
class Paced(Ending):
    """A response whose body goes at a pace.

    Theory of operation. What may go at once goes; the rest of a piece waits here, and its
    source is paused, until a timer says that the next step, an eighth of a second's worth,
    may go. There is a timer only while bytes wait for time and the client could take them.
    """

    __slots__ = (
        "_around",
        "_closing",
        "_held",
        "_pace",
        "_paused",
        "_producer",
        "_pumping",
        "_timer",
        "_waiting",
    )

    def __init__(self, inner: Downstream, pace: Pace, around: Surroundings) -> None:
        super().__init__(inner)
        self._pace = pace
        self._around = around
        self._producer: IPushProducer | None = None
        self._held: deque[memoryview] = deque()
        self._waiting = 0  # bytes held
        self._closing = self._paused = self._pumping = False
        self._timer: Callable[[], None] | None = None
        self.watch()

    def ended(self) -> None:
        """See `Ending.ended`."""
        self._producer = None
        self._held.clear()
        self._waiting = 0
        self._stop_timer()

    # Downstream

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`; a long body is streamed instead."""
        if self.begun:
            return
        if len(body) <= self._pace.ready(self._around.monotonic()):
            super().reply(head, body)
            return
        self._closing = True
        super().start(head, len(body), self)
        self._take(memoryview(body))

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self._producer = producer
        super().start(head, length, self)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        if self.over or not data:
            return
        size = len(data)
        at_once = not self._held and not self._paused
        if at_once and size <= self._pace.ready(self._around.monotonic()):
            self._pace.sent(size)
            self.inner.write(data)
            return
        self._take(memoryview(data))

    def finish(self) -> None:
        """See `Downstream.finish`."""
        self._producer = None
        self._closing = True
        if not self._held:
            super().finish()

    # IPushProducer

    def pauseProducing(self) -> None:
        """The client reads more slowly than it might."""
        self._paused = True
        self._stop_timer()
        if self._producer is not None and not self._held:
            self._producer.pauseProducing()

    def resumeProducing(self) -> None:
        """The client has caught up."""
        self._paused = False
        if self._held:
            if self._timer is None and not self._pumping:
                self._later(0.0)  # a transport may call this from inside our write
        elif self._producer is not None:
            self._producer.resumeProducing()

    def stopProducing(self) -> None:
        """The client has gone."""
        producer, self._producer = self._producer, None
        self.end()
        if producer is not None:
            producer.stopProducing()

    # Inside

    def _take(self, data: memoryview) -> None:
        """Hold bytes, and their source while there are any."""
        self._held.append(data)
        self._waiting += len(data)
        if len(self._held) == 1 and not self._paused and self._producer is not None:
            self._producer.pauseProducing()
        if self._timer is None and not self._paused:
            self._pump()

    def _pump(self) -> None:
        """Let go what may, and have the timer see to the rest."""
        if self._pumping:
            return
        self._pumping = True
        now = self._around.monotonic()
        ready = self._pace.ready(now)
        while self._held and ready and not self._paused and not self.over:
            piece = self._held.popleft()
            if len(piece) > ready:
                self._held.appendleft(piece[ready:])
                piece = piece[:ready]
            size = len(piece)
            ready -= size
            self._waiting -= size
            self._pace.sent(size)
            self.inner.write(piece)
        self._pumping = False
        if self.over or self._paused:
            return
        if self._held:
            step = min(self._pace.step, self._waiting)
            self._later(max(self._pace.wait(now, step), _SHORTEST))
        elif self._closing:
            super().finish()
        elif self._producer is not None:
            self._producer.resumeProducing()

    def _later(self, seconds: float) -> None:
        self._timer = self._around.call_later(seconds, self._time).cancel

    def _time(self) -> None:
        self._timer = None
        self._pump()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer()

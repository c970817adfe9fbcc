"""One stream of an HTTP/2 connection: the `Downstream` of its request.

Theory of operation. What the site writes is queued here and taken out by the channel, a
frame at a time, as far as the client's windows and its socket let it. The source is paused
when there is more than `QUEUED` in the queue, so that a stream holds this much and one
piece, whatever the object's size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger

from s3shield.wire.answer import plain_answer
from s3shield.wire.deadlines import Progress

if TYPE_CHECKING:
    from s3shield.wire.downstream import Octets
    from s3shield.wire.http2_body import StreamBody
    from s3shield.wire.http2_sending import Sending

__all__ = ["NEW", "Stream"]

_log = Logger()

QUEUED: Final = 64 * 1024
"""Bytes in the queue above which the source is paused; it resumes when there are none."""

NEW: Final = 0
STARTED: Final = 1
DONE: Final = 2


class Stream:
    """A request and where its response goes.

    number: the stream's. state: of the response, as its source knows it. ends: no more comes
    into the queue. complete: the client has sent all. lost: the client has gone. sent: bytes
    of the response's body that have gone; flow: how they get on. body: what comes, if wanted.
    """

    __slots__ = (
        "_channel",
        "_gone",
        "_left",
        "_paused",
        "_producer",
        "_queue",
        "_queued",
        "body",
        "complete",
        "ends",
        "flow",
        "lost",
        "number",
        "sent",
        "state",
    )

    def __init__(self, channel: Sending, number: int) -> None:
        self._channel = channel
        self.number = number
        self.state = NEW
        self.ends = self.complete = self.lost = False
        self.sent = 0
        self.flow = Progress()
        self.body: StreamBody | None = None
        self._queue: deque[Octets] = deque()
        self._queued = 0
        self._left: int | None = None
        self._paused = False
        self._producer: IPushProducer | None = None
        self._gone: Callable[[], None] | None = None

    # The site's side: `Downstream`.

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if self.state:
            return
        self.state = DONE
        self._gone = None
        self.ends = True
        if len(body):
            self._queue.append(body)
            self._queued = len(body)
        self._channel.head(self, head, last=not self._queued)

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        if self.state == NEW:
            self._channel.head(self, head, last=False)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        if self.state:
            producer.stopProducing()
            return
        self.state = STARTED
        self._left = length
        self._producer = producer
        self._channel.head(self, head, last=False)
        if self._channel.congested:
            self.pause()

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`. More bytes than promised cut the stream."""
        if self.state != STARTED or not len(data):
            return
        if self._left is not None:
            if len(data) > self._left:
                self.abort()
                return
            self._left -= len(data)
        self._queue.append(data)
        self._queued += len(data)
        self._channel.ready(self)
        if self._queued > QUEUED:
            self.pause()

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self.state != STARTED:
            return
        if self._left:
            self.abort()
            return
        self.state = DONE
        self._producer = self._gone = None
        self.ends = True
        self._channel.ready(self)

    def abort(self) -> None:
        """See `Downstream.abort`: this stream alone is cut."""
        if self.state == DONE:
            return
        self.state = DONE
        self._producer = self._gone = None
        self._channel.cut_stream(self)

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if self.lost:
            gone()
        elif self.state != DONE:
            self._gone = gone

    # The channel's side.

    @property
    def waits(self) -> bool:
        """Whether there is something for the client."""
        return bool(self._queue) or self.ends

    def take(self, most: int) -> Octets:
        """Return up to `most` bytes of what is queued; empty when there is none."""
        if not self._queue:
            return b""
        first = self._queue[0]
        if len(first) <= most:
            self._queue.popleft()
        else:
            rest = memoryview(first)
            first, self._queue[0] = rest[:most], rest[most:]
        self._queued -= len(first)
        self.sent += len(first)
        return first

    @property
    def empty(self) -> bool:
        """Whether nothing is queued."""
        return not self._queue

    def resume(self) -> None:
        """All that was queued has gone."""
        if self._paused:
            self._paused = False
            if self._producer is not None:
                self._producer.resumeProducing()

    def pause(self) -> None:
        """The client is slower than the source."""
        if not self._paused and self._producer is not None:
            self._paused = True
            self._producer.pauseProducing()

    def site_failed(self) -> None:
        """The site raised: a 500 if nothing was sent yet, else the stream is cut."""
        _log.failure("the site failed on a request")
        if self.state == NEW:
            self.reply(*plain_answer(500))
        else:
            self.abort()

    def client_gone(self) -> None:
        """The client has reset the stream, or is no more."""
        self.lost = True
        state, self.state = self.state, DONE
        producer, self._producer = self._producer, None
        gone, self._gone = self._gone, None
        body, self.body = self.body, None
        self._queue.clear()
        self._queued = 0
        if producer is not None:
            producer.stopProducing()
        if gone is not None and state != DONE:
            gone()
        if body is not None:
            body.part()

"""One response on an HTTP/1.1 connection: the channel's `Downstream`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger

from s3shield.wire.answer import plain_answer

if TYPE_CHECKING:
    from s3shield.wire.downstream import Octets
    from s3shield.wire.server import ServerChannel

_log = Logger()

__all__ = ["DONE", "NEW", "STARTED", "Response"]

NEW: Final = 0
STARTED: Final = 1
DONE: Final = 2


class Response:
    """Where one request's response goes; a new one for each request.

    A source that calls late, after the response has ended or the client has gone,
    meets an object that does nothing, never the connection's next response.
    """

    _producer: IPushProducer | None

    __slots__ = ("_channel", "_chunked", "_gone", "_late", "_left", "_producer", "state")

    def __init__(self, channel: ServerChannel) -> None:
        self._channel = channel
        self.state = NEW
        self._late = False
        self._gone: Callable[[], None] | None = None

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if self.state:
            return
        self.state = DONE
        channel = self._channel
        if body.__class__ is bytes or channel.plain_bytes:
            channel.write(b"".join((head, channel.tail, body)))
        else:
            channel.transport.writeSequence((head + channel.tail, body))
        if self._late:
            self._gone = None  # what it knows knows this object
            channel.response_ended()

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        if self.state == NEW and self._late:
            self._channel.write(head + b"\r\n")

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        if self.state:
            producer.stopProducing()
            return
        self.state = STARTED
        self._left = length
        self._producer = producer
        self._chunked = self._channel.response_started(self, head, length)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`. More bytes than promised cut the connection."""
        if self.state != STARTED or not data:
            return
        size = len(data)
        left = self._left
        if left is not None:
            if size > left:
                self.abort()
                return
            self._left = left - size
            self._channel.send(data)
        elif self._chunked:
            channel = self._channel
            channel.send(b"%x\r\n" % size)
            channel.send(data)
            channel.send(b"\r\n")
        else:
            self._channel.send(data)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        if self.state != STARTED:
            return
        if self._left:
            self.abort()
            return
        self.state = DONE
        if self._chunked:
            self._channel.send(b"0\r\n\r\n")
        self._producer = self._gone = None
        if self._late:
            self._channel.response_ended()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        if self.state == DONE:
            return
        # Without length and chunks only a reset tells the cut from the end.
        by_closing = self.state == STARTED and self._left is None and not self._chunked
        self.state = DONE
        self._producer = self._gone = None
        self._channel.cut(reset=by_closing)

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if self._channel.lost:
            gone()
        elif self.state != DONE:
            self._gone = gone

    @property
    def tail(self) -> bytes:
        """What goes after the head: fields of the connection's own, and the empty line."""
        return self._channel.tail

    @property
    def chunked(self) -> bool:
        """Whether the body goes in chunks; once it has started."""
        return self.state == STARTED and self._chunked

    # What follows is the channel's to call.

    def site_failed(self) -> None:
        """The site raised: a 500 if nothing was sent yet, else the connection is cut."""
        _log.failure("the site failed on a request")
        if self.state == NEW:
            self.reply(*plain_answer(500))
        else:
            self.abort()

    def wait(self) -> None:
        """The site has returned and the end of this response is yet to come."""
        self._late = True

    def pause(self) -> None:
        """The client reads more slowly than the source writes."""
        if self.state == STARTED and self._producer is not None:
            self._producer.pauseProducing()

    def resume(self) -> None:
        """The client has caught up."""
        if self.state == STARTED and self._producer is not None:
            self._producer.resumeProducing()

    def client_gone(self) -> None:
        """The connection is no more."""
        state = self.state
        self.state = DONE
        producer = self._producer if state == STARTED else None
        gone, self._gone = self._gone, None
        self._producer = None
        if producer is not None:
            producer.stopProducing()
        if gone is not None and state != DONE:
            gone()

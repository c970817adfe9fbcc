"""The HTTP/1.1 server where requests may have bodies: gathered and then served, or streamed.

Theory of operation. The site says what it wants of a body when the head is there
(`BodyPlan`). A short one is gathered, and the request served when it is whole; of a longer
one the request is served at once, with an `Incoming`, and the body goes on as it comes.
Until the last byte has come the answer is this connection's last, whatever the client
says, so an answer that comes early needs no further care: it says `Connection: close`, and
what the client still sends is dropped (RFC 9112 section 9.6).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from s3shield.policy import Request, RequestWithBody
from s3shield.wire.backlog import Backlog
from s3shield.wire.request_body import CONTINUE, BodyReader
from s3shield.wire.request_head import (
    CLOSE,
    END,
    KEEP,
    UNKNOWN_LENGTH,
    Framing,
    HeadReader,
    Refused,
)
from s3shield.wire.response import NEW
from s3shield.wire.server import ServerChannel
from s3shield.wire.upload import BodyPlan, StreamedRequest, UploadSink

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["BodyChannel"]


class _Holding(Backlog):
    """A backlog in which a wanted body may come next. held: bool, whether it does."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        super().__init__()
        self.held = False

    def next_head(self, reader: HeadReader) -> bytes | None:
        """Cut off the next whole head; None when it is not whole, or what comes is a body."""
        return None if self.held else super().next_head(reader)

    def feed(self, reader: BodyReader) -> bool:
        """Let a body have its bytes; True when it is whole. Raises `Refused`."""
        return reader.feed(self._bytes)


class _Wanted:
    """A body that is wanted and not all there.

    asks: whether the client waits to be told to go on. framing: as it would be without
    the body, once that is whole.
    """

    __slots__ = ("asks", "framing", "length", "plan", "reader", "request")

    def __init__(self, request: Request, framing: Framing, plan: BodyPlan) -> None:
        self.request = request
        self.plan = plan
        self.reader = BodyReader(framing.body, plan.limit)
        self.length = None if framing.body == UNKNOWN_LENGTH else framing.body
        expected = request.headers.get(b"expect") if not framing.old else None
        self.asks = expected is not None
        if expected is not None and expected.lower() != b"100-continue":
            raise Refused(417, "an expectation that nobody knows")
        # `framing.close` may be there for the body's sake alone.
        value = request.headers.get(b"connection", b"").lower()
        options = {option.strip() for option in value.split(b",")}
        close = b"close" in options or (framing.old and b"keep-alive" not in options)
        tail = CLOSE if close else KEEP if framing.old else END
        self.framing = Framing(tail, close, 0, framing.old)


class Incoming:
    """The `Upload` of a request that is served while its body comes. See there."""

    __slots__ = ("_channel", "length", "paused", "refused", "sink", "wanted", "whole")

    def __init__(self, channel: BodyChannel, wanted: _Wanted) -> None:
        self._channel = channel
        self.wanted = wanted
        self.length = wanted.length
        self.sink: UploadSink | None = None
        self.paused = self.whole = False
        self.refused: Callable[[int], None] | None = None

    @property
    def waits(self) -> bool:
        """Whether nothing is read because nobody takes it."""
        return self.sink is None or self.paused

    def begin(self, sink: UploadSink) -> None:
        """See `Upload.begin`."""
        self.sink = sink
        self._channel.go_on(self)

    def pause(self) -> None:
        """See `Upload.pause`."""
        self.paused = True
        self._channel.hold(self)

    def resume(self) -> None:
        """See `Upload.resume`."""
        self.paused = False
        if self.sink is not None:
            self._channel.go_on(self)

    def part(self) -> None:
        """It is over: who took it knows this object, and no cycle is left."""
        self.sink = self.refused = None


class BodyChannel(ServerChannel):
    """A `ServerChannel` that asks the site what it wants of a body (`body_plan`)."""

    def __init__(self, factory: ChannelFactory) -> None:
        super().__init__(factory)
        self._backlog: _Holding = _Holding()
        self._held: _Wanted | None = None  # what is being gathered
        self._upload: Incoming | None = None  # or streamed
        self._feeding = False

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `IProtocol`."""
        upload, self._upload = self._upload, None
        self._held = None
        super().connectionLost(reason)
        if upload is not None:
            upload.part()

    def readConnectionLost(self) -> None:
        """The client has sent its last byte: of a body that is not whole, too."""
        super().readConnectionLost()
        upload = self._upload
        if upload is not None and not self._ended and not self._backlog and not upload.waits:
            self.cut()

    def drain(self) -> None:
        """Close as soon as no request is under way."""
        if self._held is None:
            super().drain()

    def _is_idle(self) -> bool:
        return self._held is None and super()._is_idle()

    def look(self, now: float) -> float | None:
        """Act on deadlines that have passed; see `Timed`."""
        upload = self._upload
        if self._ended or (self._held is None and upload is None):
            return super().look(now)
        timeout = self.factory.client_header_timeout
        if upload is not None and self._response is not None and self._response.state != NEW:
            return super().look(now)  # answered early
        if upload is not None and upload.waits:
            self._head_since = now  # it is not the client who is slow
        until = self._head_since + timeout
        if now < until:
            return min(until, now + timeout / 6)
        refused = Refused(408, "the body took too long")
        if upload is None:
            self._refuse_held(refused)
        else:
            self._spoilt(refused)
        return self._until if self._ended else now + timeout / 6

    # Where a body is wanted

    def _dispatch_special(self, request: Request) -> None:
        framing = self._reader.special
        planned = self.factory.body_plan
        plan = planned(request) if framing is not None and framing.body and planned else None
        if framing is None or plan is None:
            super()._dispatch_special(request)
            return
        self._head_since = self._since
        try:
            wanted = _Wanted(request, framing, plan)
            if wanted.length is not None and wanted.length > plan.gather and plan.beyond:
                raise Refused(plan.beyond, "a body of this length cannot be passed on")
        except Refused as refused:
            self._refuse(refused, request.method + b" " + request.target)
            return
        self._backlog.held = True
        if plan.streams(wanted.length):
            self._stream(wanted)
            return
        self._held = wanted
        if wanted.asks:
            self.write(CONTINUE)

    def _advance(self) -> None:
        while True:
            if self._held is not None:
                if self._response is not None or self._ended or self._congested:
                    return
                self._gather(self._held)
                if self._held is not None:
                    self._await_bytes()
                    return
            super()._advance()
            if self._held is None:
                return

    def _await_bytes(self) -> None:
        super()._await_bytes()
        if self._held is not None:
            self._busy = True

    def _gather(self, wanted: _Wanted) -> None:
        """Take what there is of a body; serve its request when that is all, or too much."""
        if self._backlog:
            self._head_since = self._monotonic()
        reader, plan = wanted.reader, wanted.plan
        try:
            whole = self._backlog.feed(reader)
            if reader.held > plan.gather and plan.beyond:
                raise Refused(plan.beyond, "a body of this length cannot be passed on")
        except Refused as refused:
            self._refuse_held(refused)
            return
        if whole:
            self._held, self._backlog.held = None, False
            self._reader.special = wanted.framing
            super()._dispatch_special(RequestWithBody(wanted.request, reader.take()))
        elif reader.held > plan.gather:
            self._held = None
            self._stream(wanted)

    def _refuse_held(self, refused: Refused) -> None:
        held, self._held = self._held, None
        line = b"" if held is None else held.request.method + b" " + held.request.target
        self._refuse(refused, line)

    # A body that is streamed

    def _stream(self, wanted: _Wanted) -> None:
        """Serve the request whose body is yet to come."""
        self._upload = upload = Incoming(self, wanted)
        self._reader.special = Framing(CLOSE, True, 0, wanted.framing.old)
        self._linger = True
        super()._dispatch_special(StreamedRequest(wanted.request, upload))

    def _more(self, data: bytes) -> None:
        upload = self._upload
        if upload is None or self._ended:
            super()._more(data)
            return
        self._head_since = self._monotonic()
        sink = upload.sink
        at_once = sink is not None and not upload.paused and not self._backlog
        if sink is not None and at_once and upload.wanted.reader.passes(data):
            sink.upload_data(data)  # as it is: most bytes of large bodies go this way
            return
        self._backlog.add(data)
        self._feed(upload)
        if upload.waits:
            self.hold(upload)

    def go_on(self, upload: Incoming) -> None:
        """Read the body of `upload` on, from its beginning or from where it was paused."""
        if upload is not self._upload or self._ended:
            return
        if upload.wanted.asks:
            upload.wanted.asks = False
            response = self._response
            if not self._backlog and response is not None and response.state == NEW:
                self.write(CONTINUE)
        self._head_since = self._monotonic()
        self._feed(upload)
        if self._upload is upload and not upload.waits:
            self._resume_reading()

    def hold(self, upload: Incoming) -> None:
        """Read no more of `upload` for now."""
        if upload is self._upload and self._reading and not self._ended:
            self._reading = False
            self.transport.pauseProducing()

    def _feed(self, upload: Incoming) -> None:
        """Give the sink what there is, unless it pauses."""
        sink = upload.sink
        if self._feeding or sink is None:
            return
        reader = upload.wanted.reader
        self._feeding = True
        try:
            while self._upload is upload and not upload.paused:
                whole = self._backlog.feed(reader)
                data = reader.take()
                if data:
                    sink.upload_data(data)
                if whole and self._upload is upload:
                    self._body_whole(upload, sink)
                elif not data:
                    break
        except Refused as refused:
            self._spoilt(refused)
        finally:
            self._feeding = False
        if self._upload is upload and self._eof and not upload.paused and not self._ended:
            self.cut()

    def _body_whole(self, upload: Incoming, sink: UploadSink) -> None:
        """What follows is the next request, and the connection may go on after the answer."""
        self._upload = None
        self._backlog.held = self._linger = False
        framing = upload.wanted.framing
        self._last = self.factory.draining or framing.close
        self.tail = CLOSE if self._last else framing.tail
        upload.whole = True
        upload.part()
        self._resume_reading()
        sink.upload_end()

    def _spoilt(self, refused: Refused) -> None:
        """Give the body up: its request is answered with the refusal's status."""
        upload, self._upload = self._upload, None
        if upload is None:
            return
        told = upload.refused
        upload.part()
        if told is not None:
            told(refused.status)
        else:
            self.cut()

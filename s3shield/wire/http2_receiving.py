"""What an HTTP/2 connection is sent: frames, counted and judged, become requests.

Theory of operation. Bytes are counted (`FrameCount`), then given to `h2` a slice at a time, so
that a flood is seen before much is done for it. Each request is judged by `http2_head` and led
to the site as HTTP/1.1's channel does. What is wrong with one request is answered or resets
its stream; what is wrong with the connection ends it, with one line in the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from twisted.logger import Logger

from s3shield.wire.answer import plain_answer
from s3shield.wire.http2_body import StreamBody
from s3shield.wire.http2_frames import Bucket, FloodError, FrameCount
from s3shield.wire.http2_head import Malformed, check_trailers, request_of, shown
from s3shield.wire.http2_sending import CREDIT, WINDOW, Sending
from s3shield.wire.http2_stream import Stream
from s3shield.wire.request_head import LINE_LIMIT, HeadReader, Refused

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["Receiving"]

_log = Logger()

TABLE: Final = 4096
"""Bytes of what is remembered for compressing our fields, however much a client would allow."""

_PREFACE: Final = 24
_SLICE: Final = 16 * 1024


class Receiving(Sending):
    """A client connection, as far as the client's bytes are concerned."""

    _reader: HeadReader

    def __init__(self, factory: ChannelFactory) -> None:
        super().__init__(factory)
        self._frames = FrameCount(_PREFACE, self._tokens)
        # CVE-2023-44487: nghttp2's figures.
        self._resets = Bucket(1000, 33)
        self._refusals = Bucket(100, 5)
        self._dropped: set[int] = set()  # reset before they could be served
        self._last: int | None = None  # the stream that our final GOAWAY named
        self._unread = 0  # bytes not acknowledged of the connection's window
        self._block = 0
        self._block_since = self._at = 0.0

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        self._busy = True
        try:
            for at in range(0, len(data), _SLICE):
                if self._ended:
                    return
                self._receive(data[at : at + _SLICE])
        finally:
            self._busy = False
        self.flush()

    def _receive(self, data: bytes) -> None:
        self._at = now = self.now()
        try:
            self._frames.add(data, now)
            came = self._state.receive_data(data)
        except FloodError as flood:
            self._fail(ErrorCodes(flood.code), str(flood))
            return
        except ProtocolError as error:
            # h2 has said GOAWAY by itself.
            self._fail(None, str(error))
            return
        if self._frames.block != self._block:
            self._block, self._block_since = self._frames.block, now
            if self._block and not self._looking:
                timeout = self.factory.client_header_timeout
                self.factory.deadlines.watch(self, now + timeout)
        self._dropped = {e.stream_id for e in came if isinstance(e, events.StreamReset)}
        for event in came:
            act = self._actions.get(event.__class__)
            if act is not None:
                act(self, event)
            if self._ended:
                return

    def _request(self, event: events.RequestReceived) -> None:
        number = event.stream_id
        if number in self._dropped:
            return
        if self._last is not None and number > self._last:
            self._reset(number, ErrorCodes.REFUSED_STREAM)
            return
        factory, now = self.factory, self._at
        factory.requests += 1
        self._since = now
        self._tokens.give(CREDIT)
        stream = Stream(self, number)
        stream.complete = event.stream_ended is not None
        fields: Any = event.headers  # bytes: `header_encoding`
        try:
            request = request_of(fields, self._reader, now)
        except Malformed:
            self._malformed(number, shown(fields))
            return
        except Refused as refused:
            self._reader.renew()
            self._streams[number] = stream
            self._refuse(stream, refused.status, shown(fields))
            return
        self._streams[number] = stream
        plan = None
        if not stream.complete and factory.body_plan is not None:
            plan = factory.body_plan(request)
        if plan is None:
            self.serve(stream, request)
            return
        try:
            stream.body = StreamBody(self, stream, request, plan, now)
        except Refused as refused:
            self._refuse(stream, refused.status, request.method + b" " + request.target)
            return
        stream.body.begin()

    def _data(self, event: events.DataReceived) -> None:
        size = event.flow_controlled_length or 0
        self._unread += size
        if self._unread >= WINDOW // 2:
            self._state.increment_flow_control_window(self._unread)
            self._unread = 0
        stream = self._streams.get(event.stream_id)
        # A body that nobody wants is dropped: no more of it comes than its window.
        if stream is not None and stream.body is not None:
            body = stream.body
            try:
                body.add(event.data or b"", size)
            except Refused as refused:
                self._refuse_body(stream, body, refused)

    def _stream_ended(self, event: events.StreamEnded) -> None:
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.complete = True
            if stream.body is not None:
                stream.body.end()

    def _trailers(self, event: events.TrailersReceived) -> None:
        fields: Any = event.headers
        stream = self._streams.get(event.stream_id)
        try:
            check_trailers(fields)
        except Malformed:
            if stream is not None:
                self._malformed(stream.number, b"- - HTTP/2.0")

    def _stream_reset(self, event: events.StreamReset) -> None:
        stream = self._streams.pop(event.stream_id, None)
        if stream is not None:
            self._ready.pop(stream, None)
            self._since = self._at
            stream.client_gone()
        if not self._resets.take(self._at):
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "too many streams were reset")

    def _window(self, event: events.WindowUpdated) -> None:
        if event.stream_id:
            stream = self._streams.get(event.stream_id)
            if stream is not None and stream.waits:
                self._ready[stream] = None
        else:
            self._settings(event)

    def _settings(self, _event: object) -> None:
        """What any stream may send has changed."""
        encoder = self._state.encoder
        encoder.header_table_size = min(encoder.header_table_size, TABLE)
        for stream in self._streams.values():
            if stream.waits:
                self._ready[stream] = None

    def _ping_answered(self, _event: object) -> None:
        self.ping_answered()

    def _goodbye(self, event: events.ConnectionTerminated) -> None:
        """The client will ask for nothing more."""
        self._leaving = True
        if event.error_code:
            self._close()

    def ping_answered(self) -> None:
        """The client has read what was sent before our PING."""

    # Refusals.

    def _refuse(self, stream: Stream, status: int, line: bytes) -> None:
        """Answer what cannot be served."""
        self._note(status, line)
        head, body = plain_answer(status)
        stream.reply(head, b"" if line.startswith(b"HEAD ") else body)

    def _refuse_body(self, stream: Stream, body: StreamBody, refused: Refused) -> None:
        if not body.refuse(refused.status):
            request = body.request
            self._refuse(stream, refused.status, request.method + b" " + request.target)

    def _malformed(self, number: int, line: bytes) -> None:
        self._note(400, line)
        stream = self._streams.get(number)
        if stream is None:
            self._reset(number, ErrorCodes.PROTOCOL_ERROR)
        else:
            self.cut_stream(stream, ErrorCodes.PROTOCOL_ERROR)
            stream.client_gone()

    def _note(self, status: int, line: bytes) -> None:
        rejected = self.factory.rejected
        if rejected is not None:
            rejected(self._reader.peer, status, line[:LINE_LIMIT])
        if not self._refusals.take(self.now()):
            self._fail(ErrorCodes.ENHANCE_YOUR_CALM, "too many requests that are none")

    def _fail(self, code: ErrorCodes | None, why: str) -> None:
        """End a connection that misbehaves. code: of the GOAWAY, None: it was said."""
        if self._ended:
            return
        if code is not None:
            self._state.close_connection(code)
        _log.info(
            "HTTP/2 connection of {peer} ended: {why}",
            peer=self._reader.peer.decode("ascii", "replace"),
            why=why,
        )
        self._end()

    _actions: ClassVar[dict[type[events.Event], Callable[[Any, Any], None]]] = {
        events.RequestReceived: _request,
        events.DataReceived: _data,
        events.StreamEnded: _stream_ended,
        events.TrailersReceived: _trailers,
        events.StreamReset: _stream_reset,
        events.WindowUpdated: _window,
        events.RemoteSettingsChanged: _settings,
        events.PingAckReceived: _ping_answered,
        events.ConnectionTerminated: _goodbye,
    }

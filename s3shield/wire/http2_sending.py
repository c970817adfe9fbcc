"""What an HTTP/2 connection sends: heads, bodies in turns, and its end.

Theory of operation. `h2` keeps the protocol's state and makes the frames; it does no I/O and
waits for nothing. What streams have to send is taken from them in turns, a frame each, while
the windows and the transport let it: `flush` is the only place where bodies leave. When all
that a stream had queued is gone its source is asked for more. RFC 9113; priorities are
ignored, as its section 5.3.2 allows: turns are fair.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import Frame, GoAwayFrame
from twisted.internet.protocol import Protocol

from s3shield.policy import Request
from s3shield.wire.http2_frames import FRAME_LIMIT, Bucket
from s3shield.wire.http2_head import fields_of
from s3shield.wire.http2_stream import Stream
from s3shield.wire.request_head import HEAD_LIMIT, LINE_LIMIT

if TYPE_CHECKING:
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["CREDIT", "WINDOW", "Sending"]

STREAMS: Final = 128
"""Streams that a client may have open; nginx's `http2_max_concurrent_streams`."""
WINDOW: Final = 64 * 1024
"""Bytes of a stream's body that a client may send before somebody has taken them."""
LINGER: Final = 5.0
"""Seconds for a client to read our last words."""
CREDIT: Final = 2.0
"""Frames that a client may send us for each request, and for each full frame that we send."""

_BATCH: Final = 128 * 1024


class _State(H2Connection):
    """`h2`'s state of one connection, remembering fewer streams that are closed."""

    MAX_CLOSED_STREAMS = 1024

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        # h2's own takes it for the end, and forgets what it has to send. A client's is about
        # streams of ours, of which there are none; its own go on (RFC 9113 section 6.8).
        event = ConnectionTerminated()
        event.error_code = frame.error_code
        return [], [event]


def _state() -> _State:
    state = _State(
        H2Configuration(
            client_side=False,
            header_encoding=None,
            # Judged by `http2_head`: there it is one stream's error, here the connection's.
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    state.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS,
            SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_LIMIT + LINE_LIMIT,
        },
    )
    return state


class Sending(Protocol):
    """A client connection, as far as its streams see it.

    congested: the transport holds more than the client takes. now: the monotonic second.
    """

    factory: ChannelFactory
    transport: Any  # uvloop's by way of `UvTransport`, or any of Twisted's

    def __init__(self, factory: ChannelFactory) -> None:
        self.factory = factory
        self.now = factory.monotonic
        self.congested = False
        self._state = _state()
        self._streams: dict[int, Stream] = {}
        self._ready: dict[Stream, None] = {}  # in the order of their turns
        self._tokens = Bucket(2000, 50)  # for frames that bring nothing
        self._busy = False  # `flush` comes anyway
        self._ended = False  # nothing will be read or answered any more
        self._leaving = False  # close when the streams are done
        self._looking = False  # `look` comes soon
        self._sent = 0
        self._since = self._until = 0.0

    def serve(self, stream: Stream, request: Request) -> None:
        """Let the site answer `request` on `stream`."""
        try:
            self.factory.site(request, stream)
        except Exception:
            stream.site_failed()

    def head(self, stream: Stream, head: bytes, *, last: bool) -> None:
        """Send a response's head, or an interim one. last: nothing follows."""
        if self._streams.get(stream.number) is not stream:
            return
        with suppress(ProtocolError):  # reset, as we shall hear
            self._state.send_headers(stream.number, fields_of(head), end_stream=last)
        if last:
            self._finished(stream)
        elif stream.waits:
            self._ready[stream] = None
        self.flush()

    def ready(self, stream: Stream) -> None:
        """`stream` has something to send."""
        if self._streams.get(stream.number) is stream:
            self._ready[stream] = None
            self.flush()

    def cut_stream(self, stream: Stream, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Reset `stream`: what was sent is not whole."""
        if self._streams.get(stream.number) is stream:
            self._forget(stream, code)
            self.flush()

    def acknowledge(self, stream: Stream, size: int) -> None:
        """Let the client send `size` bytes more on `stream`."""
        if self._streams.get(stream.number) is stream:
            with suppress(ProtocolError, KeyError):  # closed, as we shall hear
                self._state.increment_flow_control_window(size, stream.number)
            self.flush()

    def flush(self) -> None:
        """Send what can be sent, a frame of each stream in turn, and ask for more."""
        if self._busy or self._ended:
            return
        self._busy = True
        try:
            while True:
                drained = self._turns()
                self._put()
                for stream in drained:
                    if not self.congested and stream.empty:
                        stream.resume()
                if self._ended or self.congested or not self._ready:
                    break
        finally:
            self._busy = False
        if self._streams:
            self._look_soon()
        elif self._leaving:
            self._close()

    def _turns(self) -> list[Stream]:
        """Make frames of what is ready, up to a batch; return the streams that have no more."""
        state, ready = self._state, self._ready
        drained: list[Stream] = []
        left = _BATCH
        while ready and left > 0 and not self.congested:
            stream = next(iter(ready))
            del ready[stream]
            try:
                window = state.local_flow_control_window(stream.number)
                if window <= 0 and not stream.empty:
                    continue  # until it is opened
                data = stream.take(min(window, FRAME_LIMIT, state.max_outbound_frame_size))
                last = stream.ends and stream.empty
                if not last and not data:
                    continue
                state.send_data(stream.number, data, end_stream=last)  # type: ignore[arg-type]
            except ProtocolError:
                continue  # reset, as we shall hear
            left -= len(data) + 9
            if len(data) >= FRAME_LIMIT // 2:
                self._tokens.give(CREDIT)
            if last:
                self._finished(stream)
            elif stream.empty:
                drained.append(stream)
            else:
                ready[stream] = None
        return drained

    def _finished(self, stream: Stream) -> None:
        """All of a response has been made frames of."""
        # The client need not send the rest of a body that is of no use (section 8.1).
        self._forget(stream, None if stream.complete else ErrorCodes.NO_ERROR)

    def _forget(self, stream: Stream, code: ErrorCodes | None) -> None:
        self._streams.pop(stream.number, None)
        self._ready.pop(stream, None)
        self._since = self.now()
        body, stream.body = stream.body, None
        if body is not None:
            body.part()
        if code is not None:
            self._reset(stream.number, code)

    def _reset(self, number: int, code: ErrorCodes) -> None:
        with suppress(ProtocolError):  # closed already
            self._state.reset_stream(number, code)

    def _close(self) -> None:
        """Close a connection on which nothing is under way."""
        if not self._ended:
            with suppress(ProtocolError):
                self._state.close_connection()
            self._end()

    def _end(self) -> None:
        """Close when what was written has been sent."""
        self._put()
        self._ended = True
        self._until = self.now() + LINGER
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._leave_streams()
        self.factory.deadlines.watch(self, self._until)

    def _leave_streams(self) -> None:
        streams, self._streams = self._streams, {}
        self._ready.clear()
        for stream in streams.values():
            stream.client_gone()

    def _say_goodbye(self, last: int) -> None:
        """Send a GOAWAY without an end: h2's own would let nothing be sent after it."""
        frame = GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.NO_ERROR)
        self._write(self._state.data_to_send() + frame.serialize())

    def _put(self) -> None:
        data = self._state.data_to_send()
        if data:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._sent += len(data)
        self.transport.write(data)

    def look(self, now: float) -> float | None:
        """See `Timed`; a whole channel has deadlines."""
        return None

    def _look_soon(self) -> None:
        """Have the streams' progress looked at from now on."""
        if not self._looking and not self._ended:
            self._looking = True
            factory = self.factory
            step = min(factory.send_timeout, factory.client_header_timeout) / 6
            factory.deadlines.watch(self, self.now() + step)

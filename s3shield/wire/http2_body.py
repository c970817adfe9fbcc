"""The body of a request on an HTTP/2 stream, where the site wants it.

Theory of operation. As on HTTP/1.1 (`body_channel`): a short one is gathered and its request
served when it is whole, of a longer one the request is served at once. A body is held by its
stream's window: what nobody has taken is not acknowledged, so a client sends no more of it
than the window, and other streams go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from s3shield.policy import Request, RequestWithBody
from s3shield.wire.http2_stream import NEW
from s3shield.wire.request_head import Refused
from s3shield.wire.upload import BodyPlan, StreamedRequest, UploadSink

if TYPE_CHECKING:
    from s3shield.wire.http2_sending import Sending
    from s3shield.wire.http2_stream import Stream

__all__ = ["StreamBody", "StreamUpload"]

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n"
_OFTEN: Final = 16 * 1024
"""Bytes after which the client is told that they were taken."""


class StreamBody:
    """The wanted body of a stream's request: gathered and then served, or streamed.

    asks: whether the client waits to be told to go on. since: the monotonic second at which
    something of it came last.
    """

    __slots__ = (
        "_channel",
        "_length",
        "_pieces",
        "_plan",
        "_size",
        "_stream",
        "_unread",
        "asks",
        "request",
        "since",
        "upload",
    )

    def __init__(
        self, channel: Sending, stream: Stream, request: Request, plan: BodyPlan, now: float
    ) -> None:
        self._channel = channel
        self._stream = stream
        self._plan = plan
        self._size = 0
        self._pieces: list[bytes] = []
        self._unread = 0  # bytes that came and were not acknowledged
        self.request = request
        self.since = now
        self.upload: StreamUpload | None = None
        told = request.headers.get(b"content-length")
        self._length = None if told is None else int(told)
        expected = request.headers.get(b"expect")
        self.asks = expected is not None
        if expected is not None and expected.lower() != b"100-continue":
            raise Refused(417, "an expectation that nobody knows")
        self._check(self._length or 0)

    def begin(self) -> None:
        """Gather it, or let the request be served with what is to come."""
        if self._plan.streams(self._length):
            self._streamed()
        else:
            self.go_on()

    def add(self, data: bytes, size: int) -> None:
        """Take what came. size: bytes to acknowledge, padding too. Raises Refused."""
        self.since = self._channel.now()
        self._size += len(data)
        self._unread += size
        self._check(self._size, beyond=self.upload is None)
        if data:
            self._pieces.append(data)
        if self.upload is not None:
            self.give()
        elif self._size > self._plan.gather:
            self._streamed()
        else:
            self._acknowledge()

    def end(self) -> None:
        """All of it has come."""
        if self.upload is not None:
            self.give()
            return
        self._stream.body = None
        body = b"".join(self._pieces)
        request = RequestWithBody(self.request, body) if body else self.request
        self._channel.serve(self._stream, request)

    @property
    def late(self) -> bool:
        """Whether it is the client who must go on."""
        return self.upload is None or not (self.upload.paused or self.upload.sink is None)

    def go_on(self) -> None:
        """Tell a client that asked whether to go on that it may."""
        if self.asks:
            self.asks = False
            if self._stream.state == NEW and not self._size:
                self._channel.head(self._stream, _CONTINUE, last=False)

    def give(self) -> None:
        """Give the sink what there is, unless it pauses."""
        upload = self.upload
        if upload is None or upload.giving:
            return
        self.since = self._channel.now()
        upload.giving = True
        try:
            while self._pieces and upload.sink is not None and not upload.paused:
                pieces, self._pieces = self._pieces, []
                self._acknowledge()
                upload.sink.upload_data(b"".join(pieces))
            sink = upload.sink
            if not self._pieces and self._stream.complete and sink is not None:
                if upload.paused:
                    return
                self._stream.body = None
                upload.whole = True
                upload.part()
                sink.upload_end()
            elif not upload.paused and sink is not None:
                self._acknowledge()
        finally:
            upload.giving = False

    def refuse(self, status: int) -> bool:
        """Give it up; False when nobody was told, for nothing is served yet."""
        self._stream.body = None
        upload = self.upload
        if upload is None:
            return False
        told = upload.refused
        self.part()
        if told is not None:
            told(status)
        else:
            self._stream.abort()
        return True

    def part(self) -> None:
        """It is over: no cycle is left."""
        self._pieces.clear()
        upload, self.upload = self.upload, None
        if upload is not None:
            upload.part()

    def _check(self, size: int, *, beyond: bool = True) -> None:
        if size > self._plan.limit:
            raise Refused(413, "the body is too large")
        if beyond and self._plan.beyond and size > self._plan.gather:
            raise Refused(self._plan.beyond, "a body of this length cannot be passed on")

    def _streamed(self) -> None:
        self.upload = StreamUpload(self, self._length)
        self._channel.serve(self._stream, StreamedRequest(self.request, self.upload))

    def _acknowledge(self) -> None:
        if self._unread >= _OFTEN and not self._stream.complete:
            unread, self._unread = self._unread, 0
            self._channel.acknowledge(self._stream, unread)


class StreamUpload:
    """The `Upload` of a stream. See there."""

    __slots__ = ("_body", "giving", "length", "paused", "refused", "sink", "whole")

    def __init__(self, body: StreamBody, length: int | None) -> None:
        self._body: StreamBody | None = body
        self.length = length
        self.sink: UploadSink | None = None
        self.giving = self.paused = self.whole = False
        self.refused: Callable[[int], None] | None = None

    def begin(self, sink: UploadSink) -> None:
        """See `Upload.begin`."""
        self.sink = sink
        if self._body is not None:
            self._body.go_on()
            self._body.give()

    def pause(self) -> None:
        """See `Upload.pause`."""
        self.paused = True

    def resume(self) -> None:
        """See `Upload.resume`."""
        self.paused = False
        if self._body is not None:
            self._body.give()

    def part(self) -> None:
        """It is over: who took it knows this object, and no cycle is left."""
        self.sink = self.refused = self._body = None

"""The body of one request on its way to the origin, at the pace of the slower of the two.

Theory of operation. It stands between a client's `Upload`, whose sink it is, and the
connection's transport, whose producer it is: when the transport holds more than the origin
has taken, the client is no longer read. It ends in one of three ways: the body was whole;
the origin has begun its final answer, after which nothing more is sent (RFC 9112 section
9.6: the connection carries no other request then); or the connection is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

if TYPE_CHECKING:
    from .origin_connection import OriginConnection
    from .upload import Upload

__all__ = ["OriginUpload"]


@implementer(IPushProducer)
class OriginUpload:
    """See the module's text. seconds: the monotonic time.

    whole: all was written. blocked: the origin takes no more.
    """

    __slots__ = ("_chunked", "_connection", "_seconds", "_stopped", "_upload", "blocked", "whole")

    def __init__(self, upload: Upload, seconds: Callable[[], float]) -> None:
        self._upload: Upload | None = upload  # until it is over
        self._seconds = seconds
        self._chunked = upload.length is None
        self._connection: OriginConnection | None = None
        self._stopped = False
        self.blocked = self.whole = False

    @property
    def _transport(self) -> Any:
        assert self._connection is not None  # it has begun
        return self._connection.transport

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent."""
        return self.whole or self._stopped

    @property
    def awaits_client(self) -> bool:
        """Whether it is the client who keeps the origin waiting."""
        return not (self.over or self.blocked)

    def begin(self, connection: OriginConnection) -> None:
        """Send it behind the head that was written to `connection`."""
        self._connection = connection
        self._transport.registerProducer(self, True)
        if self._upload is not None:
            self._upload.begin(self)

    def stop(self) -> bool:
        """Send nothing more; return whether it was whole."""
        if not self.over:
            if self._connection is not None:
                self._transport.unregisterProducer()
            self.stopProducing()
        return self.whole

    # UploadSink

    def upload_data(self, data: bytes) -> None:
        """See `UploadSink.upload_data`."""
        if self.over:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._transport.write(data)

    def upload_end(self) -> None:
        """See `UploadSink.upload_end`."""
        if self.over:
            return
        self.whole = True
        if self._chunked:
            self._transport.write(b"0\r\n\r\n")
        self._transport.unregisterProducer()
        self._heard()
        self._upload = self._connection = None

    # IPushProducer

    def pauseProducing(self) -> None:
        """The origin takes no more for now."""
        if self._upload is not None:
            self.blocked = True
            self._heard()
            self._upload.pause()

    def resumeProducing(self) -> None:
        """The origin has caught up."""
        if self._upload is not None:
            self.blocked = False
            self._upload.resume()

    def stopProducing(self) -> None:
        """The connection is gone."""
        upload, self._upload = self._upload, None
        if upload is not None:
            self._stopped = True
            self._connection = None  # which knows the call, which knows this object
            upload.pause()

    def _heard(self) -> None:
        """From now on it is the origin's turn: its time begins."""
        if self._connection is not None:
            self._connection.heard = self._seconds()

"""The HTTP/1.1 server where requests may have bodies: each is gathered, then served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.python.failure import Failure

from s3shield.policy import Request, RequestWithBody
from s3shield.wire.backlog import Backlog
from s3shield.wire.request_body import CONTINUE, BodyReader
from s3shield.wire.request_head import Framing, HeadReader, Refused
from s3shield.wire.server import ServerChannel

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


class BodyChannel(ServerChannel):
    """A `ServerChannel` that asks the site how much of a body it wants (`body_limit`)."""

    def __init__(self, factory: ChannelFactory) -> None:
        super().__init__(factory)
        self._backlog: _Holding = _Holding()
        # A request whose body is wanted and not all there.
        self._held: tuple[Request, Framing, BodyReader] | None = None

    def connectionLost(self, reason: Failure | None = None) -> None:
        """See `IProtocol`."""
        self._held = None
        super().connectionLost(reason)

    def drain(self) -> None:
        """Close as soon as no request is under way."""
        if self._held is None:
            super().drain()

    def look(self, now: float) -> float | None:
        """Act on deadlines that have passed; see `Timed`."""
        if self._held is None or self._ended:
            return super().look(now)
        until = self._head_since + self.factory.client_header_timeout
        if now < until:
            return until
        self._refuse_held(Refused(408, "the body took too long"))
        return self._until

    def _dispatch_special(self, request: Request) -> None:
        framing = self._reader.special
        wanted = self.factory.body_limit
        limit = wanted(request) if framing is not None and framing.body and wanted else 0
        if framing is None or not limit:
            super()._dispatch_special(request)
            return
        self._head_since = self._since
        try:
            self._held = request, framing, BodyReader(framing.body, limit)
        except Refused as refused:
            self._refuse(refused, request.method + b" " + request.target)
            return
        self._backlog.held = True
        if b"expect" in request.headers and not framing.old:
            self.write(CONTINUE)

    def _advance(self) -> None:
        while True:
            if self._held is not None:
                if self._response is not None or self._ended or self._congested:
                    return
                if not self._gather(*self._held):
                    if not self._ended:
                        self._await_bytes()
                    return
            super()._advance()
            if self._held is None:
                return

    def _await_bytes(self) -> None:
        super()._await_bytes()
        if self._held is not None:
            self._busy = True

    def _gather(self, request: Request, framing: Framing, reader: BodyReader) -> bool:
        """Take what there is of a body; serve its request when that is all."""
        if self._backlog:
            self._head_since = self._monotonic()
        try:
            if not self._backlog.feed(reader):
                return False
        except Refused as refused:
            self._refuse_held(refused)
            return False
        self._held, self._backlog.held = None, False
        # `framing.close` may be there for the body's sake alone: to close is no mistake.
        self._reader.special = framing._replace(body=0)
        super()._dispatch_special(RequestWithBody(request, reader.body))
        return True

    def _refuse_held(self, refused: Refused) -> None:
        held, self._held = self._held, None
        line = b"" if held is None else held[0].method + b" " + held[0].target
        self._refuse(refused, line)

"""How a connection ends when the process is to stop serving: without an error for its client.

Theory of operation. A client that sends a request on a kept connection while the server closes
it sees a reset, not an answer; and no client can know. So the server says it first: the next
response has `Connection: close` (RFC 9112 section 9.6), and the client goes elsewhere by itself.
A connection on which nothing comes is closed once it has been idle for a grace, in which what was
on its way has come. Without a grace idle connections are closed at once, as nginx closes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.protocol import Protocol

from s3shield.wire.request_head import CLOSE
from s3shield.wire.response import NEW, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3shield.wire.backlog import Backlog
    from s3shield.wire.channel_factory import ChannelFactory

__all__ = ["Leaving"]


class Leaving(Protocol):
    """The part of a `ServerChannel` that the factory calls to be rid of it."""

    factory: ChannelFactory
    tail: bytes
    _backlog: Backlog
    _busy: bool
    _congested: bool
    _ended: bool
    _last: bool
    _response: Response | None
    _since: float

    if TYPE_CHECKING:
        _close: Callable[[], None]

    def drain(self) -> None:
        """Close as soon as no response is under way, or as soon as the client knows."""
        if self._ended:
            return
        response = self._response
        if self.factory.grace:
            self._busy = True  # no head is served in one run any more: see `_dispatch_special`
            if response is not None and response.state == NEW:
                self._last = True
                self.tail = CLOSE
        elif response is not None:
            self._last = True
            self.tail = CLOSE
        elif not self._backlog:
            self._close()

    def close_if_idle(self, since: float) -> None:
        """Close if there has been nothing to do since that time."""
        if not self._ended and self._since <= since and self._is_idle():
            self._close()

    def _is_idle(self) -> bool:
        backlog = self._backlog
        return self._response is None and not (backlog or backlog.body or self._congested)

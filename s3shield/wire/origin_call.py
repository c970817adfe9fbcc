"""One question to the origin as its asker holds it, and who hears the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.policy import OriginFailure, ResponseHead

if TYPE_CHECKING:
    from .origin_connection import OriginConnection
    from .origin_pool import OriginPool
    from .origin_upload import OriginUpload

__all__ = ["DRAIN_LIMIT", "ConnectionOwner", "OriginCall", "Receiver"]

DRAIN_LIMIT: Final = 64 * 1024
"""Bytes of a cancelled body that are read and dropped rather than lose the connection."""


class Receiver(Protocol):
    """Who an origin response goes to. All calls are synchronous and in order.

    Exactly one of `origin_end` and `origin_failed` comes, and nothing after it or after
    `OriginCall.cancel`. None comes before `OriginPool.fetch` has returned.
    """

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Take the final response's head; interim (1xx) ones go to `OriginCall.interim`.

        length: the number of body bytes to come: 0 for HEAD, 204 and 304 whatever
        Content-Length says; None when only the end will tell (chunked, or until close).
        """

    def origin_data(self, data: bytes) -> None:
        """Take the next bytes of the body, without its transfer coding."""

    def origin_end(self) -> None:
        """Learn that the response was whole."""

    def origin_failed(self, failure: OriginFailure) -> None:
        """Learn that no (more of a) response will come."""


class ConnectionOwner(Protocol):
    """What a connection tells the pool it belongs to."""

    def connected(self, connection: OriginConnection) -> None:
        """The connection has a transport; TLS may still be ahead."""

    def opened(self, connection: OriginConnection) -> None:
        """The connection can carry a request: connected, and its TLS verified."""

    def freed(self, connection: OriginConnection, now: float) -> None:
        """The connection may carry another request."""

    def spent(self, connection: OriginConnection) -> None:
        """The connection carries no further request; it is closing or closed."""

    def answered(self, connection: OriginConnection) -> None:
        """The connection has brought its first whole response."""

    def retry(self, call: OriginCall) -> None:
        """Send `call` once more, on a fresh connection."""

    def lost(self, connection: OriginConnection, reason: Failure) -> None:
        """The connection is gone."""

    def seconds(self) -> float:
        """Return the monotonic time."""


class _Nobody:
    """Who hears what a cancelled call would still have said."""

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        pass

    def origin_data(self, data: bytes) -> None:
        pass

    def origin_end(self) -> None:
        pass

    def origin_failed(self, failure: OriginFailure) -> None:
        pass


_NOBODY: Final = _Nobody()
_log = Logger()


class OriginCall:
    """One request on its way, made by `OriginPool.fetch`.

    connect_time: float seconds the new connection took (name lookup and TLS included),
    None on a reused one. first_byte_time, header_time: float seconds from `fetch` to the
    first byte of the answer and to its whole head; None until then. reused: whether it
    went over a connection that had answered before. address: str, the origin's
    `host:port` as connected to; empty until then. done: whether the call is over.
    interim: takes the head of each interim response but 100; may be set. upload: the body
    that follows the head while it comes, or None.
    """

    __slots__ = (
        "_pool",
        "address",
        "connect_time",
        "connection",
        "deadline",
        "done",
        "first_byte_time",
        "head",
        "header_time",
        "idempotent",
        "interim",
        "paused",
        "receiver",
        "retried",
        "reused",
        "started",
        "upload",
        "without_body",
    )

    def __init__(
        self,
        pool: OriginPool,
        head: bytes,
        receiver: Receiver,
        started: float,
        *,
        without_body: bool,
        idempotent: bool,
        upload: OriginUpload | None = None,
    ) -> None:
        self._pool = pool
        self.head = head
        self.receiver = receiver
        self.started = started
        self.without_body = without_body
        self.idempotent = idempotent
        self.upload = upload
        self.connection: OriginConnection | None = None
        self.connect_time: float | None = None
        self.first_byte_time: float | None = None
        self.header_time: float | None = None
        self.deadline = 0.0
        self.address = ""
        self.reused = False
        self.retried = False
        self.paused = False
        self.done = False
        self.interim: Callable[[ResponseHead], None] | None = None

    def pause(self) -> None:
        """Stop reading from the connection: the origin feels the backpressure.

        What one read has already brought may still be handed on. The read timeout
        stands still meanwhile.
        """
        if not self.paused and not self.done:
            self.paused = True
            if self.connection is not None:
                self.connection.pause()

    def resume(self) -> None:
        """Read on."""
        if self.paused:
            self.paused = False
            if self.connection is not None:
                self.connection.resume()

    def cancel(self) -> None:
        """Hear nothing more. Does nothing when the call is already over.

        The connection is closed, unless no more than `DRAIN_LIMIT` bytes of a body of
        known length are missing: those are read and dropped.
        """
        if not self.done:
            self.done = True
            self.part()
            self._pool.forget(self)

    def part(self) -> Receiver:
        """Return the receiver, for its last word: it hears no more, and no cycle is left."""
        receiver, self.receiver, self.interim = self.receiver, _NOBODY, None
        return receiver

    def hear(self, head: ResponseHead) -> None:
        """Hand on an interim response; for its connection. A 100 is the asker's own affair."""
        if self.interim is not None and head.status != 100:
            self.interim(head)

    def sent(self) -> bool:
        """The final answer has begun: send no more; tell whether all had been sent."""
        return self.upload is None or self.upload.stop()

    def hold(self) -> None:
        """Pause the connection if the call is paused; for the pool."""
        if self.paused and self.connection is not None:
            self.connection.pause()

    def fail(self, failure: OriginFailure) -> None:
        """End the call with `failure`; for the pool and its connections."""
        if not self.done:
            self.done = True
            self.connection = None
            try:
                self.part().origin_failed(failure)
            except Exception:
                _log.failure("A receiver of an origin response failed at its failure")

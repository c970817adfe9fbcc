"""A location without an origin, a disk or a socket: for what drives one request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3shield.exchange.transaction import Surroundings, Transaction
from s3shield.policy import CachePolicy, Fields, OriginFailure, Request
from s3shield.routing import Route

from .body import Tap

ROUTE = Route(0, b"/a", (), b"/a", b"o|/a|", b"d" * 16)


class Timer:
    def __init__(self) -> None:
        self.cancelled = 0

    def cancel(self) -> None:
        self.cancelled += 1


class Down:
    """A `wire.Downstream` that remembers what was said, and can leave."""

    def __init__(self) -> None:
        self.head = b""
        self.body = b""
        self.length: int | None = None
        self.producer: Any = None
        self.ended = ""
        self._gone: Callable[[], None] | None = None

    def reply(self, head: bytes, body: bytes) -> None:
        if not self.ended:
            self.head, self.body, self.ended = head, body, "reply"

    def start(self, head: bytes, length: int | None, producer: Any) -> None:
        if self.ended:
            producer.stopProducing()
            return
        self.head, self.length, self.producer = head, length, producer

    def write(self, data: bytes | memoryview) -> None:
        if not self.ended:
            self.body += data

    def finish(self) -> None:
        self.ended = self.ended or "finish"

    def abort(self) -> None:
        self.ended = self.ended or "abort"

    def inform(self, head: bytes) -> None:
        """Interim responses are of no interest here."""

    def on_gone(self, gone: Callable[[], None]) -> None:
        if self.ended == "gone":
            gone()
        else:
            self._gone = gone

    def leave(self) -> None:
        """The client goes, as the channel tells it."""
        ended, self.ended = self.ended, self.ended or "gone"
        if ended:
            return
        if self.producer is not None:
            self.producer.stopProducing()
        if self._gone is not None:
            self._gone()


class Place:
    """What a `Relay` needs of a location. records: what was logged."""

    inline_limit = 100

    def __init__(self, **policy: Any) -> None:
        self.policy = CachePolicy(**policy)
        self.records: list[Any] = []
        self.asked: list[tuple[bytes, Fields]] = []
        self.troubles: list[OriginFailure] = []
        self.call = Tap()
        self.now = 1000.0
        self.around = Surroundings(
            clock=lambda: self.now,
            monotonic=lambda: self.now,
            call_soon=lambda _: None,
            call_later=lambda _seconds, _what: Timer(),
            log=self.records.append,
        )

    def ask(
        self, method: bytes, request: Request, route: Route, extra: Fields, receiver: Any
    ) -> Tap:
        self.asked.append((method, extra))
        return self.call

    def trouble(self, route: Route, failure: OriginFailure) -> None:
        self.troubles.append(failure)

    def transaction(self, method: bytes = b"GET", **headers: bytes) -> tuple[Transaction, Down]:
        """Return a transaction and where its answer goes."""
        fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        request = Request(method, b"/a", fields, peer=b"192.0.2.1", started=990.0)
        down = Down()
        to = Transaction(self.around, request, ROUTE, down, location="/", policy=self.policy)
        return to, down

"""What the tests of the origin pool share: a receiver that remembers, a pool that is closed."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from s3shield.policy import OriginFailure, ResponseHead
from s3shield.wire.origin_options import OriginAddress, OriginOptions
from s3shield.wire.origin_pool import OriginPool
from tests.wire.scripted_origin import ScriptedOrigin

GET = b"GET /key HTTP/1.1\r\nHost: bucket.test\r\n\r\n"
HEAD = b"HEAD /key HTTP/1.1\r\nHost: bucket.test\r\n\r\n"


class Recorder:
    """A receiver that remembers all it was told.

    told: the names of the calls in order. over: fires with self at the end, good or bad.
    """

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.length: int | None = -1
        self._body = bytearray()
        self.failure: OriginFailure | None = None
        self.told: list[str] = []
        self.over: Deferred[Recorder] = Deferred()
        self.head_seen: Deferred[Recorder] = Deferred()
        self._waiting: list[tuple[int, Deferred]] = []

    @property
    def body(self) -> bytes:
        """All body bytes so far."""
        return bytes(self._body)

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """See Receiver."""
        self.told.append("head")
        self.head = head
        self.length = length
        self.head_seen.callback(self)

    def origin_data(self, data: bytes) -> None:
        """See Receiver."""
        assert isinstance(data, bytes)
        self.told.append("data")
        self._body += data
        for row in [row for row in self._waiting if row[0] <= len(self._body)]:
            self._waiting.remove(row)
            row[1].callback(self)

    def origin_end(self) -> None:
        """See Receiver."""
        self.told.append("end")
        self.over.callback(self)

    def origin_failed(self, failure: OriginFailure) -> None:
        """See Receiver."""
        self.told.append("failed")
        self.failure = failure
        self.over.callback(self)

    def got(self, count: int) -> Deferred:
        """Return a Deferred that fires when `count` body bytes have come."""
        done: Deferred = Deferred()
        if len(self._body) >= count:
            done.callback(self)
        else:
            self._waiting.append((count, done))
        return done


class PoolCase(TestCase):
    """Origins and pools that are gone when the test is."""

    timeout = 20

    def origin(self, *scripts: Any, context: object = None) -> ScriptedOrigin:
        """Return a scripted origin that is stopped after the test."""
        origin = ScriptedOrigin(*scripts, context=context)
        self.addCleanup(lambda: Deferred.fromCoroutine(origin.stop()))
        return origin

    def pool(
        self,
        origin: ScriptedOrigin | int,
        *,
        clock: Any = None,
        scheme: Any = "http",
        host: str = "127.0.0.1",
        **options: Any,
    ) -> OriginPool:
        """Return a pool for `origin` (or a port) that is closed after the test."""
        port = origin if isinstance(origin, int) else origin.port
        pool = OriginPool(
            reactor,
            OriginAddress(scheme, host, port),
            OriginOptions(**{"connect_timeout": 30.0, **options}),
            clock,
        )
        self.addCleanup(pool.close)
        return pool

    async def get(self, pool: OriginPool, method: bytes = b"GET", **options: Any) -> Recorder:
        """Fetch and return the receiver when the call is over."""
        receiver = Recorder()
        receiver.call = pool.fetch(method, HEAD if method == b"HEAD" else GET, receiver, **options)
        return await receiver.over


async def turns(count: int = 5) -> None:
    """Let the reactor go round a few times."""
    for _ in range(count):
        done: Deferred = Deferred()
        reactor.callLater(0, done.callback, None)
        await done

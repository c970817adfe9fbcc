"""What the tests of asking a bucket are made of: its answers, and who hears of them."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import Bucket, BucketOrigin, BucketRequests
from s3shield.policy import (
    CachePolicy,
    OriginFailure,
    Request,
    RequestWithBody,
    ResponseHead,
)
from s3shield.routing import Route
from s3shield.signing import Credentials, Endpoint, Signer, SignMode

from .body import Tap

NOW = 1_795_478_400.0
"""Tue, 24 Nov 2026 00:00:00 GMT"""
FIELDS = (
    (b"Content-Type", b"application/xml"),
    (b"x-amz-request-id", b"REQ"),
    (b"Date", b"Tue, 24 Nov 2026 00:00:00 GMT"),
)


class Heard:
    """A `wire.Receiver` that remembers."""

    def __init__(self) -> None:
        self.head: ResponseHead | None = None
        self.length: int | None = None
        self.body = b""
        self.ends = 0
        self.failure: OriginFailure | None = None

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        assert self.head is None
        self.head, self.length = head, length

    def origin_data(self, data: bytes) -> None:
        assert self.head is not None
        self.body += data

    def origin_end(self) -> None:
        assert self.head is not None
        self.ends += 1

    def origin_failed(self, failure: OriginFailure) -> None:
        self.failure = failure
        self.ends += 1


def document(code: str, more: str = "") -> bytes:
    """Return S3's error document."""
    text = f"<Error><Code>{code}</Code>{more}<RequestId>R</RequestId></Error>"
    return f'<?xml version="1.0"?>\n{text}'.encode()


class Pool:
    """An `OriginPool` that remembers, and answers when it is told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Tap]] = []
        self.receiver: Any = None

    def fetch(self, method: bytes, head: bytes, receiver: Any, *, idempotent: bool = True) -> Tap:
        self.receiver = receiver
        self.sent.append((head, Tap()))
        return self.sent[-1][1]

    def answer(self, status: int, *pieces: bytes, fields: tuple[Any, ...] = FIELDS) -> None:
        """Let the last request be answered."""
        receiver = self.receiver
        receiver.origin_head(ResponseHead(status, b"X", fields), sum(map(len, pieces)))
        for piece in pieces:
            receiver.origin_data(piece)
        receiver.origin_end()


class Asked(SynchronousTestCase):
    """A bucket, a request to it, and the log."""

    def setUp(self) -> None:
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                self.events.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.again()

    def again(self) -> None:
        """Begin anew: another bucket, nothing logged."""
        self.events.clear()
        self.time = Clock()
        self.wrong_by = 0.0
        self.pool = Pool()
        self.elsewhere: dict[Endpoint, Pool] = {}
        self.make(Credentials("AKIA", "secret"), "us-east-1")

    def make(
        self,
        credentials: Credentials,
        region: str | None = None,
        url: str = "http://s3.test:9000",
        mode: SignMode = SignMode.V4,
    ) -> None:
        """Make the bucket anew."""
        endpoint = Endpoint.parse(url, "media")
        self.bucket = Bucket(
            "media",
            endpoint,
            clock=lambda: NOW + self.time.seconds() + self.wrong_by,
            monotonic=self.time.seconds,
            call_later=self.time.callLater,
            random=lambda: 1.0,
        )
        self.policy = CachePolicy(is_bucket=True)
        signer = Signer(endpoint, mode, credentials, region)
        requests = BucketRequests(signer, b"1.1 s3shield", self.policy, self.bucket)
        self.origin: Any = BucketOrigin(
            "media",
            requests,
            self.pool,  # type: ignore[arg-type]  # a double
            self.bucket,
            lambda there: self.elsewhere.setdefault(there, Pool()),  # type: ignore[arg-type, return-value]  # as above
        )

    def ask(self, method: bytes = b"GET", body: bytes = b"", **policy: Any) -> Heard:
        """Ask for /a; return what the answers come to."""
        heard = Heard()
        request = Request(method, b"/a")
        if body:
            request = RequestWithBody(request, body)
        route = Route(0, b"/a", (), b"/a", b"media|/a|", b"d" * 16)
        self.call = self.origin.ask(
            method, request, route, (), heard, CachePolicy(is_bucket=True, **policy)
        )
        return heard

    def told(self, status: int, *pieces: bytes, **policy: Any) -> Heard:
        """Send an answer through; return what came out."""
        heard = self.ask(**policy)
        self.pool.answer(status, *pieces)
        while not heard.ends:
            self.time.advance(1.0)
            self.pool.answer(status, *pieces)
        self.assertEqual(1, heard.ends)
        self.time.advance(60.0)
        return heard

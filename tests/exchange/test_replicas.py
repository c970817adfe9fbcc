"""A bucket and its replica, whatever each of them does: one end, whole or cut, never mixed."""

from __future__ import annotations

import itertools
from typing import Any, Final

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import (
    REPLACED,
    Bucket,
    BucketOrigin,
    BucketRequests,
    Member,
    ReplicatedOrigin,
    new_breaker,
)
from s3shield.policy import CachePolicy, FailureKind, OriginFailure, Request, ResponseHead
from s3shield.routing import Route
from s3shield.signing import Credentials, Endpoint, Signer, SignMode

from .asked import NOW, Heard, Pool, document

LONG: Final = 40_000
BODIES: Final = {"one": b"1" * LONG, "two": b"2" * LONG}
BEHAVIOURS: Final = ("whole", "short", "cut", "cut short", "refused", "hangs", "500", "403", "404")
BAD: Final = {"cut short", "refused", "hangs", "500"}
"""Those that another bucket stands in for, from the beginning."""
ROUTE: Final = Route(0, b"/a", (), b"/a", b"media|/a|", b"d" * 16)


class Double:
    """A bucket that behaves in one way. body: its version of the object."""

    def __init__(self, name: str, behaviour: str, version: str) -> None:
        self.pool = Pool()
        self.name = name
        self.behaviour = behaviour
        self.version = version
        self.answered = 0

    def go_on(self) -> bool:
        """Do something about the latest request; False when there is nothing to do."""
        if len(self.pool.sent) == self.answered or self.pool.sent[-1][1].cancelled:
            return False
        if self.behaviour == "hangs":
            return False
        self.answered = len(self.pool.sent)
        head, receiver = self.pool.sent[-1][0].decode(), self.pool.receiver
        if self.behaviour == "refused":
            receiver.origin_failed(OriginFailure(FailureKind.CONNECT, "refused"))
        elif self.behaviour in ("500", "403", "404"):
            code = {"500": "InternalError", "403": "AccessDenied", "404": "NoSuchKey"}
            self.pool.answer(int(self.behaviour), document(code[self.behaviour]))
        else:
            self.give(head, receiver)
        return True

    def give(self, head: str, receiver: Any) -> None:
        """Answer with the object, or what is wanted of it."""
        body = BODIES[self.version]
        if self.behaviour in ("short", "cut short"):
            body = body[:100]
        tag = (b"ETag", f'"{self.version}{len(body)}"'.encode())
        wanted = [line[10:] for line in head.split("\r\n") if line.startswith("If-Match: ")]
        if wanted and wanted[0].encode() != tag[1]:
            self.pool.answer(412)
            return
        start, fields, status = 0, (tag,), 200
        for line in head.split("\r\n"):
            if line.startswith("Range: bytes="):
                start, status = int(line[13:].partition("-")[0]), 206
                span = b"bytes %d-%d/%d" % (start, len(body) - 1, len(body))
                fields = (tag, (b"Content-Range", span))
        receiver.origin_head(ResponseHead(status, b"", fields), len(body) - start)
        if self.behaviour.startswith("cut"):
            receiver.origin_data(body[start : start + 50])
            receiver.origin_failed(OriginFailure(FailureKind.CUT, "reset", before_head=False))
        else:
            receiver.origin_data(body[start:])
            receiver.origin_end()


class ReplicaTests(SynchronousTestCase):
    """All pairs of behaviours."""

    def ask(self, doubles: list[Double], on: frozenset[int], method: bytes = b"GET") -> Heard:
        """Ask, and let time pass until there is an end."""
        time = Clock()
        members = []
        for double in doubles:
            endpoint = Endpoint.parse("http://s3.test:9000", double.name)
            bucket = Bucket(
                double.name,
                endpoint,
                clock=lambda: NOW,
                monotonic=time.seconds,
                call_later=time.callLater,
                random=lambda: 1.0,
            )
            policy = CachePolicy(is_bucket=True)
            signer = Signer(endpoint, SignMode.V4, Credentials("AKIA", "secret"), "us-east-1")
            requests = BucketRequests(signer, b"1.1 s3shield", policy, bucket)
            pool: Any = double.pool
            origin = BucketOrigin(
                double.name, requests, pool, bucket, lambda _there, pool=pool: pool, REPLACED
            )
            breaker = new_breaker(random=lambda: 0.0, probing=True)
            members.append(Member(origin, breaker, on, 5.0))
        heard = Heard()
        origins = ReplicatedOrigin(members)
        origins.ask(method, Request(method, b"/a"), ROUTE, (), heard, CachePolicy(is_bucket=True))
        for _ in range(100):
            if heard.ends:
                break
            if not any(double.go_on() for double in doubles):
                if time.seconds() > 60.0:
                    # Who hangs is given up by the pool in the end.
                    for double in doubles:
                        if double.behaviour == "hangs" and double.pool.sent:
                            failure = OriginFailure(FailureKind.TIMEOUT, "no answer")
                            double.pool.receiver.origin_failed(failure)
                            break
                time.advance(1.0)
        self.assertEqual(1, heard.ends)
        self.assertEqual([], time.getDelayedCalls())
        self.members, self.time = members, time
        return heard

    def test_all_pairs(self) -> None:
        """One end; what is said to be whole is; a body is one version's, from its beginning."""
        statuses = (frozenset(), frozenset({403}), frozenset({403, 404}))
        for case in itertools.product(BEHAVIOURS, BEHAVIOURS, (True, False), statuses):
            with self.subTest(case):
                self.check(*case)

    def check(self, first: str, second: str, same: bool, on: frozenset[int]) -> None:
        """Check one pair. same: they have one version of the object."""
        doubles = [Double("media", first, "one"), Double("copy", second, "one" if same else "two")]
        heard = self.ask(doubles, on)
        whole = heard.failure is None
        if heard.head is not None and heard.head.status == 200:
            self.assertEqual(whole, heard.length == len(heard.body))
            self.assertTrue(any(body.startswith(heard.body) for body in BODIES.values()))
        good = ("whole", "short")
        asked = len(doubles[1].pool.sent)
        if first in good:
            self.assertEqual((True, 200, 0), (whole, heard.head.status, asked))
        elif first in BAD or int(first if first.isdigit() else 0) in on:
            self.assertTrue(asked)
            if second in good:
                self.assertEqual((True, 200), (whole, heard.head.status))
                self.assertEqual(BODIES[doubles[1].version][:1], heard.body[:1])
            elif first in ("403", "404"):
                cut = second == "cut"
                self.assertEqual(200 if cut else int(first), heard.head.status)
        elif first == "cut":
            self.assertEqual(second == "whole" and same, whole)
        else:
            self.assertEqual((True, int(first), 0), (whole, heard.head.status, asked))

    def test_the_logs_last_word(self) -> None:
        """However it flaps: one line a minute that it fails, each followed by one that it is back."""
        lines: list[str] = []

        def observe(event: Any) -> None:
            if event.get("log_format"):
                lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.ask([Double("media", "whole", "one"), Double("copy", "whole", "one")], frozenset())
        member = self.members[0]
        for _ in range(40):
            for _ in range(3):
                member.failed(member.breaker.probe(), "refused")
            self.time.advance(3.0)
            member.answered(member.breaker.probe())
            self.time.advance(4.0)
        words = [line.rpartition(" ")[0] for line in lines if line.startswith("media: ")]
        away = [line for line in words if "asked last" in line]
        self.assertEqual(5, len(away), lines)
        self.assertEqual(10, len(words))
        self.assertTrue(all("asked last" in line for line in words[::2]))
        # It fails for good while the line is held back: it is told once a minute is over.
        for _ in range(12):
            member.failed(member.breaker.probe(), "refused")
            self.time.advance(10.0)
        self.assertIn("asked last", lines[-1])

    def test_cancelled_probe(self) -> None:
        """A client that leaves while its request tries the bucket lets the next one try."""
        double = Double("media", "403", "one")
        self.ask([double, Double("copy", "whole", "one")], frozenset({403}))
        first, copy = self.members
        first.breaker.until = 0.0
        origins = ReplicatedOrigin(self.members)
        for answer in (False, True):
            heard = Heard()
            asked = len(double.pool.sent)
            policy = CachePolicy(is_bucket=True)
            call = origins.ask(b"GET", Request(b"GET", b"/a"), ROUTE, (), heard, policy)
            self.assertEqual(asked + 1, len(double.pool.sent))
            if answer:
                double.go_on()  # now the replica is asked
            call.cancel()
            self.assertEqual(0, heard.ends)
        call = origins.ask(b"GET", Request(b"GET", b"/a"), ROUTE, (), Heard(), policy)
        self.assertEqual(asked + 2, len(double.pool.sent))
        call.cancel()
        self.assertFalse(copy.breaker.is_open)

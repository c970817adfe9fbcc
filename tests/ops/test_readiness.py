"""What `/ready` finds wrong."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.bucket_state import BucketState
from s3shield.ops.readiness import Readiness, key_reasons

NOW = 1_800_000_000.0


class KeyTests(SynchronousTestCase):
    """Keys and credentials."""

    def test_reasons(self) -> None:
        """A key or credentials that end too soon, have ended, or are not there at all."""
        states = [
            BucketState("bare"),
            BucketState("good", NOW + 300),
            BucketState("late", NOW + 299),
            BucketState("none", without_credentials=True),
            BucketState("over", NOW - 7),
            BucketState("role"),
        ]
        self.assertEqual(
            [
                "bucket late: 299 s are left of its signing key",
                "bucket none: there are no credentials to sign with",
                "bucket over: its signing key ended 7 s ago",
                "bucket role: 60 s are left of its credentials",
            ],
            key_reasons(states, {"role": NOW + 60, "good": NOW + 600}, NOW, 300.0),
        )
        self.assertEqual([], key_reasons([BucketState("a", NOW + 1)], {}, NOW, 1.0))


class ReadinessTests(SynchronousTestCase):
    """All of it."""

    def setUp(self) -> None:
        """A process with one cache and nothing wrong."""
        self.clock = Clock()
        self.writes: list[str] = []
        self.result: Deferred[None] = succeed(None)
        self.keys: list[str] = []
        self.absent: list[str] = []
        self.draining = False

    def aside(self, _function: object, path: str) -> Deferred[None]:
        """In place of a thread."""
        self.writes.append(path)
        return self.result

    def readiness(self) -> Readiness:
        """Return what is looked at."""
        return Readiness(
            keys=lambda: self.keys,
            absent=lambda: self.absent,
            caches={"main": "/c"},
            draining=lambda: self.draining,
            aside=self.aside,
            reactor=self.clock,
        )

    def test_ready(self) -> None:
        """Nothing is wrong, and no timer is left behind."""
        self.assertEqual([], self.successResultOf(self.readiness().check()))
        self.assertEqual(["/c"], self.writes)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_all_at_once(self) -> None:
        """Each reason is told."""
        self.keys, self.absent, self.draining = ["the key"], ["media"], True
        self.result = fail(OSError(30, "Read-only file system"))
        self.assertEqual(
            [
                "this process is about to end",
                "the key",
                "bucket media: its health object is not there",
                "cache main: cannot write in /c: Read-only file system",
            ],
            self.successResultOf(self.readiness().check()),
        )

    def test_disk_that_hangs(self) -> None:
        """A disk that does not answer is told in time, and gets no second thread until it has."""
        readiness, self.result = self.readiness(), Deferred()
        first = readiness.check()
        self.assertNoResult(first)
        self.clock.advance(5)
        (reason,) = self.successResultOf(first)
        self.assertIn("within 5 s", reason)
        self.assertEqual([reason], self.successResultOf(readiness.check()))
        self.assertEqual(["/c"], self.writes)
        self.result.callback(None)
        self.result = succeed(None)
        self.assertEqual([], self.successResultOf(readiness.check()))
        self.assertEqual(["/c", "/c"], self.writes)

"""`front.pacing`: when the bytes of a response go."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import Pace
from s3shield.exchange import Surroundings
from s3shield.front.pacing import Paced

from .recording import Recording, Source

BODY = bytes(range(256)) * 40
"""10,240 bytes."""


class Timed(Recording):
    """A client that notes how much it had at which second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.had: list[tuple[float, int]] = []

    def write(self, data: bytes | memoryview) -> None:
        super().write(data)
        self.had.append((self.clock.seconds(), len(self.body)))


class PacedTests(SynchronousTestCase):
    """1000 bytes a second."""

    def setUp(self) -> None:
        """A clock, a client, and a response at a pace to it."""
        self.clock = Clock()
        self.client = Timed(self.clock)
        self.paced = self.make()

    def make(self, rate: int = 1000, after: int = 0) -> Paced:
        """Return the response."""
        seconds = self.clock.seconds
        around = Surroundings(
            clock=seconds,
            monotonic=seconds,
            call_soon=lambda call: self.clock.callLater(0, call),
            call_later=self.clock.callLater,
            log=lambda record: None,
        )
        return Paced(self.client, Pace(rate, after), around)

    def run_for(self, seconds: float) -> None:
        """Let time pass, in steps of a fiftieth at most."""
        self.clock.pump([seconds / round(seconds * 50 + 1)] * round(seconds * 50 + 1))

    def check_pace(self, rate: int = 1000, after: int = 0) -> None:
        """At no moment was more there than its seconds and one more bring, nor much less."""
        for when, total in self.client.had:
            self.assertLessEqual(total, after + rate * (when + 1) + 1)

    def test_reply(self) -> None:
        """A body in one write is streamed: the first second's worth, then as time brings it."""
        self.paced.reply(b"head", BODY)
        self.assertEqual([("start", b"head", len(BODY))], self.client.said[:1])
        self.assertEqual(1000, len(self.client.body))
        for second in range(1, 9):
            self.run_for(1)
            self.assertIn(1000 * (second + 1) - len(self.client.body), range(150))
        self.assertNotIn("finish", self.client.calls)
        self.run_for(1.5)
        self.assertEqual((BODY, 1), (self.client.body, self.client.calls.count("finish")))
        self.check_pace()
        self.assertEqual([], self.clock.getDelayedCalls())
        # Eight times a second and no more.
        self.assertLess(len(self.client.had), 8 * 10 + 3)

    def test_short_reply(self) -> None:
        """What is not worth more than a second, and what has no body, goes as it is."""
        self.paced.reply(b"head", BODY[:1000])
        self.make().reply(b"other", b"")
        self.make(after=20_000).reply(b"third", BODY)
        self.assertEqual(["reply"] * 3, self.client.calls)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_source(self) -> None:
        """A source that is faster is paused while bytes wait, and asked again when none do."""
        source = Source()
        self.paced.start(b"head", None, source)
        self.paced.write(BODY[:900])
        self.assertFalse(source.paused)
        self.paced.write(BODY[900:1900])
        self.assertTrue(source.paused)
        self.run_for(0.5)
        self.assertTrue(source.paused)
        self.run_for(0.5)
        self.assertFalse(source.paused)
        self.paced.write(BODY[1900:5000])
        self.assertTrue(source.paused)
        self.paced.finish()
        self.run_for(4)
        self.assertEqual(BODY[:5000], self.client.body)
        self.assertEqual(1, self.client.calls.count("finish"))
        self.assertTrue(source.paused)  # nobody asks it again
        self.check_pace()
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_slow_client(self) -> None:
        """While the client does not read there is no timer; it gets no hour's worth at once."""
        self.paced.reply(b"head", BODY)
        self.client.producer.pauseProducing()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.run_for(5)
        self.assertEqual(1000, len(self.client.body))
        self.client.producer.resumeProducing()
        self.run_for(0.01)
        self.assertIn(len(self.client.body), range(1980, 2021))
        self.run_for(9)
        self.assertEqual(BODY, self.client.body)
        self.check_pace()

    def test_slow_client_and_source(self) -> None:
        """The client's pause reaches a source whose bytes all went, and its resuming too."""
        source = Source()
        self.paced.start(b"head", None, source)
        self.paced.write(BODY[:10])
        self.client.producer.pauseProducing()
        self.assertTrue(source.paused)
        self.paced.write(BODY[10:20])  # it was on its way
        self.client.producer.resumeProducing()
        self.run_for(0.02)
        self.assertEqual((BODY[:20], False), (self.client.body, source.paused))

    def test_client_that_leaves(self) -> None:
        """Timer and bytes go; the source is told."""
        for begun in (False, True):
            self.client = Timed(self.clock)
            source = Source()
            paced = self.make()
            if begun:
                paced.start(b"head", None, source)
                paced.write(BODY)
            else:
                paced.reply(b"head", BODY)
            self.client.leave()
            self.assertEqual([], self.clock.getDelayedCalls())
            self.assertEqual(int(begun), source.stopped)
            had = len(self.client.body)
            paced.write(BODY)
            paced.finish()
            self.run_for(2)
            self.assertEqual(had, len(self.client.body))

    def test_abort(self) -> None:
        """A source that breaks off cuts the response now: a short body never looks whole."""
        self.paced.start(b"head", 5000, Source())
        self.paced.write(BODY[:3000])
        self.paced.abort()
        self.run_for(5)
        self.assertEqual(["start", "write", "abort"], self.client.calls)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_many_rates(self) -> None:
        """From one byte a second to more than there is, all of it comes in its time."""
        for rate, after in ((1, 0), (7, 3), (999, 0), (1000, 5000), (5119, 1), (10**9, 0)):
            self.clock = Clock()
            self.client = Timed(self.clock)
            body = BODY[: min(len(BODY), rate * 8 + after)]
            self.make(rate, after).reply(b"head", body)
            self.run_for(9)
            self.assertEqual(body, self.client.body, rate)
            self.check_pace(rate, after)
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_called_from_inside_a_write(self) -> None:
        """A transport may pause and resume from inside a write."""
        paced = self.make()
        write = self.client.write

        def jumpy(data: Any) -> None:
            write(data)
            paced.pauseProducing()
            paced.resumeProducing()

        self.client.write = jumpy  # type: ignore[method-assign]  # of this one alone
        paced.reply(b"head", BODY)
        self.run_for(11)
        self.assertEqual(BODY, self.client.body)
        self.check_pace()

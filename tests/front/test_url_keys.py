"""`front.UrlKeys`: when keys are asked for, and what is told."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.front import Process, url_keys
from s3shield.front.url_keys import UrlKeys
from tests.access.issuer import jwk_set, signer

GOOD = jwk_set(signer("ES256"))


class Asked:
    """A fetch that the test answers."""

    stopped = False

    def __init__(self, done: Any) -> None:
        self.done = done

    def stop(self) -> None:
        """Be dropped."""
        self.stopped = True


class UrlKeysTests(SynchronousTestCase):
    """By a clock of its own."""

    def setUp(self) -> None:
        """Have a source whose fetches are in `asked`."""
        self.clock = Clock()
        self.asked: list[Asked] = []

        def fetch(_url: str, _process: Process, _largest: int, done: Any) -> Asked:
            self.asked.append(Asked(done))
            return self.asked[-1]

        self.patch(url_keys, "fetch", fetch)
        self.patch(
            url_keys,
            "run_aside",
            lambda _reactor, function, *words: maybeDeferred(function, *words),
        )
        process = Process(
            reactor=self.clock, clock=self.clock.seconds, monotonic=self.clock.seconds
        )
        self.source = UrlKeys("https://id.example.com/k", 100.0, process)
        self.changes = 0
        self.source.changed.append(self.count)
        self.events: list[str] = []

        def observe(event: Any) -> None:
            if "url" in event:
                self.events.append(f"{event['log_level'].name}: {formatEvent(event)}")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.source.start()

    def count(self) -> None:
        """Note a change."""
        self.changes += 1

    def say(self, data: bytes | None = GOOD, problem: str = "") -> None:
        """Answer the last fetch."""
        self.asked[-1].done(data, problem)

    def wait(self) -> Deferred[None]:
        """Ask for more."""
        found = self.source.more()
        assert found is not None
        return found

    def test_refreshed_ahead(self) -> None:
        """Fetched again when four fifths of the time are over; the same set is no change."""
        self.say()
        self.clock.advance(79.9)
        self.assertEqual(1, len(self.asked))
        self.clock.advance(0.1)
        self.assertEqual(2, len(self.asked))
        self.say()
        self.assertEqual(1, self.changes)
        self.clock.advance(80)
        self.say(jwk_set(signer("ES384")))
        self.assertEqual(2, self.changes)

    def test_down(self) -> None:
        """In ever longer pauses; the keys stay; told once in five minutes, and when it is over."""
        self.say()
        keys = self.source.keys
        self.events.clear()
        self.clock.advance(80)
        for pause in (5, 10, 20, 40, 80, 160, 300, 300):
            number = len(self.asked)
            self.say(None, "it answered 503")
            self.clock.advance(pause - 0.1)
            self.assertEqual(number, len(self.asked))
            self.clock.advance(0.1)
            self.assertEqual(number + 1, len(self.asked))
        self.assertIs(keys, self.source.keys)
        line = "warn: https://id.example.com/k: it answered 503; the keys that were fetched before go on"
        self.assertEqual([line] * 3, self.events)
        self.say()
        self.assertEqual("info: https://id.example.com/k answers again", self.events[-1])

    def test_one_for_all(self) -> None:
        """Who wants more joins what is under way; nobody begins another soon after."""
        waiting = [self.wait() for _ in range(3)]
        self.assertEqual(1, len(self.asked))
        waiting[1].cancel()
        self.failureResultOf(waiting[1])
        self.say()
        for each in (waiting[0], waiting[2]):
            self.successResultOf(each)
        self.clock.advance(9.9)
        self.assertIsNone(self.source.more())
        self.clock.advance(0.1)
        late = self.wait()
        self.assertEqual(2, len(self.asked))
        self.say(None, "no")
        self.successResultOf(late)
        self.assertIsNone(self.source.more())
        self.clock.advance(5)
        self.assertEqual(3, len(self.asked))

    def test_a_crowd(self) -> None:
        """A crowd goes on in turns, without those who have left; none is forgotten."""
        crowd = [self.wait() for _ in range(100)]
        self.say()
        self.assertEqual(32, sum(each.called for each in crowd))
        crowd[99].cancel()
        self.failureResultOf(crowd[99])
        for _ in range(3):
            self.clock.advance(0)
        for each in crowd[:99]:
            self.successResultOf(each)

    def test_without_any(self) -> None:
        """What was never fetched is an error, and no key set is none."""
        self.say(b"{}")
        self.assertIsNone(self.source.keys)
        self.assertIn("there are no keys, tokens cannot be checked", self.events[0])
        self.assertTrue(self.events[0].startswith("error: "))

    def test_stop(self) -> None:
        """Nothing is begun any more, nobody answered, whatever was going on."""
        waits = self.wait()
        self.source.stop()
        self.assertTrue(self.asked[0].stopped)
        self.assertIsNone(self.source.more())
        self.assertNoResult(waits)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_stop_later(self) -> None:
        """Nor after one that was fetched."""
        self.say()
        self.source.stop()
        self.assertEqual([], self.clock.getDelayedCalls())

"""Credentials of sources while the daemon runs: renewed ahead, kept, told, waited for."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import loads
from s3shield.ops import CredentialWatch, Fetched, UnavailableError, aside, run_aside
from s3shield.ops.credential_watch import PATIENCE
from s3shield.signing import Credentials

NOW = 1_795_478_400.0  # 2026-11-24 00:00:00 UTC


def keys(number: int, left: float | None = 3600.0) -> Fetched:
    """Credentials, good for `left` seconds from `NOW` on."""
    made = Credentials(f"ASIA{number}", f"s3cr3t{number}", session_token="t0ken")
    return Fetched(made, None if left is None else NOW + left)


DOWN = UnavailableError("it is down", "start it")


class Case(SynchronousTestCase):
    """A bucket with a source that answers when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.skew = 0.0
        self.looks: list[Deferred] = []
        self.taken: list[str] = []
        self.events: list[dict] = []
        self.answers: list[bool] = []
        config = loads(
            "[bucket:media]\naws_s3_bucket = m\naws_region = r\naws_credentials = ecs\n"
            "[bucket:static]\naws_s3_bucket = m\naws_region = r\naws_access_key = A\n"
            "aws_secret_key = s\n[location:/]\nbucket = media\n[location:/s]\nbucket = static\n"
        )
        self.watch = CredentialWatch(
            config.buckets.values(),
            reactor=self.clock,
            in_thread=self.look,
            clock=lambda: NOW + self.clock.seconds() + self.skew,
            random=lambda: 0.0,
            take=self.take,
            log=Logger(observer=self.events.append),
        )
        self.addCleanup(self.watch.stop)

    def look(self, _fetch, source, region) -> Deferred:
        """A thread that begins."""
        self.assertEqual((source.kind, region), ("ecs", "r"))
        self.looks.append(Deferred())
        return self.looks[-1]

    def take(self, name: str, credentials: Credentials) -> None:
        """What signers do."""
        self.assertEqual(name, "media")
        if credentials.access_key == "ASIA666":
            raise ValueError("they cannot sign here")
        self.taken.append(credentials.access_key)

    def gives(self, found: Fetched | Exception) -> None:
        """Let the look under way end."""
        (self.looks[-1].callback if isinstance(found, Fetched) else self.looks[-1].errback)(found)
        self.clock.advance(0)

    def told(self) -> list[str]:
        """Return what was told since the last call, each with its level; never a secret."""
        lines = [f"{each['log_level'].name}: {formatEvent(each)}" for each in self.events]
        for word in ("s3cr3t", "t0ken"):
            self.assertNotIn(word, repr(self.events))
        self.events.clear()
        return lines

    def ask(self) -> None:
        """A request that needs them."""
        self.watch.renew("media", self.answers.append)


class Renewing(Case):
    """When all is well."""

    def test_ahead(self):
        """Looked for at the start; again 15 minutes before the end, and taken at once."""
        self.watch.start()
        self.assertTrue(self.watch.lacks("media"))
        self.gives(keys(1))
        self.assertFalse(self.watch.lacks("media"))
        self.assertEqual(
            "\n".join(self.told()),
            "info: bucket media: credentials ASIA1 from the container credentials endpoint are "
            "in use, good until 2026-11-24T01:00:00Z",
        )
        self.clock.advance(2699)
        self.assertEqual(len(self.looks), 1)
        self.clock.advance(1)
        self.assertEqual(len(self.looks), 2)
        self.gives(keys(2, 7200))
        self.assertEqual(self.taken, ["ASIA1", "ASIA2"])
        self.assertEqual(len(self.told()), 1)

    def test_the_same_again(self):
        """A source that gives the same ones when asked early is asked again, and not told of."""
        self.watch.start()
        self.gives(keys(1, 900))
        self.told()
        for look in (2, 3, 4):
            self.clock.advance(300)
            self.assertEqual(len(self.looks), look)
            if look < 4:
                self.gives(keys(1, 900))
        self.assertEqual((self.taken, self.told()), (["ASIA1"], []))

    def test_endless(self):
        """Those of a file have no known end: the file is looked at every five minutes."""
        self.watch.start()
        self.gives(keys(1, None))
        self.assertIn("no known end", self.told()[0])
        self.clock.advance(300)
        self.gives(keys(2, None))
        self.assertEqual(self.taken, ["ASIA1", "ASIA2"])

    def test_shared(self):
        """Buckets that name the same source share its credentials, and one line in the log."""
        text = "".join(
            f"[bucket:{name}]\naws_s3_bucket = m\naws_region = r\naws_credentials = ecs\n"
            f"[location:/{name}]\nbucket = {name}\n"
            for name in "abcdef"
        )
        taken: list[str] = []
        watch = CredentialWatch(
            loads(text).buckets.values(),
            reactor=self.clock,
            in_thread=self.look,
            clock=lambda: NOW,
            random=lambda: 0.0,
            take=lambda name, _credentials: taken.append(name),
            log=Logger(observer=self.events.append),
        )
        self.addCleanup(watch.stop)
        watch.start()
        self.assertEqual(len(self.looks), 1)
        self.gives(keys(1))
        self.assertEqual("".join(taken), "abcdef")
        self.assertFalse(any(watch.lacks(name) for name in "abcdef"))
        (line,) = self.told()
        self.assertIn("info: buckets a, b, c, d and 2 more: credentials ASIA1", line)

    def test_others_have_no_part(self):
        """A bucket with keys of its own has no supply."""
        self.watch.start()
        self.assertEqual(len(self.looks), 1)
        self.assertRaises(KeyError, self.watch.lacks, "static")

    def test_stop(self):
        """After the stop nothing is looked for, what comes late is dropped, nobody is answered."""
        self.watch.start()
        self.ask()
        self.watch.stop()
        self.gives(keys(1))
        self.clock.advance(10_000)
        self.assertEqual((self.taken, self.answers, len(self.looks)), ([], [], 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Failing(Case):
    """When the source fails."""

    def test_kept_and_told(self):
        """Those in use go on until their end; a warning now and then, an error at the end."""
        self.watch.start()
        self.gives(keys(1))
        self.told()
        self.clock.advance(2700)
        lines = []
        while self.clock.seconds() < 3700:
            if not self.looks[-1].called:
                self.gives(DOWN)
            self.assertEqual(self.watch.lacks("media"), self.clock.seconds() >= 3600)
            lines += self.told()
            self.clock.advance(0.5)
        kinds = [line.partition(":")[0] for line in lines]
        self.assertEqual(kinds, ["warn", "warn", "warn", "error"])
        self.assertEqual(
            lines[0],
            "warn: bucket media: the credentials are not renewed, those in use are good until "
            "2026-11-24T01:00:00Z: it is down: start it",
        )
        self.assertIn("no credentials to sign with", lines[-1])
        self.assertIn("answered 502", lines[-1])
        self.assertLess(len(self.looks), 60)
        while self.looks[-1].called:
            self.clock.advance(0.5)
        self.gives(keys(2, 7200))
        self.assertIn("info: bucket media: credentials ASIA2", self.told()[0])

    def test_back_again(self):
        """The same credentials after a failure: that it is over is told."""
        self.watch.start()
        self.gives(keys(1, 900))
        self.clock.advance(300)
        self.gives(DOWN)
        self.told()
        self.clock.advance(1)
        self.gives(keys(1, 900))
        self.assertIn("in use", self.told()[0])

    def test_over_already(self):
        """What has ended by this clock is not taken: it may be the clock, and is told so."""
        self.skew = 7200.0
        self.watch.start()
        self.gives(keys(1))
        (line,) = self.told()
        self.assertIn("what it gave ended at 2026-11-24T01:00:00Z", line)
        self.assertIn("timedatectl", line)
        self.assertEqual((self.taken, self.watch.lacks("media")), ([], True))

    def test_cannot_sign(self):
        """What cannot sign for the bucket changes nothing."""
        self.watch.start()
        self.gives(keys(1, 900))
        self.told()
        self.clock.advance(300)
        self.gives(keys(666))
        self.assertIn("gave what cannot sign for this bucket", self.told()[0])
        self.assertEqual((self.taken, self.watch.lacks("media")), (["ASIA1"], False))

    def test_bug(self):
        """An error of ours is told by its name alone, and looked past."""
        self.watch.start()
        self.gives(TypeError("s3cr3t"))
        self.assertIn("TypeError in s3shield", self.told()[0])
        self.clock.advance(1)
        self.assertEqual(len(self.looks), 2)

    def test_hangs(self):
        """A source that hangs has one thread, is told of, and is taken in when it answers."""
        self.watch.start()
        self.clock.pump([10.0] * 100)
        self.assertEqual(len(self.looks), 1)
        lines = self.told()
        self.assertEqual(len(lines), 4)
        self.assertIn("has not answered for 30 s", lines[0])
        self.gives(keys(1, 7200))
        self.assertEqual(self.taken, ["ASIA1"])


class Aside(SynchronousTestCase):
    """The thread of a look."""

    def test_no_thread(self):
        """A system without threads to give is a look that fails, like any other."""

        class Refused:
            def start(self):
                raise RuntimeError("can't start new thread")

        self.patch(aside, "Thread", lambda **_words: Refused())
        self.failureResultOf(run_aside(Clock(), int), RuntimeError)


class AnySequence(Case):
    """Whatever happens, in whatever order."""

    STEPS = st.one_of(
        st.just("ask"),
        st.sampled_from([0.0, 0.3, 1.0, 4.9, 5.0, 60.0, 1000.0]),
        st.sampled_from(["down", "same", "new", "short", "endless", "over", "bug"]),
    )

    @settings(deadline=None, max_examples=200)
    @given(st.lists(STEPS, max_size=40))
    def test_promises(self, steps):
        """One look at a time, a second apart; who asks is answered once, in time, and rightly."""
        self.setUp()
        begun: list[float] = []
        look = self.watch._in_thread

        def timed(*words):
            self.assertTrue(not self.looks or self.looks[-1].called, "two looks at once")
            begun.append(self.clock.seconds())
            return look(*words)

        self.watch._in_thread = timed
        asked: list[tuple[float, list[bool]]] = []
        number = 1
        self.watch.start()
        for step in steps:
            if step == "ask":
                answers: list[bool] = []
                asked.append((self.clock.seconds(), answers))
                self.watch.renew("media", answers.append)
                self.assertEqual(answers, [])
            elif isinstance(step, float):
                self.clock.pump([step / 10] * 10)
            elif not self.looks[-1].called:
                number += step != "same"
                now = self.clock.seconds()
                left = {"short": now + 3, "endless": None, "over": now - 1}.get(step, now + 3600)
                outcome = {"down": DOWN, "bug": KeyError()}.get(step, keys(number, left))
                self.gives(outcome)
                if isinstance(outcome, Fetched) and step != "over":
                    self.assertFalse(self.watch.lacks("media"))
                    self.assertEqual(self.taken[-1], f"ASIA{number}")
            for when, answers in asked:
                self.assertLessEqual(len(answers), 1)
                late = self.clock.seconds() - when > 7 + (step if isinstance(step, float) else 0)
                self.assertTrue(answers or not late, "nobody answered")
        for one, other in pairwise(begun):
            self.assertGreater(other - one, 0.49)
        self.told()


class Waiting(Case):
    """Requests that need credentials."""

    def test_at_the_start(self):
        """They wait for the first look, never answered before they have asked."""
        self.watch.start()
        self.ask()
        self.ask()
        self.assertEqual(self.answers, [])
        self.gives(keys(1))
        self.assertEqual(self.answers, [True, True])

    def test_bounded(self):
        """They wait five seconds from the look's beginning; who comes later is told at once."""
        self.watch.start()
        self.clock.advance(PATIENCE - 1)
        self.ask()
        self.clock.advance(0.9)
        self.assertEqual(self.answers, [])
        self.clock.pump([0.1, 0.0])
        self.assertEqual(self.answers, [False])
        self.ask()
        self.assertEqual(self.answers, [False])
        self.clock.advance(0)
        self.assertEqual((self.answers, len(self.looks)), ([False, False], 1))

    def test_failed(self):
        """A look that fails answers them, and those who ask just after it; then it is tried again."""
        self.watch.start()
        self.ask()
        self.gives(DOWN)
        self.assertEqual(self.answers, [False])
        self.clock.advance(0.5)
        self.ask()
        self.clock.advance(0)
        self.assertEqual((self.answers, len(self.looks)), ([False, False], 1))

    def test_expired_token(self):
        """S3 has said that the token is over: a look begins now, and all who ask share it."""
        self.watch.start()
        self.gives(keys(1))
        self.clock.advance(100)
        self.ask()
        self.ask()
        self.clock.advance(0)
        self.assertEqual(len(self.looks), 2)
        self.gives(keys(2))
        self.assertEqual(self.answers, [True, True])
        self.clock.advance(2600)
        self.assertEqual(len(self.looks), 3)

    def test_refused_for_good(self):
        """S3 refuses all that the source gives: it is asked now and then, whoever asks."""
        self.watch.start()
        self.gives(keys(1))
        for _ in range(100):
            self.ask()
            if not self.looks[-1].called:
                self.gives(keys(1))
            self.clock.advance(0.1)
        self.assertEqual(len(self.looks), 3)
        self.assertEqual((set(self.answers), self.taken), ({False}, ["ASIA1"]))

"""Key files while the daemon runs: taken in when they are good, told when they are not."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

from twisted.internet.defer import Deferred, FirstError, execute
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import load
from s3shield.ops import KeyWatch
from s3shield.ops.key_file import look
from s3shield.ops.key_watch import KEY_INTERVAL
from tests.signing.test_key_ring import DAY, HOUR, START, key


def text(keys: Iterable[object]) -> str:
    """A key file with these keys."""
    return "".join(f"{b64encode(raw).decode()}\n{scope}\n" for raw, scope in keys)


class Case(SynchronousTestCase):
    """A configuration with a key file, its watch, a clock."""

    options = "aws_signing_key_file = media.key"

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.path = self.folder / "media.key"
        self.now = float(START)
        self.events: list[dict[str, object]] = []
        self.renewed: list[tuple[str, list[str]]] = []
        self.clock = Clock()

    def begin(self, *days: int, more: str = "", then: str = "") -> KeyWatch:
        """Load with the keys of these days, and watch. then: put in the file between the two."""
        if days:
            self.put(text(map(key, days)))
        ini = self.folder / "s3shield.ini"
        ini.write_text(
            "[bucket:media]\naws_s3_bucket = m\naws_endpoint = http://s3.test\n"
            f"aws_access_key = AKIA\n{self.options}\n[location:/]\nbucket = media\n{more}"
        )
        ini.chmod(0o600)
        self.watch = KeyWatch(
            load(str(ini)).buckets.values(),
            reactor=self.clock,
            in_thread=execute,
            clock=lambda: self.now,
            renew=lambda name, new: self.renewed.append(
                (name, [each.scope.date for each in new.keys.keys])
            ),
            log=Logger(observer=self.events.append),
        )
        if then:
            self.put(then)
        self.watch.start()
        self.addCleanup(self.watch.stop)
        return self.watch

    def put(self, content: str) -> None:
        """Replace the file as a whole, as it should be done."""
        new = self.folder / "new"
        new.write_text(content)
        new.chmod(0o600)
        new.replace(self.path)

    def tick(self, times: int = 1) -> None:
        """Let the watch look again."""
        for _ in range(times):
            self.clock.advance(KEY_INTERVAL)

    def told(self) -> list[str]:
        """Return what was told since the last call, each with its level."""
        lines = [f"{each['log_level'].name}: {formatEvent(each)}" for each in self.events]
        self.events.clear()
        return lines


class Files(Case):
    """What happens to the file."""

    def test_replaced(self):
        """New keys are taken in at the next look, told with their end, once."""
        watch = self.begin(0)
        self.tick(3)
        self.assertEqual((self.renewed, self.told()), ([], []))
        self.put(text(map(key, (0, 1, 2))))
        self.tick()
        self.assertEqual(self.renewed, [("media", ["20261124", "20261125", "20261126"])])
        (line,) = self.told()
        self.assertEqual(
            line,
            f"info: bucket media: 3 signing keys from {self.path} are in use, "
            "good until 2026-12-03T00:00:00Z",
        )
        self.tick(3)
        self.assertEqual((len(self.renewed), self.told()), (1, []))
        self.assertEqual(watch.expires(), {"media": START + 9 * DAY})

    def test_changed_before_the_first_look(self):
        """What was put there between the load and the first look is found."""
        self.begin(0, then=text(map(key, (0, 1))))
        self.assertEqual(len(self.renewed), 1)

    def test_not_read_without_need(self):
        """A file that stays as it is is not opened."""
        self.begin(0)
        self.tick()
        known = next(iter(self.watch._files.values())).known
        self.assertIsNone(look(str(self.path), known).keys)
        os.utime(self.path, ns=(1, 1))
        self.assertIsNotNone(look(str(self.path), known).keys)

    def test_written_twice_within_a_tick_of_the_file_system(self):
        """A second content with the same mark as the first is found at the next look."""
        self.begin(0)
        self.tick()
        real = look

        def blind(path, known=None):
            """A file system whose marks never change."""
            found = real(path, None)
            return type(found)(found.keys, (1, 1, 1, 1, 1)) if known is None else type(found)()

        self.watch._in_thread = lambda _look, *words: execute(blind, *words)
        self.put(text(map(key, (0, 1))))
        next(iter(self.watch._files.values())).known = None
        self.tick()
        self.put(text(map(key, (0, 1, 2))))
        self.tick()
        self.assertEqual(self.renewed[-1][1][-1], "20261126")

    def test_bad_files(self):
        """Each kind of bad file is told once, with what to do; nothing changes; then it is over."""
        good = text(map(key, (0, 1)))

        def fifo() -> None:
            self.path.unlink()
            os.mkfifo(self.path)

        def folder() -> None:
            self.path.unlink()
            self.path.mkdir()
            self.addCleanup(self.path.rmdir)

        cases = [
            (self.path.unlink, "it is gone", "put it back, or make new keys with"),
            (lambda: self.path.write_text(""), "there is no key in it", "rename it there"),
            (lambda: self.path.write_text(good[:70]), "line 2: a key scope", "rename it there"),
            (lambda: self.path.write_text(good[:40]), "line 1: ", "s3shield rotate"),
            (lambda: self.path.write_bytes(b"\xff\xfe"), "it is not text", "s3shield rotate"),
            (
                lambda: self.path.write_text("[s3shield]\nlisten = x\n"),
                "line 1: the signing key is not valid base64",
                "s3shield rotate",
            ),
            (lambda: self.path.write_text("#" * (2 << 20)), "far too large", "mend it"),
            (fifo, "it is not a file", "mend it"),
            (
                lambda: self.put(text([key(0, "q")])),
                "no key in it is for r/s3, only for q/s3",
                "s3shield rotate",
            ),
            (lambda: self.put(text([key(-8)])), "none of its keys is good now", "20261116"),
            (lambda: self.put(text([key(1)])), "none of its keys is good now", "20261125"),
            (folder, "it cannot be read", "s3shield rotate"),
        ]
        for harm, problem, advice in cases:
            with self.subTest(problem=problem):
                self.begin(0)
                self.tick(2)
                harm()
                self.tick(3)
                (line,) = self.told()
                self.assertTrue(line.startswith(f"error: bucket media: {self.path}: "), line)
                self.assertIn(problem, line)
                self.assertIn(advice, line)
                self.assertIn("go on, until 2026-12-01T00:00:00Z", line)
                self.assertNotIn(good[:12], line)
                self.assertEqual(
                    (self.renewed, self.watch.expires()["media"]), ([], START + 7 * DAY)
                )
                if self.path.is_dir():
                    continue
                self.put(good)
                self.tick()
                self.assertEqual(len(self.renewed), 1)
                self.assertEqual(
                    [line.partition(": ")[0] for line in self.told()], ["info", "info"]
                )
                self.watch.stop()
                self.renewed.clear()

    def test_unreadable(self):
        """A file that may not be read is told as that."""
        self.begin(0)

        def denied(_look, path, known):
            return execute(self.patched_look, path, known)

        self.watch._in_thread = denied
        self.tick()
        (line,) = self.told()
        self.assertIn("it cannot be read: Permission denied", line)
        self.assertIn("let the daemon's user read it", line)

    def patched_look(self, path, known):
        """`look` where the system refuses."""
        self.patch(os, "stat", self.refuse)
        self.patch(os, "open", self.refuse)
        return look(path, known)

    def refuse(self, *words, **more):
        """What the system says to who may not."""
        raise PermissionError(13, "Permission denied")

    def test_gone_and_back(self):
        """The same file put back is told, and changes nothing."""
        self.begin(0)
        away = self.path.rename(self.folder / "away")
        self.tick()
        away.rename(self.path)
        self.tick()
        self.assertEqual(self.told()[1:], [f"info: bucket media: {self.path} is good again"])
        self.assertEqual(self.renewed, [])

    def test_future_keys_wait(self):
        """Keys for tomorrow that were put in place of today's are taken in tomorrow."""
        self.begin(0)
        self.put(text([key(1)]))
        self.tick()
        self.assertEqual(self.renewed, [])
        self.now += DAY
        self.tick()
        self.assertEqual(self.renewed, [("media", ["20261125"])])

    def test_expired_may_change(self):
        """Where what is loaded is over, other keys that are over do not matter."""
        self.begin(-8)
        self.put(text([key(-9)]))
        self.tick()
        self.assertEqual(self.renewed, [("media", ["20261115"])])

    def test_slow_file_system(self):
        """While a look hangs no other begins; what it finds after the stop is dropped."""
        self.begin(0)
        waiting: list[Deferred] = []

        def slow(*words):
            waiting.append(Deferred())
            return waiting[-1]

        self.watch._in_thread = slow
        self.tick(5)
        self.assertEqual(len(waiting), 1)
        self.watch.stop()
        waiting[0].callback(look(str(self.path)))
        self.assertEqual((self.renewed, self.clock.getDelayedCalls()), ([], []))

    def test_handed(self):
        """A new process gets the keys in use, whatever the file says now."""
        self.begin(0)
        self.put(text(map(key, (0, 1))))
        self.tick()
        self.path.unlink()
        self.tick()
        self.assertEqual(self.watch.in_use(), {str(self.path): text(map(key, (0, 1)))})

    def test_fault(self):
        """A fault of ours is logged, and the next look is taken all the same."""
        self.begin(0)
        self.watch._in_thread = lambda *_: execute(lambda: 1 // 0)
        self.tick()
        self.assertEqual(len(self.flushLoggedErrors(FirstError)), 1)
        self.watch._in_thread = execute
        self.put(text(map(key, (0, 1))))
        self.tick()
        self.assertEqual(len(self.renewed), 1)

    def test_two_buckets(self):
        """One file, two regions: each bucket takes its own, and is told of by its name."""
        more = (
            "[bucket:other]\naws_s3_bucket = o\naws_region = q\naws_access_key = AKIA\n"
            f"{self.options}\n[location:/o/]\nbucket = other\n"
        )
        self.options += "\naws_region = r"
        self.put(text([key(0), key(0, "q")]))
        self.begin(more=more)
        self.put(text([key(0), key(0, "q"), key(1, "q")]))
        self.tick()
        self.assertEqual(self.renewed, [("other", ["20261124", "20261125"])])
        self.assertEqual(self.watch.expires(), {"media": START + 7 * DAY, "other": START + 8 * DAY})


class Ends(Case):
    """What time does."""

    def test_life_of_a_key(self):
        """Warnings at 48 h and 24 h, an error at the end and each hour after; then new keys."""
        self.begin(0)
        told = []
        for minute in range(0, 7 * 24 * 60 + 150, 10):
            self.now = START + minute * 60.0
            self.tick()
            told += [(minute / 60, line) for line in self.told()]
        self.assertEqual(
            [(hour, line.partition(":")[0]) for hour, line in told],
            [(120, "warn"), (144, "warn"), (168, "error"), (169, "error"), (170, "error")],
        )
        for hour, line in told:
            self.assertIn("2026-12-01T00:00:00Z", line, hour)
            self.assertIn(f"s3shield rotate {self.path}", line)
        self.assertIn("good for 48 h more", told[0][1])
        self.assertIn("is over since", told[2][1])
        self.put(text(map(key, (7, 8, 9))))
        self.tick()
        self.assertEqual([line.partition(":")[0] for line in self.told()], ["info"])

    def test_at_the_start(self):
        """A daemon that starts with keys that end soon, or are over, says so at once."""
        for day, level, words in (
            (-6, "warn", "is good for 24 h more"),
            (-7, "error", "is over since 2026-11-24T00:00:00Z: S3 refuses"),
            (1, "error", "is for 20261125, a day to come"),
        ):
            self.begin(day)
            (line,) = self.told()
            self.assertTrue(line.startswith(level), line)
            self.assertIn(words, line)
            self.watch.stop()


class Static(Case):
    """A key in the configuration itself."""

    options = "aws_signing_key = {}\naws_key_scope = {}".format(*text([key(0)]).split())

    def test_told(self):
        """Its end is told too, with what to do about such a one, and is no secret."""
        watch = self.begin()
        self.assertEqual(watch.expires(), {"media": START + 7 * DAY})
        self.now += 6 * DAY + HOUR
        self.tick()
        (line,) = self.told()
        self.assertTrue(line.startswith("warn: "), line)
        self.assertIn("is good for 23 h more", line)
        self.assertIn("s3shield.ini:2", line)
        self.assertIn("`s3shield reload`", line)

    def test_secret(self):
        """A bucket that signs with a secret has no end, and is not watched."""
        self.options = "aws_secret_key = s3cr3t\naws_region = r"
        self.assertEqual(self.begin().expires(), {})
        self.assertEqual(self.watch.in_use(), {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

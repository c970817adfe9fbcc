"""Certificates are loaded again when their files change, and stay when those are not good."""

from pathlib import Path

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.certificate_watch import CERTIFICATE_INTERVAL, CertificateWatch
from s3shield.wire import Certificate
from tests.wire.certificates import Authority


class Lines:
    """A log that keeps (level, text)."""

    def __init__(self):
        self.seen = []

    def info(self, text, **values):
        """Keep it."""
        self.seen.append(("info", text.format(**values)))

    def error(self, text, **values):
        """Keep it."""
        self.seen.append(("error", text.format(**values)))


class WatchTests(SynchronousTestCase):
    def setUp(self):
        """Watch one certificate that was loaded, and another one beside it."""
        self.authority = Authority()
        self.base = self.mktemp()
        self.path, self.key = self.authority.files(self.base, "a.test")
        self.certificate = Certificate([(self.path, self.key)])
        other = Certificate([self.authority.files(self.mktemp(), "b.test")])
        self.first = self.certificate.loaded()
        other.loaded()
        self.clock, self.log = Clock(), Lines()
        self.watch = CertificateWatch(
            [self.certificate, other], reactor=self.clock, in_thread=maybeDeferred, log=self.log
        )
        self.watch.start()
        self.addCleanup(self.watch.stop)

    def tick(self, times=1):
        """Let it look; return the new lines of the log."""
        self.log.seen.clear()
        for _ in range(times):
            self.clock.advance(CERTIFICATE_INTERVAL)
        return list(self.log.seen)

    def test_nothing_changed(self):
        """What is loaded stays what it is."""
        self.assertEqual(self.tick(5), [])
        self.assertIs(self.certificate.current, self.first)

    def test_changed(self):
        """A new pair is taken at the next look, and told once."""
        self.authority.files(self.base, "a.test")
        ((level, text),) = self.tick(5)
        self.assertEqual(level, "info")
        self.assertRegex(text, f"certificate {self.path} is in use, good until 20..-..-..")
        self.assertIsNot(self.certificate.current, self.first)

    def test_changed_twice(self):
        """What changes again in the same moment of the file system's clock is not missed."""
        self.authority.files(self.base, "a.test")
        self.tick()
        second = self.certificate.current
        self.tick()
        self.assertIsNot(self.certificate.current, second)

    def test_between_two_files(self):
        """The certificate is there a moment before its key: nobody is told."""
        new, new_key = self.authority.files(self.mktemp(), "a.test")
        Path(self.path).write_bytes(Path(new).read_bytes())
        self.assertEqual(self.tick(), [])
        self.assertIs(self.certificate.current, self.first)
        Path(self.key).write_bytes(Path(new_key).read_bytes())
        self.assertEqual([level for level, _ in self.tick(3)], ["info"])
        self.assertIsNot(self.certificate.current, self.first)

    def test_bad(self):
        """Each fault that lasts is one line; the old one goes on; what is good again is told."""
        whole = Path(self.key).read_bytes()
        _, strange = self.authority.files(self.mktemp(), "c.test")
        for data, words in (
            (whole[: len(whole) // 2], "damaged or not complete"),
            (b"", "there is no private key in it"),
            (Path(strange).read_bytes(), "this is not the key of the certificate"),
            (None, "No such file"),
        ):
            Path(self.key).unlink(missing_ok=True)
            if data is not None:
                Path(self.key).write_bytes(data)
            ((level, text),) = self.tick(6)
            self.assertEqual(level, "error")
            self.assertIn(f"certificate {self.path}: ", text)
            self.assertIn(words, text)
            self.assertIn("the one that is loaded goes on", text)
            self.assertIs(self.certificate.current, self.first)
        Path(self.key).write_bytes(whole)
        self.assertEqual([level for level, _ in self.tick(3)], ["info"])

    def test_one_of_many(self):
        """A bad one does not keep the others from being renewed."""
        Path(self.key).write_bytes(b"")
        more = Certificate([self.authority.files(f"{self.base}2", "c.test")])
        before = more.loaded()
        watch = CertificateWatch(
            [self.certificate, more], reactor=self.clock, in_thread=maybeDeferred
        )
        self.authority.files(f"{self.base}2", "c.test")
        self.successResultOf(watch.check())
        self.assertIsNot(more.current, before)
        self.assertIs(self.certificate.current, self.first)

    def test_stopped(self):
        """Nothing is looked at any more."""
        self.watch.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

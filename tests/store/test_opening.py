"""Body files are opened on the loop when no disk is needed, else in a thread."""

import errno
import os
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Store, cached_open
from s3shield.store.cached_open import opener

from .support import HEAD, Loop, Threads, digest_of, meta

BODY = b"body" * 20_000
DIGEST = digest_of(b"key")


def can_open() -> bool:
    """Whether this system has openat2 with RESOLVE_CACHED."""
    fd = opener()(b"/")
    if fd is not None:
        os.close(fd)
    return fd is not None


CAN = can_open()


class OpeningTests(SynchronousTestCase):
    def setUp(self):
        """A store with one body file that is settled and not open."""
        self.path = Path(self.mktemp()).absolute()
        self.threads = Threads()
        self.store = Store(self.path, reactor=Loop(), pool=self.threads, shared=False)
        self.addCleanup(self.store.close)
        writer = self.store.create_body(DIGEST)
        writer.write(BODY)
        self.entry = self.successResultOf(writer.commit(b"key", meta(), HEAD))
        self.store.flush()
        self.store._open_files.shrink(0)
        (self.file,) = (name for name in (self.path / "blobs").rglob("*") if name.is_file())

    def body_of(self, file):
        """What it reads, at once; the file is let go of."""
        found = bytes(file.read_now(0, len(BODY)))
        file.close()
        return found

    @skipUnless(CAN, "this system cannot tell whether a name is cached")
    def test_without_a_thread(self):
        """The name is in the kernel's cache: no thread is asked, and it stays open."""
        self.threads.held = True
        self.assertEqual(self.body_of(self.store.open_body(self.entry)), BODY)
        self.assertEqual(self.store.stats().open_files, 1)
        self.assertEqual(self.threads.waiting, [])

    def test_not_now(self):
        """Where the kernel cannot say so a thread opens it."""
        self.patch(self.store._place.bodies, "_open_cached", lambda _path: None)
        self.assertIsNone(self.store.open_body(self.entry))
        opened = self.successResultOf(self.store.open_body_later(self.entry))
        self.assertEqual(self.body_of(opened), BODY)
        self.assertEqual(self.body_of(self.store.open_body(self.entry)), BODY)

    def test_another_size(self):
        """A file that was cut is not opened here; a thread finds out, and the entry goes."""
        os.truncate(self.file, 5000)
        before = len(os.listdir("/proc/self/fd")) if CAN else 0
        self.assertIsNone(self.store.open_body(self.entry))
        self.assertEqual(len(os.listdir("/proc/self/fd")) if CAN else 0, before)
        self.assertIsNone(self.successResultOf(self.store.open_body_later(self.entry)))
        self.assertIsNone(self.store.get(DIGEST, b"key"))

    def test_gone(self):
        """The same where it was deleted."""
        self.file.unlink()
        self.assertIsNone(self.store.open_body(self.entry))
        self.assertIsNone(self.successResultOf(self.store.open_body_later(self.entry)))
        self.assertIsNone(self.store.get(DIGEST, b"key"))

    def test_doubtful(self):
        """After an unclean stop of the system a thread compares it first."""
        self.store._place.era += 1
        self.assertIsNone(self.store.open_body(self.entry))
        opened = self.successResultOf(self.store.open_body_later(self.entry))
        self.assertEqual(self.body_of(opened), BODY)


class OpenerTests(SynchronousTestCase):
    @skipUnless(CAN, "this system has no openat2")
    def test_open(self):
        """A descriptor that is not inherited; None for what is not there."""
        path = Path(self.mktemp()).absolute()
        path.write_bytes(b"hello")
        fd = opener()(os.fsencode(path))
        self.addCleanup(os.close, fd)
        self.assertEqual(os.read(fd, 9), b"hello")
        self.assertFalse(os.get_inheritable(fd))
        self.assertIsNone(opener()(os.fsencode(path) + b".not"))

    @skipUnless(CAN, "this system has no openat2")
    def test_forbidden(self):
        """Once the system has refused the call it is not made any more."""
        open_cached = opener()
        self.patch(cached_open.ctypes, "get_errno", lambda: errno.ENOSYS)
        self.assertIsNone(open_cached(b"/not there"))
        self.assertIsNone(open_cached(b"/"))
        self.patch(cached_open.sys, "platform", "darwin")
        self.assertIsNone(opener()(b"/"))

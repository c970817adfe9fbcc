"""Body files: written behind the event loop's back, read at any time, never named half-done."""

import errno
import os
from functools import partial
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import maybeDeferred
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import is_no_room, writing
from s3shield.store.files import BodyFile, OpenFiles
from s3shield.store.record import Entry, restamped

from .support import HEAD, Loop, StoreTests, Threads, digest_of, meta

DIGEST = digest_of(b"key")


class WriterTests(StoreTests, SynchronousTestCase):
    def commit(self, writer, **changes):
        """End the body now."""
        return self.successResultOf(writer.commit(b"key", meta(**changes), HEAD))

    def test_written_and_found(self):
        """A body that was committed is found with its bytes, before and after the index's commit."""
        store = self.make_store(block_shift=12)
        body = os.urandom(10_000)
        entry = self.put_file(store, b"key", body)
        self.assertEqual((entry.size, entry.body, len(entry.checksums)), (10_000, None, 3))
        self.assertEqual(self.body_of(store, self.get(store, b"key")), body)
        store.flush()
        self.assertEqual(self.files("filling"), [])
        self.assertEqual(self.files("blobs"), [entry.blob.hex()])
        self.assertEqual(self.body_of(store, self.get(store, b"key")), body)
        store.close()
        store = self.make_store(self.path)
        self.assertEqual(self.body_of(store, self.get(store, b"key")), body)

    def test_found_by_name_before_it_is_moved(self):
        """Another process may find the entry while the file is still in `filling`."""
        store = self.make_store()
        entry = self.put_file(store, b"key", b"hello")
        store._open_files.shrink(0)
        self.assertIsNone(store.open_body(entry))
        self.assertEqual(self.body_of(store, entry), b"hello")

    def test_empty(self):
        """A body without bytes can be committed."""
        store = self.make_store()
        writer = store.create_body(DIGEST, 0)
        self.assertEqual(self.commit(writer).size, 0)
        store.flush()
        self.assertEqual(self.body_of(store, self.get(store, b"key")), b"")

    def test_nothing_before_commit(self):
        """Without a commit there is no entry, and after an abort no file."""
        store = self.make_store()
        writer = store.create_body(DIGEST)
        writer.write(b"hello")
        self.assertIsNone(self.get(store, b"key"))
        self.assertEqual(len(self.files("filling")), 1)
        writer.abort()
        self.assertEqual(self.files("filling"), [])
        self.assertIsNone(self.commit(writer))
        self.assertIsNone(self.get(store, b"key"))

    def test_not_as_long_as_expected(self):
        """A body that is shorter or longer than announced is not stored."""
        store = self.make_store()
        for expected in (4, 6):
            writer = store.create_body(DIGEST, expected)
            writer.write(b"hello")
            self.assertIsNone(self.commit(writer))
            self.assertIsNone(self.get(store, b"key"))
            self.assertEqual(self.files("filling"), [])

    def test_backlog(self):
        """Bytes wait while the disk is busy; `on_drain` says when there are few again."""
        store = self.make_store()
        self.threads.held = True
        writer = store.create_body(DIGEST)
        drained = []
        writer.on_drain = lambda: drained.append((writer.written, writer.backlog))
        for _ in range(3):
            writer.write(b"x" * 1_000_000)
        self.assertEqual((writer.written, writer.backlog), (0, 3_000_000))
        self.assertIsNone(writer.reader())
        self.threads.waiting.pop(0)()
        self.assertEqual((writer.written, writer.backlog, drained), (1_000_000, 2_000_000, []))
        self.threads.run()
        self.assertEqual(drained, [(3_000_000, 0)])

    def test_commit_waits_for_the_disk(self):
        """The entry is there when the last byte is in the file, not before."""
        store = self.make_store()
        self.threads.held = True
        writer = store.create_body(DIGEST)
        writer.write(b"hel")
        writer.write(b"lo")
        done = writer.commit(b"key", meta(), HEAD)
        self.assertNoResult(done)
        self.assertIsNone(self.get(store, b"key"))
        self.threads.held = False
        self.threads.run()
        self.assertEqual(self.successResultOf(done).size, 5)
        self.assertEqual(self.body_of(store, self.get(store, b"key")), b"hello")

    def test_abort_while_busy(self):
        """An abort while a thread writes leaves no file behind, and ends a pending commit."""
        for committed in (False, True):
            store = self.make_store()
            self.threads.held = True
            writer = store.create_body(DIGEST)
            writer.write(b"hello")
            done = writer.commit(b"key", meta(), HEAD) if committed else None
            writer.abort()
            writer.write(b"more")
            self.threads.run()
            self.assertEqual(self.files("filling"), [])
            if done is not None:
                self.assertIsNone(self.successResultOf(done))
            store.close()

    def test_reader_of_growing_file(self):
        """A reader gets what is written so far, and keeps it when the body is aborted."""
        store = self.make_store()
        writer = store.create_body(DIGEST)
        writer.write(b"hello")
        file = writer.reader()
        self.assertEqual(bytes(file.read_now(1, 100) or b""), b"ello")
        self.assertEqual(file.read_now(5, 100), b"")
        writer.write(b" world")
        self.assertEqual(self.successResultOf(file.read(5, 100)), b" world")
        writer.abort()
        self.assertEqual(self.successResultOf(file.read(0, 100)), b"hello world")
        file.close()

    def test_reader_after_commit(self):
        """A reader that joins a writer which has committed still gets the file."""
        store = self.make_store()
        writer = store.create_body(DIGEST)
        writer.write(b"hello")
        self.commit(writer)
        file = writer.reader()
        self.assertEqual(self.successResultOf(file.read(0, 100)), b"hello")
        file.close()

    def test_failure(self):
        """What the disk refuses fails the writer, not its caller; readers keep what there is."""
        store = self.make_store()
        for number, room in ((errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)):
            writer = store.create_body(DIGEST)
            calls = []
            writer.on_error = lambda: calls.append(writer.failed)  # noqa: B023 (called in turn)
            writer.write(b"hello")
            error = OSError(number, "as told")
            patched = self.patch(writing, "_pwritev", lambda *_: self.refuse(error))  # noqa: B023
            writer.write(b"more")
            writer.write(b"and more")
            self.assertEqual(calls, [error])
            self.assertEqual(is_no_room(error), room)
            self.assertEqual((writer.written, writer.backlog), (5, 0))
            file = writer.reader()
            self.assertEqual(self.successResultOf(file.read(0, 9)), b"hello")
            file.close()
            self.assertIsNone(self.commit(writer))
            self.assertEqual(self.files("filling"), [])
            patched.restore()
        self.assertEqual(len(self.troubles), 3)
        self.assertIsNotNone(self.put_file(store, b"key"))

    def refuse(self, error):
        """Fail as a disk does."""
        raise error

    def test_too_many_open_files(self):
        """Without a descriptor a body fails, and kept ones are let go of."""
        store = self.make_store()
        for number in range(8):
            self.put_file(store, b"%d" % number)
        self.patch(
            store._place.bodies,
            "create",
            lambda *_: self.refuse(OSError(errno.EMFILE, "Too many open files")),
        )
        writer = store.create_body(DIGEST)
        writer.write(b"hello")
        self.assertEqual(writer.failed.errno, errno.EMFILE)
        self.assertEqual(store.stats().open_files, 4)

    def test_cut_short(self):
        """A file that ends too early is not used again, though it is open; its entry goes."""
        store = self.make_store()
        entry = self.put_file(store, b"file", b"x" * 10_000)
        store.flush()
        (name,) = self.names()
        os.truncate(name, 5000)
        file = store.open_body(entry)
        self.assertEqual(len(self.successResultOf(file.read(0, 10_000))), 5000)
        file.close()
        self.assertIsNone(store.open_body(entry))
        self.assertIsNone(self.successResultOf(store.open_body_later(entry)))
        self.assertIsNone(self.get(store, b"file"))

    def names(self):
        """The body files."""
        return [name for name in (self.path / "blobs").rglob("*") if name.is_file()]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.binary(max_size=9000), max_size=20))
    def test_any_pieces(self, pieces):
        """The file is the pieces in order, and its checksums are right."""
        store = self.make_store(block_shift=12)
        entry = self.write_all(store, pieces)
        self.assertEqual(self.body_of(store, entry), b"".join(pieces))
        stale = Entry(restamped(entry.raw, 7), entry.digest)  # to be verified
        store._open_files.shrink(0)
        self.assertEqual(self.body_of(store, stale), b"".join(pieces))
        store.close()

    def write_all(self, store, pieces):
        """Store a body piece by piece."""
        writer = store.create_body(DIGEST, sum(map(len, pieces)))
        for piece in pieces:
            writer.write(piece)
        return self.commit(writer)


class OpenTests(StoreTests, SynchronousTestCase):
    def test_file_gone(self):
        """An entry whose file is gone is dropped."""
        store = self.make_store()
        entry = self.put_file(store, b"key")
        store.flush()
        store._open_files.shrink(0)
        store._place.bodies.delete(entry.digest, entry.blob)
        self.assertIsNone(self.body_of(store, entry))
        self.assertIsNone(self.get(store, b"key"))

    def test_file_of_replaced_entry(self):
        """That the file of an older entry is gone says nothing about the newer one."""
        store = self.make_store()
        old = self.put_file(store, b"key", b"old")
        store.flush()
        self.put_file(store, b"key", b"new")
        store.flush()
        store._open_files.shrink(0)
        self.assertIsNone(self.body_of(store, old))
        self.assertEqual(self.body_of(store, self.get(store, b"key")), b"new")
        self.assertEqual(len(self.files("blobs")), 1)

    def test_wrong_size(self):
        """A file that is shorter than the index says is never read."""
        store = self.make_store()
        entry = self.put_file(store, b"key", b"hello")
        store.flush()
        store._open_files.shrink(0)
        os.truncate(next(f for f in (self.path / "blobs").rglob("*") if f.is_file()), 4)
        self.assertIsNone(self.body_of(store, entry))
        self.assertIsNone(self.get(store, b"key"))

    def test_verified_after_crash(self):
        """After an unclean stop a damaged body is dropped, and a sound one verified once."""
        store = self.make_store()
        entry = self.put_file(store, b"key", b"hello")
        self.put_file(store, b"sound", b"sound")
        store.flush()
        store._open_files.shrink(0)
        blob = next((self.path / "blobs").rglob(entry.blob.hex()))
        blob.write_bytes(b"hellO")
        store._place.era = 1
        self.assertIsNone(self.body_of(store, entry))
        self.assertIsNone(self.get(store, b"key"))
        self.assertEqual(self.body_of(store, self.get(store, b"sound")), b"sound")
        self.assertEqual(self.get(store, b"sound").era, 1)

    def test_cannot_be_opened(self):
        """A file that cannot be opened for now stays in the cache."""
        store = self.make_store()
        entry = self.put_file(store, b"key")
        store._open_files.shrink(0)
        self.patch(store._place.bodies, "open", self.refuse)
        self.assertIsNone(self.body_of(store, entry))
        self.assertEqual(len(self.troubles), 1)
        self.assertIsNotNone(self.get(store, b"key"))

    def refuse(self, *_):
        """Have no descriptor left."""
        raise OSError(errno.EMFILE, "Too many open files")

    def test_readers_outlive_the_entry(self):
        """Whoever has the file open reads on when the entry is removed."""
        store = self.make_store()
        entry = self.put_file(store, b"key", b"hello")
        file = store.open_body(entry)
        store.remove(entry.digest)
        store.flush()
        self.assertEqual(self.files("blobs"), [])
        store.release_deleted()
        self.assertEqual(store.stats().open_files, 0)
        self.assertEqual(bytes(file.read_now(0, 5)), b"hello")
        file.close()

    def test_superseded_before_its_commit(self):
        """A body that is replaced or removed before it is committed leaves no file."""
        store = self.make_store()
        for _ in range(3):
            self.put_file(store, b"key", b"body")
        store.flush()
        self.put_file(store, b"other")
        store.remove(digest_of(b"other"))
        store.flush()
        self.put(store, b"third")
        store.flush()
        self.assertEqual(len(self.files("blobs")), 1)
        self.assertEqual(self.files("filling"), [])
        self.assertEqual(self.body_of(store, self.get(store, b"key")), b"body")

    def test_freshened_keeps_its_file(self):
        """Freshening an entry leaves its body file alone, in whatever state it is."""
        store = self.make_store()
        entry = self.put_file(store, b"key", b"body")
        store.freshen(entry, meta(fresh_until=1.0), HEAD)
        store.flush()
        store.freshen(entry, meta(fresh_until=2.0), HEAD)
        store.freshen(entry, meta(fresh_until=3.0), HEAD)
        store.flush()
        store._open_files.shrink(0)
        found = self.get(store, b"key")
        self.assertEqual((found.fresh_until, self.body_of(store, found)), (3.0, b"body"))


class FileTests(SynchronousTestCase):
    def open(self, content):
        """A body file with that content, its pool working at once."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        return BodyFile(os.open(path, os.O_RDONLY), len(content), maybeDeferred)

    def test_would_block(self):
        """What is not in memory is None now, and there later."""
        file = self.open(b"hello")
        self.patch(os, "preadv", self.raising(BlockingIOError(errno.EAGAIN, "")))
        self.assertIsNone(file.read_now(0, 5))
        self.assertEqual(self.successResultOf(file.read(0, 5)), b"hello")

    def test_partly_in_memory(self):
        """A short result is given as it is."""

        def short(_fd, buffers, _offset, _flags):
            buffers[0][:2] = b"he"
            return 2

        self.patch(os, "preadv", short)
        self.assertEqual(bytes(self.open(b"hello").read_now(0, 5)), b"he")

    def test_no_nowait(self):
        """Where the file system has no RWF_NOWAIT it is read plainly from then on."""
        file = self.open(b"hello")
        self.patch(os, "preadv", self.raising(OSError(errno.EOPNOTSUPP, "")))
        self.assertEqual(file.read_now(1, 3), b"ell")
        self.patch(os, "preadv", self.raising(AssertionError("asked again")))
        self.assertEqual(file.read_now(1, 3), b"ell")

    def test_disk_error(self):
        """A disk error is left to `read`, which fails with it."""
        file = self.open(b"hello")
        self.patch(os, "preadv", self.raising(OSError(errno.EIO, "")))
        self.assertIsNone(file.read_now(0, 5))
        self.patch(os, "pread", self.raising(OSError(errno.EIO, "")))
        self.failureResultOf(file.read(0, 5), OSError)

    def raising(self, error):
        """A function that fails whatever it is given."""

        def refuse(*_):
            raise error

        return refuse

    def test_open_while_a_thread_reads(self):
        """The descriptor stays open until the thread has read, though its user has left."""
        threads = Threads()
        threads.held = True
        file = self.open(b"hello")

        def in_thread(function, *args):
            return deferToThreadPool(Loop(), threads, function, *args)

        file._threads = in_thread
        reading = file.read(0, 5)
        file.close()
        threads.run()
        self.assertEqual(self.successResultOf(reading), b"hello")
        self.assertEqual(file._fd, -1)

    def test_large_is_closed_in_a_thread(self):
        """The last close of a deleted file frees its blocks: not on the event loop."""
        threads = Threads()
        threads.held = True
        path = Path(self.mktemp())
        path.touch()
        os.truncate(path, 64 << 20)
        fd = os.open(path, os.O_RDONLY)
        file = BodyFile(fd, 64 << 20, partial(deferToThreadPool, Loop(), threads))
        path.unlink()
        file.close()
        os.fstat(fd)  # it is open
        threads.run()
        self.assertRaises(OSError, os.fstat, fd)

    def test_kept_open(self):
        """The least recently used file is closed beyond the limit; a user keeps its own."""
        files = OpenFiles(2)
        made = [self.open(b"%d" % number) for number in range(3)]
        used = made[0].hold()
        files.add(b"0", made[0])
        files.add(b"1", made[1])
        files.get(b"0").close()
        files.add(b"2", made[2])
        self.assertIsNone(files.get(b"1"))
        self.assertEqual(made[1]._fd, -1)
        files.shrink(0)
        self.assertEqual(bytes(used.read_now(0, 1)), b"0")
        used.close()
        self.assertEqual(made[0]._fd, -1)

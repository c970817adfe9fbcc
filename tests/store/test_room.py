"""No room, and no directory: requests are not disturbed, and the store recovers by itself."""

import errno
import os
import shutil
import subprocess
import threading
from pathlib import Path

import lmdb
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.store import Limits, committing, is_no_room

from .support import HEAD, StoreTests, digest_of, meta
from .test_sharing import Worker


class SmallDiskTests(StoreTests, SynchronousTestCase):
    """On a file system of 4 MiB."""

    def setUp(self):
        """Mount it, where that is permitted."""
        mount = Path(self.mktemp()).absolute()
        mount.mkdir(parents=True)
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount],
            check=False,
            capture_output=True,
        )
        if made.returncode:
            raise SkipTest(f"a tmpfs cannot be mounted: {made.stderr.decode().strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", mount], check=True)
        self.mount = mount

    def fill(self, store, prefix, count, body):
        """Store so many entries, committing often."""
        for number in range(count):
            self.put(store, prefix + b"%d" % number, body)
            if number % 10 == 9:
                store.flush()
        store.flush()

    def test_index_fills_the_disk(self):
        """Inline entries beyond the disk's end: nothing raises, old ones go, new ones stay."""
        store = self.make_store(self.mount / "cache")
        for turn in range(3):
            self.now += 60
            self.fill(store, b"%d-" % turn, 400, b"x" * 8000)
            self.settle(store)
            self.assertEqual(len(self.get(store, b"last").body), 8000)
        self.assertGreater(len(self.troubles), 0)
        stats = store.stats()
        self.assertGreater(stats.entries, 100)
        store.close()
        store = self.make_store(self.mount / "cache")
        self.assertEqual(len(self.get(store, b"last").body), 8000)
        self.assertEqual(store.stats().entries, stats.entries)

    def settle(self, store):
        """Put one entry until it stays, a bounded number of times."""
        for _ in range(20):
            self.put(store, b"last", b"x" * 8000)
            store.flush()
            if self.get(store, b"last") is not None:
                return

    def test_bodies_fill_the_disk(self):
        """Body files beyond the disk's end: each is whole or not stored, and space comes back."""
        store = self.make_store(self.mount / "cache")
        stored = 0
        for number in range(40):
            self.now += 60
            key = b"%d" % number
            writer = store.create_body(digest_of(key), 300_000)
            for _ in range(3):
                writer.write(b"%d" % (number % 10) * 100_000)
            entry = self.successResultOf(writer.commit(key, meta(), HEAD))
            writer.abort()
            store.flush()
            self.wait_for_jobs(store)
            if entry is not None:
                stored += 1
            else:
                self.assertTrue(is_no_room(writer.failed))
        self.assertGreater(stored, 20)
        self.assertLess(stored, 40)
        store._open_files.shrink(0)
        whole = 0
        for number in range(40):
            entry = self.get(store, b"%d" % number)
            if entry is not None:
                self.assertEqual(self.body_of(store, entry), b"%d" % (number % 10) * 300_000)
                whole += 1
        self.assertGreater(whole, 3)
        self.assertEqual(len(self.files("blobs")), whole)
        self.assertEqual(self.files("filling"), [])

    def test_bodies_fail_together(self):
        """Room is made once for bodies that fail at the same time, not once for each."""
        store = self.make_store(self.mount / "cache")
        for number in range(4):
            self.now += 60
            self.put_file(store, b"%d" % number, b"x" * 300_000)
        store.flush()
        self.patch(committing, "_ROOM_FOR_BODY", 1)  # the oldest entry
        for bodies, left in ((5, [1, 2, 3]), (1, [2, 3])):
            held, go = threading.Event(), threading.Event()
            self.addCleanup(go.set)
            store._commits.run(lambda held=held, go=go: (held.set(), go.wait(60)))
            self.assertTrue(held.wait(60))
            for number in range(bodies):
                writer = store.create_body(digest_of(b"big %d" % number))
                writer.write(bytes(5 << 20))
                self.assertTrue(is_no_room(writer.failed))
                writer.abort()
            go.set()
            self.wait_for_jobs(store)
            found = [number for number in range(4) if self.get(store, b"%d" % number)]
            self.assertEqual(found, left)
            self.assertEqual(len(store._open_files), len(left))

    def test_min_free(self):
        """Body files go, oldest first, until the disk has what it is to keep free."""
        store = self.make_store(self.mount / "cache")
        self.put(store, b"inline")
        for number in range(6):
            self.now += 60
            self.put_file(store, b"%d" % number, b"x" * 400_000)
        store.flush()
        free = os.statvfs(self.mount)
        wanted = free.f_bavail * free.f_frsize + 500_000
        gone = []
        store.keep_within(Limits(min_free=wanted)).addCallback(gone.append)
        self.wait_for_sweeps(store)
        self.assertEqual(gone, [2])
        self.assertIsNotNone(self.get(store, b"inline"))
        found = [number for number in range(6) if self.get(store, b"%d" % number)]
        self.assertEqual(found, [2, 3, 4, 5])
        store.release_deleted()
        free = os.statvfs(self.mount)
        self.assertGreaterEqual(free.f_bavail * free.f_frsize, wanted)

    def test_purge_on_a_full_disk(self):
        """A removal that cannot be committed stays in force, and is committed in the end."""
        store = self.make_store(self.mount / "cache")
        self.put(store, b"key")
        store.flush()
        apply = store._place.index.apply
        refuse = [3]

        def refusing(*args):
            if refuse[0]:
                refuse[0] -= 1
                raise lmdb.DiskError("mdb_txn_commit", errno.ENOSPC)
            return apply(*args)

        self.patch(store._place.index, "apply", refusing)
        store.remove(digest_of(b"key"))
        for _ in range(5):
            self.assertIsNone(self.get(store, b"key"))
            store.flush()
        self.assertIsNone(store._place.index.get(digest_of(b"key")))
        self.assertEqual(store.stats().pending, 0)


class LimitedFileTests(StoreTests, SynchronousTestCase):
    def test_file_size_limit(self):
        """With a limit on file sizes (EFBIG) a worker goes on, and stores again what fits."""
        self.make_store().close()
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        self.assertEqual(worker(b"put", b"before", b"body"), b"ok")
        worker(b"flush")
        size = (self.path / "index" / "data.mdb").stat().st_size
        worker(b"limit-files", b"%d" % size)
        self.assertEqual(worker(b"put-file", b"big", b"x" * (size + 1)), b"ok")
        self.assertEqual(worker(b"get", b"big"), b"none")
        for number in range(30):
            self.assertEqual(worker(b"put", b"%d" % number, b"x" * 5000), b"ok")
            worker(b"flush")
        worker(b"close")
        worker.end()
        store = self.make_store(self.path)
        self.assertEqual(self.files("filling"), [])
        self.put(store, b"after")
        store.flush()
        self.assertIsNotNone(self.get(store, b"after"))


class DeletedTests(StoreTests, SynchronousTestCase):
    """Somebody deletes the cache's directory while it is in use."""

    def test_everything_deleted(self):
        """What was there is a miss, and the store starts anew."""
        for shared in (False, True):
            store = self.make_store(shared=shared)
            self.put(store, b"key")
            entry = self.put_file(store, b"file")
            store.flush()
            shutil.rmtree(self.path)
            store._open_files.shrink(0)
            self.assertIsNone(self.body_of(store, entry))
            self.put(store, b"new")
            store.flush()
            self.put_file(store, b"new file", b"body")
            store.flush()
            self.assertIsNone(self.get(store, b"key"))
            self.assertEqual(self.body_of(store, self.get(store, b"new file")), b"body")
            self.assertIsNotNone(self.get(store, b"new"))
            store.close()
            store = self.make_store(self.path, shared=shared)
            self.assertEqual(self.body_of(store, self.get(store, b"new file")), b"body")
            self.assertEqual(store.stats().entries, 2)
            store.close()

    def test_cannot_be_made_again(self):
        """While the directory cannot be made again, everything is a miss and nothing raises."""
        store = self.make_store()
        self.put(store, b"key")
        store.flush()
        shutil.rmtree(self.path)
        self.path.write_text("in the way")
        self.put(store, b"new")
        store.flush()
        writer = store.create_body(digest_of(b"file"))
        writer.write(b"body")
        self.assertIsNotNone(writer.failed)
        self.assertIsNone(self.get(store, b"key"))
        self.assertIsNone(self.get(store, b"new"))
        store.remove(digest_of(b"new"))
        store.flush()
        self.assertEqual(store.stats().entries, 0)
        self.path.unlink()
        self.put(store, b"again")
        store.flush()
        self.put(store, b"again")
        store.flush()
        self.assertIsNotNone(self.get(store, b"again"))

    def test_filling_deleted(self):
        """A folder that is missing is made when it is needed."""
        store = self.make_store()
        shutil.rmtree(self.path / "filling")
        shutil.rmtree(self.path / "blobs")
        entry = self.put_file(store, b"file", b"body")
        store.flush()
        store._open_files.shrink(0)
        self.assertEqual(self.body_of(store, entry), b"body")
        self.assertEqual(len(self.files("blobs")), 1)


class PanicTests(StoreTests, SynchronousTestCase):
    def test_opened_anew(self):
        """When LMDB refuses to go on, the index is opened anew and what was committed is there."""
        store = self.make_store()
        self.put(store, b"key")
        store.flush()
        self.patch(store._place.index, "apply", self.panic)
        self.put(store, b"lost")
        store.flush()
        self.patch(
            store._place.index, "apply", type(store._place.index).apply.__get__(store._place.index)
        )
        self.assertIsNone(self.get(store, b"lost"))
        self.put(store, b"new")
        store.flush()
        self.assertIsNotNone(self.get(store, b"key"))
        self.assertIsNotNone(self.get(store, b"new"))

    def panic(self, *_):
        """Fail as LMDB does after a write of its meta page has failed."""
        raise lmdb.PanicError("mdb_txn_begin")

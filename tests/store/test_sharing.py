"""Several processes and one store: seen at once, and killed at any instant."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from .support import StoreTests, digest_of, meta
from .worker import KEYS, body_of

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """Another process with the same store."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.store.worker", str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.expect(b"ready")

    def expect(self, wanted):
        """Read one line, which has to be this."""
        found = self.process.stdout.readline().rstrip(b"\n")
        if found != wanted:
            raise AssertionError((found, self.process.stderr.read()))

    def __call__(self, *words):
        """Send one command; return its answer."""
        self.send(*words)
        return self.process.stdout.readline().rstrip(b"\n")

    def send(self, *words):
        """Send one command."""
        self.process.stdin.write(b" ".join(words) + b"\n")
        self.process.stdin.flush()

    def kill(self):
        """End it as the kernel's out-of-memory killer does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self):
        """End it, whatever it is doing."""
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()


class SharingTests(StoreTests, SynchronousTestCase):
    def make_worker(self):
        """Start another process with our store."""
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        return worker

    def hold_commits(self, store):
        """From now on nothing of this process's is committed; others see it all the same."""
        self.patch(store._committing, "commit", lambda *_: None)

    def test_seen_at_once(self):
        """What one process puts, freshens or removes is so for the other at once."""
        store = self.make_store()
        worker = self.make_worker()
        self.hold_commits(store)
        self.put(store, b"key", b"one")
        self.assertEqual(worker(b"get", b"key"), b"one")
        self.put(store, b"key", b"two")
        self.assertEqual(worker(b"get", b"key"), b"two")
        self.put_file(store, b"file", b"three")
        self.assertEqual(worker(b"get", b"file"), b"three")
        store.freshen(self.get(store, b"key"), meta(fresh_until=7.0), b"other head")
        self.assertEqual(worker(b"get", b"key"), b"two")
        store.remove(digest_of(b"key"))
        self.assertEqual(worker(b"get", b"key"), b"none")
        worker(b"put", b"theirs", b"four")
        self.assertEqual(self.get(store, b"theirs").body, b"four")
        worker(b"freshen", b"theirs", b"8.5")
        self.assertEqual(self.get(store, b"theirs").fresh_until, 8.5)
        worker(b"remove", b"theirs")
        self.assertIsNone(self.get(store, b"theirs"))

    def test_shared_later(self):
        """A store that one process had alone is shared from then on: what waits, and what comes."""
        store = self.make_store(shared=False)
        self.put(store, b"key", b"one")
        store.share()
        worker = self.make_worker()
        self.assertEqual(worker(b"get", b"key"), b"one")
        self.hold_commits(store)
        self.put(store, b"key", b"two")
        self.assertEqual(worker(b"get", b"key"), b"two")
        worker(b"remove", b"key")
        self.assertIsNone(self.get(store, b"key"))
        store.share()
        self.assertIsNone(self.get(store, b"key"))

    def test_later_change_wins(self):
        """Two processes change one entry: the later change stays, whoever commits first."""
        store = self.make_store()
        worker = self.make_worker()
        for first in ("ours", "theirs"):
            for theirs in ((b"put", b"key", b"theirs"), (b"remove", b"key")):
                self.put(store, b"key", b"ours")
                worker(*theirs)
                if first == "ours":
                    store.flush()
                    worker(b"flush")
                else:
                    worker(b"flush")
                    store.flush()
                found = self.get(store, b"key")
                self.assertEqual(found and found.body, b"theirs" if len(theirs) > 2 else None)
                self.assertEqual(worker(b"get", b"key"), found.body if found else b"none")

    def test_pending_is_overruled(self):
        """A change that is still pending here does not hide a later one from elsewhere."""
        store = self.make_store()
        worker = self.make_worker()
        self.hold_commits(store)
        self.put(store, b"key", b"ours")
        worker(b"put", b"key", b"theirs")
        self.assertEqual(self.get(store, b"key").body, b"theirs")
        worker(b"flush")
        self.assertEqual(self.get(store, b"key").body, b"theirs")
        worker(b"remove", b"key")
        worker(b"flush")
        self.assertIsNone(self.get(store, b"key"))

    def test_both_replace_a_file(self):
        """When two processes store one body each, one file is left."""
        store = self.make_store()
        worker = self.make_worker()
        self.put_file(store, b"key", b"ours")
        worker(b"put-file", b"key", b"theirs")
        store.flush()
        worker(b"flush")
        worker(b"close")
        self.assertEqual(self.body_of(store, self.get(store, b"key")), b"theirs")
        self.assertEqual((len(self.files("blobs")), self.files("filling")), (1, []))

    def test_freshened_by_another(self):
        """A body file that another process has freshened before our commit is kept."""
        store = self.make_store()
        worker = self.make_worker()
        self.put_file(store, b"key", b"body")
        worker(b"freshen", b"key", b"5")
        worker(b"flush")
        store.flush()
        store._open_files.shrink(0)
        found = self.get(store, b"key")
        self.assertEqual((found.fresh_until, self.body_of(store, found)), (5.0, b"body"))

    def test_map_grown_by_another(self):
        """When another process has grown the map, reading and writing go on here."""
        store = self.make_store(map_size=1 << 18)
        worker = self.make_worker()
        for number in range(200):
            worker(b"put", b"%d" % number, b"x" * 9000)
        worker(b"flush")
        self.assertEqual(len(self.get(store, b"199").body), 9000)
        self.put(store, b"key")
        store.flush()
        self.assertEqual(worker(b"get", b"key"), b"hello")
        self.assertEqual(self.troubles, [])

    def test_killed_before_commit(self):
        """What a killed process has shown to others is not lost: the next one commits it."""
        store = self.make_store()
        worker = self.make_worker()
        self.put(store, b"gone")
        store.flush()
        for number in range(20):
            worker(b"put", b"%d" % number, b"body")
            worker(b"put-file", b"file%d" % number, b"in-a-file")
        worker(b"remove", b"gone")
        worker.kill()
        store.close()
        for shared in (False, True):
            store = self.make_store(self.path, shared=shared)
            store.flush()
            for number in range(20):
                self.assertEqual(self.get(store, b"%d" % number).body, b"body")
                entry = self.get(store, b"file%d" % number)
                self.assertEqual(self.body_of(store, entry), b"in-a-file")
            self.assertIsNone(self.get(store, b"gone"))
            self.assertEqual((len(self.files("blobs")), self.files("filling")), (20, []))
            store.close()

    def test_killed_at_any_instant(self):
        """After kill -9 every entry has its whole body, and no file is without an entry."""
        rand = random.Random(20261124)
        self.make_store().close()
        for turn in range(6):
            workers = [self.make_worker() for _ in range(1 + turn % 2)]
            for number, worker in enumerate(workers):
                worker.send(b"storm", b"%d" % (10 * turn + number))
            for worker in workers:
                worker.expect(b"going")
            # Not a wait for anything: the instant of the kill is what is drawn.
            time.sleep(rand.uniform(0, 0.4))
            for worker in workers:
                worker.kill()
            self.check_whole()

    def check_whole(self):
        """Open the store after a kill: nothing is half there, nothing is left over."""
        store = self.make_store(self.path, block_shift=12)
        store.flush()
        blobs, entries, size = set(), 0, 0
        for number in range(KEYS):
            key = b"key %d" % number
            entry = self.get(store, key)
            if entry is None:
                continue
            entries += 1
            size += len(entry.raw)
            wanted = body_of(key, int(entry.head), entry.last_modified)
            self.assertEqual(self.body_of(store, entry), wanted)
            if entry.blob is not None:
                blobs.add(entry.blob.hex())
                size += -(-entry.size // 4096) * 4096
        self.assertEqual(set(self.files("blobs")), blobs)
        self.assertEqual(self.files("filling"), [])
        stats = store.stats()
        self.assertEqual((stats.entries, stats.size), (entries, size))
        self.assertEqual(len(self.files("owners")), 1)
        self.assertEqual(self.troubles, [])
        store.close()
        self.assertEqual(self.files("owners"), [])

"""One process's store: what is put is found, however and whenever one looks."""

import stat
from pathlib import Path

import lmdb
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import EntryFlag
from s3shield.store import Limits, Store, StoreError, StoreVersionError

from .support import HEAD, Loop, StoreTests, Threads, digest_of, meta


class EntryTests(StoreTests, SynchronousTestCase):
    shared = False

    def make_store(self, path=None, **options):
        """Open a store as this class has them."""
        return super().make_store(path, **{"shared": self.shared, **options})

    def test_found_at_once_and_after_commit(self):
        """An entry is the same from the pending changes, from the index and after a restart."""
        store = self.make_store()
        put = self.put(store, b"key", tags=[b"tag"])
        self.assertEqual(self.get(store, b"key").raw, put.raw)
        store.flush()
        self.assertEqual(store.stats().pending, 0)
        self.assertEqual(self.get(store, b"key").raw, put.raw)
        store.close()
        store = self.make_store(self.path)
        found = self.get(store, b"key")
        self.assertEqual(found.raw, put.raw)
        self.assertEqual((found.body, found.head, found.etag), (b"hello", HEAD, b'"abc"'))

    def test_missing(self):
        """What was never stored is a miss."""
        self.assertIsNone(self.get(self.make_store(), b"key"))

    def test_collision(self):
        """An entry with the digest but another key text is a miss, pending or committed."""
        store = self.make_store()
        self.put(store, b"key")
        self.assertIsNone(store.get(digest_of(b"key"), b"other"))
        store.flush()
        self.assertIsNone(store.get(digest_of(b"key"), b"other"))
        self.assertIsNotNone(self.get(store, b"key"))

    def test_replaced(self):
        """The newer of two entries counts, and only it is counted."""
        store = self.make_store()
        self.put(store, b"key", b"one")
        store.flush()
        self.put(store, b"key", b"two")
        self.assertEqual(self.get(store, b"key").body, b"two")
        store.flush()
        self.assertEqual(self.get(store, b"key").body, b"two")
        stats = store.stats()
        self.assertEqual((stats.entries, stats.size), (1, len(self.get(store, b"key").raw)))

    def test_removed(self):
        """A removed entry is gone at once and stays gone; nothing is left in the totals."""
        store = self.make_store()
        self.put(store, b"key", tags=[b"a"])
        store.flush()
        store.remove(digest_of(b"key"))
        self.assertIsNone(self.get(store, b"key"))
        store.flush()
        self.assertIsNone(self.get(store, b"key"))
        self.assertEqual((store.stats().entries, store.stats().size), (0, 0))
        store.remove(digest_of(b"never there"))
        store.flush()
        self.assertEqual(self.troubles, [])

    def test_freshen(self):
        """Freshening changes meta and head and keeps the body."""
        store = self.make_store()
        entry = self.put(store, b"key", tags=[b"t"])
        for flush in (False, True):
            if flush:
                store.flush()
            fresh = store.freshen(self.get(store, b"key"), meta(fresh_until=9e9), b"new head")
            self.assertEqual(self.get(store, b"key").raw, fresh.raw)
            self.assertEqual((fresh.fresh_until, fresh.head), (9e9, b"new head"))
            self.assertEqual((fresh.body, fresh.tags), (entry.body, (b"t",)))

    def test_freshen_what_is_gone(self):
        """A 304 that comes after a purge, or after a newer body, brings nothing back."""
        store = self.make_store()
        entry = self.put(store, b"key")
        store.remove(digest_of(b"key"))
        self.assertIsNone(store.freshen(entry, meta(), HEAD))
        self.assertIsNone(self.get(store, b"key"))
        newer = self.put(store, b"key", b"other")
        self.assertIsNone(store.freshen(entry, meta(), HEAD))
        self.assertEqual(self.get(store, b"key").raw, newer.raw)

    def test_mark(self):
        """Marks are found with their flags; the names of a VARIANTS record are its head."""
        store = self.make_store()
        digest = digest_of(b"key")
        store.put(digest, b"key", meta(flags=EntryFlag.HIT_FOR_MISS), b"", b"")
        self.assertEqual(self.get(store, b"key").flags, EntryFlag.HIT_FOR_MISS)
        store.put(digest, b"key", meta(flags=EntryFlag.VARIANTS), b"accept-encoding", b"")
        store.flush()
        found = self.get(store, b"key")
        self.assertEqual((found.flags, found.head), (EntryFlag.VARIANTS, b"accept-encoding"))
        self.assertEqual((found.body, found.size), (b"", 0))

    def test_long_keys(self):
        """Keys longer than LMDB's limit that differ only at their end are two entries."""
        store = self.make_store()
        one, two = b"k" * 3000 + b"1", b"k" * 3000 + b"2"
        self.put(store, one, b"1")
        self.put(store, two, b"2", tags=[b"t" * 1000])
        store.flush()
        self.assertEqual((self.get(store, one).body, self.get(store, two).body), (b"1", b"2"))
        self.assertEqual(self.troubles, [])

    def test_touch_moves_once_a_minute(self):
        """A touched entry outlives one that was not; within a minute nothing is written."""
        store = self.make_store()
        self.put(store, b"old")
        self.put(store, b"used")
        store.flush()
        self.now += 120
        for _ in range(3):
            store.touch(digest_of(b"used"))
        self.put(store, b"other")
        store.flush()  # touches go with the group
        self.assertEqual(len(self.rows("lru")), 3)
        limits = Limits(inactive=60)
        self.assertEqual(self.evict(store, limits), 1)
        self.assertIsNone(self.get(self.store, b"old"))
        self.assertIsNotNone(self.get(self.store, b"used"))

    def test_touch_of_what_is_not_there(self):
        """Touching an unknown or removed entry makes no row."""
        store = self.make_store()
        store.touch(digest_of(b"unknown"))
        self.put(store, b"key")
        store.remove(digest_of(b"key"))
        store.touch(digest_of(b"key"))
        store.flush()
        self.assertEqual((self.rows("lru"), self.rows("atime")), ([], []))

    def test_rows_follow_the_entry(self):
        """Key and tag rows come with an entry, change with it and go with it."""
        store = self.make_store()
        self.put(store, b"key", tags=[b"a", b"b"])
        store.flush()
        digest = digest_of(b"key")
        self.assertEqual(self.rows("keys"), [b"key\0" + digest])
        self.assertEqual(self.rows("tags"), [b"a\0" + digest, b"b\0" + digest])
        self.put(store, b"key", tags=[b"b", b"c"])
        store.flush()
        self.assertEqual(self.rows("tags"), [b"b\0" + digest, b"c\0" + digest])
        store.put(digest, b"other key", meta(), HEAD, b"")
        store.flush()
        self.assertEqual(self.rows("keys"), [b"other key\0" + digest])
        store.remove(digest)
        store.flush()
        for name in ("keys", "tags", "lru", "atime", "entries", "trash"):
            self.assertEqual(self.rows(name), [], name)

    def test_after_close(self):
        """A closed store answers with misses and refuses; closing again is no harm."""
        store = self.make_store()
        entry = self.put(store, b"key")
        store.close()
        store.close()
        self.assertIsNone(self.put(store, b"other"))
        self.assertIsNone(store.freshen(entry, meta(), HEAD))
        self.assertEqual(store.stats().entries, 0)

    def test_private(self):
        """Nobody else can read what is cached."""
        store = self.make_store()
        self.put_file(store, b"key")
        store.flush()
        for found in self.path.rglob("*"):
            self.assertFalse(found.stat().st_mode & (stat.S_IRWXO | stat.S_IRWXG), found)

    def rows(self, name):
        """Keys of a sub-database of the store that is open."""
        index = self.store._place.index
        with index._reading() as txn, txn.cursor(getattr(index._dbs, name)) as cursor:
            return list(cursor.iternext(values=False))

    def evict(self, store, limits):
        """Bring the store within limits now; return how many entries went."""
        gone = []
        done = store.keep_within(limits)
        done.addCallback(gone.append)
        store.close()  # jobs that wait are done first
        self.make_store(self.path)
        return gone[0]


class SharedEntryTests(EntryTests):
    """The same where other processes may be around."""

    shared = True


class OpeningTests(StoreTests, SynchronousTestCase):
    def refused(self, path, kind=StoreError):
        """Fail to open a store; return what the operator is told."""
        error = self.assertRaises(
            kind, Store, path, reactor=Loop(), pool=Threads(), on_trouble=self.fail
        )
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_not_a_directory(self):
        """A path that cannot be a directory is refused in one sentence that names it."""
        path = Path(self.mktemp())
        path.write_text("file")
        self.assertIn(str(path), self.refused(path / "cache"))

    def test_twice_in_a_process(self):
        """A second store of the same path in one process is refused, the first goes on."""
        store = self.make_store()
        self.refused(self.path)
        self.put(store, b"key")
        store.flush()
        self.assertIsNotNone(self.get(store, b"key"))

    def test_newer_version(self):
        """A store that a newer release has written is refused and left as it was."""
        self.make_store().close()
        env = lmdb.open(str(self.path / "index"), max_dbs=8)
        with env.begin(env.open_db(b"meta"), write=True) as txn:
            txn.put(b"format", b"2")
        env.close()
        (self.path / "filling" / ("00" * 16 + "-" + "11" * 16)).write_text("theirs")
        before = {p: p.stat().st_mtime_ns for p in self.path.rglob("*") if p.name != "lock.mdb"}
        self.assertIn("newer release", self.refused(self.path, StoreVersionError))
        after = {p: p.stat().st_mtime_ns for p in self.path.rglob("*") if p.name != "lock.mdb"}
        self.assertEqual(before, after)

    def test_not_an_index(self):
        """A damaged index is refused with what to do about it."""
        self.make_store().close()
        (self.path / "index" / "data.mdb").write_bytes(b"not LMDB" * 2000)
        self.assertIn("delete it", self.refused(self.path))

    def test_damaged_record(self):
        """A record that cannot be read is a miss, is reported, and can be replaced."""
        store = self.make_store()
        self.put(store, b"key")
        store.flush()
        store.close()
        env = lmdb.open(str(self.path / "index"), max_dbs=8)
        with env.begin(env.open_db(b"entries"), write=True) as txn:
            txn.put(digest_of(b"key"), b"rubbish")
        env.close()
        store = self.make_store(self.path)
        self.assertIsNone(self.get(store, b"key"))
        self.assertEqual(len(self.troubles), 1)
        self.put(store, b"key", b"again")
        store.flush()
        self.assertEqual(self.get(store, b"key").body, b"again")
        self.assertEqual(store.stats().entries, 1)

    def test_small_map_grows(self):
        """A map that is too small for the content is grown, and nothing is lost."""
        store = self.make_store(map_size=1 << 17)
        for number in range(300):
            self.put(store, b"%d" % number, b"x" * 4000)
        store.flush()
        self.assertEqual(store.stats().entries, 300)
        self.assertGreater(store.stats().map_size, 1 << 20)
        self.assertEqual(self.troubles, [])
        store.close()
        store = self.make_store(self.path, map_size=1 << 17)
        self.assertEqual(len(self.get(store, b"299").body), 4000)

    def test_other_boot(self):
        """Uncommitted rows of a system that has crashed are not trusted; it is counted once."""
        store = self.make_store(shared=True)
        self.put(store, b"key")
        store.flush()
        self.assertEqual(store.stats().era, 0)
        store._place.index.set_meta({b"boot": b"another"})
        store._place._owner.release()  # as if the process had died with the system
        store._place.recent.put(digest_of(b"late"), b"unsynced")
        store._closed = True
        store._commits.close()
        store._place.recent.close()
        store._place.index.close()
        store = self.make_store(self.path)
        self.assertEqual(store.stats().era, 1)
        self.assertIsNone(self.get(store, b"late"))
        self.assertIsNotNone(self.get(store, b"key"))
        store.close()
        self.assertEqual(self.make_store(self.path).stats().era, 1)

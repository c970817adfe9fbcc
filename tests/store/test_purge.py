"""Purging: what is named is gone, or stale, whatever state it was in."""

import threading

from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import NEVER, EntryFlag
from s3shield.store import Selector, StoreError
from s3shield.store.selector import PurgeLog

from .support import HEAD, StoreTests, digest_of, meta
from .test_sharing import Worker


class PurgeCase(StoreTests, SynchronousTestCase):
    """A store, and a way to wait for its committing thread."""

    def purge(self, store, kind, text=b"", *, soft=False, dry=False):
        """Purge and wait; return the count."""
        over = threading.Event()
        purge = store.purge(Selector(kind, text), soft=soft, dry=dry).addBoth(
            lambda result: (over.set(), result)[1]
        )
        self.assertTrue(over.wait(30))
        return self.successResultOf(purge)

    def fill(self, store):
        """Store what the selectors are tried on."""
        self.put(store, b"m|/a/1|", tags=[b"red"])
        self.put(store, b"m|/a/1|\0gzip", tags=[b"red", b"blue"])
        self.put(store, b"m|/a/1|x=1")
        self.put(store, b"m|/a/2|", tags=[b"blue"])
        self.put_file(store, b"m|/b|", tags=[b"bluebird"])
        self.put(store, b"n|/a/1|", tags=[b"red"])


ALL = {
    b"m|/a/1|",
    b"m|/a/1|\0gzip",
    b"m|/a/1|x=1",
    b"m|/a/2|",
    b"m|/b|",
    b"n|/a/1|",
}
CASES = [
    ("key", b"m|/a/1|", {b"m|/a/1|", b"m|/a/1|\0gzip"}),
    ("key", b"m|/a/1", set()),
    ("key", b"m|/b|", {b"m|/b|"}),
    ("prefix", b"m|/a/", {b"m|/a/1|", b"m|/a/1|\0gzip", b"m|/a/1|x=1", b"m|/a/2|"}),
    ("prefix", b"z", set()),
    ("tag", b"red", {b"m|/a/1|", b"m|/a/1|\0gzip", b"n|/a/1|"}),
    ("tag", b"blue", {b"m|/a/1|\0gzip", b"m|/a/2|"}),
    ("tag", b"green", set()),
    ("all", b"", ALL),
]


class SelectorTests(PurgeCase):
    """Each kind of selector, on committed and on uncommitted entries, hard and soft."""

    def check(self, *, flushed, soft, shared):
        for kind, text, meant in CASES:
            store = self.make_store(shared=shared)
            self.fill(store)
            if flushed:
                store.flush()
            else:
                self.patch(store._committing, "commit", lambda *_: None)
            self.assertEqual(self.purge(store, kind, text, soft=soft), len(meant), (kind, text))
            for key in ALL:
                entry = self.get(store, key)
                if key not in meant:
                    self.assertEqual(entry.fresh_until, 2000.0, (kind, text, key))
                elif soft:
                    self.assertEqual(
                        (entry.fresh_until, entry.swr_until, entry.etag),
                        (NEVER, NEVER, b'"abc"'),
                        (kind, text, key),
                    )
                    self.assertEqual(self.body_of(store, entry), b"hello")
                else:
                    self.assertIsNone(entry, (kind, text, key))
            store.close()

    def test_committed(self):
        """Entries in the index."""
        for soft in (False, True):
            self.check(flushed=True, soft=soft, shared=True)

    def test_pending(self):
        """Entries that wait for their commit, seen by all processes."""
        for soft in (False, True):
            self.check(flushed=False, soft=soft, shared=True)

    def test_pending_alone(self):
        """Entries that wait for their commit, in the only process."""
        for soft in (False, True):
            self.check(flushed=False, soft=soft, shared=False)

    def test_long_keys(self):
        """Keys too long for their rows are told apart."""
        store = self.make_store()
        keys = [b"m|/" + b"x" * 600 + end for end in (b"1", b"2", b"1\0gzip")]
        for key in keys:
            self.put(store, key, tags=[b"t" * 600 + key[-1:]])
        store.flush()
        self.assertEqual(self.purge(store, "tag", b"t" * 600 + b"2"), 1)
        self.assertEqual(self.purge(store, "key", keys[0]), 2)
        self.assertEqual(self.purge(store, "prefix", b"m|/" + b"x" * 590), 0)

    def test_many(self):
        """More entries than one transaction takes."""
        self.patch(__import__("s3shield.store.purging", fromlist=["_"]), "_STEP", 7)
        self.patch(__import__("s3shield.store.purging", fromlist=["_"]), "_AT_ONCE", 3)
        store = self.make_store()
        for number in range(40):
            self.put(store, b"key %d" % number)
        store.flush()
        for number in range(40, 60):
            self.put(store, b"key %d" % number)
        self.assertEqual(self.purge(store, "all"), 60)
        store.flush()
        self.assertEqual(store.stats().entries, 0)

    def test_dry(self):
        """A count is that of the purge, committed or not, and changes nothing."""
        self.patch(__import__("s3shield.store.purging", fromlist=["_"]), "_LOOK", 3)
        self.patch(__import__("s3shield.store.purging", fromlist=["_"]), "_LOOKS", 2)
        store = self.make_store()
        for number in range(40):
            self.put(store, b"key %d" % number)
        store.put(digest_of(b"key"), b"key", meta(flags=EntryFlag.VARIANTS), b"accept", b"")
        store.flush()
        for number in range(30, 60):
            self.put(store, b"key %d" % number)
        for kind, text, count in (("all", b"", 60), ("prefix", b"key 1", 11), ("key", b"key 7", 1)):
            for _ in range(2):
                self.assertEqual(self.purge(store, kind, text, dry=True), count, kind)
        since = store.fence()
        self.assertFalse(store.purged(since, b"key 7"))
        self.assertEqual(self.purge(store, "all"), 60)

    def test_turns(self):
        """No turn of the event loop overrules more than some entries, fewer where they are large."""
        for body, count, turns in ((b"x", 250, [100, 100, 50]), (b"x" * (400 << 10), 7, [3, 3, 1])):
            for soft in (False, True):
                store = self.make_store()
                self.patch(store._committing, "commit", lambda *_: None)
                for number in range(count):
                    self.put(store, b"key %d" % number, body)
                seen, change, call = [], store._change, self.loop.callFromThread

                def changing(*words, seen=seen, change=change):
                    seen[-1] += 1
                    return change(*words)

                def turn(function, *words, seen=seen, call=call):
                    seen.append(0)
                    call(function, *words)

                store._change, self.loop.callFromThread = changing, turn
                self.assertEqual(self.purge(store, "all", soft=soft), count)
                self.assertEqual([each for each in seen if each], turns, soft)

    def test_marks_do_not_count(self):
        """A mark that names selecting headers goes with its responses, and is not one."""
        store = self.make_store()
        store.put(digest_of(b"k"), b"k", meta(flags=EntryFlag.VARIANTS), b"accept", b"")
        self.put(store, b"k\0gzip")
        store.flush()
        self.assertEqual(self.purge(store, "key", b"k", soft=True), 1)
        self.assertIsNotNone(self.get(store, b"k"))
        self.assertEqual(self.purge(store, "key", b"k"), 1)
        self.assertIsNone(self.get(store, b"k"))

    def test_files_go(self):
        """The body files of purged entries are deleted."""
        store = self.make_store()
        self.put_file(store, b"one")
        store.flush()
        self.put_file(store, b"two")
        self.assertEqual(self.purge(store, "all"), 2)
        store.flush()
        self.assertEqual(self.files("blobs") + self.files("filling"), [])

    def test_restart(self):
        """Neither a purged entry nor its older version is there after a restart."""
        for shared in (True, False):
            store = self.make_store(shared=shared)
            self.put(store, b"key", b"old")
            store.flush()
            self.put(store, b"key", b"new")
            self.purge(store, "key", b"key")
            store.close()
            again = self.make_store(self.path, shared=shared)
            self.assertIsNone(self.get(again, b"key"))

    def test_closed(self):
        """A closed store says so."""
        store = self.make_store()
        store.close()
        self.failureResultOf(store.purge(Selector("all"), soft=False), StoreError)


class FenceTests(PurgeCase):
    """What was asked for before a purge is not stored after it."""

    def test_put(self):
        """A response that was fetched before, unless the purge means another."""
        store = self.make_store()
        since = store.fence()
        self.purge(store, "key", b"a")
        self.assertTrue(store.purged(since, b"a"))
        self.assertFalse(store.purged(since, b"b"))
        self.assertIsNone(store.put(digest_of(b"a"), b"a", meta(), HEAD, b"", since=since))
        self.assertIsNone(self.get(store, b"a"))
        self.assertIsNotNone(store.put(digest_of(b"b"), b"b", meta(), HEAD, b"", since=since))
        now = store.fence()
        self.assertIsNotNone(store.put(digest_of(b"a"), b"a", meta(), HEAD, b"", since=now))

    def test_tag(self):
        """The tags count that the response has."""
        store = self.make_store()
        since = store.fence()
        self.purge(store, "tag", b"red")
        for tag, stored in ((b"red", False), (b"blue", True)):
            entry = store.put(digest_of(b"a"), b"a", meta(), HEAD, b"", [tag], since)
            self.assertEqual(entry is not None, stored)

    def test_body_file(self):
        """A long body that was begun before; its file is deleted."""
        store = self.make_store()
        writer = store.create_body(digest_of(b"a"), since=store.fence())
        writer.write(b"hello")
        self.purge(store, "all")
        self.assertIsNone(self.successResultOf(writer.commit(b"a", meta(), HEAD)))
        self.assertIsNone(self.get(store, b"a"))
        self.assertEqual(self.files("filling") + self.files("blobs"), [])

    def test_freshen(self):
        """A validation that was asked for before a soft purge does not undo it."""
        store = self.make_store()
        self.put(store, b"a")
        entry, since = self.get(store, b"a"), store.fence()
        self.purge(store, "key", b"a", soft=True)
        self.assertIsNone(store.freshen(entry, meta(fresh_until=9e9), HEAD, since))
        self.assertEqual(self.get(store, b"a").fresh_until, NEVER)

    def test_log(self):
        """A log that is cut or replaced may mean anything; a new one means nothing."""
        path = self.mktemp()
        log = PurgeLog(path, anew=True)
        self.addCleanup(log.close)
        log.add(Selector("key", b"a"))
        after = log.fence()
        with open(path, "ab") as file:
            file.write(b"\x05\0\0")
        self.assertTrue(log.names(after, b"b", ()))
        self.assertTrue(log.names(log.fence() + 1, b"b", ()))
        anew = PurgeLog(path, anew=True)
        self.addCleanup(anew.close)
        self.assertFalse(anew.names(0, b"a", ()))


class TwoProcessesTests(PurgeCase):
    """A purge in one process is in force in the other."""

    def worker(self):
        """Start another process with our store."""
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        return worker

    def test_both_ways(self):
        """What either stored, committed or not, is gone for both."""
        store = self.make_store()
        other = self.worker()
        for flush in (True, False):
            self.put(store, b"ours", b"1")
            self.put_file(store, b"our-file")
            other(b"put", b"theirs", b"2")
            other(b"put-file", b"their-file", b"3")
            if flush:
                store.flush()
                other(b"flush")
            if flush:
                self.assertEqual(self.purge(store, "all"), 4)
            else:
                self.assertEqual(other(b"purge", b"all"), b"4")
            for key in (b"ours", b"our-file", b"theirs", b"their-file"):
                self.assertIsNone(self.get(store, key), key)
                self.assertEqual(other(b"get", key), b"none", key)
            store.flush()
            other(b"flush")
            for key in (b"ours", b"our-file", b"theirs", b"their-file"):
                self.assertIsNone(self.get(store, key), key)

    def test_count(self):
        """A removal of ours that the other has overruled hides nothing from the count."""
        store = self.make_store()
        other = self.worker()
        self.put(store, b"key")
        store.flush()
        self.patch(store._committing, "commit", lambda *_: None)
        store.remove(digest_of(b"key"))
        other(b"put", b"key", b"new")
        other(b"flush")
        self.assertEqual(self.purge(store, "all"), 1)
        self.assertEqual(other(b"get", b"key"), b"none")

    def test_fence(self):
        """What the other process asked for before is not stored by it after."""
        store = self.make_store()
        other = self.worker()
        since = other(b"fence")
        self.purge(store, "prefix", b"a")
        other(b"put-since", b"abc", since, b"1")
        other(b"put-since", b"bcd", since, b"2")
        self.assertIsNone(self.get(store, b"abc"))
        self.assertIsNotNone(self.get(store, b"bcd"))

    def test_purger_killed(self):
        """A purge that was acknowledged survives whoever made it."""
        store = self.make_store()
        other = self.worker()
        self.put(store, b"key", b"old")
        store.flush()
        other(b"put", b"key", b"new")
        self.assertEqual(other(b"purge", b"key", b"key"), b"1")
        other.kill()
        self.assertIsNone(self.get(store, b"key"))
        store.close()
        self.assertIsNone(self.get(self.make_store(self.path), b"key"))

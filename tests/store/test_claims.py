"""Claims of several processes: one has a key, whatever becomes of it."""

import select
from unittest import mock

import lmdb
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Blocks, Claim, Outcome, Span, span_key, span_stop

from .support import HEAD, StoreTests, digest_of, meta
from .test_sharing import Worker
from .worker import BLOB


def never(_claim):
    """Let others have what they have."""
    return False


class ClaimTests(StoreTests, SynchronousTestCase):
    def pair(self):
        """Return our claims, and another process with the same store."""
        self.store = self.make_store()
        worker = Worker(self.path)
        self.addCleanup(worker.end)
        return self.store.claims, worker

    def take(self, claims, key=b"key", now=100.0):
        """Claim a key."""
        return claims.take(key, now, 7, never)

    def test_one_has_it(self):
        """What one process has claimed another cannot, until it is given back."""
        claims, worker = self.pair()
        ident, found = self.take(claims)
        self.assertEqual((len(ident), found), (16, None))
        self.assertEqual(worker(b"claim", b"key", b"101"), b"HELD")
        claims.end([(b"key", ident, None)])
        self.assertEqual(claims.look([b"key"]), {})
        theirs = worker(b"claim", b"key", b"102")
        ident, found = self.take(claims)
        self.assertEqual(ident, b"")
        self.assertEqual((found.ident.hex().encode(), found.time, found.fence), (theirs, 102.0, 7))
        worker(b"end", b"key", theirs)
        self.assertIsNone(self.take(claims)[1])

    def test_taken_over(self):
        """A claim that is taken over is not given back by whoever had it."""
        claims, worker = self.pair()
        ident, _ = self.take(claims)
        theirs = worker(b"claim", b"key", b"101", b"over")
        claims.end([(b"key", ident, None)])
        self.assertEqual(claims.look([b"key"])[b"key"].ident.hex().encode(), theirs)

    def test_own_is_replaced(self):
        """A process that claims again has the new claim; the old one ends nothing."""
        claims, worker = self.pair()
        old, new = self.take(claims)[0], self.take(claims)[0]
        self.assertNotEqual(old, new)
        claims.end([(b"key", old, None)])
        self.assertEqual(worker(b"claim", b"key", b"101"), b"HELD")

    def test_outcomes(self):
        """Only "not stored" keeps others from claiming, and that not for ever."""
        claims, worker = self.pair()
        for outcome in (Outcome.ALONE, Outcome.FAILED, Outcome.UNSTORED):
            ident, _ = self.take(claims)
            left = Claim(ident=ident, outcome=outcome, time=200.0, note=b"how")
            claims.end([(b"key", ident, left)])
            self.assertEqual(claims.look([b"key"])[b"key"], left)
            if outcome is Outcome.UNSTORED:
                self.assertEqual(worker(b"claim", b"key", b"199"), b"UNSTORED")
            theirs = worker(b"claim", b"key", b"200")
            worker(b"end", b"key", theirs)
            self.assertEqual(claims.look([b"key"]), {})

    def test_void(self):
        """What has changed is not waited for; who fetched it can tell, also when it is taken."""
        claims, worker = self.pair()
        ident, _ = self.take(claims)
        self.assertFalse(claims.is_void(b"key", ident))
        worker(b"void", b"key")
        self.assertTrue(claims.is_void(b"key", ident))
        worker(b"claim", b"key", b"101")
        self.assertTrue(claims.is_void(b"key", ident))
        worker(b"void", b"none such")
        self.assertEqual(claims.look([b"none such"]), {})

    def test_replaced_is_not_void(self):
        """What was taken over because it took too long may be stored; not when it is void."""
        claims, worker = self.pair()
        first, _ = self.take(claims)
        second, _ = self.take(claims)
        worker(b"claim", b"key", b"101", b"over")
        self.assertEqual([claims.is_void(b"key", each) for each in (first, second)], [False] * 2)
        worker(b"void", b"key")
        self.assertEqual([claims.is_void(b"key", each) for each in (first, second)], [True] * 2)
        self.take(claims)
        self.assertEqual([claims.is_void(b"key", each) for each in (first, second)], [True] * 2)

    def test_notes_are_not_lost(self):
        """Two processes that note blocks of one body at the same time: both are in the record."""
        _, worker = self.pair()
        store, key = self.store, b"key"
        body = store.sparse.create(digest_of(key), key, meta(), HEAD, 5 << store.block_shift)
        looked = store.get
        blocks = Blocks(body.entry.size, body.entry.block_shift)
        blocks.add(1, 7)

        def look(digest, text):
            found = looked(digest, text)
            worker.send(b"note", key, b"2")  # which would be done before us, if it could
            select.select([worker.process.stdout], [], [], 0.3)
            return found

        with mock.patch.object(store, "get", look):
            store.sparse.note_blocks(body.entry, blocks, first=False, since=None)
        worker.expect(b"ok")
        entry = looked(digest_of(key), key)
        there = Blocks(entry.size, entry.block_shift, entry.blocks)
        self.assertEqual([n for n in range(5) if there.has(n)], [1, 2])

    def span(self, claims, start, stop):
        """Claim a part of a body; another's is waited for when it has our first byte."""
        return claims.take_span(BLOB, (start, stop), 1.0, lambda *_: True, 50)

    def test_spans(self):
        """What begins in another's span is the other's; else it ends where another begins."""
        claims, worker = self.pair()
        self.assertEqual(worker(b"span", b"100", b"200"), b"ours 100-200")
        claims.take(BLOB[:15] + b"c", 1.0, 7, never)  # other keys before and after it
        claims.take(BLOB[:15] + b"a", 1.0, 7, never)
        claims.take_span(BLOB[:15] + b"c", (100, 200), 1.0, never, 50)
        for start, stop in ((100, 200), (150, 160), (199, 500)):
            ident, span = self.span(claims, start, stop)
            self.assertEqual((ident, span.start, span.stop), (b"", 100, 200))
        cases = ((0, 50, 50), (60, 150, 100), (200, 300, 300))
        for start, stop, ours in cases:
            ident, span = self.span(claims, start, stop)
            self.assertEqual((span.ident, span.start, span.stop), (ident, start, ours))
        self.assertEqual(worker(b"span", b"210", b"220"), b"theirs 200-300")
        claims.end([(span_key(BLOB, 200), ident, None)])
        self.assertEqual(worker(b"span", b"210", b"220"), b"ours 210-220")

    def test_span_cut_short(self):
        """One that is not worth waiting for is cut short where ours begins, if that is long."""
        claims, worker = self.pair()
        cases = (
            (0, 100, b"40", b"60", 100),
            (200, 300, b"240", b"290", 240),
            (400, 500, b"490", b"500", 490),
        )
        for start, stop, begun, ended, left in cases:
            ident, _ = self.span(claims, start, stop)
            told = worker(b"span", begun, ended, b"far")
            self.assertEqual(told, b"ours %b-%b" % (begun, ended))
            claim = claims.look([span_key(BLOB, start)])[span_key(BLOB, start)]
            self.assertEqual((claim.ident, span_stop(claim)), (ident, left))

    def test_killed(self):
        """A killed process is seen to be dead; the next that starts clears up after it."""
        claims, worker = self.pair()
        worker(b"claim", b"key", b"101")
        found = claims.look([b"key"])[b"key"]
        self.assertTrue(claims.is_living(found))
        worker.kill()
        self.assertFalse(claims.is_living(found))
        self.assertIsNotNone(self.take(claims)[1])
        another = Worker(self.path)
        self.addCleanup(another.end)
        self.assertEqual(claims.look([b"key"]), {})

    def test_without_others(self):
        """A process that shares with nobody has no table, and claims nothing."""
        store = self.make_store(shared=False)
        self.assertEqual(self.take(store.claims), (b"", None))
        store.claims.end([(b"key", b"i" * 16, None)])
        self.assertEqual(store.claims.look([b"key"]), {})
        self.assertEqual(self.span(store.claims, 1, 2), (b"", Span(b"", 1, 2)))
        self.assertFalse((store.path / "claims").exists())

    def test_out_of_order(self):
        """A table that cannot be used is reported, and each process goes on by itself."""
        store = self.make_store()

        def fail(**_words):
            raise lmdb.MapFullError("full")

        self.patch(store._place.claims, "_begin", fail)
        self.assertEqual(self.take(store.claims), (b"", None))
        store.claims.end([(b"key", b"i" * 16, None)])
        self.assertEqual(store.claims.look([b"key"]), {})
        self.assertEqual(self.span(store.claims, 1, 2), (b"", Span(b"", 1, 2)))
        self.assertEqual(self.troubles, ["workers fetch the same twice: full"] * 4)

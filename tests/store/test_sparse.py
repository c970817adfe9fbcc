"""Bodies with gaps: whole blocks are named, in any order, and no others."""

import itertools
import os
import sys
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store.blocks import Blocks, present_bytes
from s3shield.store.record import Entry, restamped

from .support import HEAD, StoreTests, digest_of, meta

SHIFT = 4


class BlockTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.data())
    def test_against_a_set(self, data):
        """Runs, gaps and sums of bytes are those of a plain set of block numbers."""
        size = data.draw(st.integers(1, 500))
        blocks = Blocks(size, SHIFT)
        there = data.draw(st.sets(st.integers(0, blocks.count - 1)))
        for block in there:
            blocks.add(block, block * 7)
        self.assertEqual(blocks.count - len(there), blocks.missing)
        held = [byte >> SHIFT in there for byte in range(size)]
        start = data.draw(st.integers(0, size - 1))
        end = data.draw(st.integers(start, size))
        self.assertEqual(sum(held[start:end]), blocks.held([(start, end)]))
        run = next((n for n in range(start, size) if not held[n]), size)
        self.assertEqual(min(run, ((start >> SHIFT) + 16) << SHIFT), blocks.run_end(start))
        first = start >> SHIFT << SHIFT
        all_there = next((n for n in range(first, size) if not held[n]), size)
        self.assertEqual(all_there, blocks.held_from(start))
        stop = blocks.gap_end(start, end)
        self.assertFalse(any(held[start:stop]))
        self.assertTrue(stop >= end or held[stop] or held[start], (start, end, stop))
        self.assertLessEqual(stop, max(first, min(size, -(-end >> SHIFT) << SHIFT)))
        section = blocks.pack()
        if blocks.missing:
            self.assertEqual(sum(held), present_bytes(section, size, SHIFT))
            again = Blocks(size, SHIFT, section)
            self.assertEqual((section, blocks.missing), (again.pack(), again.missing))
        else:
            self.assertEqual(4 * blocks.count, len(section))

    def test_large(self):
        """To see where a gap ends does not take a step for each block of it."""
        blocks = Blocks(1 << 40, 20)
        blocks.add(900_001, 1)
        steps, before = [], sys.gettrace()
        sys.settrace(lambda *_: lambda *_: steps.append(1))
        try:
            ends = [blocks.gap_end(3 << 20, 1 << 40), blocks.gap_end(900_002 << 20, 1 << 40)]
        finally:
            sys.settrace(before)
        self.assertEqual(ends, [900_001 << 20, 1 << 40])
        self.assertLess(len(steps), 50)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(1, 3000), st.sets(st.integers(0, 2999)), st.sets(st.integers(0, 2999)))
    def test_merge(self, count, mine, theirs):
        """What another process has noted is added, with its sums; what we know stays."""
        ours, other = Blocks(count << SHIFT, SHIFT), Blocks(count << SHIFT, SHIFT)
        mine, theirs = [{n for n in each if n < count} for each in (mine, theirs)]
        for block in mine:
            ours.add(block, block * 7)
        for block in theirs:
            other.add(block, block * 7)
        complete = not other.missing
        if complete:
            ours.fill(other.pack())
        else:
            ours.merge(other.pack())
        there = mine | theirs
        self.assertEqual(there, {n for n in range(count) if ours.has(n)})
        self.assertEqual(count - len(there), ours.missing)
        self.assertEqual([n * 7 for n in sorted(there)], [ours.sum(n) for n in sorted(there)])


class SparseTests(StoreTests, SynchronousTestCase):
    size = 5000

    def begin(self, **options):
        """A store with blocks of 1 KiB and a sparse body of five of them."""
        store = self.make_store(block_shift=10, **options)
        self.body = os.urandom(self.size)
        sparse = store.sparse.create(digest_of(b"key"), b"key", meta(), HEAD, self.size)
        return store, sparse

    def fill(self, sparse, start, end):
        """Write a part."""
        writer = sparse.writer(start)
        writer.write(self.body[start:end])
        self.successResultOf(writer.finish())

    def present(self, entry):
        """The blocks that the index names."""
        blocks = Blocks(entry.size, entry.block_shift, entry.blocks)
        return [n for n in range(blocks.count) if blocks.has(n)]

    def test_whole_blocks_are_named(self):
        """What is not a whole block is written, and not named."""
        store, sparse = self.begin()
        self.fill(sparse, 1024, 1024 + 2000)
        entry = self.get(store, b"key")
        self.assertEqual(([1], 1024, False), (self.present(entry), entry.on_disk, entry.complete))
        self.fill(sparse, 4096, 5000)
        self.assertEqual([1, 4], self.present(self.get(store, b"key")))

    def test_parts_of_a_block(self):
        """A block that comes in parts, in any order, is there when all of them are."""
        for cuts in ([1024, 1500, 1900, 2048], [4096, 4500, 5000], [900, 1500, 3000, 4000]):
            parts = list(itertools.pairwise(cuts))
            for order in itertools.permutations(parts):
                store, sparse = self.begin()
                for start, end in order:
                    self.fill(sparse, start, end)
                    self.assertEqual(end, min(end, sparse.run_end(start)))
                self.assertEqual(cuts[-1], sparse.run_end(cuts[0]))
                self.assertEqual([cuts[-1] - cuts[0]], [sparse.held()([(cuts[0], 5000)])])
                whole = [n for n in range(5) if cuts[0] <= n << 10]
                whole = [n for n in whole if min(5000, (n + 1) << 10) <= cuts[-1]]
                entry = self.get(store, b"key")
                self.assertEqual(whole, self.present(entry))
                sums = Blocks(entry.size, entry.block_shift, entry.blocks)
                for n in whole:
                    piece = self.body[n << 10 : (n + 1) << 10]
                    self.assertEqual(zlib.crc32(piece), sums.sum(n))
                sparse.close()

    def test_noted_in_a_while(self):
        """A whole block is noted soon though the gap goes on and nothing more comes."""
        store, sparse = self.begin()
        writer = sparse.writer(1024)
        writer.write(self.body[1024:2500])
        self.assertEqual([], self.present(self.get(store, b"key")))
        (later,) = self.loop.later
        later.function()
        self.assertEqual([1], self.present(self.get(store, b"key")))
        writer.write(self.body[2500:3072])
        self.successResultOf(writer.finish())
        self.assertEqual([1, 2], self.present(self.get(store, b"key")))
        self.assertEqual([False, True], [each.cancelled for each in self.loop.later])

    def test_complete(self):
        """The last block makes it an entry like any other, with its checksums."""
        store, sparse = self.begin()
        self.fill(sparse, 2048, 5000)
        self.fill(sparse, 0, 2048)
        entry = self.get(store, b"key")
        self.assertTrue(entry.complete)
        self.assertEqual(5, len(entry.checksums))
        sparse.close()
        self.assertEqual(self.body, self.body_of(store, entry))

    def test_two_at_once(self):
        """What two processes note of one body is all there."""
        store, one = self.begin()
        two = store.sparse.open(self.get(store, b"key"))
        self.fill(one, 0, 1024)
        self.fill(two, 4096, 5000)
        self.fill(one, 2048, 3072)
        self.assertEqual([0, 2, 4], self.present(self.get(store, b"key")))

    def test_removed_meanwhile(self):
        """A body whose entry was removed or replaced does not bring it back."""
        store, sparse = self.begin()
        self.fill(sparse, 0, 1024)
        store.remove(digest_of(b"key"))
        self.fill(sparse, 1024, 2048)
        self.assertIsNone(self.get(store, b"key"))
        self.assertTrue(sparse.lost)

    def test_damaged_block(self):
        """After an unclean stop of the system a block that is not what it was is not there."""
        store, sparse = self.begin()
        self.fill(sparse, 0, 3072)
        sparse.close()
        store.flush()
        (name,) = (self.path / "blobs").rglob("*/*/*")
        with name.open("r+b") as file:
            file.seek(1100)
            file.write(b"?!?")
        entry = self.get(store, b"key")
        old = Entry(restamped(entry.raw, 7), entry.digest)
        store.sparse.show(old, None)
        again = store.sparse.open(old)
        again.learn(old)
        self.assertEqual([True, False, True], [again.blocks.has(n) for n in range(3)])

    def test_weighs_what_is_there(self):
        """The store counts the blocks present, not the object's size."""
        store, sparse = self.begin()
        self.fill(sparse, 0, 1024)
        store.flush()
        self.assertLess(store.stats().size, 4096 + 1000)

    def test_file_is_gone(self):
        """Without its file there is no entry."""
        store, sparse = self.begin()
        self.fill(sparse, 0, 1024)
        sparse.close()
        store.flush()
        (name,) = (self.path / "blobs").rglob("*/*/*")
        name.unlink()
        again = store.sparse.open(self.get(store, b"key"))
        self.assertTrue(again.failed)
        self.assertIsNone(self.get(store, b"key"))

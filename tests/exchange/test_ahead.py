"""What is fetched ahead of a reader, against a plain list of blocks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.ahead import STRETCH, sequential_stretch, stretches
from s3shield.store import Blocks

SHIFT = 4
BLOCK = 1 << SHIFT


@st.composite
def bodies(draw):
    """A body with some blocks there and some on their way: (blocks, running, taken)."""
    size = draw(st.integers(1, 60 * BLOCK))
    blocks = Blocks(size, SHIFT)
    there = draw(st.sets(st.integers(0, blocks.count - 1)))
    for block in there:
        blocks.add(block, 0)
    running, taken = [], set(there)
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, blocks.count - 1))
        mine = []
        for block in range(first, min(blocks.count, first + draw(st.integers(1, 10)))):
            if block in taken:
                break
            mine.append(block)
        if mine:
            running.append((mine[0] * BLOCK, min(size, (mine[-1] + 1) * BLOCK)))
            taken.update(mine)
    return blocks, running, taken


def blocks_of(span):
    """The blocks of a span."""
    return range(span[0] // BLOCK, (span[1] + BLOCK - 1) // BLOCK)


class AheadTests(SynchronousTestCase):
    @given(bodies(), st.data())
    def test_stretches(self, body, data):
        """Each is missing and nobody's, in order, next to the reader, no more than allowed."""
        blocks, running, taken = body
        position = data.draw(st.integers(0, blocks.size - 1))
        end = data.draw(st.integers(position, blocks.size))
        connections = data.draw(st.integers(1, 6))
        found = stretches(blocks, running, position, end, connections)
        self.assertLessEqual(len(found), max(0, connections - len(running)))
        asked = [block for span in found for block in blocks_of(span)]
        self.assertEqual(asked, sorted(set(asked)))
        self.assertTrue(taken.isdisjoint(asked))
        for start, stop in found:
            self.assertLessEqual(stop - start, STRETCH * BLOCK)
            self.assertLess(start, position + connections * STRETCH * BLOCK)
        needed = [n for n in range(position // BLOCK, blocks.count) if n * BLOCK < end]
        missing = [n for n in needed if n not in taken]
        self.assertEqual(missing[: len(asked)], asked)
        if missing and len(running) < connections:
            near = missing[0] < position // BLOCK + connections * STRETCH
            self.assertEqual(near, bool(found))

    @given(bodies(), st.data())
    def test_sequential(self, body, data):
        """What is missing first, unless half of what is wanted is there or on its way."""
        blocks, running, taken = body
        position = data.draw(st.integers(0, blocks.size))
        ahead = data.draw(st.integers(1, 30 * BLOCK))
        found = sequential_stretch(blocks, running, position, ahead)
        limit = min(blocks.size, position + ahead)
        missing = [
            n
            for n in range(position // BLOCK, blocks.count)
            if n * BLOCK < limit and n not in taken
        ]
        if found is None:
            self.assertFalse(missing and missing[0] * BLOCK < position + ahead // 2)
        else:
            asked = list(blocks_of(found))
            self.assertEqual(missing[: len(asked)], asked)

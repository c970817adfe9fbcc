"""Pieces of a body reach the file as they are, however they are cut."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import writing
from s3shield.store.writing import write_pieces

SIZES = st.one_of(
    st.integers(1, 10), st.sampled_from((262_143, 262_144, 262_145, 524_289, 1 << 20))
)


class WritePiecesTests(SynchronousTestCase):
    def written(self, offset, pieces):
        """What the file has after it."""
        path = self.mktemp()
        fd = os.open(path, os.O_RDWR | os.O_CREAT)
        try:
            write_pieces(fd, offset, pieces)
            return os.pread(fd, 1 << 26, 0)
        finally:
            os.close(fd)

    @given(st.lists(SIZES, max_size=6), st.integers(0, 5))
    @settings(deadline=None, max_examples=60)
    def test_all(self, sizes, offset):
        """All bytes, in order, from the offset on."""
        pieces = [os.urandom(size) for size in sizes]
        expected = b"".join(pieces)
        found = self.written(offset, pieces)
        self.assertEqual(found, bytes(offset) + expected if expected else b"")

    def test_many(self):
        """More pieces than one system call takes."""
        pieces = [b"%06d" % number for number in range(3000)]
        self.assertEqual(self.written(0, pieces), b"".join(pieces))

    def test_short_writes(self):
        """The system takes less than it is given: the rest follows."""
        real = os.pwritev
        self.patch(writing, "_pwritev", lambda fd, pieces, at: real(fd, [pieces[0][:1000]], at))
        pieces = [os.urandom(size) for size in (5000, 300_000, 7)]
        self.assertEqual(self.written(3, pieces), bytes(3) + b"".join(pieces))

    def test_no_vectors(self):
        """A system without pwritev (old macOS)."""
        self.patch(writing, "_pwritev", None)
        pieces = [os.urandom(size) for size in (5000, 300_000, 7)]
        self.assertEqual(self.written(0, pieces), b"".join(pieces))

"""The three codings behind one face: what they make can be read, by whoever accepts it."""

from __future__ import annotations

import zlib

import brotli
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.encoders import code, memory_of, new_encoder
from s3shield.policy import CODINGS

LEVELS = {b"gzip": (1, 6, 9), b"br": (0, 5, 9), b"zstd": (1, 6, 19)}
MOST = 8 << 20
"""Bytes of zstd's window that a client must be able to keep (RFC 9659)."""


def decoded(coding: bytes, data: bytes) -> bytes:
    """Return what can be read of the beginning of a body."""
    if coding == b"gzip":
        return zlib.decompressobj(31).decompress(data)
    if coding == b"br":
        return bytes(brotli.Decompressor().process(data))
    return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(data))


class EncoderTests(SynchronousTestCase):
    """`code` in pieces."""

    @given(st.lists(st.binary(max_size=400), max_size=6), st.sampled_from(CODINGS))
    @settings(deadline=None, max_examples=60)
    def test_pieces(self, pieces: list[bytes], coding: bytes) -> None:
        """In whatever pieces it comes, as bytes or as a view, the whole is read again."""
        for level in LEVELS[coding][:2]:
            encoder = new_encoder(coding, level)
            made = b"".join(
                [code(encoder, [memoryview(piece)], flush=False, finish=False) for piece in pieces]
            )
            made += code(encoder, pieces, flush=True, finish=True)
            self.assertEqual(b"".join(pieces) * 2, decoded(coding, made))

    @given(st.binary(min_size=1, max_size=3000), st.sampled_from(CODINGS))
    @settings(deadline=None, max_examples=60)
    def test_flush(self, data: bytes, coding: bytes) -> None:
        """What was flushed can be read before the rest is there."""
        encoder = new_encoder(coding, LEVELS[coding][1])
        early = code(encoder, [data], flush=True, finish=False)
        self.assertEqual(data, decoded(coding, early))
        late = code(encoder, [data], flush=False, finish=True)
        self.assertEqual(data * 2, decoded(coding, early + late))

    def test_empty(self) -> None:
        """Nothing at all is a body, too."""
        for coding in CODINGS:
            made = code(new_encoder(coding, 5), [], flush=False, finish=True)
            self.assertEqual(b"", decoded(coding, made))
            self.assertNotEqual(b"", made)

    def test_window(self) -> None:
        """No level of zstd's wants a larger window than a client has to have."""
        for level in range(1, 20):
            for size in (None, 1000, 1 << 34):
                made = code(new_encoder(b"zstd", level, size), [b"x"], flush=True, finish=False)
                window = zstandard.get_frame_parameters(made).window_size
                self.assertLessEqual(window, MOST, (level, size))

    def test_memory(self) -> None:
        """More for a higher level, less for a short body, never nothing."""
        for coding, levels in LEVELS.items():
            long = [memory_of(coding, level) for level in levels]
            short = [memory_of(coding, level, 4096) for level in levels]
            self.assertEqual(sorted(long), long)
            for one, other in zip(short, long, strict=True):
                self.assertTrue(0 < one <= other, (coding, one, other))

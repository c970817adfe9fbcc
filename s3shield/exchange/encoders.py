"""What makes the coded bytes: zlib, brotli and zstd behind one face. For threads.

brotli and zstandard are the extra s3shield[compress], imported when the first is needed.
All three let go of the interpreter's lock while they work.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

__all__ = ["Encoder", "code", "memory_of", "new_encoder"]

_GZIP_WINDOW: Final = 31
"""zlib's 15 bits of window, and 16 for gzip's head and tail (RFC 1952)."""
_BROTLI_WINDOW: Final = 20
"""Log2 of a mebibyte."""
_MIB: Final = 1 << 20
_SMALL: Final = 64 * 1024


class Encoder(Protocol):
    """Makes one body."""

    def add(self, data: bytes | memoryview) -> bytes:
        """Take bytes; return what is ready."""

    def flush(self) -> bytes:
        """Return what the receiver needs to have all bytes so far."""

    def finish(self) -> bytes:
        """Return the rest."""


class _Gzip:
    def __init__(self, level: int, _size: int | None) -> None:
        made = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)
        self.add = made.compress
        self._flush = made.flush

    def flush(self) -> bytes:
        return self._flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._flush(zlib.Z_FINISH)


class _Brotli:
    def __init__(self, level: int, _size: int | None) -> None:
        import brotli  # noqa: PLC0415 - an extra

        made: Any = brotli.Compressor(mode=brotli.MODE_TEXT, quality=level, lgwin=_BROTLI_WINDOW)
        self.add = made.process
        self.flush = made.flush
        self.finish = made.finish


class _Zstd:
    def __init__(self, level: int, size: int | None) -> None:
        import zstandard  # noqa: PLC0415 - an extra

        self._flush_block = zstandard.COMPRESSOBJ_FLUSH_BLOCK
        # Up to level 19 the window has 8 MiB: more no client must accept (RFC 9659).
        wanted = zstandard.ZstdCompressionParameters.from_level(level, source_size=size or 0)
        made: Any = zstandard.ZstdCompressor(compression_params=wanted).compressobj()
        self.add = made.compress
        self._flush = made.flush

    def flush(self) -> bytes:
        found: bytes = self._flush(self._flush_block)
        return found

    def finish(self) -> bytes:
        found: bytes = self._flush()
        return found


_MAKERS: Final[dict[bytes, Callable[[int, int | None], Encoder]]] = {
    b"gzip": _Gzip,
    b"br": _Brotli,
    b"zstd": _Zstd,
}


def new_encoder(coding: bytes, level: int, size: int | None = None) -> Encoder:
    """Return an encoder. coding: of `policy.CODINGS`. Raises ImportError.

    size: bytes to come, about, None when not known.
    """
    return _MAKERS[coding](level, size)


@lru_cache(256)
def memory_of(coding: bytes, level: int, size: int | None = None) -> int:
    """Return about how many bytes of memory such an encoder takes: as measured, or as it says."""
    small = size is not None and size <= _SMALL
    if coding == b"gzip":
        return _MIB
    if coding == b"br":
        if small:
            return (32 if 6 <= level <= 9 else 2) * _MIB
        return (14 if level <= 5 else 48) * _MIB
    import zstandard  # noqa: PLC0415 - an extra

    wanted = zstandard.ZstdCompressionParameters.from_level(level, source_size=size or 0)
    return int(wanted.estimated_compression_context_size()) + 2 * _MIB


def code(
    encoder: Encoder, pieces: Sequence[bytes | memoryview], *, flush: bool, finish: bool
) -> bytes:
    """Return what becomes of the next pieces. flush: all of them; finish: and that was it."""
    made = [encoder.add(piece) for piece in pieces]
    if finish:
        made.append(encoder.finish())
    elif flush:
        made.append(encoder.flush())
    return b"".join(made)

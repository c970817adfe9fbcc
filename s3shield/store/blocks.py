"""Which blocks of a body file are there, and their checksums. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

__all__ = ["Blocks", "present_bytes"]

_SUM: Final = struct.Struct("<I")
_STEP: Final = 64
_AHEAD: Final = 16
"""Blocks that `Blocks.run_end` looks ahead: more would cost a reader more than it gains."""


def _count(size: int, shift: int) -> int:
    return (size + (1 << shift) - 1) >> shift


def present_bytes(section: bytes, size: int, shift: int) -> int:
    """Return the bytes of the blocks present, by the block section of an incomplete body."""
    count = _count(size, shift)
    bits = int.from_bytes(section[: (count + 7) // 8], "little")
    present = bits.bit_count() << shift
    if count and bits >> (count - 1) & 1:
        present -= (count << shift) - size
    return present


class Blocks:
    """The blocks of one body of `size` bytes, of `1 << shift` bytes each but the last.

    section: the block section of its incomplete record (see `record`), or empty.
    missing: int, blocks that are not there.
    """

    __slots__ = ("_bits", "_sums", "count", "missing", "shift", "size")

    def __init__(self, size: int, shift: int, section: bytes = b"") -> None:
        self.size = size
        self.shift = shift
        self.count = _count(size, shift)
        width = (self.count + 7) // 8
        self._bits = bytearray(width)
        self._sums = bytearray(4 * self.count)
        self.missing = self.count
        if section:
            self.merge(section)

    def has(self, block: int) -> bool:
        """Tell whether a block is there."""
        return bool(self._bits[block >> 3] >> (block & 7) & 1)

    def sum(self, block: int) -> int:
        """Return the CRC-32 of a block that is there."""
        found: int = _SUM.unpack_from(self._sums, 4 * block)[0]
        return found

    def add(self, block: int, checksum: int) -> None:
        """Note that a block is there."""
        if not self.has(block):
            self.missing -= 1
            self._bits[block >> 3] |= 1 << (block & 7)
        _SUM.pack_into(self._sums, 4 * block, checksum)

    def discard(self, block: int) -> None:
        """Note that a block is not there after all."""
        if self.has(block):
            self.missing += 1
            self._bits[block >> 3] &= ~(1 << (block & 7))

    def merge(self, section: bytes) -> None:
        """Take over what another process has noted in an incomplete record."""
        width = len(self._bits)
        if section[:width] == self._bits or len(section) < width + 4 * self.count:
            return
        if self.missing == self.count:
            self._bits[:] = section[:width]
            self._sums[:] = section[width : width + 4 * self.count]
            self.missing -= int.from_bytes(self._bits, "little").bit_count()
            return
        for start in range(0, width, _STEP):  # as a whole where they are alike, which is nearly all
            theirs = section[start : min(start + _STEP, width)]
            if theirs == self._bits[start : start + _STEP]:
                continue
            for at, bits in enumerate(theirs, start):
                new = bits & ~self._bits[at]
                while new:
                    block = 8 * at + (new & -new).bit_length() - 1
                    new &= new - 1
                    self.add(block, _SUM.unpack_from(section, width + 4 * block)[0])

    def fill(self, sums: bytes) -> None:
        """Take over that all are there: the block section of a complete record."""
        if len(sums) == len(self._sums):
            self._sums[:] = sums
            self._bits[:] = ((1 << self.count) - 1).to_bytes(len(self._bits), "little")
            self.missing = 0

    def pack(self) -> bytes:
        """Return the block section of the record: with the bitmap while one is missing."""
        return bytes(self._bits + self._sums) if self.missing else bytes(self._sums)

    def run_end(self, position: int) -> int:
        """Return up to where the bytes from `position` on are there, some blocks ahead."""
        block = position >> self.shift
        last = min(self.count, block + _AHEAD)
        while block < last and self.has(block):
            block += 1
        return max(position, min(self.size, block << self.shift))

    def held_from(self, position: int) -> int:
        """Return up to where all is there from the block that `position` is in on."""
        first = position >> self.shift
        bits = int.from_bytes(self._bits, "little") >> first
        run = (~bits & (bits + 1)).bit_length() - 1
        return min(self.size, (first + run) << self.shift)

    def gap_end(self, position: int, limit: int) -> int:
        """Return where the gap that `position` is in ends: a block that is there, or `limit`.

        limit: rounded up to a block's end.
        """
        block = position >> self.shift
        last = min(self.count, _count(limit, self.shift))
        if block < last:
            # Bit by bit a gap of 100 GiB takes 8 ms, one of a terabyte 80.
            bits = int.from_bytes(self._bits[block >> 3 : (last + 7) >> 3], "little")
            bits >>= block & 7
            block = min(last, block + (bits & -bits).bit_length() - 1) if bits else last
        return min(self.size, block << self.shift)

    def start_of(self, position: int) -> int:
        """Return where the block that `position` is in starts."""
        return position >> self.shift << self.shift

    def held(self, spans: Iterable[tuple[int, int]]) -> int:
        """Return how many bytes of `spans`, half-open, are there."""
        bits = int.from_bytes(self._bits, "little")
        total = 0
        for start, end in spans:
            first, last = start >> self.shift, (end - 1) >> self.shift
            if end <= start:
                continue
            mask = (1 << (last - first + 1)) - 1
            total += (bits >> first & mask).bit_count() << self.shift
            if self.has(first):
                total -= start - (first << self.shift)
            if self.has(last):
                total -= ((last + 1) << self.shift) - end
        return total

    def copy(self) -> Blocks:
        """Return the same, to keep: what was there at one moment."""
        other = Blocks(0, self.shift)
        other.size, other.count, other.missing = self.size, self.count, self.missing
        other._bits, other._sums = bytearray(self._bits), self._sums
        return other

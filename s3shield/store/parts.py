"""Parts of blocks that are written while the rest of the block is not. Pure.

No index names them: they are one process's knowledge, and have no checksum.
"""

from __future__ import annotations

from .blocks import Blocks

__all__ = ["Parts"]

Span = tuple[int, int]
"""Half-open offsets, inside one block."""


class Parts:
    """Of a body of `size` bytes, of blocks of `1 << shift` bytes."""

    __slots__ = ("_shift", "_size", "_spans")

    def __init__(self, size: int, shift: int) -> None:
        self._size = size
        self._shift = shift
        self._spans: dict[int, list[Span]] = {}

    def add(self, start: int, end: int) -> None:
        """Note that `[start, end)`, inside one block, is there."""
        block = start >> self._shift
        merged: list[Span] = []
        for low, high in sorted([*self._spans.get(block, ()), (start, end)]):
            if merged and low <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(merged[-1][1], high)
            else:
                merged.append((low, high))
        self._spans[block] = merged

    def has(self, block: int) -> bool:
        """Tell whether a part of a block is there."""
        return block in self._spans

    def whole(self, block: int) -> bool:
        """Tell whether the parts of a block are all of it."""
        all_of_it = block << self._shift, min(self._size, (block + 1) << self._shift)
        return self._spans.get(block) == [all_of_it]

    def pop(self, block: int) -> None:
        """Forget a block's parts."""
        self._spans.pop(block, None)

    def run_end(self, position: int, blocks: Blocks) -> int:
        """Return up to where the bytes from `position` on are there; blocks: the whole ones."""
        for low, high in self._spans.get(position >> self._shift, ()):
            if low <= position < high:
                if high >> self._shift == position >> self._shift:
                    return high
                return self.run_end(blocks.run_end(high), blocks)
        return position

    def spans(self, blocks: Blocks) -> list[Span]:
        """Return all of them, but of blocks that are whole (another process may write one)."""
        return [
            span for block, spans in self._spans.items() if not blocks.has(block) for span in spans
        ]

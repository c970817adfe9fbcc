"""How far something is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

from typing import Final, TextIO

from .entries import size_text

__all__ = ["Progress"]

_BAR: Final = 30


class Progress:
    """Draws on `stream`. every: seconds between two calls of `draw` that make sense."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = False
        self.bar = stream.isatty()
        self.every = 0.2 if self.bar else 5.0

    def draw(self, done: int, total: int, size: int, more: str) -> None:
        """Show it. size: bytes. more: further words."""
        text = f"{done} of {total}, {size_text(size)} {more}"
        if not self.bar:
            print(text, file=self._stream, flush=True)
            return
        filled = "#" * (_BAR * done // max(1, total))
        print(f"\r[{filled:<{_BAR}}] {text}\x1b[K", end="", file=self._stream, flush=True)
        self._drawn = True

    def clear(self) -> None:
        """Leave room for other lines."""
        if self._drawn:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
            self._drawn = False

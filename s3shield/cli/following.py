"""A log file that is being written: its last lines, and those that come, through rotations."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["Following"]

_CHUNK: Final = 1 << 16
_FAR: Final = 64 << 20
"""Bytes that are looked through for the last lines that are wanted."""
_LONGEST: Final = 1 << 20
"""Bytes of a line without an end that are kept."""


class Following:
    """The file at `path`. Raises OSError when it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._rest = b""

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)

    def last(self, count: int, takes: Callable[[str], bool]) -> list[str]:
        """Return the last `count` lines that `takes` takes; `more` goes on behind them.

        A line that has no end yet is left for `more`.
        """
        end = os.lseek(self._fd, 0, os.SEEK_END)
        lines = self._backwards(end)
        self._rest = next(lines, b"")
        found: list[str] = []
        for line in lines if count else ():
            text = line.decode("utf-8", "replace")
            if takes(text):
                found.append(text)
                if len(found) == count:
                    break
        return found[::-1]

    def _backwards(self, end: int) -> Iterator[bytes]:
        """Yield what stands behind the last newline, then the lines before it, the last first."""
        at, tail = end, b""
        while at > 0 and end - at < _FAR:
            size = min(_CHUNK, at)
            at -= size
            pieces = (os.pread(self._fd, size, at) + tail).split(b"\n")
            tail = pieces[0]
            yield from reversed(pieces[1:])
        if at == 0:
            yield tail

    def more(self) -> list[str]:
        """Return the lines written since: of the old file first, then of a new one."""
        lines = self._read()
        if self._replaced():
            lines += self._read()
        return lines

    def _replaced(self) -> bool:
        """Open the file that now has the name, where it is another, or was cut short."""
        here = os.fstat(self._fd)
        try:
            there = Path(self._path).stat()
        except OSError:
            return False  # moved away, and nothing new yet
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            if there.st_size >= os.lseek(self._fd, 0, os.SEEK_CUR):
                return False
            os.lseek(self._fd, 0, os.SEEK_SET)  # cut short: logrotate's copytruncate
            self._rest = b""
            return True
        late = self._read_bytes()  # written between our last look and its rotation
        try:
            new = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._rest += late
            return False
        os.close(self._fd)
        self._fd = new
        self._rest += late
        if self._rest and not self._rest.endswith(b"\n"):
            self._rest += b"\n"
        return True

    def _read_bytes(self) -> bytes:
        pieces = []
        while piece := os.read(self._fd, _CHUNK):
            pieces.append(piece)
        return b"".join(pieces)

    def _read(self) -> list[str]:
        data = self._rest + self._read_bytes()
        *lines, self._rest = data.split(b"\n")
        self._rest = self._rest[-_LONGEST:]
        return [line.decode("utf-8", "replace") for line in lines]

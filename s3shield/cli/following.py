"""A log file that is being written: its last lines, and those that come, through rotations.

Theory of operation. Every worker has the file open and opens it anew when it is told to, one
after the other: when the first has made the new file the others still write to the old one. So
a file that was moved away is read on for a while beside the one that now has its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

__all__ = ["LOOKS", "Following"]

_CHUNK: Final = 1 << 16
_FAR: Final = 64 << 20
"""Bytes that are looked through for the last lines that are wanted."""
_LONGEST: Final = 1 << 20
"""Bytes of a line without an end that are kept."""
LOOKS: Final = 50
"""How often a file that was moved away is still looked at without anything new in it."""


class _File:
    """One file, from where it is read on. rest: a line without its end yet."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.rest = b""
        self.looks = LOOKS

    def read(self) -> list[str]:
        """Return the lines that have come."""
        pieces = [self.rest]
        while piece := os.read(self.fd, _CHUNK):
            pieces.append(piece)
        *lines, rest = b"".join(pieces).split(b"\n")
        self.rest = rest[-_LONGEST:]
        return [line.decode("utf-8", "replace") for line in lines]

    def over(self) -> list[str]:
        """Close it; return the line that never got its end, if there is one."""
        os.close(self.fd)
        return [self.rest.decode("utf-8", "replace")] if self.rest else []


class Following:
    """The file at `path`. Raises OSError when it cannot be opened."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _File(path)
        self._moved: list[_File] = []

    def close(self) -> None:
        """Let go of it."""
        for file in (*self._moved, self._file):
            file.over()

    def last(self, count: int, takes: Callable[[str], bool]) -> list[str]:
        """Return the last `count` lines that `takes` takes; `more` goes on behind them.

        A line that has no end yet is left for `more`.
        """
        end = os.lseek(self._file.fd, 0, os.SEEK_END)
        lines = self._backwards(end)
        self._file.rest = next(lines, b"")
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
            pieces = (os.pread(self._file.fd, size, at) + tail).split(b"\n")
            tail = pieces[0]
            yield from reversed(pieces[1:])
        if at == 0:
            yield tail

    def more(self) -> list[str]:
        """Return the lines written since: of files moved away first, then of the one there is."""
        lines = self._of_moved()
        lines += self._file.read()
        if self._replaced():
            lines += self._file.read()
        return lines

    def _of_moved(self) -> list[str]:
        lines: list[str] = []
        for file in self._moved[:]:
            found = file.read()
            lines += found
            file.looks = LOOKS if found else file.looks - 1
            if not file.looks:
                self._moved.remove(file)
                lines += file.over()
        return lines

    def _replaced(self) -> bool:
        """Open the file that now has the name, where it is another, or was cut short."""
        here = os.fstat(self._file.fd)
        try:
            there = Path(self._path).stat()
        except OSError:
            return False  # moved away, and nothing new yet
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
            if there.st_size >= os.lseek(self._file.fd, 0, os.SEEK_CUR):
                return False
            os.lseek(self._file.fd, 0, os.SEEK_SET)  # cut short: logrotate's copytruncate
            self._file.rest = b""
            return True
        try:
            new = _File(self._path)
        except OSError:
            return False
        self._moved.append(self._file)
        self._file = new
        return True

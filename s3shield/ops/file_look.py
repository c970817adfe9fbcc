"""A watched file: whether it has changed, and what is in it.

For a thread: a file system that hangs must not stop who asks.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import attrs

__all__ = ["LARGEST_FILE", "FileLook", "Mark", "look_at", "mark_of", "read_whole"]

LARGEST_FILE: Final = 1 << 20
"""Bytes of a watched file, for somebody names a wrong one one day."""

Mark = tuple[int, int, int, int, int]
"""What changes when a file does: device, inode, size, times of change in nanoseconds."""


@attrs.frozen
class FileLook:
    """What was found at a path.

    data: what is in it; None with a problem, or when the file is the one that is known.
    mark: of what was read. problem: why it cannot be read, a sentence; empty when it can.
    """

    data: bytes | None = attrs.field(default=None, repr=False)
    mark: Mark | None = None
    problem: str = ""


def look_at(path: str, known: Mark | None = None, largest: int = LARGEST_FILE) -> FileLook:
    """Read the file at `path`, unless its mark is `known`. Raises nothing.

    A file can change twice within the clock of its file system: it is known for certain
    when two looks gave the same mark.
    """
    try:
        if known is not None and mark_of(os.stat(path)) == known:  # noqa: PTH116  # one call
            return FileLook(mark=known)
        data, mark = read_whole(path, largest)
    except FileNotFoundError:
        return FileLook(problem="it is not there")
    except OSError as why:
        return FileLook(problem=f"it cannot be read: {why.strerror or why}")
    return FileLook(data, mark)


def mark_of(found: os.stat_result) -> Mark:
    """Return the mark of what `os.stat` found."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def read_whole(path: str, largest: int = LARGEST_FILE) -> tuple[bytes, Mark]:
    """Return what is in a file, and its mark. Raises OSError, also for one being written."""
    # Not blocking: the open of a FIFO would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise OSError("it is not a file")
        data = file.read(largest + 1)
        if len(data) > largest:
            raise OSError("it is far too large")
        if mark_of(os.fstat(fd)) != mark_of(before):
            raise OSError("it is being written just now")
    return data, mark_of(before)

"""A key file on disk: whether it has changed, and what is in it.

For a thread: a file system that hangs must not stop who asks.
"""

from __future__ import annotations

import os
import stat
from typing import Final

import attrs

from s3shield.signing import ScopedKey, parse_key_file

__all__ = ["Look", "Mark", "look"]

_LARGEST: Final = 1 << 20
"""Bytes of a key file: ten thousand keys, for somebody names a wrong file one day."""

Mark = tuple[int, int, int, int, int]
"""What changes when a file does: device, inode, size, times of change in nanoseconds."""


@attrs.frozen
class Look:
    """What was found at a path.

    problem: why it cannot be used, a sentence without any secret; empty when it can.
    advice: what to do about that. keys: what is in it; None with a problem, or when the
    file is the one that is known. mark: of what was read.
    """

    keys: tuple[ScopedKey, ...] | None = None
    mark: Mark | None = None
    problem: str = ""
    advice: str = ""


def _mark(found: os.stat_result) -> Mark:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def look(path: str, known: Mark | None = None) -> Look:
    """Read the key file at `path`, unless its mark is `known`. Raises nothing."""
    try:
        if known is not None and _mark(os.stat(path)) == known:  # noqa: PTH116  # one call
            return Look(mark=known)
        data, mark = _read(path)
    except FileNotFoundError:
        return Look(problem="it is gone", advice=_rotate(path, "put it back, or "))
    except PermissionError as why:
        advice = "let the daemon's user read it (chown it, mode 0600)"
        return Look(problem=f"it cannot be read: {why.strerror}", advice=advice)
    except OSError as why:
        reason = why.strerror or str(why)
        return Look(problem=f"it cannot be read: {reason}", advice=_rotate(path, "mend it, or "))
    try:
        return Look(parse_key_file(data.decode("utf-8")), mark)
    except UnicodeDecodeError:
        problem = "it is not text"
    except ValueError as why:
        problem = str(why)
    return Look(
        problem=problem, advice=_rotate(path, "write it as a whole and rename it there, or ")
    )


def _rotate(path: str, before: str) -> str:
    return f"{before}make new keys with `s3shield rotate {path}`"


def _read(path: str) -> tuple[bytes, Mark]:
    """Return what is in a file, and its mark. Raises OSError, also for one being written."""
    # Not blocking: the open of a FIFO would wait for a writer.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(fd, "rb") as file:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise OSError("it is not a file")
        data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise OSError("it is far too large for a key file")
        if _mark(os.fstat(fd)) != _mark(before):
            raise OSError("it is being written just now")
    return data, _mark(before)

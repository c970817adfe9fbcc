"""The number of the index's last write transaction, in a page that all processes share.

Theory of operation. Whoever commits writes the number here while it holds LMDB's writer lock,
before the commit can be seen. So nothing has been committed since a snapshot of that number,
and what was read from it still holds: one look into memory, no read transaction. Where the
writer died before its commit, or the page is older than the index, the numbers differ and the
index is asked.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Final

__all__ = ["shared_bytes", "shared_number"]

_SIZE: Final = 8


def shared_bytes(path: Path, size: int) -> mmap.mmap:
    """Map the first `size` bytes of a file, made of zeros when it is not there.

    Raises OSError, also when the disk is full: a page that has no room yet would kill the
    process that writes to it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        missing = size - os.fstat(handle).st_size
        if missing > 0:
            os.pwrite(handle, bytes(missing), size - missing)
        return mmap.mmap(handle, size)
    finally:
        os.close(handle)


def shared_number(path: Path) -> memoryview:
    """Map one unsigned number of 64 bits: `[0]` of what is returned. Raises OSError."""
    return memoryview(shared_bytes(path, _SIZE)).cast("Q")

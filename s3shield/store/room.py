"""Room that is kept for making room: removing entries from LMDB takes new pages first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

__all__ = ["Ballast", "free_bytes"]

_LARGEST: Final = 1 << 20
_SMALLEST: Final = 1 << 18


def free_bytes(path: Path) -> int:
    """Return the bytes that unprivileged processes can still write. Raises OSError."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


class Ballast:
    """A file that takes up to 1 MiB of the disk until the disk is full."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = path / "ballast"

    def load(self) -> None:
        """Take the room again, when there is plenty. Raises OSError."""
        found = os.statvfs(self._path)
        size = min(_LARGEST, max(_SMALLEST, found.f_blocks * found.f_frsize // 64))
        if self._name.exists() or found.f_bavail * found.f_frsize < 4 * size:
            return
        handle = os.open(self._name, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(handle, bytes(size))
        finally:
            os.close(handle)

    def drop(self) -> None:
        """Give the room away."""
        with contextlib.suppress(OSError):
            self._name.unlink(missing_ok=True)

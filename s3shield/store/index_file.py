"""The index's file: which one it is, and why it cannot be opened."""

from __future__ import annotations

from pathlib import Path

import lmdb

from .errors import plain

__all__ = ["file_id", "refusal"]


def file_id(path: Path) -> tuple[int, int] | None:
    """Identify the file that holds the data, or None when it is not there."""
    try:
        found = (path / "data.mdb").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refusal(path: Path, error: Exception) -> str:
    """Say in one sentence why the index cannot be opened."""
    if isinstance(error, (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError)):
        return f"{path} holds no index that can be read; delete it to start with an empty cache"
    return f"cannot open the cache's index {path}: {plain(error)}"

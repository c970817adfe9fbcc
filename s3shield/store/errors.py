"""What can go wrong with a store, and which of it is a lack of room."""

from __future__ import annotations

import errno
from typing import Final

import lmdb

__all__ = ["StoreError", "StoreVersionError", "is_no_room", "out_of_descriptors", "plain"]

_NO_ROOM: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EFBIG, errno.ENOMEM}
)
_LMDB_NO_ROOM: Final = (
    "Disk quota exceeded",
    "File too large",
    "Input/output error",  # LMDB's name for a short write, the first sign of a full disk
)


class StoreError(Exception):
    """A store cannot be opened; the message is one plain sentence for the operator."""


class StoreVersionError(StoreError):
    """A newer release has written the store; nothing in it was touched."""


def is_no_room(error: BaseException) -> bool:
    """Tell whether `error` means that disk, quota, map or descriptors have run out."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    if isinstance(error, (lmdb.DiskError, lmdb.MapFullError)):
        return True
    # The other errnos have no class of their own in the binding, only their text.
    return isinstance(error, lmdb.Error) and any(text in str(error) for text in _LMDB_NO_ROOM)


def plain(error: BaseException) -> str:
    """Return the error's own words, without errno and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def out_of_descriptors(error: BaseException | None) -> bool:
    """Tell whether the process or the system has too many open files."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)

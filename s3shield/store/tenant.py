"""That a cache directory has one daemon.

The processes of one daemon share a cache, and so could those of two; but each would evict by its
own limits, and count the other's purges as its own. So the parent of a daemon locks (flock) the
file `daemon` in the directory for as long as it lives, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import BinaryIO, Final

from .errors import StoreError, plain

__all__ = ["Tenant", "TenantError", "tenant_of"]

_NAME: Final = "daemon"
_LONGEST: Final = 4096


class TenantError(StoreError):
    """Another daemon has the directory. who: its configuration file, empty: not known."""

    def __init__(self, path: Path, who: str) -> None:
        self.who = who
        whose = f" (that of {who})" if who else ""
        super().__init__(
            f"{path} is in use by another daemon{whose}: stop that one, or give each a directory"
            " of its own"
        )


class Tenant:
    """The hold of a daemon on the directory `path`, until `leave`.

    who: its configuration file, for those who come later. owner: uid and gid that the lock's
    file is given to, None: stays. Raises TenantError when another has it, StoreError when it
    cannot be locked.
    """

    def __init__(self, path: Path, who: str, owner: tuple[int, int] | None = None) -> None:
        try:
            self._file = _open(path / _NAME)
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {plain(error)}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            with self._file:
                if isinstance(error, BlockingIOError):
                    raise TenantError(path, _who(self._file)) from None
            # A file system without locks: NFS of old. Nobody can be told from anybody there.
            raise StoreError(f"cannot lock {path}: {plain(error)}") from error
        with contextlib.suppress(OSError):  # a file of somebody else's that we may only read
            self._file.truncate(0)
            os.pwrite(self._file.fileno(), who.encode("utf-8", "surrogateescape"), 0)
            if owner is not None:
                os.fchown(self._file.fileno(), *owner)

    def leave(self) -> None:
        """Let others have it."""
        self._file.close()


def tenant_of(path: Path) -> str | None:
    """Return the configuration file of the daemon that has `path`; None: nobody has it."""
    try:
        Tenant(path, "").leave()
    except TenantError as error:
        return error.who
    return None


def _open(path: Path) -> BinaryIO:
    flags = os.O_CREAT | os.O_CLOEXEC
    try:
        return os.fdopen(os.open(path, os.O_RDWR | flags, 0o644), "r+b", buffering=0)
    except PermissionError:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), "rb", buffering=0)


def _who(file: BinaryIO) -> str:
    with contextlib.suppress(OSError):
        return os.pread(file.fileno(), _LONGEST, 0).decode("utf-8", "replace")
    return ""

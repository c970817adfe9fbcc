"""Which processes have a store open, and whether the system has crashed since.

`owners/<mark>` is locked (flock) by its process for as long as that lives, however it
dies. `lock` is held while a process opens or closes the store.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Owner", "boot_id", "is_living", "living", "locked"]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store's lock; waits for other processes. Raises OSError."""
    handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class Owner:
    """The mark of one process in the store's directory. Make and release it when `locked`.

    mark: bytes, 8, that no other process has had; a new one when None. Raises OSError.
    """

    def __init__(self, path: Path, mark: bytes | None = None) -> None:
        folder = path / "owners"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.mark = os.urandom(8) if mark is None else mark
        self._name = folder / self.mark.hex()
        self._handle = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def release(self) -> None:
        """Take the mark away."""
        self._name.unlink(missing_ok=True)
        os.close(self._handle)


def living(path: Path) -> frozenset[bytes]:
    """Return the marks of the processes that run; take those of dead ones away."""
    found = set()
    with contextlib.suppress(FileNotFoundError):
        for name in list((path / "owners").iterdir()):
            handle = os.open(name, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                name.unlink()
            except BlockingIOError:
                found.add(bytes.fromhex(name.name))
            finally:
                os.close(handle)
    return frozenset(found)


def is_living(path: Path, mark: bytes) -> bool:
    """Tell whether the process with that mark runs. For any time: it takes nothing away."""
    try:
        handle = os.open(path / "owners" / mark.hex(), os.O_RDWR)
    except FileNotFoundError:
        return False
    except OSError:
        return True  # as far as can be told
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def boot_id() -> bytes:
    """Return what tells this run of the operating system from others; empty: unknown."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(
                ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
                capture_output=True,
                check=True,
                timeout=5,
            ).stdout.strip()
    return b""

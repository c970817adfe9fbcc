"""Opening a file now, but only when that takes no disk access.

Linux 5.12 and newer can tell: openat2(2) with RESOLVE_CACHED fails with EAGAIN when a name
on the way is not in the kernel's cache. Python has no function for it. Elsewhere, and where a
sandbox forbids the call, the answer is always "not now", and a thread opens the file.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["opener"]

_OPENAT2: Final = 437  # the same number on every architecture that Linux runs on
_RESOLVE_CACHED: Final = 0x20
_AT_FDCWD: Final = -100
_FOR_GOOD: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL, errno.E2BIG})


class _How(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def opener() -> Callable[[bytes], int | None]:
    """Return a function that opens a path, bytes, for reading and returns its descriptor.

    That function returns None when it cannot, or not without the disk. Never raises.
    """
    if not sys.platform.startswith("linux"):
        return _never
    # PyDLL: the call never waits, and giving the interpreter's lock up costs more than it does.
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    how = _How(os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)
    number, folder = ctypes.c_long(_OPENAT2), ctypes.c_long(_AT_FDCWD)
    where, size = ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how))
    can = True

    def open_cached(path: bytes) -> int | None:
        nonlocal can
        if not can:
            return None
        fd = int(syscall(number, folder, path, where, size))
        if fd >= 0:
            return fd
        can = ctypes.get_errno() not in _FOR_GOOD
        return None

    return open_cached


def _never(_path: bytes) -> int | None:
    """Stand in where the system cannot tell."""
    return None

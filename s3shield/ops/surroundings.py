"""What a daemon's processes find in the system around them, and take of it."""

from __future__ import annotations

import contextlib
import os
import resource
import site
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import BinaryIO, Final, cast

__all__ = ["raise_file_limit", "shared_memory", "usable_cpus", "worker_environment"]

_MOST_FILES: Final = 1 << 20


def usable_cpus() -> int:
    """Return how many processors this process may run on: what `workers = auto` means."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def worker_environment() -> dict[str, str]:
    """Return the environment in which a fresh interpreter finds this same package."""
    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    if root not in installed | set(site.getsitepackages()) | {site.getusersitepackages()}:
        others = environment.get("PYTHONPATH")
        environment["PYTHONPATH"] = root + (os.pathsep + others if others else "")
    return environment


def shared_memory() -> BinaryIO:
    """Return an empty file without a name, for what worker processes share."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("s3shield"), "r+b", buffering=0)
    return cast(BinaryIO, tempfile.TemporaryFile(buffering=0))  # the caller's


def raise_file_limit() -> None:
    """Take as many descriptors as this process may have: one or two a connection are needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard if hard != resource.RLIM_INFINITY else _MOST_FILES, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # macOS names a hard limit that it does not grant.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

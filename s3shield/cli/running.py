"""The daemon of a configuration as a process: which one it is, and whether it runs."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["pid_in", "runs"]


def pid_in(pid_file: str | None) -> int:
    """Return the process id in a file. Raises ValueError with what is wrong."""
    if pid_file is None:
        raise ValueError("the configuration has no pid_file: say --pid")
    try:
        text = Path(pid_file).read_text(encoding="ascii", errors="replace").strip()
    except OSError as why:
        raise ValueError(f"{pid_file}: {why.strerror}: is the daemon running?") from None
    if not (text.isdigit() and int(text) > 1):
        raise ValueError(f"{pid_file}: there is no process id in it")
    return int(text)


def runs(pid: int) -> bool:
    """Tell whether a process runs. One that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True  # not Linux, or gone just now
    return stat.rpartition(b") ")[2][:1] != b"Z"

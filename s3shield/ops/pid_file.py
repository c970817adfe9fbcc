"""The file with the daemon's process id."""

from __future__ import annotations

import os
from pathlib import Path

from s3shield.ops.plan import Plan, StartError

__all__ = ["remove_pid", "write_pid"]


def write_pid(plan: Plan) -> None:
    """Write the pid file, if there is to be one. Raises StartError."""
    path = plan.pid_file
    if path is not None:
        try:
            Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")
        except OSError as error:
            raise StartError(f"{plan.where('pid_file')}: {path}: {error.strerror}") from error


def remove_pid(plan: Plan) -> OSError | None:
    """Remove the pid file; return why that cannot be done."""
    try:
        if plan.pid_file is not None:
            Path(plan.pid_file).unlink(missing_ok=True)
    except OSError as error:
        return error
    return None

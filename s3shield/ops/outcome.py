"""How a reload went, for who asked for it: a small file beside the pid file.

A signal has no answer. The daemon writes this file after each reload, and `s3shield reload`
waits for it. It is made while the daemon may still write beside the pid file, and from then on
written in place: the user that the daemon becomes may not make files there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

__all__ = ["Outcome", "OutcomeFile", "outcome_path"]

_RUNTIME: Final = "RUNTIME_DIRECTORY"
"""systemd.exec(5): set for a unit's commands, where it has such a directory."""


@attrs.frozen
class Outcome:
    """began: epoch seconds. text: for the operator, one line or, of mistakes, several."""

    began: float
    good: bool
    text: str


def outcome_path(pid_file: str | None, environ: Mapping[str, str]) -> str | None:
    """Return where outcomes are written; None: nowhere."""
    if pid_file is not None:
        return f"{pid_file}.reload"
    folder = environ.get(_RUNTIME, "").partition(":")[0]
    return f"{folder}/s3shield.reload" if folder else None


class OutcomeFile:
    """The file at `path`; nothing at all where that is None. No method raises."""

    def __init__(self, path: str | None) -> None:
        self.path = path

    def make(self, uid: int | None) -> None:
        """Make it, for the user that will write it."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            Path(self.path).write_text("", encoding="ascii")
            if uid is not None:
                os.chown(self.path, uid, -1)

    def write(self, outcome: Outcome) -> None:
        """Replace what is in it."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            # In one write: a reader finds it whole, or not a whole line.
            Path(self.path).write_text(json.dumps(attrs.asdict(outcome)) + "\n", encoding="ascii")

    def read(self) -> Outcome | None:
        """Return the last outcome; None while there is none, or it is being written."""
        if self.path is None:
            return None
        try:
            found: dict[str, Any] = json.loads(Path(self.path).read_text(encoding="ascii"))
            return Outcome(**found)
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Take it away."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                Path(self.path).unlink()

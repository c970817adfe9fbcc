"""Running `s3shield` in this process, as a person would."""

from __future__ import annotations

import contextlib
import io

from s3shield.cli import main

__all__ = ["called"]


def called(*words: str, out: io.StringIO | None = None) -> tuple[int, str, str]:
    """Run the command; return status, stdout and stderr. out: to write to instead."""
    stdout = io.StringIO() if out is None else out
    stderr = io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            status = main(list(words))
        except SystemExit as why:
            status = why.code
    return status, stdout.getvalue(), stderr.getvalue()

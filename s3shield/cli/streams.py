"""Standard input, output and error of the command, whatever they were started with."""

from __future__ import annotations

import io
import os
import sys
from typing import Final

__all__ = ["let_go", "ready"]

_NAMES: Final = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def ready() -> None:
    """Make them writable, whatever they are.

    One that was closed (`>&-`) leads nowhere: the number of a closed one would be given to the
    next file that is opened, a cache's perhaps. File names that are not UTF-8 go out as the
    bytes that they are, and what a terminal's character set lacks as an escape.
    """
    for name, mode in _NAMES:
        if getattr(sys, name) is None:
            setattr(sys, name, _nowhere(mode))
    if isinstance(sys.stdout, io.TextIOWrapper):
        whole = sys.stdout.encoding.lower().replace("-", "") == "utf8"
        sys.stdout.reconfigure(errors="surrogateescape" if whole else "backslashreplace")


def let_go() -> None:
    """Give up standard output, which takes no more: Python would try once more at its end."""
    sys.stdout = _nowhere("w")


def _nowhere(mode: str) -> io.TextIOWrapper:
    fd = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: the one that was closed
    return io.TextIOWrapper(io.FileIO(fd, mode), encoding="utf-8")

"""A key file on disk: whether it has changed, and what is in it.

For a thread: a file system that hangs must not stop who asks.
"""

from __future__ import annotations

import os

import attrs

from s3shield.ops.file_look import Mark, mark_of, read_whole
from s3shield.signing import ScopedKey, parse_key_file

__all__ = ["Look", "Mark", "look"]


@attrs.frozen
class Look:
    """What was found at a path.

    problem: why it cannot be used, a sentence without any secret; empty when it can.
    advice: what to do about that. keys: what is in it; None with a problem, or when the
    file is the one that is known. mark: of what was read.
    """

    keys: tuple[ScopedKey, ...] | None = None
    mark: Mark | None = None
    problem: str = ""
    advice: str = ""


def look(path: str, known: Mark | None = None) -> Look:
    """Read the key file at `path`, unless its mark is `known`. Raises nothing."""
    try:
        if known is not None and mark_of(os.stat(path)) == known:  # noqa: PTH116  # one call
            return Look(mark=known)
        data, mark = read_whole(path)
    except FileNotFoundError:
        return Look(problem="it is gone", advice=_rotate(path, "put it back, or "))
    except PermissionError as why:
        advice = "let the daemon's user read it (chown it, mode 0600)"
        return Look(problem=f"it cannot be read: {why.strerror}", advice=advice)
    except OSError as why:
        reason = why.strerror or str(why)
        return Look(problem=f"it cannot be read: {reason}", advice=_rotate(path, "mend it, or "))
    try:
        return Look(parse_key_file(data.decode("utf-8")), mark)
    except UnicodeDecodeError:
        problem = "it is not text"
    except ValueError as why:
        problem = str(why)
    return Look(
        problem=problem, advice=_rotate(path, "write it as a whole and rename it there, or ")
    )


def _rotate(path: str, before: str) -> str:
    return f"{before}make new keys with `s3shield rotate {path}`"

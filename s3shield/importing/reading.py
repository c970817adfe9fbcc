"""The files of a configuration: read within limits, included ones found."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Final

import attrs

from .source import ImportFailed

__all__ = ["Library"]

_MOST_BYTES: Final = 4 << 20
_MOST_FILES: Final = 1000


@attrs.define
class Library:
    """Reads the files of one configuration, no more than a configuration can have.

    missing: (file, line, pattern) of includes that name nothing.
    """

    missing: list[tuple[str, int, str]] = attrs.field(factory=list)
    _bytes: int = 0
    _files: int = 0

    def read(self, path: str) -> str:
        """Return a file's text. Raises ImportFailed for one that cannot be a configuration."""
        place = Path(path)
        try:
            # A device or a pipe may never end.
            if place.exists() and not place.is_file():
                raise ImportFailed(path, 0, "it is not a file")
            size = place.stat().st_size
            if self._bytes + size > _MOST_BYTES or self._files >= _MOST_FILES:
                raise ImportFailed(
                    path, 0, f"it is too large: {_MOST_BYTES >> 20} MiB is the most for all files"
                )
            data = place.read_bytes()
        except (OSError, ValueError) as why:
            reason = getattr(why, "strerror", None) or "no reason given"
            raise ImportFailed(path, 0, f"it cannot be read: {reason}") from None
        self._bytes += len(data)
        self._files += 1
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as why:
            line = data.count(b"\n", 0, why.start) + 1
            raise ImportFailed(path, line, "it is not UTF-8 text") from None
        if "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            raise ImportFailed(path, line, "it is not text: there is a NUL in it")
        return text

    def included(self, pattern: str, file: str, line: int, *bases: str) -> list[str]:
        """Return the files that an include names; none is noted as missing.

        bases: directories to which the pattern may be relative, in order.
        """
        for base in bases:
            found = sorted(glob.glob(str(Path(base) / pattern)))  # noqa: PTH207 - may be absolute
            files = [each for each in found if Path(each).is_file()]
            if files:
                return files
        if not glob.has_magic(pattern):
            self.missing.append((file, line, pattern))
        return []

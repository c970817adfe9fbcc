"""What is in a cache, for somebody who looks at it from outside: beside its daemon, or without.

Nothing is changed. Blocks, for any thread but an event loop's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import lmdb

from .errors import StoreError, plain
from .index import Index
from .recent import Recent
from .record import Entry, RecordError
from .selector import Selector

__all__ = ["Browsing"]

_BATCH: Final = 256
_MAP: Final = 1 << 26
"""Address space to begin with: LMDB takes what the index has when that is more."""


class Browsing:
    """The cache in `path`. Raises StoreError when there is none, or it cannot be read."""

    def __init__(self, path: Path) -> None:
        if not (path / "index" / "data.mdb").exists():
            raise StoreError(f"there is no cache in {path}")
        self._path = path
        self._index = Index(path / "index", _MAP)

    def close(self) -> None:
        """Let go of it."""
        self._index.close()

    def entries(self, selector: Selector) -> Iterator[Entry]:
        """Yield what is meant: what is committed in the order of the keys, then the rest.

        Marks are among it, see `is_response`. Raises StoreError.
        """
        try:
            lately = self._uncommitted()
            for digest, raw in self._committed(selector):
                if digest not in lately:
                    yield from _meant(selector, digest, raw)
            for digest, raw in lately.items():
                yield from _meant(selector, digest, raw)
        except (OSError, lmdb.Error) as error:
            raise StoreError(f"cannot read the cache in {self._path}: {plain(error)}") from error

    def _committed(self, selector: Selector) -> Iterator[tuple[bytes, bytes]]:
        if selector.kind == "all":
            selector = Selector("prefix")
        resume = None
        while True:
            batch, resume = self._index.records(selector, resume, _BATCH)
            yield from batch
            if resume is None:
                return

    def _uncommitted(self) -> dict[bytes, bytes]:
        """Return digest -> record (empty: removed) of what processes have not committed yet."""
        folder = self._path / "recent"
        if not folder.exists():
            return {}
        recent = Recent(folder, bytes(8))
        try:
            return dict(recent.records())
        finally:
            recent.close()


def _meant(selector: Selector, digest: bytes, raw: bytes) -> Iterator[Entry]:
    with contextlib.suppress(RecordError):  # one that nobody can read, or a removal
        entry = Entry(raw, digest)
        if selector.matches(entry.key, entry.tags):
            yield entry

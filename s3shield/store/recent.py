"""What the worker processes have stored or removed and not yet committed to the index.

A small LMDB environment without sync: a change is there, for every process, when `put`
returns (about 15 us). The process that made it commits it to the index soon after and
then takes it away here. A row is the change's `ident`, 16 bytes, unlike any other's, and
the record (nothing: removed).

`rows` is one byte shared by all processes: 0 when the environment is known to be empty,
which saves readers a transaction. It is written only inside write transactions: set
before a row can be seen, cleared when there is none.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import lmdb

from .latest import shared_bytes

__all__ = ["Recent", "wipe"]

_MAP: Final = 4 << 30
_CHUNK: Final = 64
"""Rows taken away in one transaction: other processes' event loops wait for it."""
_MAYBE: Final = 1
_EMPTY: Final = 0
_count: Final = itertools.count(1)


class Recent:
    """LMDB at `path`. owner: bytes, 8, this process's mark in idents.

    Raises lmdb.Error or OSError when it cannot be opened.
    """

    def __init__(self, path: Path, owner: bytes) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._owner = owner
        self._env = lmdb.open(
            str(path),
            map_size=_MAP,
            sync=False,
            metasync=False,
            meminit=False,
            max_readers=2048,
            max_spare_txns=4,
            mode=0o600,
        )
        self._env.reader_check()
        self._begin = self._env.begin
        self.rows = shared_bytes(path / "rows", 1)
        with self._env.begin(write=True) as txn:
            self.rows[0] = _MAYBE if txn.stat()["entries"] else _EMPTY

    def close(self) -> None:
        """Let go of the map; every row stays. Everything else raises lmdb.Error from now on."""
        self._env.close()

    def put(
        self, digest: bytes, raw: bytes, unless: Callable[[], bool] | None = None
    ) -> bytes | None:
        """Show a change to every process; return its ident. raw: empty for a removal.

        None, and nothing is done, when `unless`, called when no other process can put, is
        true. Raises lmdb.Error when there is no room.
        """
        ident = self._owner + next(_count).to_bytes(8, "little")
        with self._begin(write=True) as txn:
            if unless is not None and unless():
                return None
            self.rows[0] = _MAYBE
            txn.put(digest, ident + raw)
        return ident

    def get(self, digest: bytes) -> bytes | None:
        """Return ident and record of the last change that is not committed yet."""
        txn = self._begin()
        row = txn.get(digest)
        txn.abort()
        return row

    def records(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield digest and record of every change whose `put` began before this was called."""
        with self._begin(write=True):
            pass  # whoever is in the middle of `put` is waited for
        with self._begin() as txn, txn.cursor() as cursor:
            for digest, row in cursor:
                yield digest, row[16:]

    def idents(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        """Return digest -> ident, of those that have a row, all as of one instant."""
        found = {}
        with self._begin() as txn:
            for digest in digests:
                row = txn.get(digest)
                if row is not None:
                    found[digest] = row[:16]
        return found

    def delete(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Take away (digest, ident) rows; one that has been overwritten since stays."""
        pending = list(rows)
        for start in range(0, len(pending), _CHUNK):
            with self._begin(write=True) as txn:
                for digest, ident in pending[start : start + _CHUNK]:
                    row = txn.get(digest)
                    if row is not None and row[:16] == ident:
                        txn.delete(digest)
        with self._begin(write=True) as txn:
            if not txn.stat()["entries"]:
                self.rows[0] = _EMPTY

    def adopt(self, alive: Callable[[bytes], bool]) -> list[tuple[bytes, bytes, bytes]]:
        """Take over what dead processes have left; return (digest, new ident, record) of each.

        alive: tells whether the process with that owner mark runs.
        """
        adopted = []
        with self._begin(write=True) as txn:
            for digest, row in list(txn.cursor()):
                if not alive(row[:8]):
                    ident = self._owner + next(_count).to_bytes(8, "little")
                    txn.put(digest, ident + row[16:])
                    adopted.append((digest, ident, row[16:]))
        return adopted


def wipe(path: Path) -> None:
    """Delete the environment; no process may have it open."""
    shutil.rmtree(path, ignore_errors=True)

"""The index: one LMDB environment that every worker process maps.

Reading is for any thread; `apply` and `evict` are for the one committing thread of the
process. Every commit is synced, so the operating system's crash cannot corrupt it.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import threading
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path
from typing import Final

import attrs
import lmdb

from .change import DATABASES, Change, Databases, Row, read_totals
from .errors import StoreError, StoreVersionError
from .eviction import Budget, plan
from .index_file import file_id, refusal
from .lately import Lately
from .latest import shared_number
from .record import FORMAT, Entry, RecordError
from .rows import NOTHING, LruRow, Totals, Weight, lru_row
from .selector import Selector, is_response, select, softened

__all__ = ["Index", "IndexClosedError", "Swept"]

_MIN_MAP: Final = 1 << 26
_FORMAT_ROW: Final = b"format"
_digest = operator.attrgetter("digest")
_SCAN: Final = 4096
"""LRU rows looked at in one step of a sweep."""


class IndexClosedError(Exception):
    """The index is closed, or its directory is gone."""


@attrs.frozen
class Swept:
    """One step of a sweep: how many entries went and their weight.

    freed: (digest, blob id) of body files that nothing names any more. resume: LRU row at
    which the next step goes on, or None at the end. unused: entries that nobody had used.
    """

    entries: int = 0
    weight: Weight = NOTHING
    freed: tuple[tuple[bytes, bytes], ...] = ()
    resume: bytes | None = None
    unused: int = 0


class Index:
    """LMDB at `path`. map_size: bytes of address space to begin with; it grows by itself.

    Raises StoreVersionError for a newer format, StoreError when it cannot be opened.
    """

    def __init__(self, path: Path, map_size: int) -> None:
        self._path = path
        self._map_size = map_size
        self._lock = threading.Lock()
        self._acquire = self._lock.acquire
        self._release = self._lock.release
        self._stale_map = False
        self._env: lmdb.Environment | None = None
        self._open()

    # Opening

    def _open(self) -> None:
        size = self._map_size
        while True:
            try:
                self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
                env = lmdb.open(
                    str(self._path),
                    map_size=size,
                    max_dbs=8,
                    max_readers=2048,
                    max_spare_txns=8,
                    readahead=False,
                    meminit=False,
                    mode=0o600,
                )
                break
            except (lmdb.Error, OSError) as error:
                # Address space may be limited (RLIMIT_AS): less is slower to grow, no worse.
                if isinstance(error, lmdb.MemoryError) and size > _MIN_MAP:
                    size //= 2
                    continue
                raise StoreError(refusal(self._path, error)) from error
        try:
            lately = Lately(self._open_databases(env))
        except BaseException:
            env.close()
            raise
        self._file_id = file_id(self._path)
        self._begin = env.begin
        self._lately = lately  # snapshots begin to count anew
        self._entries = self._dbs.entries
        self._env = env

    def _open_databases(self, env: lmdb.Environment) -> memoryview:
        env.reader_check()
        with contextlib.suppress(lmdb.NotFoundError):
            meta = env.open_db(b"meta", create=False)
            with env.begin(meta) as txn:
                found = txn.get(_FORMAT_ROW)
            if found is not None and int(found) > FORMAT:
                raise StoreVersionError(
                    f"the cache in {self._path.parent} has format {int(found)}, written"
                    f" by a newer release; this one reads format {FORMAT}: install that release, or"
                    " give this one another directory"
                )
        try:
            self._dbs = Databases(*[env.open_db(name.encode()) for name in DATABASES])
            with env.begin(self._dbs.meta, write=True) as txn:
                latest = shared_number(self._path / "latest")
                known = txn.get(_FORMAT_ROW) is not None
                latest[0] = txn.id() - known  # it is a transaction only when it writes
                if not known:
                    txn.put(_FORMAT_ROW, b"%d" % FORMAT)
            return latest
        except (lmdb.Error, OSError) as error:
            raise StoreError(refusal(self._path, error)) from error

    def close(self) -> None:
        """Let go of the map. Reading gives None from now on."""
        with self._lock:
            env, self._env = self._env, None
            self._lately = Lately([0])
            if env is not None:
                env.close()

    def reopen(self) -> None:
        """Start anew where the directory has been deleted. Raises StoreError."""
        self.close()
        with self._lock:
            self._open()

    def check_readers(self) -> None:
        """Clear the slots of readers that were killed: they keep old pages from being used."""
        with self._lock:
            if self._env is not None:
                self._env.reader_check()

    def is_lost(self) -> bool:
        """Tell whether the file we have mapped is no longer the one at our path."""
        return self._env is None or file_id(self._path) != self._file_id

    # Reading

    def find(self, digest: bytes) -> Entry | None:
        """Return the entry, or None. For the event loop's thread.

        An entry used lately is not read again while no process has committed anything.
        Raises lmdb.Error when it cannot be read, RecordError when it is none.
        """
        lately = self._lately
        entry = lately.young.get(digest) or lately.old.get(digest)
        if entry is not None and entry.seen == lately.latest[0]:
            return entry
        self._acquire()  # half the price of `with`
        try:
            if self._env is None:
                return None
            txn = self._begin(self._entries)
            snapshot = txn.id()
            lately = self._lately
            entry = lately.young.get(digest) or lately.old.get(digest)
            if entry is None or entry.seen != snapshot:
                raw = txn.get(digest)
                entry = None if raw is None else Entry(raw, digest)
                if entry is not None:
                    entry.seen = snapshot
                    lately.add(entry)
            txn.abort()
            return entry
        except lmdb.MapResizedError:
            self._stale_map = True
        finally:
            self._release()
        self._follow_map()
        return None if self._stale_map else self.find(digest)

    def get(self, digest: bytes) -> bytes | None:
        """Return the record, or None. Raises lmdb.Error when it cannot be read."""
        try:
            return self._get(digest)
        except lmdb.MapResizedError:
            self._stale_map = True
        self._follow_map()
        return None if self._stale_map else self._get(digest)

    def _get(self, digest: bytes) -> bytes | None:
        with self._lock:
            if self._env is None:
                return None
            txn = self._begin(self._entries)
            raw = txn.get(digest)
            txn.abort()
            return raw

    def totals(self) -> Totals:
        """Return what is stored, as of the last commit of any process."""
        with self._reading() as txn:
            return read_totals(txn, self._dbs)

    def meta(self, name: bytes) -> bytes | None:
        """Return a row of `meta`."""
        with self._reading() as txn:
            return txn.get(name, db=self._dbs.meta)

    def oldest(self) -> LruRow | None:
        """Return the entry that was not used for the longest time."""
        with self._reading() as txn, txn.cursor(self._dbs.lru) as cursor:
            return lru_row(*cursor.item()) if cursor.first() else None

    def space(self) -> tuple[int, int]:
        """Return the map's size and the bytes of it that the file takes."""
        with self._lock:
            if self._env is None:
                return 0, 0
            info = self._env.info()
            return info["map_size"], (info["last_pgno"] + 1) * self._env.stat()["psize"]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[lmdb.Transaction[bytes]]:
        if self._stale_map:
            self._follow_map()
        with self._lock:
            if self._env is None:
                raise IndexClosedError
            with self._env.begin() as txn:
                yield txn

    # The map's size

    def _follow_map(self) -> None:
        """Another process has grown the map: map as much as it did."""
        with self._lock:
            if self._env is not None:
                # Refused while our own committing thread is in a transaction: next time.
                with contextlib.suppress(lmdb.Error):
                    self._env.set_mapsize(0)
                    self._stale_map = False

    def _grow(self) -> None:
        with self._lock:
            if self._env is not None:
                self._env.set_mapsize(2 * self._env.info()["map_size"])

    # Writing

    def _write(self, work: Callable[[Change], None]) -> Change:
        """Run `work` in a write transaction, again with a larger map when it was full."""
        while True:
            if self._env is None:
                raise IndexClosedError
            try:
                with self._env.begin(write=True) as txn:
                    change = Change(txn, self._dbs)
                    work(change)
                    change.finish()
                    self._lately.latest[0] = txn.id()
                return change
            except lmdb.MapResizedError:
                self._follow_map()
            except lmdb.MapFullError:
                self._grow()

    def set_meta(self, rows: dict[bytes, bytes]) -> None:
        """Put rows of `meta`."""

        def work(change: Change) -> None:
            for name, value in rows.items():
                change.txn.put(name, value, db=self._dbs.meta)

        self._write(work)

    def apply(
        self,
        rows: Callable[[], Iterable[Row]],
        touched: Iterable[tuple[bytes, int]] = (),
        emptied: Iterable[bytes] = (),
    ) -> list[tuple[bytes, bytes]]:
        """Commit changes; return (digest, blob id) of body files no longer named.

        rows: called inside the transaction, when no other process can commit. touched:
        (digest, minute) of entries that were used. emptied: body files that were deleted.
        Raises lmdb.Error when it cannot be committed: nothing was.
        """

        def work(change: Change) -> None:
            for row in sorted(rows(), key=_digest):
                if row.entry is None:
                    change.remove(row.digest)
                else:
                    change.put(row.entry, row.minute)
            for digest, minute in sorted(touched):
                change.touch(digest, minute)
            for blob in emptied:
                change.txn.delete(blob, db=self._dbs.trash)

        return self._write(work).freed

    def evict(self, wanted: Budget, limit: int, resume: bytes | None = None) -> Swept:
        """Remove at most `limit` entries of those that `wanted` names, from `resume` on."""
        gone: list[Weight] = []
        last: bytes | None = None
        unused = 0

        def work(change: Change) -> None:
            # All in the write transaction: other readers of ours do not wait for it.
            nonlocal last, unused
            last = None
            with change.txn.cursor(self._dbs.lru) as cursor:
                found = cursor.set_range(resume) if resume else cursor.first()
                keys: list[bytes] = []
                victims = plan(_scan(cursor, keys), wanted, limit) if found else []
            if len(keys) == _SCAN or len(victims) == limit:
                last = keys[-1]
            unused = sum(row.minute < wanted.before for row in victims)
            gone[:] = [change.remove(row.digest) for row in sorted(victims, key=_digest)]

        freed = self._write(work).freed
        weight = Weight(sum(w.size for w in gone), sum(w.disk for w in gone))
        return Swept(len(gone), weight, tuple(freed), last, unused)

    def purge(
        self,
        selector: Selector,
        *,
        soft: bool,
        limit: int,
        resume: bytes | None = None,
        skip: Container[bytes] = (),
    ) -> Swept:
        """Remove, or make stale, at most `limit` entries that `selector` means.

        skip: digests that do not count in `entries`, which is of responses alone.
        """
        counted = 0
        last: bytes | None = None

        def work(change: Change) -> None:
            nonlocal counted, last
            counted = 0
            digests, last = select(change.txn, self._dbs, selector, resume, limit)
            for digest in sorted(digests):
                raw = change.txn.get(digest, db=self._dbs.entries)
                try:
                    entry = None if raw is None else Entry(raw, digest)
                except RecordError:
                    entry = None
                if entry is not None and not selector.matches(entry.key, entry.tags):
                    continue
                if not soft:
                    change.remove(digest)
                if entry is not None and is_response(entry):
                    if soft:
                        change.txn.put(digest, softened(entry).raw, db=self._dbs.entries)
                    counted += digest not in skip

        freed = self._write(work).freed
        return Swept(counted, NOTHING, tuple(freed), last)

    def records(
        self, selector: Selector, resume: bytes | None, limit: int
    ) -> tuple[list[tuple[bytes, bytes]], bytes | None]:
        """Return at most `limit` (digest, record) that may be meant, and where to go on.

        In short transactions: a long one would make the index grow. See `select`.
        """
        with self._reading() as txn:
            digests, last = select(txn, self._dbs, selector, resume, limit)
            found = [(digest, txn.get(digest, db=self._entries)) for digest in digests]
        return [(digest, raw) for digest, raw in found if raw is not None], last

    def trash(self) -> list[tuple[bytes, bytes]]:
        """Return (digest, blob id) of the body files that may still have to be deleted."""
        with self._reading() as txn, txn.cursor(self._dbs.trash) as cursor:
            return [(digest, blob) for blob, digest in cursor]


def _scan(cursor: lmdb.Cursor[bytes], keys: list[bytes]) -> Iterator[LruRow]:
    """Yield LRU rows from the cursor on, a limited number; note the keys."""
    for key, value in itertools.islice(cursor, _SCAN):
        keys.append(key)
        yield lru_row(key, value)

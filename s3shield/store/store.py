"""The store of one cache directory, as one worker process has it.

A change goes, in this order, to the `recent` environment (so that every process sees it
when the call returns), to this process's pending changes, and with the next group commit
to the index. See `recent`, `commits` and `index`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final

import lmdb
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.threads import deferToThreadPool

from s3shield.policy import RunningDigest, StoredResponse

from .bodies import BodyWriter, WrittenBody
from .change import Row
from .claims import Claims
from .committing import Committing
from .errors import StoreError, is_no_room, out_of_descriptors, plain
from .eviction import Limits
from .files import OpenFiles, Threads, no_descriptor
from .index import IndexClosedError
from .opening import Opening
from .place import Place
from .purging import Fenced
from .record import Entry, RecordError, encode, pack_checksums, refreshed
from .rows import MINUTE, minute_of
from .selector import Selector
from .sparse_bodies import SparseBodies
from .stats import Stats, collect
from .together import Together

__all__ = ["MAP_SIZE", "Store"]

MAP_SIZE: Final = 64 << 30
"""Bytes of address space for the index to begin with; the file is as large as its content."""
_MOST_PENDING: Final = 128 << 20
_MOST_TOUCHED: Final = 1 << 16


class Store:
    """A cache directory. Opening and `close` block for as long as a commit takes.

    path: directory, made when it is not there. reactor: IReactorFromThreads, to come back
    from threads with. pool: a ThreadPool, or anything with its
    `callInThreadWithCallback`, for body files. clock: seconds since the epoch. shared:
    whether other processes use the directory. on_trouble: called on the event loop with
    one reason for the log; not rate-limited. map_size: bytes. block_shift: log2 of the
    size of the blocks that have a checksum. open_files: body files to keep open.

    open_body, open_body_later: see `opening.Opening.now` and `later`.

    Only one Store of a path in a process. All methods are for the event loop's thread.
    Raises StoreError, StoreVersionError.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        reactor: Any,
        pool: Any,
        clock: Callable[[], float] = time.time,
        shared: bool = True,
        on_trouble: Callable[[str], None] | None = None,
        map_size: int = MAP_SIZE,
        block_shift: int = 20,
        open_files: int = 512,
    ) -> None:
        self._reactor = reactor
        self._threads: Threads = partial(deferToThreadPool, reactor, pool)
        self.clock = clock
        self._on_trouble = on_trouble
        self.block_shift = block_shift
        self._pending: dict[bytes, Row] = {}
        self._open_files = OpenFiles(open_files)
        self._touched: set[bytes] = set()
        self._touch_since = self._touch_until = 0.0
        self._closed = False
        self.path = Path(path)
        self._place = Place(self.path, map_size=map_size, shared=shared)
        later = reactor.callLater
        self._together = Together(self._threads)
        self.sparse = SparseBodies(
            self, self._place, self._threads, self._together, self._show, later
        )
        opening = Opening(self._place, self._open_files, self._threads, self.sparse, self._trouble)
        self.open_body = opening.now
        self.open_body_later = opening.later
        self.claims = Claims(self._place, self._trouble)
        self._find = self._place.index.find
        self._committing = Committing(self._place, self._pending, self._trouble, clock)
        self._commits = self._committing.commits
        self._commits.start()
        self._adopt(shared=shared)

    def _adopt(self, *, shared: bool) -> None:
        left, self._place.left = self._place.left, []
        for digest, ident, raw in left:
            try:
                entry = Entry(raw, digest) if raw else None
            except RecordError:
                entry = None
            self._queue(Row(digest, entry, minute_of(self.clock()), ident if shared else None))
        if left and not shared:
            self._commits.flush()  # there is no other copy of them any more

    def share(self) -> None:
        """Let other processes open the directory, from now on. Blocks for a commit.

        What is under way goes on. Raises StoreError, and nothing has changed.
        """
        if not self._closed and self._place.recent is None:
            self._commits.flush()  # nobody else would see what waits
            self._place.share()

    def close(self) -> None:
        """Commit what waits and let go of everything. Twice is no harm."""
        if self._closed:
            return
        self._closed = True
        self._committing.closing = True
        self._commits.close()
        self._open_files.shrink(0)
        try:
            self._place.close()
        except (OSError, lmdb.Error, IndexClosedError) as error:
            self._trouble(f"closing the cache: {plain(error)}")

    def flush(self) -> None:
        """Wait until every change so far is committed (or dropped). Blocks."""
        self._commits.flush()

    # Entries

    def get(self, digest: bytes, key: bytes | None) -> Entry | None:
        """Return the entry of `digest`, 16 bytes, with that key text (None: any), or None."""
        if self._pending:
            row = self._pending.get(digest)
            if row is not None and self._in_force(row):
                entry = row.entry
                return entry if entry is not None and (entry.key == key or key is None) else None
        try:
            recent = self._place.recent
            if recent is not None and recent.rows[0]:
                found = recent.get(digest)
                if found is not None:
                    if len(found) == 16:
                        return None  # removed
                    entry = Entry(found[16:], digest)
                    return entry if entry.key == key or key is None else None
            entry = self._find(digest)
        except (lmdb.Error, RecordError) as error:
            self._trouble(f"the cache's index cannot be read: {plain(error)}")
            return None
        return entry if entry is not None and (entry.key == key or key is None) else None

    def _in_force(self, row: Row) -> bool:
        """Tell whether no other process has overruled our pending change."""
        recent = self._place.recent
        if recent is None or row.ident is None:
            return True
        try:
            found = recent.get(row.digest)
        except lmdb.Error:
            return True
        return found is not None and found[:16] == row.ident

    def put(
        self,
        digest: bytes,
        key: bytes,
        meta: StoredResponse,
        head: bytes,
        body: bytes,
        tags: Iterable[bytes] = (),
        since: int | None = None,
    ) -> Entry | None:
        """Store a response with an inline body; None when the store cannot have it now.

        since: `fence` at the time it was asked for; what was purged since is not stored.
        """
        return self._show(Entry(encode(meta, head, key, body=body, tags=tags), digest), since)

    def freshen(
        self, entry: Entry, meta: StoredResponse, head: bytes, since: int | None = None
    ) -> Entry | None:
        """Give a stored entry another meta and head, its body kept.

        None, and nothing is done, when the entry has been removed, purged or replaced meanwhile.
        """
        since = self.fence() if since is None else since
        current = self.get(entry.digest, entry.key)
        if current is None or current.blob != entry.blob or current.body != entry.body:
            return None
        return self._show(Entry(refreshed(current, meta, head), entry.digest), since)

    def remove(self, digest: bytes) -> None:
        """Remove an entry; no process finds it any more when this returns."""
        self._change(digest, None)

    def touch(self, digest: bytes, now: float | None = None) -> None:
        """Note that an entry was used, at `now` if given; written at most once a minute."""
        if now is None:
            now = self.clock()
        touched = self._touched
        if not self._touch_since <= now < self._touch_until:
            minute = minute_of(now)
            self._touch_since = float(minute * MINUTE)
            self._touch_until = self._touch_since + MINUTE
            touched.clear()
        if digest not in touched and len(touched) < _MOST_TOUCHED:
            touched.add(digest)
            self._commits.touch(digest, minute_of(now))

    def _show(self, entry: Entry, since: int | None = None) -> Entry | None:
        if self._closed:
            return None
        if self._commits.memory > _MOST_PENDING:
            self._trouble("the disk is too slow for what is to be stored")
            return None
        return entry if self._change(entry.digest, entry, since) else None

    def _change(self, digest: bytes, entry: Entry | None, since: int | None = None) -> bool:
        """Remove or store, unless a purge since then forbids it."""
        raw, unless = b"" if entry is None else entry.raw, None
        if since is not None and entry is not None:
            unless = partial(self.purged, since, entry.key, entry.tags)
        ident = None
        recent = self._place.recent
        if recent is not None:
            try:
                ident = recent.put(digest, raw, unless)
                if ident is None:
                    return False
            except lmdb.Error as error:
                self._trouble(f"other workers see a change late: {plain(error)}")
        if ident is None and unless is not None and unless():
            return False
        self._queue(Row(digest, entry, minute_of(self.clock()), ident))
        return True

    def _queue(self, row: Row) -> None:
        with self._committing.lock:
            self._pending[row.digest] = row
        replaced = self._commits.add(row)
        if replaced is None:
            return
        blob = None if replaced.entry is None else replaced.entry.blob
        if blob is not None and (row.entry is None or row.entry.blob != blob):
            self._committing.orphans.append((row.digest, blob))
        if row.ident is None and replaced.ident is not None:
            self._committing.stale.append((row.digest, replaced.ident))

    # Purging

    def purge(self, selector: Selector, *, soft: bool, dry: bool = False) -> Deferred[int]:
        """Remove what `selector` names, or make it stale: in force everywhere when it fires.

        dry: do not, only count. Fires with the number of responses. Fails with StoreError.
        """
        if self._closed:
            return fail(StoreError("the cache is closed"))
        call = self._reactor.callFromThread
        return self._committing.purge(selector, soft, dry, self.get, self._change, call)

    def fence(self) -> int:
        """Return what stands for now in `since` arguments."""
        return self._place.purges.fence()

    def purged(self, since: int, key: bytes, tags: Iterable[bytes] = ()) -> bool:
        """Tell whether what was asked for at `since` has been purged."""
        return self._place.purges.names(since, key, tags)

    # Bodies

    def create_body(
        self,
        digest: bytes,
        expected: int | None = None,
        since: int | None = None,
        check: RunningDigest | None = None,
    ) -> BodyWriter:
        """Begin a body that gets a file. expected: its size where known. Never raises.

        since: as for `put`. check: what it must sum up to.
        """
        bodies, shelf, shift = self._place.bodies, Fenced(self, since), self.block_shift
        return BodyWriter(
            shelf,
            bodies,
            self._threads,
            self._together,
            digest,
            bodies.new_id(),
            shift,
            expected,
            check,
        )

    def shelve(
        self,
        body: WrittenBody,
        key: bytes,
        meta: StoredResponse,
        head: bytes,
        tags: Iterable[bytes],
        since: int | None = None,
    ) -> Entry | None:
        """Store the entry of a body that has been written (`bodies.Shelf`)."""
        record = encode(
            meta,
            head,
            key,
            blob=body.blob,
            size=body.size,
            tags=tags,
            blocks=pack_checksums(body.checksums),
            block_shift=body.block_shift,
            era=self._place.era,
        )
        entry = self._show(Entry(record, body.digest), since)
        if entry is not None:
            self._open_files.add(body.blob, body.file.hold())
        return entry

    def writing_failed(self, error: BaseException) -> None:
        """Make room where that is what a body lacked (`bodies.Shelf`)."""
        self._trouble(f"a body could not be stored: {plain(error)}")
        if isinstance(error, OSError) and out_of_descriptors(error):
            self._open_files.halve()
        elif is_no_room(error):
            call = self._reactor.callFromThread
            self._committing.make_room_for_body(partial(call, self.release_deleted))

    # Room

    def keep_within(self, limits: Limits) -> Deferred[int]:
        """Remove what `limits` wants removed, in small steps; fires with how many went."""
        done: Deferred[int] = Deferred()
        if self._closed:
            return succeed(0)

        def finished(entries: int) -> None:
            self._reactor.callFromThread(done.callback, entries)

        self._commits.run(lambda: self._committing.sweep(limits, finished))
        return done

    def release_deleted(self) -> None:
        """Close body files that were deleted, and some more where descriptors run short."""
        self._open_files.sweep()
        if error := no_descriptor():
            # uvloop cuts off clients that it has no descriptor for, and says nothing.
            self._trouble(f"clients are turned away: {plain(error)}")
            self._open_files.halve()

    def stats(self) -> Stats:
        """Return what the store holds and does."""
        return collect(self._place, self._committing, len(self._pending), len(self._open_files))

    def _trouble(self, reason: str) -> None:
        """Report from whichever thread."""
        if self._on_trouble is not None:
            self._reactor.callFromThread(self._on_trouble, reason)

"""What the committing thread does: commit, clear up, make room, recover."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import lmdb
from twisted.internet.defer import Deferred

from .change import Row
from .commits import Commits
from .errors import StoreError, is_no_room, plain
from .eviction import STEP, Budget, Limits, budget
from .index import IndexClosedError, Swept
from .place import Place
from .purging import Purge
from .record import Entry
from .room import free_bytes
from .rows import Weight
from .selector import Selector

__all__ = ["Committing"]

_REST: Final = 60.0
"""Seconds before the disk is tried again after a sweep that could not free enough of it."""
_PART: Final = 50
_ROOM_FOR_BODY: Final = 64 << 20
_CRUMBS: Final = (64, 16, 4, 1)
"""Entries removed in one transaction when there is no room for the transaction itself."""


class Committing:
    """A `Committer`. All but the constructor and what says so runs in the committing thread.

    pending: digest -> Row, shared with the event loop's thread, which puts rows in; lock:
    to hold meanwhile. orphans: (digest, blob id), likewise: body files that may have lost
    their entry. stale: (digest, ident), likewise: rows of `recent` that nothing takes away.
    trouble: called with a reason for the log. clock: seconds since the epoch.
    """

    def __init__(
        self,
        place: Place,
        pending: dict[bytes, Row],
        trouble: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        self.commits = Commits(self)
        self.lock = threading.Lock()
        self.orphans: list[tuple[bytes, bytes]] = []
        self.stale: list[tuple[bytes, bytes]] = []
        self.done = 0
        self.dropped = 0
        self.evicted = dict.fromkeys(("inactive", "size", "disk", "full"), 0)
        self.closing = False
        self._place = place
        self._pending = pending
        self._trouble = trouble
        self._clock = clock
        self._rested = float("-inf")
        self._making_room = False

    # Committer

    def commit(self, rows: list[Row], touched: dict[bytes, int]) -> None:
        """Commit; what cannot be committed is dropped, removals are kept for later."""
        try:
            self._commit(rows, touched)
        except Exception as error:  # whatever it is, the thread has to go on
            self._drop(rows, error)

    def idle(self) -> None:
        """See that the directory is still ours and the ballast in place."""
        try:
            if self._place.is_broken():
                self._recover()
            self._place.index.check_readers()
            self._place.ballast.load()
        except (OSError, lmdb.Error) as error:
            self._trouble(f"the cache cannot be used: {plain(error)}")

    # Committing

    def _commit(self, rows: list[Row], touched: dict[bytes, int]) -> None:
        place = self._place
        if place.is_broken():
            self._recover()
        ours: list[Row] = []

        def current() -> list[Row]:
            ours[:] = self._ours(rows)
            return ours

        emptied, place.emptied = place.emptied, []
        try:
            freed = place.index.apply(current, touched.items(), emptied)
        except BaseException:
            place.emptied += emptied
            raise
        self.done += 1
        for row in ours:
            if row.entry is not None and row.entry.blob is not None:
                self._on_disk(place.bodies.settle, row.digest, row.entry.blob)
        self._forget(rows)
        if len(ours) < len(rows):
            kept = set(map(id, ours))
            self.orphans += [
                (row.digest, row.entry.blob)
                for row in rows
                if id(row) not in kept and row.entry is not None and row.entry.blob is not None
            ]
        self._delete_orphans()
        self.delete(freed)

    def _ours(self, rows: list[Row]) -> list[Row]:
        """Return the rows that no other process has overruled since."""
        recent = self._place.recent
        if recent is None:
            return rows
        idents = recent.idents([row.digest for row in rows])
        return [
            row
            for row in rows
            if idents.get(row.digest) == row.ident or (row.ident is None and row.entry is None)
        ]

    def _forget(self, rows: Iterable[Row]) -> None:
        """The rows are committed or dropped: no longer pending, no longer recent."""
        pending = self._pending
        for row in rows:
            with self.lock:
                if pending.get(row.digest) is row:
                    del pending[row.digest]
        recent = self._place.recent
        if recent is None:
            return
        stale, self.stale = self.stale, []
        stale += [(row.digest, row.ident) for row in rows if row.ident is not None]
        if stale:
            try:
                recent.delete(stale)
            except lmdb.Error as error:
                self.stale += stale
                self._trouble(f"cannot clear the recent changes: {plain(error)}")

    def _drop(self, rows: list[Row], error: Exception) -> None:
        """Nothing was committed. Better no entry than one that has been replaced."""
        self.dropped += len(rows)
        self._trouble(f"{len(rows)} changes could not be stored: {plain(error)}")
        # A removal stays in force, and is tried again.
        self._forget([row for row in rows if row.entry or not self.commits.add_again(row)])
        for row in rows:
            if row.entry is None:
                continue
            if row.entry.blob is not None:
                self.orphans.append((row.digest, row.entry.blob))
            if self._stored(row.digest):
                removal = Row(row.digest, None, row.minute)
                with self.lock:
                    if row.digest not in self._pending and self.commits.add_again(removal):
                        self._pending[row.digest] = removal
        self._delete_orphans()
        if self.closing:
            return
        if isinstance(error, lmdb.PanicError):
            self._reopen()
        elif is_no_room(error):
            self.make_room()

    def _stored(self, digest: bytes) -> bool:
        try:
            return self._place.index.get(digest) is not None
        except lmdb.Error:
            return False

    # Body files

    def _delete_orphans(self) -> None:
        orphans, self.orphans = self.orphans, []
        for digest, blob in orphans:
            row = self._pending.get(digest)
            waits = row is not None and row.entry is not None and row.entry.blob == blob
            if not waits and not self._place.named(digest, blob):
                self._on_disk(self._place.bodies.delete, digest, blob)

    def delete(self, freed: Iterable[tuple[bytes, bytes]]) -> None:
        """Delete body files, (digest, blob id), that nothing names any more."""
        for digest, blob in freed:
            if self._on_disk(self._place.bodies.delete, digest, blob):
                self._place.emptied.append(blob)

    def _on_disk(self, deed: Callable[[bytes, bytes], None], digest: bytes, blob: bytes) -> bool:
        try:
            deed(digest, blob)
        except OSError as error:
            self._trouble(f"a body file: {plain(error)}")
            return False
        return True

    # Room

    def make_room(self, disk: int = 0) -> None:
        """Remove some entries now, however little room that has.

        disk: bytes of body files to remove; 0: a part of everything.
        """
        place = self._place
        if place.index.is_lost():
            return
        place.ballast.drop()
        for limit in _CRUMBS:
            try:
                size = 0 if disk else max(1, place.index.totals().size // _PART)
                swept = place.index.evict(Budget(size=size, disk=disk), limit)
                self.evicted["full"] += swept.entries
            except IndexClosedError:
                return
            except lmdb.Error as error:
                if not is_no_room(error):
                    self._trouble(f"cannot make room: {plain(error)}")
                    return
                continue
            self.delete(swept.freed)
            return

    def make_room_for_body(self, made: Callable[[], None]) -> None:
        """From the event loop: make room, once for all the bodies that fail together.

        made: called in the committing thread when it has been tried.
        """
        if self._making_room:
            return
        self._making_room = True

        def make() -> None:
            self.make_room(_ROOM_FOR_BODY)
            self._making_room = False
            made()

        self.commits.run(make)

    def sweep(self, limits: Limits, done: Callable[[int], None]) -> None:
        """Bring the store within `limits`, step by step; call `done` with the entries removed."""
        place = self._place
        try:
            now = self._clock()
            rested = time.monotonic() - self._rested >= _REST
            free = free_bytes(place.path) if limits.min_free and rested else limits.min_free
            wanted = budget(place.index.totals().size, free, now, limits)
            oldest = place.index.oldest()
        except (OSError, IndexClosedError, lmdb.Error) as error:
            self._trouble(f"cannot see how large the cache is: {plain(error)}")
            done(0)
            return
        if oldest is None or not (wanted.size or wanted.disk or oldest.minute < wanted.before):
            done(0)
            return
        self._step(wanted, Swept(), done)

    def _step(self, wanted: Budget, before: Swept, done: Callable[[int], None]) -> None:
        try:
            swept = self._place.index.evict(wanted, STEP, before.resume)
        except IndexClosedError:
            done(before.entries)
            return
        except lmdb.Error as error:
            self._trouble(f"cannot make room: {plain(error)}")
            self.make_room()
            done(before.entries)
            return
        self.delete(swept.freed)
        self.evicted["inactive"] += swept.unused
        self.evicted["size" if wanted.size else "disk"] += swept.entries - swept.unused
        wanted = wanted.less(swept.weight.size, swept.weight.disk)
        total = Swept(before.entries + swept.entries, Weight(0, 0), (), swept.resume)
        if swept.resume is None or self.closing:
            if wanted.disk:
                self._rested = time.monotonic()
            done(total.entries)
        else:
            # Between two steps the others get their commits.
            self.commits.run(lambda: self._step(wanted, total, done))

    # Purging

    def purge(
        self,
        selector: Selector,
        soft: bool,
        dry: bool,
        get: Callable[[bytes, bytes], Entry | None],
        change: Callable[[bytes, Entry | None], object],
        call: Callable[..., object],
    ) -> Deferred[int]:
        """Begin a purge, from the event loop; see `purging.Purge`."""
        place, pending = self._place, self._pending
        return Purge(self, place, pending, selector, soft, dry, get, change, call).begin()

    # Recovery

    def _reopen(self) -> None:
        """LMDB refuses to write after a failure it could not undo, until it is opened anew."""
        try:
            self._place.index.reopen()
        except StoreError as error:
            self._trouble(str(error))

    def _recover(self) -> None:
        self._trouble(f"{self._place.path} was deleted; the cache starts anew")
        with self.lock:
            for row in self._pending.values():
                row.ident = None  # what `recent` had is gone: nothing overrules it
        try:
            self._place.recover()
        except (OSError, StoreError, lmdb.Error) as error:
            self._trouble(f"the cache cannot be used: {plain(error)}")

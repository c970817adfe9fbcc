"""One purge: from the event loop to the committing thread and back.

Theory of operation. First the log says what is purged: from here on no process stores
what was fetched before. Then, in the committing thread, the changes that are not committed
yet are looked through, those of every process (`recent`); on the event loop each that
is meant is overruled by a change of ours, as any other change. At last the index is
swept in small transactions. What a process commits meanwhile is either overruled, or in
the index before the sweep. An entry that is stored anew meanwhile may be purged as well,
which costs no more than to fetch it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs
import lmdb
from twisted.internet.defer import Deferred

from s3shield.policy import StoredResponse

from .bodies import WrittenBody
from .change import Row
from .commits import Commits
from .errors import StoreError, is_no_room, plain
from .index import Index, IndexClosedError, Swept
from .place import Place
from .record import Entry, RecordError
from .selector import Selector, is_response, softened

__all__ = ["Fenced", "Purge"]

if TYPE_CHECKING:
    from .store import Store

_STEP: Final = 1000
"""Entries in one transaction: other processes' commits wait for it."""
_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 1 << 20
"""Changes made in one turn of the event loop, and bytes of records: both a millisecond or two."""
_TRIES: Final = 3
_LOOK: Final = 100
_LOOKS: Final = 20
"""Entries read in one transaction, for which the event loop waits; such transactions in a step."""


class Committing(Protocol):
    """What a purge needs of `committing.Committing`."""

    commits: Commits
    lock: threading.Lock

    def delete(self, freed: Iterable[tuple[bytes, bytes]]) -> None: ...
    def make_room(self, disk: int = 0) -> None: ...


@attrs.define(eq=False)
class Purge:
    """See the module's text. done: fires with the number of responses, or StoreError.

    dry: nothing is purged, only counted. get, change: the store's, for the event loop's
    thread. call: callFromThread.
    """

    _committing: Committing
    _place: Place
    _pending: dict[bytes, Row]
    _selector: Selector
    _soft: bool
    _dry: bool
    _get: Callable[[bytes, bytes], Entry | None]
    _change: Callable[[bytes, Entry | None], object]
    _call: Callable[..., object]
    done: Deferred[int] = attrs.field(factory=Deferred, init=False)
    _uncommitted: set[bytes] = attrs.field(factory=set, init=False)
    _meant: dict[bytes, bytes] = attrs.field(factory=dict, init=False)  # digest -> key text
    _count: int = attrs.field(default=0, init=False)
    _tries: int = attrs.field(default=0, init=False)

    def begin(self) -> Deferred[int]:
        """Begin; on the event loop."""
        try:
            if not self._dry:
                self._place.purges.add(self._selector)
        except OSError as error:
            self.done.errback(StoreError(f"the purge cannot be noted: {plain(error)}"))
            return self.done
        self._run(self._look_through)
        return self.done

    def _run(self, step: Callable[..., None], *words: Any) -> None:
        """Do a step in the committing thread."""

        def job() -> None:
            try:
                step(*words)
            except Exception as error:  # whatever it is, the thread has to go on
                reason = StoreError(f"the purge is not complete: {plain(error)}")
                self._call(self.done.errback, reason)

        self._committing.commits.run(job)

    def _look_through(self) -> None:
        recent = self._place.recent
        with self._committing.lock:
            rows = list(self._pending.values())
        for row in rows:
            # Else it is in `recent`, or another process has overruled it.
            if recent is None or row.ident is None:
                self._look(row.digest, row.entry)
        if recent is not None:
            for digest, raw in recent.records():
                try:
                    self._look(digest, Entry(raw, digest) if raw else None)
                except RecordError:
                    continue  # nobody can read it
        self._call(self._overrule)

    def _look(self, digest: bytes, entry: Entry | None) -> None:
        self._uncommitted.add(digest)
        if entry is not None and self._selector.matches(entry.key, entry.tags):
            self._meant[digest] = entry.key

    def _overrule(self) -> None:
        size = 0
        for _ in range(min(_AT_ONCE, len(self._meant))):
            digest, key = self._meant.popitem()
            entry = self._get(digest, key)
            if entry is None:
                continue
            size += len(entry.raw)
            response = is_response(entry)
            if not self._dry and (response or not self._soft):
                self._change(digest, softened(entry) if self._soft else None)
            self._count += response
            if size >= _BYTES_AT_ONCE:
                break
        if self._meant:
            self._call(self._overrule)
        else:
            self._run(self._sweep, None)

    def _sweep(self, resume: bytes | None) -> None:
        index = self._place.index
        try:
            if self._dry:
                swept = _counted(index, self._selector, resume, self._uncommitted)
            else:
                swept = index.purge(
                    self._selector,
                    soft=self._soft,
                    limit=_STEP,
                    resume=resume,
                    skip=self._uncommitted,
                )
        except IndexClosedError:
            self._call(self.done.callback, self._count)  # gone with its directory
            return
        except lmdb.Error as error:
            self._tries += 1
            if self._tries == _TRIES or not is_no_room(error):
                raise
            self._committing.make_room()
            self._run(self._sweep, resume)
            return
        self._committing.delete(swept.freed)
        self._count += swept.entries
        if swept.resume is None:
            self._call(self.done.callback, self._count)
        else:
            # Between two steps the others get their commits.
            self._run(self._sweep, swept.resume)


def _counted(
    index: Index, selector: Selector, resume: bytes | None, skip: Container[bytes]
) -> Swept:
    """Return how many responses a sweep from `resume` on would take, some thousand looked at."""
    count = 0
    for _ in range(_LOOKS):
        rows, resume = index.records(selector, resume, _LOOK)
        for digest, raw in rows:
            if digest in skip:
                continue
            try:
                entry = Entry(raw, digest)
            except RecordError:
                continue  # nobody can read it
            count += is_response(entry) and selector.matches(entry.key, entry.tags)
        if resume is None:
            break
    return Swept(count, resume=resume)


@attrs.frozen(eq=False)
class Fenced:
    """A `bodies.Shelf`: the store, for a body that was asked for at `since`."""

    store: Store
    since: int | None

    def shelve(
        self,
        body: WrittenBody,
        key: bytes,
        meta: StoredResponse,
        head: bytes,
        tags: Iterable[bytes],
    ) -> Entry | None:
        """Make the entry visible unless it was purged."""
        return self.store.shelve(body, key, meta, head, tags, self.since)

    def writing_failed(self, error: BaseException) -> None:
        """A body could not be written."""
        self.store.writing_failed(error)

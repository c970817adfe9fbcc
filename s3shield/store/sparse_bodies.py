"""Sparse bodies and the records that name their blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

from s3shield.policy import StoredResponse

from .blocks import Blocks
from .files import Threads
from .place import Place
from .record import Entry, encode, rebuilt, restamped
from .sparse import SparseBody, Timer

if TYPE_CHECKING:
    from .store import Store

__all__ = ["SparseBodies"]


@attrs.frozen
class SparseBodies:
    """A `sparse.BlockShelf`: the part of a store that deals with incomplete bodies.

    place, threads, together: the store's. show: puts an entry where lookups find it; None when the
    store will not have it. call_later: the reactor's.
    """

    store: Store
    place: Place
    threads: Threads
    together: Threads
    show: Callable[[Entry, int | None], Entry | None]
    call_later: Callable[[float, Callable[[], None]], Timer]

    def create(
        self,
        digest: bytes,
        key: bytes,
        meta: StoredResponse,
        head: bytes,
        size: int,
        tags: Iterable[bytes] = (),
        since: int | None = None,
    ) -> SparseBody:
        """Begin a body of `size` bytes that comes in pieces; its entry shows once it can.

        since: as for `Store.put`.
        """
        bodies, era, shift = self.place.bodies, self.place.era, self.store.block_shift
        record = encode(
            meta,
            head,
            key,
            blob=bodies.new_id(),
            size=size,
            tags=tags,
            blocks=Blocks(size, shift).pack(),
            block_shift=shift,
            era=era,
            complete=False,
        )
        entry = Entry(record, digest)
        return SparseBody(
            self,
            bodies,
            self.threads,
            self.together,
            entry,
            era,
            call_later=self.call_later,
            fresh=True,
            since=since,
        )

    def open(self, entry: Entry) -> SparseBody:
        """Open an incomplete entry's body, to read what is there and write the rest."""
        place = self.place
        return SparseBody(
            self,
            place.bodies,
            self.threads,
            self.together,
            entry,
            place.era,
            call_later=self.call_later,
            fresh=False,
        )

    def note_blocks(
        self, entry: Entry, blocks: Blocks, *, first: bool, since: int | None
    ) -> Entry | None:
        """Write to the record which blocks are there (`sparse.BlockShelf`)."""
        with self.store.claims.hold():  # or what another notes just now would be lost
            return self._note_blocks(entry, blocks, first=first, since=since)

    def _note_blocks(
        self, entry: Entry, blocks: Blocks, *, first: bool, since: int | None
    ) -> Entry | None:
        if not first:
            since = self.store.fence()
            current = self.store.get(entry.digest, entry.key)
            if current is None or current.blob != entry.blob:
                return None
            if current.complete:
                return current
            if current.era == self.place.era:
                blocks.merge(current.blocks)
            entry = current
        complete = not blocks.missing
        raw = rebuilt(entry, blocks.pack(), self.place.era, complete=complete)
        return self.show(Entry(raw, entry.digest), since)

    def trust(self, entry: Entry) -> None:
        """The body has been verified: not again until the next unclean stop."""
        since = self.store.fence()
        current = self.store.get(entry.digest, entry.key)
        if current is not None and current.blob == entry.blob:
            self.show(Entry(restamped(current.raw, self.place.era), entry.digest), since)

    def gone(self, entry: Entry) -> None:
        """Remove an entry without its file, unless it has another one (`BlockShelf`)."""
        current = self.store.get(entry.digest, entry.key)
        if current is not None and current.blob == entry.blob:
            self.store.remove(entry.digest)

    def writing_failed(self, error: BaseException) -> None:
        """A body could not be written (`BlockShelf`)."""
        self.store.writing_failed(error)

"""What is asked about what is stored, and what a 304 makes of it (RFC 9111 section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from s3shield.policy import (
    CachePolicy,
    EntryFlag,
    Fields,
    ResponseHead,
    freshen,
    identify,
    parse_stored_head,
    revalidation_fields,
    selecting_names,
    selection_fields,
    serialize_head,
)

if TYPE_CHECKING:
    from s3shield.store import Entry, Store

__all__ = ["NOTHING_ASKED", "Question", "selected_anew"]


def selected_anew(entry: Entry, merged: ResponseHead, policy: CachePolicy) -> bool:
    """Tell whether a validation changed Vary: where the entry is, others would find it."""
    before = selecting_names(parse_stored_head(entry.head), policy)
    return selecting_names(merged, policy) != before


@attrs.frozen
class Question:
    """Whether what is stored is still right.

    entries: what a 304 would be about. fields: the conditions that ask. stale: the entry
    that the request selects, if it does; without it all variants are asked about.
    """

    entries: tuple[Entry, ...] = ()
    fields: Fields = ()
    stale: Entry | None = None

    def __bool__(self) -> bool:
        return bool(self.entries)

    @classmethod
    def about(cls, stale: Entry) -> Question:
        """Ask about the entry that the request selects."""
        fields = revalidation_fields(stale)
        return cls((stale,), fields, stale) if fields else NOTHING_ASKED

    @classmethod
    def among(cls, variants: list[Entry]) -> Question:
        """Ask which of the variants will do for a request that selects none of them."""
        fields = selection_fields(variants)
        return cls(tuple(variants), fields) if fields else NOTHING_ASKED

    def answered(
        self,
        not_modified: ResponseHead,
        times: tuple[float, float],
        policy: CachePolicy,
        store: Store,
        since: int | None,
    ) -> Entry | None:
        """Bring the entry that the 304 names up to date in the store; return it as it is now.

        times: epoch seconds of request and 304. since: the store's fence at the request.
        None: the 304 speaks of something else than we have; the stale entry is gone then,
        and the whole must be asked for.
        """
        which = identify(not_modified, self.entries)
        if which is None:
            if self.stale is not None:
                store.remove(self.stale.digest)
            return None
        entry = self.entries[which]
        meta, merged = freshen(entry, parse_stored_head(entry.head), not_modified, *times, policy)
        # None: somebody has replaced it; what we have was right a moment ago.
        fresh = store.freshen(entry, meta, serialize_head(merged), since) or entry
        if meta.flags & EntryFlag.WITHDRAWN or selected_anew(entry, merged, policy):
            store.remove(entry.digest)
        return fresh


NOTHING_ASKED = Question()

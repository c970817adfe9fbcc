"""What a 304 makes of the entry that it was asked about (RFC 9111 section 4.3.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3shield.policy import (
    CachePolicy,
    EntryFlag,
    ResponseHead,
    freshen,
    parse_stored_head,
    serialize_head,
)

if TYPE_CHECKING:
    from s3shield.store import Entry, Store

__all__ = ["refresh"]


def refresh(
    store: Store,
    entry: Entry,
    not_modified: ResponseHead,
    times: tuple[float, float],
    policy: CachePolicy,
    since: int | None = None,
) -> Entry:
    """Bring `entry`, which the 304 names, up to date in the store; return it as it is now.

    times: epoch seconds of request and 304. since: the store's fence at the request.
    """
    meta, merged = freshen(entry, parse_stored_head(entry.head), not_modified, *times, policy)
    # None: somebody has replaced it; what we have was right a moment ago.
    fresh = store.freshen(entry, meta, serialize_head(merged), since) or entry
    if meta.flags & EntryFlag.WITHDRAWN:
        store.remove(entry.digest)
    return fresh

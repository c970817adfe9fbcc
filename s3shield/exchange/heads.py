"""What the answer to a HEAD says about what is stored (RFC 9111 section 4.3.5).

A HEAD that no fresh entry answers goes to the origin as a HEAD. Its 200 brings a stored
GET up to date, or makes it stale where it contradicts it; where nothing is stored its
head is kept by itself, for the next HEAD.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from s3shield.policy import (
    NEVER,
    CacheStatus,
    EntryFlag,
    EntryMeta,
    NoStoreReason,
    Request,
    ResponseHead,
    content_length,
    parse_stored_head,
    serialize_head,
    stored_head,
    update_from_head,
)

from .refresh import selected_anew
from .relay import Relay
from .verdict import judge

if TYPE_CHECKING:
    from s3shield.store import Entry

__all__ = ["HeadRelay", "as_get"]

_FROM_HEAD: Final = int(EntryFlag.FROM_HEAD)
_WITHDRAWN: Final = int(EntryFlag.WITHDRAWN)


def as_get(request: Request) -> Request:
    """Return `request` as the GET of the same: what a refresh that it starts asks for."""
    if request.method == b"GET":
        return request
    return Request(
        b"GET",
        request.target,
        request.headers,
        version=request.version,
        host=request.host,
        peer=request.peer,
        scheme=request.scheme,
        started=request.started,
    )


class HeadRelay(Relay):
    """Relays the answer to a HEAD; what is stored learns from it, and then answers."""

    __slots__ = ("_asked_at", "_known")

    def begin(self) -> None:
        """Ask the origin what the client asked."""
        self._asked_at = self._location.around.clock()
        self._known: Entry | None = None
        super().begin()

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Let what is stored learn of it."""
        super().origin_head(head, length)
        if self._to.refusal is not None:
            self._to.reason = self._to.refusal
            return
        if head.status != 200:
            return
        location, to = self._location, self._to
        entry = location.zone.lookup(to.route, to.request, location.policy)
        if entry is None or entry.flags & _FROM_HEAD:
            self._keep(head)
        elif entry.status == 200:
            self._update(entry, head)

    def origin_end(self) -> None:
        """Answer with all that is known: the stored fields that a HEAD need not repeat."""
        if self._known is None or self._gone:
            super().origin_end()
            return
        self._to.reason = None
        bypass = self._to.cache_status is CacheStatus.BYPASS
        status = CacheStatus.BYPASS if bypass else CacheStatus.REVALIDATED
        self._location.give_entry(self._to, self._known, status)

    def _update(self, entry: Entry, head: ResponseHead) -> None:
        location = self._location
        store = location.zone.store
        now = location.around.clock()
        found = update_from_head(
            entry, parse_stored_head(entry.head), head, self._asked_at, now, location.policy
        )
        if found is None:
            # It has changed: whoever wants it next must ask.
            known = {name: getattr(entry, name) for name in attrs.fields_dict(EntryMeta)}
            meta = EntryMeta(**{**known, "fresh_until": NEVER, "swr_until": NEVER})
            store.freshen(entry, meta, entry.head)
            return
        meta, merged = found
        self._known = store.freshen(entry, meta, serialize_head(merged))
        if meta.flags & _WITHDRAWN or selected_anew(entry, merged, location.policy):
            store.remove(entry.digest)

    def _keep(self, head: ResponseHead) -> None:
        """Nothing is stored: the head alone answers the next HEAD."""
        location, to = self._location, self._to
        zone, policy = location.zone, location.policy
        now = location.around.clock()
        verdict = judge(to.request, head, None, (self._asked_at, now), policy, zone.largest)
        if verdict.reason is not None:
            if verdict.reason is not NoStoreReason.METHOD:
                to.reason = verdict.reason
            return
        to.reason = None
        wire = stored_head(
            head, policy, length=content_length(head), now=now, withheld=verdict.withheld
        )
        zone.keep(zone.place(to.route, to.request, policy, verdict.vary), verdict.meta, wire, b"")

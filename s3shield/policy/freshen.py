"""Validating what is stored, and taking over what the validation said (RFC 9111 4.3).

A 304, or the 200 to a HEAD, replaces each stored field it brings, but for those that the
stored bytes depend on (RFC 9111 3.2). Freshness is then judged anew on the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from .admit import describe
from .dates import format_date, parse_date
from .entry import NEVER, EntryFlag, EntryMeta, StoredResponse
from .etags import is_strong, received_etag, received_last_modified, weak_match
from .freshness import assess
from .headers import content_length, outward_fields
from .message import Fields, ResponseHead
from .options import CachePolicy

__all__ = ["freshen", "identify", "revalidation_fields", "selection_fields", "update_from_head"]

# Not taken from a validation: framing and what the stored bytes are encoded as (RFC 9111
# 3.2), the age, which is counted and not kept, and Via, in which our own hop stands.
_KEPT_AS_STORED: Final = frozenset(
    {b"age", b"content-encoding", b"content-length", b"content-range", b"via"}
)


def revalidation_fields(entry: StoredResponse, stored: ResponseHead | None = None) -> Fields:
    """Return the conditions that ask whether `entry` is still right (RFC 9111 4.3.1).

    If-None-Match with its tag and If-Modified-Since with its Last-Modified: as sent when
    `stored`, the parsed stored head, is given, else written anew. Empty when there is no
    validator or the status is not 2xx.
    """
    if not 200 <= entry.status < 300:
        return ()
    fields = []
    if entry.etag:
        fields.append((b"If-None-Match", entry.etag))
    if entry.last_modified >= 0:
        lines = stored.get_all(b"last-modified") if stored is not None else []
        value = lines[0] if lines else format_date(entry.last_modified)
        fields.append((b"If-Modified-Since", value))
    return tuple(fields)


def selection_fields(entries: Sequence[StoredResponse]) -> Fields:
    """Return an If-None-Match that offers the origin all stored variants (RFC 9111 4.3.1).

    For a request that selects none of them: a 304 then names the one to use, see
    `identify`. Empty when none has an entity tag.
    """
    tags = dict.fromkeys(e.etag for e in entries if e.etag and 200 <= e.status < 300)
    return ((b"If-None-Match", b", ".join(tags)),) if tags else ()


def identify(not_modified: ResponseHead, entries: Sequence[StoredResponse]) -> int | None:
    """Return which of `entries` a 304 is about, or None: use it for none of them.

    entries: those whose validators were sent. RFC 9111 4.3.4: a strong tag names the
    entry with the same one; a weak tag the latest that matches weakly; Last-Modified the
    latest that equals it. Where just one was offered, a 304 without any validator is about
    that one (origins leave them out), and so is one whose tag differs from it only in
    strength (origins that compress on the fly), or that has the Last-Modified of a
    response that had no tag.
    """
    latest = sorted(range(len(entries)), key=lambda n: entries[n].response_time, reverse=True)
    tag = received_etag(not_modified)
    only = entries[0] if len(entries) == 1 else None
    if tag:
        if is_strong(tag):
            same = [n for n in latest if entries[n].etag == tag]
        else:
            same = [n for n in latest if weak_match(tag, entries[n].etag)]
        if not same and only is not None and weak_match(tag, only.etag):
            return 0
        if not same and only is not None and not only.etag:
            # It had none when it was stored: then its date is what it is known by.
            modified = received_last_modified(not_modified, only.response_time)
            return 0 if 0 <= modified == only.last_modified else None
        return same[0] if same else None
    now = entries[latest[0]].response_time if latest else 0.0
    modified = received_last_modified(not_modified, now)
    if modified >= 0:
        dated = [n for n in latest if entries[n].last_modified == modified]
        return dated[0] if dated else None
    return 0 if only is not None else None


def _merged(
    stored: ResponseHead, answer: ResponseHead, response_time: float, policy: CachePolicy
) -> ResponseHead:
    """Return `stored` with the fields of `answer` in the place of its own of that name."""
    fixed = _KEPT_AS_STORED
    if b"set-cookie" not in policy.ignore_headers:
        # One client's cookie must not go to all, see `admit`.
        fixed |= {b"set-cookie"}
    fresh = [
        field for field in outward_fields(answer.fields, policy) if field[0].lower() not in fixed
    ]
    old_tag, new_tag = received_etag(stored), received_etag(answer)
    if old_tag and new_tag != old_tag:
        # Equal but for its strength: our bytes stay what they were.
        fresh = [field for field in fresh if field[0].lower() != b"etag"]
    dates = [value for name, value in fresh if name.lower() == b"date"]
    if not any(parse_date(value, response_time) is not None for value in dates):
        fresh = [field for field in fresh if field[0].lower() != b"date"]
        fresh.append((b"Date", format_date(int(response_time))))
    replaced = {name.lower() for name, _ in fresh}
    kept = [field for field in stored.fields if field[0].lower() not in replaced]
    return ResponseHead(stored.status, stored.reason, (*fresh, *kept))


def _judged(
    entry: StoredResponse,
    merged: ResponseHead,
    answer: ResponseHead,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
) -> tuple[EntryMeta, ResponseHead]:
    # Age and X-Accel-Expires are judged, yet not kept.
    extra = tuple(
        field for field in answer.fields if field[0].lower() in {b"age", b"x-accel-expires"}
    )
    judged = ResponseHead(merged.status, merged.reason, extra + merged.fields)
    freshness = assess(judged, response_time, policy)
    meta = describe(judged, freshness, request_time, response_time, policy)
    flags = meta.flags | (entry.flags & int(EntryFlag.FROM_HEAD))
    directives = freshness.directives
    withdrawn = (
        (directives.no_store and not directives.must_understand)
        or directives.private
        or (freshness.source.from_operator and freshness.lifetime == 0)
    )
    if withdrawn:
        flags |= int(EntryFlag.WITHDRAWN)
        meta = attrs.evolve(meta, fresh_until=NEVER, swr_until=NEVER, sie_until=NEVER)
    withheld = directives.withheld
    fields = tuple(field for field in merged.fields if field[0].lower() not in withheld)
    meta = attrs.evolve(
        meta,
        flags=flags,
        etag=meta.etag or entry.etag,
        last_modified=meta.last_modified if meta.last_modified >= 0 else entry.last_modified,
    )
    return meta, ResponseHead(merged.status, merged.reason, fields)


def freshen(
    entry: StoredResponse,
    stored: ResponseHead,
    not_modified: ResponseHead,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
) -> tuple[EntryMeta, ResponseHead]:
    """Return a stored response's meta and head, updated with a 304 (RFC 9111 3.2, 4.3.4).

    entry, stored: the one that `identify` named, and its head, parsed. The new head is
    written with `serialize_head` (not `stored_head`, which would append Via again). When
    the 304 takes back the permission to store, the meta is flagged WITHDRAWN: this request
    may be answered, then the entry must go. Never raises.
    """
    merged = _merged(stored, not_modified, response_time, policy)
    return _judged(entry, merged, not_modified, request_time, response_time, policy)


def update_from_head(
    entry: StoredResponse,
    stored: ResponseHead,
    answer: ResponseHead,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
) -> tuple[EntryMeta, ResponseHead] | None:
    """Return what a 200 to a HEAD makes of a stored GET (RFC 9111 4.3.5), as `freshen`.

    None when it contradicts the stored response, in a validator or in Content-Length: then
    that is to be made stale. None as well for a status other than 200.
    """
    if answer.status != 200 or entry.status != 200:
        return None
    tag = received_etag(answer)
    modified = received_last_modified(answer, response_time)
    length, stored_length = content_length(answer), content_length(stored)
    if (
        (tag and tag != entry.etag)
        or (modified >= 0 and modified != entry.last_modified)
        or (length is not None and length != stored_length)
    ):
        return None
    merged = _merged(stored, answer, response_time, policy)
    return _judged(entry, merged, answer, request_time, response_time, policy)

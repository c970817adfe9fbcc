"""Whether a response may be stored, and what is remembered of it (RFC 9111 section 3).

How stale windows are set, and why. nginx's `proxy_cache_use_stale updating` would serve
any entry stale while it is refreshed; RFC 9111 4.2.4 lets a cache do so only where the
origin, the client or its own configuration permits it. An origin that states a lifetime
(max-age, s-maxage, Expires, a targeted field) means its end, so such an entry gets just
the window of its own `stale-while-revalidate`, and is validated before use without one.
Where the operator gave the lifetime (`proxy_cache_valid`), the operator also says what
follows: the entry may be used for a day more while it is refreshed, when `updating` is
among the tokens and background updates are on. Heuristic lifetimes get no window.
`must-revalidate`, `proxy-revalidate`, `s-maxage` and `no-cache` rule all of them out.

Errors: with `stale-if-error` the origin has set the window, and it holds for every
error; without it `proxy_cache_use_stale` decides at the time, without limit, as in
nginx, and those four directives forbid it again (see `decide.on_origin_error`).

An entry that is stale from the start is stored only if it can be of use: with a
validator (each use is then a validation), or with a stale window.
"""

from __future__ import annotations

from typing import Final

import attrs

from .credentials import credential_failure
from .entry import NEVER, EntryFlag, EntryMeta
from .etags import received_etag, received_last_modified
from .fields import request_directives
from .freshness import HEURISTIC_STATUSES, Freshness, LifetimeSource, assess, initial_age
from .headers import connection_names, content_length
from .message import Request, ResponseHead
from .options import CachePolicy
from .ranges import parse_content_range
from .status import NoStoreReason
from .vary import VARY_STAR, selecting_names

__all__ = [
    "UNDERSTOOD_STATUSES",
    "Admission",
    "NoStore",
    "Store",
    "admit",
    "admit_partial",
    "describe",
]

UNDERSTOOD_STATUSES: Final = frozenset(
    {200, 201, 202, 203, 204, 205, 206}
    | {300, 301, 302, 303, 307, 308}
    | set(range(400, 418))
    | {421, 422, 425, 426, 451}
    | set(range(500, 506))
)
"""Statuses whose caching rules this cache knows and keeps (RFC 9111 5.2.2.3)."""

_UPDATING_WINDOW: Final = 86400
# Answers about the request's own conditions and ranges, not about the resource.
_ABOUT_THE_REQUEST: Final = frozenset({304, 416})
# So is a 412, where the request had conditions. The origin is not sent them, but for a HEAD's.
_CONDITIONS: Final = frozenset(
    {b"if-match", b"if-modified-since", b"if-none-match", b"if-unmodified-since"}
)
# MUST NOT be stored by a cache (RFC 6585); an operator's TTL row may say otherwise.
_NEVER_BY_THEMSELVES: Final = frozenset({428, 429, 431, 511})


@attrs.frozen
class Store:
    """The response may be stored.

    meta: EntryMeta. vary: lower-case selecting names, sorted; empty when none.
    withheld: lower-case field names that must be left out of what is stored, though the
    response at hand is passed on with them (qualified `no-cache` and `private`).
    """

    meta: EntryMeta
    vary: tuple[bytes, ...] = ()
    withheld: frozenset[bytes] = frozenset()


@attrs.frozen
class NoStore:
    """The response is passed on and not stored. reason: NoStoreReason, for the log."""

    reason: NoStoreReason


Admission = Store | NoStore


def describe(
    head: ResponseHead,
    freshness: Freshness,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
) -> EntryMeta:
    """Return what is remembered of a response with this freshness, storable or not."""
    directives = freshness.directives
    age = initial_age(head, request_time, response_time)
    born = response_time - age
    operator = freshness.source.from_operator
    expiry = (response_time if operator else born) + freshness.lifetime
    swr_until = sie_until = NEVER
    flags = 0
    if directives.forbids_stale:
        flags |= int(EntryFlag.MUST_REVALIDATE)
    else:
        if directives.stale_while_revalidate is not None:
            swr_until = expiry + directives.stale_while_revalidate
        elif (
            freshness.source in {LifetimeSource.TABLE, LifetimeSource.FORCED}
            and policy.background_update
            and "updating" in policy.use_stale
        ):
            swr_until = expiry + _UPDATING_WINDOW
        if directives.stale_if_error is not None:
            flags |= int(EntryFlag.EXPLICIT_SIE)
            sie_until = expiry + directives.stale_if_error
    if directives.no_cache:
        flags |= int(EntryFlag.VALIDATE_ALWAYS)
        expiry = NEVER
    if freshness.source is LifetimeSource.HEURISTIC:
        flags |= int(EntryFlag.HEURISTIC)
    return EntryMeta(
        status=head.status,
        born=born,
        response_time=response_time,
        fresh_until=expiry,
        swr_until=swr_until,
        sie_until=sie_until,
        flags=flags,
        etag=received_etag(head),
        last_modified=received_last_modified(head, response_time),
    )


def _status_refusal(
    request: Request, head: ResponseHead, freshness: Freshness
) -> NoStoreReason | None:
    status = head.status
    if status in _ABOUT_THE_REQUEST or not 200 <= status <= 599:
        return NoStoreReason.STATUS
    if status == 412 and not _CONDITIONS.isdisjoint(request.headers):
        return NoStoreReason.STATUS
    operator = freshness.source.from_operator
    if status in _NEVER_BY_THEMSELVES and not operator:
        return NoStoreReason.STATUS
    if freshness.directives.must_understand and status not in UNDERSTOOD_STATUSES:
        return NoStoreReason.STATUS
    storable = (
        freshness.source.explicit or freshness.directives.public or status in HEURISTIC_STATUSES
    )
    return None if storable else NoStoreReason.NO_FRESHNESS


def _directive_refusal(
    request: Request, head: ResponseHead, freshness: Freshness, policy: CachePolicy
) -> NoStoreReason | None:
    directives = freshness.directives
    if directives.no_store and not directives.must_understand:
        return NoStoreReason.NO_STORE
    if directives.private:
        return NoStoreReason.PRIVATE
    withheld = directives.withheld | connection_names(head.fields)
    if (
        b"set-cookie" not in policy.ignore_headers
        and b"set-cookie" not in withheld
        and head.get(b"set-cookie") is not None
    ):
        return NoStoreReason.SET_COOKIE
    if (
        b"authorization" in policy.consumed.headers(request.headers)
        and not policy.ignore_authorization
        and not policy.is_bucket  # it is never shown the client's
        and not directives.must_revalidate
        and not directives.public
        and directives.s_maxage is None
    ):
        return NoStoreReason.CLIENT_AUTH
    return None


def _use_refusal(meta: EntryMeta, freshness: Freshness) -> NoStoreReason | None:
    """Refuse what could never answer anything."""
    if freshness.source.from_operator and freshness.lifetime == 0:
        return NoStoreReason.ZERO_TTL
    if meta.fresh_until > meta.response_time:
        return None
    validatable = 200 <= meta.status < 300 and (meta.etag or meta.last_modified >= 0)
    if validatable or max(meta.swr_until, meta.sie_until) > meta.response_time:
        return None
    return NoStoreReason.NO_CACHE if freshness.directives.no_cache else NoStoreReason.NO_FRESHNESS


def admit(
    request: Request,
    head: ResponseHead,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
    *,
    code: str = "",
) -> Admission:
    """Decide whether the response to `request` may be stored (RFC 9111 section 3).

    request_time, response_time: epoch seconds at which the request was sent and the head
    received. code: S3's `<Code>` when it is known. A 206 is never stored as it is: see
    `admit_partial`. The answer to a HEAD is stored flagged FROM_HEAD: it can answer a
    later HEAD. Never raises.
    """
    refusal = None
    if not policy.enabled:
        refusal = NoStoreReason.CACHE_OFF
    elif request.method not in {b"GET", b"HEAD"} or request.method not in policy.cache_methods:
        refusal = NoStoreReason.METHOD
    elif credential_failure(head.status, code):
        refusal = NoStoreReason.CREDENTIALS
    elif head.status == 206:
        refusal = NoStoreReason.PARTIAL_CONTENT
    elif policy.client_revalidate and request_directives(request.headers).no_store:
        refusal = NoStoreReason.REQUEST_NO_STORE
    if refusal is not None:
        return NoStore(refusal)
    freshness = assess(head, response_time, policy)
    meta = describe(head, freshness, request_time, response_time, policy)
    vary = selecting_names(head, policy)
    length = content_length(head)
    refusal = _status_refusal(request, head, freshness) or _directive_refusal(
        request, head, freshness, policy
    )
    if refusal is None and vary == VARY_STAR:
        refusal = NoStoreReason.VARY_STAR
    refusal = refusal or _use_refusal(meta, freshness)
    if refusal is None and policy.max_object_size is not None and request.method != b"HEAD":
        refusal = NoStoreReason.TOO_LARGE if (length or 0) > policy.max_object_size else None
    if refusal is not None:
        return NoStore(refusal)
    if request.method == b"HEAD":
        meta = attrs.evolve(meta, flags=meta.flags | int(EntryFlag.FROM_HEAD))
    return Store(meta, vary, freshness.directives.withheld)


def admit_partial(
    request: Request,
    head: ResponseHead,
    request_time: float,
    response_time: float,
    policy: CachePolicy,
) -> Admission:
    """Decide the same for a 206: whether its bytes may be stored as part of a whole.

    Judged as the 200 that it is a part of, whose meta is returned: status 200, the whole
    representation's freshness and validators. Only a 206 with one whole Content-Range
    qualifies (not multipart), else PARTIAL_CONTENT. RFC 9111 3.3; nginx: 206 counts as 200.
    """
    found = parse_content_range(head.get(b"content-range"))
    if head.status != 206 or found is None or found.start is None:
        return NoStore(NoStoreReason.PARTIAL_CONTENT)
    # The length of the part says nothing about the whole's.
    fields = [field for field in head.fields if field[0].lower() != b"content-length"]
    if found.size is not None:
        fields.append((b"Content-Length", b"%d" % found.size))
    whole = ResponseHead(200, b"OK", tuple(fields))
    return admit(request, whole, request_time, response_time, policy)

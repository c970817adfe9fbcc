"""What to do with a request, given what is stored (RFC 9111 section 4).

The fresh hit comes first and costs three comparisons. Everything that may not be used
as it is has `fresh_until` NEVER, or FROM_HEAD among its flags.
"""

from __future__ import annotations

from typing import Final

import attrs

from .credentials import credential_failure
from .entry import EntryFlag, StoredResponse
from .failure import FailureKind, OriginFailure
from .fields import NO_REQUEST_DIRECTIVES, RequestDirectives, request_directives
from .freshness import current_age
from .message import Request
from .options import CachePolicy
from .status import CacheStatus

__all__ = [
    "FETCH",
    "GATEWAY_TIMEOUT",
    "HIT",
    "REVALIDATE",
    "Decision",
    "ErrorDecision",
    "Fetch",
    "GatewayTimeout",
    "GiveUp",
    "Hit",
    "Revalidate",
    "ServeStale",
    "decide",
    "on_origin_error",
    "stale_while_updating",
]


@attrs.frozen
class Hit:
    """The entry answers."""


@attrs.frozen
class ServeStale:
    """The stale entry answers.

    status: CacheStatus for this answer. refresh: a refresh must run: start one in the
    background, unless one does (then the status is UPDATING).
    """

    status: CacheStatus
    refresh: bool


@attrs.frozen
class Revalidate:
    """Ask the origin with `revalidation_fields`; a 304 lets the entry answer."""


@attrs.frozen
class Fetch:
    """Ask the origin for the whole. A stale entry may still stand in on an error."""


@attrs.frozen
class GatewayTimeout:
    """Answer 504: the client wants no request to the origin (`only-if-cached`)."""


@attrs.frozen
class GiveUp:
    """Nothing stale may stand in.

    status: of the answer. For a failure of kind STATUS it is the origin's own, and its
    answer is passed on, unless it was a credential failure; else 502 or 504, made here.
    """

    status: int


Decision = Hit | ServeStale | Revalidate | Fetch | GatewayTimeout
ErrorDecision = ServeStale | GiveUp

HIT: Final = Hit()
REVALIDATE: Final = Revalidate()
FETCH: Final = Fetch()
GATEWAY_TIMEOUT: Final = GatewayTimeout()
_STALE_AND_REFRESH: Final = ServeStale(CacheStatus.STALE, refresh=True)
_STALE: Final = ServeStale(CacheStatus.STALE, refresh=False)

# Plain ints: arithmetic on an IntFlag costs a microsecond.
_FROM_HEAD: Final = int(EntryFlag.FROM_HEAD)
_MARKS: Final = int(EntryFlag.VARIANTS | EntryFlag.HIT_FOR_MISS | EntryFlag.CODED)
_NEVER_UNASKED: Final = int(EntryFlag.VALIDATE_ALWAYS | EntryFlag.WITHDRAWN)
_NEVER_STALE: Final = int(EntryFlag.MUST_REVALIDATE) | _NEVER_UNASKED
_EXPLICIT_SIE: Final = int(EntryFlag.EXPLICIT_SIE)
_DISCONNECTED: Final = frozenset({FailureKind.CONNECT, FailureKind.CUT, FailureKind.TIMEOUT})
# RFC 5861 section 4: what counts as an error for `stale-if-error`.
_ERROR_STATUSES: Final = frozenset({500, 502, 503, 504})


def decide(
    request: Request, entry: StoredResponse | None, now: float, policy: CachePolicy
) -> Decision:
    """Decide how to answer a GET or HEAD.

    entry: what is stored for the request's key and variant, or None; the caller has
    dealt with VARIANTS and HIT_FOR_MISS marks, which are otherwise taken for nothing.
    now: epoch seconds. The client's conditions and Range play no part. Never raises.
    """
    if (
        entry is not None
        and now < entry.fresh_until
        and not entry.flags & _FROM_HEAD
        and not policy.client_revalidate
    ):
        return HIT
    return _unless_fresh(request, entry, now, policy)


def _usable(request: Request, entry: StoredResponse | None) -> bool:
    """Tell whether `entry` is a response that could answer `request`, age aside."""
    if entry is None or entry.flags & _MARKS:
        return False
    return not entry.flags & _FROM_HEAD or request.method == b"HEAD"


def _unless_fresh(
    request: Request, entry: StoredResponse | None, now: float, policy: CachePolicy
) -> Decision:
    wishes = NO_REQUEST_DIRECTIVES
    if b"cache-control" in request.headers or b"pragma" in request.headers:
        wishes = request_directives(request.headers)
    if entry is None or not _usable(request, entry):
        return GATEWAY_TIMEOUT if wishes.only_if_cached else FETCH
    if policy.client_revalidate:
        answer = _as_wished(entry, wishes, now)
        if answer is not None:
            return answer
    elif now < entry.fresh_until:
        return HIT
    insists = policy.client_revalidate and (
        wishes.no_cache or wishes.max_age is not None or wishes.min_fresh is not None
    )
    if not insists and policy.background_update and stale_while_updating(entry, now):
        return _STALE_AND_REFRESH
    if wishes.only_if_cached:
        return GATEWAY_TIMEOUT
    validatable = 200 <= entry.status < 300 and (entry.etag or entry.last_modified >= 0)
    return REVALIDATE if validatable and policy.revalidate else FETCH


def _as_wished(
    entry: StoredResponse, wishes: RequestDirectives, now: float
) -> Hit | ServeStale | None:
    """Obey no-cache, max-age, min-fresh and max-stale (RFC 9111 5.2.1), or return None."""
    if wishes.no_cache or entry.flags & _NEVER_UNASKED:
        return None
    if wishes.max_age is not None and current_age(entry.born, now) > wishes.max_age:
        return None
    left = entry.fresh_until - now
    if left > 0 and left >= (wishes.min_fresh or 0):
        return HIT
    if (
        wishes.max_stale is not None
        and wishes.min_fresh is None
        and not entry.flags & _NEVER_STALE
        and -left <= wishes.max_stale
    ):
        return _STALE
    return None


def stale_while_updating(entry: StoredResponse, now: float) -> bool:
    """Tell whether a stale entry may answer while it is being refreshed.

    `decide` asks this when background updates are on; with them off it is for requests
    that find another one already refreshing (nginx `updating` without
    `proxy_cache_background_update`).
    """
    return now < entry.swr_until and not entry.flags & _NEVER_STALE


def _permitted(
    entry: StoredResponse, failure: OriginFailure, now: float, policy: CachePolicy
) -> bool:
    if now < entry.fresh_until:
        return not entry.flags & _NEVER_UNASKED
    if entry.flags & _NEVER_STALE:
        return False
    rejected = credential_failure(failure.status, failure.code)
    if entry.flags & _EXPLICIT_SIE:
        counts = (
            failure.kind is not FailureKind.STATUS or failure.status in _ERROR_STATUSES or rejected
        )
        return counts and now < entry.sie_until
    if failure.kind is FailureKind.STATUS:
        token = f"{failure.kind.token}{failure.status}"
        return token in policy.use_stale or (rejected and "error" in policy.use_stale)
    return failure.kind.token in policy.use_stale


def on_origin_error(
    request: Request,
    entry: StoredResponse | None,
    failure: OriginFailure,
    now: float,
    policy: CachePolicy,
) -> ErrorDecision:
    """Decide what answers when the origin failed (RFC 9111 4.2.4, RFC 5861, nginx).

    entry: as for `decide`. Call it for every failure, and for every answer with a status
    of 403, 404, 429 or 5xx or with a credential failure; `GiveUp` then means to treat the
    answer as any other. A fresh entry may stand in; a stale one not when
    `must-revalidate`, `proxy-revalidate`, `s-maxage` or `no-cache` forbid it; within
    `stale-if-error` if that was sent; else as `use_stale` says. A credential failure
    counts as `error`. Without an answer to pass on, an entry that must be validated is
    answered for with 504 (RFC 9111 5.2.2.2).
    """
    if entry is not None and _usable(request, entry):
        if _permitted(entry, failure, now, policy):
            return _STALE
        if failure.kind in _DISCONNECTED and entry.flags & _NEVER_STALE:
            return GiveUp(504)
    if failure.kind is FailureKind.STATUS and not credential_failure(failure.status, failure.code):
        return GiveUp(failure.status)
    return GiveUp(failure.gateway_status)

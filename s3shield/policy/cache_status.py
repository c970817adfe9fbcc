"""The Cache-Status field (RFC 9211): one member, ours."""

from __future__ import annotations

from typing import Final, assert_never

from .status import CacheStatus, NoStoreReason

__all__ = ["cache_status_member"]

_HIT: Final = b"hit"


def _outcome(status: CacheStatus, fwd_status: int | None) -> bytes:
    match status:
        case CacheStatus.HIT | CacheStatus.UPDATING:
            return _HIT
        case CacheStatus.STALE:
            # With a status the origin was asked, and its answer not used.
            return _HIT if fwd_status is None else b"fwd=stale"
        case CacheStatus.EXPIRED | CacheStatus.REVALIDATED:
            return b"fwd=stale"
        case CacheStatus.MISS:
            return b"fwd=miss"
        case CacheStatus.PARTIAL:
            return b"fwd=partial"
        case CacheStatus.BYPASS | CacheStatus.NONE:
            return b"fwd=bypass"
        case _ as never:
            assert_never(never)


def cache_status_member(
    name: bytes,
    status: CacheStatus,
    *,
    reason: NoStoreReason | None = None,
    ttl: int | None = None,
    fwd_status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
) -> bytes:
    """Return this cache's member of Cache-Status, to be appended to those received.

    name: how the cache is called, a token. reason: why the response was not stored, as
    `detail`. ttl: freshness left, seconds, negative when stale. fwd_status: what the
    origin answered, when it did. stored, collapsed: RFC 9211 2.5 and 2.6, only said of
    requests that went forward.
    """
    outcome = _outcome(status, fwd_status)
    parts = [name, outcome]
    if outcome != _HIT:
        if fwd_status is not None:
            parts.append(b"fwd-status=%d" % fwd_status)
        if stored:
            parts.append(b"stored")
        if collapsed:
            parts.append(b"collapsed")
    if ttl is not None:
        parts.append(b"ttl=%d" % ttl)
    if reason is not None:
        parts.append(b"detail=" + reason.value)
    return b"; ".join(parts)

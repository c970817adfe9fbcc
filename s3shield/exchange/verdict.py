"""What becomes of a response head: stored, or only passed on, and why. Pure."""

from __future__ import annotations

from typing import Final

import attrs

from s3shield.policy import (
    CachePolicy,
    EntryMeta,
    FailureKind,
    NoStore,
    NoStoreReason,
    OriginFailure,
    Request,
    ResponseHead,
    RunningDigest,
    ServeStale,
    admit,
    assess,
    describe,
    on_origin_error,
)
from s3shield.store import Entry

__all__ = ["Verdict", "examine", "failing", "judge"]


_FAILINGS: Final = frozenset({403, 404, 429})
"""Statuses below 500 that `proxy_cache_use_stale` can name."""
_PERSONAL: Final = frozenset(
    {NoStoreReason.CLIENT_AUTH, NoStoreReason.METHOD, NoStoreReason.REQUEST_NO_STORE}
)


@attrs.frozen
class Verdict:
    """meta: what is known of the response. reason: why it is not stored, None: it is.

    vary, withheld: see `policy.Store`. personal: it is not stored for its asker's sake,
    which says nothing about the key.
    """

    meta: EntryMeta
    reason: NoStoreReason | None = None
    vary: tuple[bytes, ...] = ()
    withheld: frozenset[bytes] = frozenset()

    @property
    def personal(self) -> bool:
        """See the class."""
        return self.reason in _PERSONAL


def examine(check: RunningDigest | None, rest: bytes = b"") -> OriginFailure | None:
    """Return the failure that a body is which is not what its head announced, or None.

    check: has seen all of it but `rest`.
    """
    if check is None:
        return None
    check.update(rest)
    if check.matches:
        return None
    wanted = check.wanted
    text = (
        f"its {wanted.algorithm} is {check.value.hex()}, where {wanted.field.decode()} says"
        f" {wanted.value.hex()} (verify_checksums = off where that field is no checksum)"
    )
    return OriginFailure(FailureKind.DAMAGED, text)


def failing(
    request: Request, entry: Entry | None, head: ResponseHead, now: float, policy: CachePolicy
) -> OriginFailure | None:
    """Return the failure that this answer is where the stale `entry` may stand in for it."""
    status = head.status
    if entry is None or (status < 500 and status not in _FAILINGS):
        return None
    failure = OriginFailure(FailureKind.STATUS, f"status {status}", status)
    verdict = on_origin_error(request, entry, failure, now, policy)
    return failure if isinstance(verdict, ServeStale) else None


def judge(
    request: Request,
    head: ResponseHead,
    length: int | None,
    times: tuple[float, float],
    policy: CachePolicy,
    largest: int,
) -> Verdict:
    """Judge the head of the answer to `request`.

    length: body bytes to come, None when not known. times: epoch seconds of request and
    head. largest: bytes of body that the cache has room for.
    """
    request_time, response_time = times
    admission = admit(request, head, request_time, response_time, policy)
    if isinstance(admission, NoStore):
        freshness = assess(head, response_time, policy)
        meta = describe(head, freshness, request_time, response_time, policy)
        return Verdict(meta, admission.reason)
    if length is not None and length > largest:
        return Verdict(admission.meta, NoStoreReason.TOO_LARGE)
    return Verdict(admission.meta, None, admission.vary, admission.withheld)

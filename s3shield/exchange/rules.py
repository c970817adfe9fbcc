"""What an operator says about one location's requests, beyond `policy.CachePolicy`."""

from __future__ import annotations

import attrs

from s3shield.policy import CachePolicy
from s3shield.routing import Template

__all__ = ["PLAIN", "Rules", "Uses"]

_MOST_COUNTED = 65536


@attrs.frozen(kw_only=True)
class Rules:
    """The rules of one location.

    bypass, no_cache: `proxy_cache_bypass`, `proxy_no_cache`. lock: `proxy_cache_lock`;
    lock_timeout, lock_age: seconds, None for no limit. range_connections: requests under
    way at once for one body. read_ahead: bytes fetched after what was read, 0 for none.
    strong_only: parts are put together by strong ETag alone: they may come from several buckets.
    """

    bypass: tuple[Template, ...] = ()
    no_cache: tuple[Template, ...] = ()
    lock: bool = True
    lock_timeout: float | None = None
    lock_age: float | None = None
    range_connections: int = 1
    read_ahead: int = 0
    strong_only: bool = False

    def need_care(self, policy: CachePolicy) -> bool:
        """Tell whether each request of the location must be looked at, hits too."""
        return bool(self.bypass or self.no_cache or policy.cache_status)


PLAIN = Rules()


class Uses:
    """How often keys were asked for, for `proxy_cache_min_uses`: in this process alone."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[bytes, int] = {}

    def count(self, digest: bytes) -> int:
        """Count one more use of a key; return how many there were."""
        counts = self._counts
        number = counts.pop(digest, 0) + 1
        if len(counts) >= _MOST_COUNTED:
            del counts[next(iter(counts))]  # the one not asked for for longest
        counts[digest] = number
        return number

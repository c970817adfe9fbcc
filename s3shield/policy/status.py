"""One request's fate: what the cache did, and why a response was not stored.

Header, log and metrics all read these two values and nothing else.
"""

from __future__ import annotations

import enum
from typing import Self

__all__ = ["AnswerSeconds", "CacheStatus", "NoStoreReason", "OriginStatus"]


class AnswerSeconds(float):
    """How long an answer took that was not one write. first_byte: seconds until its head."""

    first_byte: float

    def __new__(cls, seconds: float, first_byte: float) -> Self:
        """Return the whole time, which knows when it began to come."""
        made = super().__new__(cls, seconds)
        made.first_byte = first_byte
        return made


class OriginStatus(int):
    """The status of an answer of which more is known.

    bucket: str, which of several gave it; empty where there is but one. connect, header: seconds
    until there was a connection (0.0: there was one) and until the whole head; None: not noted.
    """

    bucket: str = ""
    connect: float | None = None
    header: float | None = None

    def __new__(cls, status: int, bucket: str = "") -> Self:
        """Return the status, with the times of `status` where that has them."""
        made = super().__new__(cls, status)
        made.bucket = bucket
        if isinstance(status, OriginStatus):
            made.connect, made.header = status.connect, status.header
        return made


class CacheStatus(enum.Enum):
    """nginx's `$upstream_cache_status`, plus PARTIAL for ranges."""

    NONE = b""
    """The cache took no part."""
    MISS = b"MISS"
    HIT = b"HIT"
    EXPIRED = b"EXPIRED"
    REVALIDATED = b"REVALIDATED"
    STALE = b"STALE"
    UPDATING = b"UPDATING"
    BYPASS = b"BYPASS"
    PARTIAL = b"PARTIAL"


class NoStoreReason(enum.Enum):
    """Why a response did not enter the cache. The value is its name in logs."""

    CACHE_OFF = b"cache-off"
    METHOD = b"method"
    REQUEST_NO_STORE = b"request-no-store"
    NO_STORE = b"no-store"
    PRIVATE = b"private"
    NO_CACHE = b"no-cache"
    STATUS = b"status"
    NO_FRESHNESS = b"no-freshness"
    ZERO_TTL = b"zero-ttl"
    VARY_STAR = b"vary-star"
    SET_COOKIE = b"set-cookie"
    CLIENT_AUTH = b"client-auth"
    TOO_LARGE = b"too-large"
    RANGE_OFFSET = b"range-offset"
    PARTIAL_CONTENT = b"partial-content"
    MIN_USES = b"min-uses"
    BYPASS = b"no-cache-condition"
    CREDENTIALS = b"credential-failure"
    ORIGIN_ERROR = b"origin-error"
    TRUNCATED = b"truncated"
    INTEGRITY = b"integrity"
    LOCK_TIMEOUT = b"lock-timeout"
    NO_ROOM = b"no-room"
    STORE_ERROR = b"store-error"
    HEAD_ONLY = b"head"

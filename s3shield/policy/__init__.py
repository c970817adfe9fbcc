"""The caching law, pure: RFC 9110 and 9111 with nginx's directives; no I/O, no clock."""

from __future__ import annotations

from .entry import NEVER, EntryFlag, EntryMeta, StoredResponse
from .failure import FailureKind, OriginFailure
from .message import Fields, Request, ResponseHead
from .options import (
    ANY,
    DEFAULT_TTL_CODES,
    USE_STALE_TOKENS,
    AnyStatus,
    CachePolicy,
    TTLRow,
    TTLTable,
)
from .status import CacheStatus, NoStoreReason

__all__ = [
    "ANY",
    "DEFAULT_TTL_CODES",
    "NEVER",
    "USE_STALE_TOKENS",
    "AnyStatus",
    "CachePolicy",
    "CacheStatus",
    "EntryFlag",
    "EntryMeta",
    "FailureKind",
    "Fields",
    "NoStoreReason",
    "OriginFailure",
    "Request",
    "ResponseHead",
    "StoredResponse",
    "TTLRow",
    "TTLTable",
]

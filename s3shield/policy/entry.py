"""What the cache knows about one stored response, apart from its bytes.

All instants are wall-clock seconds since the epoch (float), all durations seconds.
"""

from __future__ import annotations

import enum
from typing import Protocol

import attrs

__all__ = ["NEVER", "EntryFlag", "EntryMeta", "StoredResponse"]

NEVER = 0.0
"""An instant that has always passed: no such permission."""


class EntryFlag(enum.IntFlag):
    """Bits kept with an entry; the numbers are part of the store's format."""

    VALIDATE_ALWAYS = 1
    """`no-cache`: never used without asking the origin (RFC 9111 5.2.2.4)."""
    MUST_REVALIDATE = 2
    """`must-revalidate`, `proxy-revalidate` or `s-maxage`: never served stale."""
    HEURISTIC = 4
    """The lifetime is a guess (RFC 9111 4.2.2)."""
    VARIANTS = 8
    """Not a response: the head holds the selecting header names, comma-separated."""
    HIT_FOR_MISS = 16
    """Not a response: a mark that this key is not cacheable for now."""
    FROM_HEAD = 32
    """Head of a HEAD response; there is no body to serve a GET from."""
    EXPLICIT_SIE = 64
    """`stale-if-error` was sent: its window holds for all errors."""
    WITHDRAWN = 128
    """A validation took back the permission to store: use once, then remove."""
    CODED = 256
    """Not a response: the coded form of another entry's body; the etag is a stamp of that."""


@attrs.frozen(kw_only=True)
class EntryMeta:
    """What `policy.admit` and `policy.freshen` decide about a response to store.

    status: int. born: instant at which the representation was generated or last
    validated, as estimated by RFC 9111 4.2.3 (`now - born` is the current age).
    response_time: instant the head was received. fresh_until: instant from which it
    is stale. swr_until, sie_until: end of the `stale-while-revalidate` and
    `stale-if-error` windows (NEVER when not permitted). flags: EntryFlag.
    etag: the ETag field's value as sent, or empty. last_modified: epoch second of
    Last-Modified, or -1 when absent or not a date.
    """

    status: int
    born: float
    response_time: float
    fresh_until: float
    swr_until: float = NEVER
    sie_until: float = NEVER
    flags: int = 0
    etag: bytes = b""
    last_modified: int = -1


class StoredResponse(Protocol):
    """What `policy` reads of an entry: EntryMeta has it, and so has `store.Entry`."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def born(self) -> float:
        """Instant of generation or last validation."""
        ...

    @property
    def response_time(self) -> float:
        """Instant of receipt."""
        ...

    @property
    def fresh_until(self) -> float:
        """Instant from which it is stale."""
        ...

    @property
    def swr_until(self) -> float:
        """End of use while revalidating."""
        ...

    @property
    def sie_until(self) -> float:
        """End of use on errors, with EXPLICIT_SIE."""
        ...

    @property
    def flags(self) -> int:
        """Bits of EntryFlag."""
        ...

    @property
    def etag(self) -> bytes:
        """ETag as sent, or empty."""
        ...

    @property
    def last_modified(self) -> int:
        """Epoch second of Last-Modified, or -1."""
        ...

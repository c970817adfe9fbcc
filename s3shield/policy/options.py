"""What an operator can say about caching in one location: nginx's words, RFC's ground.

Values only; `config` builds them, every other module of this package obeys them.
"""

from __future__ import annotations

import enum
from typing import Final, Literal

import attrs

from .consumed import NOTHING_CONSUMED, Consumed
from .message import Fields

__all__ = [
    "ANY",
    "ANY_METHOD",
    "DEFAULT_TTL_CODES",
    "USE_STALE_TOKENS",
    "AnyStatus",
    "CachePolicy",
    "TTLRow",
    "TTLTable",
]


ANY_METHOD: Final = b"any"
"""In `CachePolicy.methods`: every method but those of _NEVER_PASSED."""
_NEVER_PASSED: Final = frozenset({b"CONNECT", b"TRACE", b"PURGE"})
_USUAL: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})


class AnyStatus(enum.Enum):
    """The wildcard of `proxy_cache_valid`."""

    ANY = "any"


ANY: Final = AnyStatus.ANY
"""`proxy_cache_valid any TIME`: every status, tested in its turn like a code."""

DEFAULT_TTL_CODES: Final = frozenset({200, 301, 302})
"""What a `proxy_cache_valid` line without codes means."""

USE_STALE_TOKENS: Final = frozenset(
    {
        "error",
        "timeout",
        "invalid_header",
        "updating",
        "http_500",
        "http_502",
        "http_503",
        "http_504",
        "http_403",
        "http_404",
        "http_429",
    }
)
"""What `proxy_cache_use_stale` takes, besides `off` (the empty set)."""


@attrs.frozen
class TTLRow:
    """One `proxy_cache_valid` line.

    codes: the statuses it names, or ANY. seconds: lifetime; 0 means do not store.
    """

    codes: frozenset[int] | Literal[AnyStatus.ANY]
    seconds: int

    def names(self, status: int) -> bool:
        """Tell whether this line is about `status`; a 206 counts as a 200 as well."""
        if self.codes is ANY:
            return True
        return status in self.codes or (status == 206 and 200 in self.codes)


@attrs.frozen
class TTLTable:
    """The `proxy_cache_valid` lines of a location, in the order they are written."""

    rows: tuple[TTLRow, ...] = ()

    def lifetime(self, status: int) -> int | None:
        """Return the first matching line's seconds, or None when no line matches.

        nginx, `proxy_cache_valid`: first match in configuration order, so `any` before
        `200` hides it. 0 means do not store.
        """
        for row in self.rows:
            if row.names(status):
                return row.seconds
        return None


@attrs.frozen(kw_only=True)
class CachePolicy:
    """All options of one location that decide what is stored, reused and said about it.

    Field names in sets are lower-case bytes. Durations are seconds, sizes bytes.

    What is stored, and for how long:
    enabled: `proxy_cache` is not off. valid: `proxy_cache_valid`. valid_force: that
    table overrides the origin for the statuses it names. ignore_headers:
    `proxy_ignore_headers` (cache-control, expires, set-cookie, vary, x-accel-expires,
    and any of `targets`): not obeyed, still passed on. ignore_authorization: store
    answers to requests with Authorization although RFC 9111 3.5 would not. heuristic:
    guess lifetimes (RFC 9111 4.2.2). targets: RFC 9213 field names, the most specific
    first. cache_methods: `proxy_cache_methods`, of GET and HEAD. max_object_size:
    largest body stored, None for no limit. min_uses: `proxy_cache_min_uses`.
    verify_checksums: compare a bucket's bodies with what their heads announce (`digests`).
    hit_for_miss: how long "this key is not cacheable" is remembered. max_variants:
    most variants of one key.

    How it is reused:
    use_stale: `proxy_cache_use_stale` tokens. background_update:
    `proxy_cache_background_update`. revalidate: `proxy_cache_revalidate`.
    client_revalidate: the client's Cache-Control and Pragma are obeyed (no-cache,
    max-age, min-fresh, max-stale, no-store); off, only `only-if-cached` is.

    Requests:
    methods: what the location accepts (ANY_METHOD: see `takes`), others are answered 405.
    is_bucket: the origin
    is a signed bucket, not a plain HTTP origin. consumed: credentials that are checked here
    and go no further. missing_403: show a bucket's 403 for an
    absent key as this status. max_range_offset: `proxy_cache_max_range_offset`, None
    for no limit. max_ranges: most ranges answered in one response; a request for more is
    answered as if it had asked for none. normalize_accept_encoding: reduce
    Accept-Encoding to the codings that matter before it selects a variant.

    What is said:
    pass_amz_headers: `x-amz-*` response fields of a bucket to keep (b"*": all).
    hide_headers: `proxy_hide_header`. add_headers: `add_header`; always_headers: those that are
    added whatever the status. via: what follows the
    received protocol version's place in Via, whole (b"1.1 s3shield"); empty for none.
    cache_status_header: name of the X-Cache-Status field, empty for none. cache_status:
    send RFC 9211 Cache-Status as well. cache_status_name: how this cache is called in it.
    error_pass: pass a bucket's error bodies to the client.
    """

    enabled: bool = True
    valid: TTLTable = TTLTable()
    valid_force: bool = False
    ignore_headers: frozenset[bytes] = frozenset()
    ignore_authorization: bool = False
    heuristic: bool = True
    targets: tuple[bytes, ...] = (b"cdn-cache-control",)
    cache_methods: frozenset[bytes] = frozenset({b"GET", b"HEAD"})
    max_object_size: int | None = None
    min_uses: int = 1
    verify_checksums: bool = True
    hit_for_miss: int = 30
    max_variants: int = 64

    use_stale: frozenset[str] = frozenset(
        {
            "error",
            "timeout",
            "updating",
            "http_500",
            "http_502",
            "http_503",
            "http_504",
            "http_429",
        }
    )
    background_update: bool = True
    revalidate: bool = True
    client_revalidate: bool = False

    methods: frozenset[bytes] = frozenset({b"GET", b"HEAD"})
    is_bucket: bool = False
    consumed: Consumed = NOTHING_CONSUMED
    missing_403: int | None = None
    max_range_offset: int | None = None
    max_ranges: int = 32
    normalize_accept_encoding: bool = False

    pass_amz_headers: frozenset[bytes] = frozenset()
    hide_headers: frozenset[bytes] = frozenset()
    add_headers: Fields = ()
    always_headers: Fields = ()
    via: bytes = b"1.1 s3shield"
    cache_status_header: bytes = b"X-Cache-Status"
    cache_status: bool = False
    cache_status_name: bytes = b"s3shield"
    error_pass: bool = False

    def takes(self, method: bytes) -> bool:
        """Tell whether requests with this method are accepted."""
        methods = self.methods
        return method in methods or (ANY_METHOD in methods and method not in _NEVER_PASSED)

    @property
    def allow(self) -> bytes:
        """What `Allow` says of a method that is not."""
        named = _USUAL if ANY_METHOD in self.methods else self.methods
        return b", ".join(sorted(named))

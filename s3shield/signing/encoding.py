"""S3's percent-encoding, done once: what comes out of here is both signed and sent.

Unreserved characters (RFC 3986 section 2.3) stand bare, and `/` in keys; every other byte
is `%XX` with upper-case digits. AWS: "Signature Calculations for the Authorization Header",
the UriEncode function.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "PRESIGN_PARAMETERS",
    "Query",
    "encode",
    "encode_key",
    "encode_query",
    "query_as_given",
    "sorted_pairs",
    "without_presign",
]

Query = tuple[tuple[bytes, bytes | None], ...]
"""Decoded query parameters: (name, value), the value None when there was no `=`."""

PRESIGN_PARAMETERS: Final = frozenset(
    {
        b"x-amz-algorithm",
        b"x-amz-credential",
        b"x-amz-date",
        b"x-amz-expires",
        b"x-amz-signedheaders",
        b"x-amz-signature",
        b"x-amz-security-token",
        b"x-amz-content-sha256",
        b"awsaccesskeyid",
        b"expires",
        b"signature",
    }
)
"""Lower-case names of the query parameters that sign a request, both versions'."""

_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_BARE_IN_KEY: Final = _UNRESERVED + b"/"


def _table(bare: bytes) -> tuple[bytes, ...]:
    return tuple(bytes((i,)) if i in bare else b"%%%02X" % i for i in range(256))


_TABLE: Final = _table(_UNRESERVED)
_KEY_TABLE: Final = _table(_BARE_IN_KEY)


def encode_key(key: bytes) -> bytes:
    """Encode a decoded object key (or a whole path); `/` stays, nothing is normalised."""
    if not key.translate(None, _BARE_IN_KEY):
        return key
    return b"".join([_KEY_TABLE[byte] for byte in key])


def encode(value: bytes) -> bytes:
    """Encode a decoded query name or value; `/` becomes `%2F`."""
    if not value.translate(None, _UNRESERVED):
        return value
    return b"".join([_TABLE[byte] for byte in value])


def sorted_pairs(query: Query) -> list[tuple[bytes, bytes]]:
    """Encode each pair and sort by encoded name, then encoded value; None becomes empty."""
    return sorted([(encode(name), encode(value or b"")) for name, value in query])


def encode_query(query: Query) -> bytes:
    """Return the V4 canonical query string: encoded, sorted, `name=` when there is no value."""
    if not query:
        return b""
    return b"&".join([b"%b=%b" % pair for pair in sorted_pairs(query)])


def query_as_given(query: Query) -> bytes:
    """Encode `query` in its own order, a parameter without a value as a bare name."""
    return b"&".join(
        [
            encode(name) if value is None else b"%b=%b" % (encode(name), encode(value))
            for name, value in query
        ]
    )


def without_presign(query: Query) -> Query:
    """Return `query` without the parameters of a presigned URL, whoever made it."""
    return tuple([pair for pair in query if pair[0].lower() not in PRESIGN_PARAMETERS])

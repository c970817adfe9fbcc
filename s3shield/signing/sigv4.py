"""SigV4's stages, each a function of bytes: canonical request, string to sign, signature.

AWS: "Authenticating Requests (AWS Signature Version 4)", S3 API Reference.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Final

from s3shield.policy import Fields

__all__ = [
    "ALGORITHM",
    "EMPTY_HASH",
    "UNSIGNED_PAYLOAD",
    "canonical_headers",
    "canonical_request",
    "signature",
    "string_to_sign",
]

ALGORITHM: Final = b"AWS4-HMAC-SHA256"
EMPTY_HASH: Final = sha256(b"").hexdigest().encode("ascii")
"""The payload hash of a request without a body."""
UNSIGNED_PAYLOAD: Final = b"UNSIGNED-PAYLOAD"


def canonical_headers(fields: Fields) -> tuple[bytes, bytes]:
    """Return (canonical headers, signed headers) of the field lines to be signed.

    The first is `name:value` lines, each ended by a newline, sorted; the second the names
    joined with `;`. Values are trimmed, runs of white space become one space, repeated
    fields are joined with `,` in the order given.
    """
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        lower, tidy = name.lower(), b" ".join(value.split())
        values[lower] = b"%b,%b" % (values[lower], tidy) if lower in values else tidy
    names = sorted(values)
    return b"".join([b"%b:%b\n" % (name, values[name]) for name in names]), b";".join(names)


def canonical_request(
    method: bytes,
    path: bytes,
    query: bytes,
    headers: tuple[bytes, bytes],
    payload_hash: bytes,
    *,
    normalise_path: bool = False,
) -> bytes:
    """Return stage one.

    path: encoded, as it is sent. query: what `encode_query` gives. headers: what
    `canonical_headers` gives. normalise_path removes empty and dot segments, as every
    AWS service but S3 does (RFC 3986 section 6.2.2.3).
    """
    if normalise_path:
        path = _without_dot_segments(path)
    return b"%b\n%b\n%b\n%b\n%b\n%b" % (method, path, query, *headers, payload_hash)


def string_to_sign(stamp: bytes, scope: bytes, canonical: bytes) -> bytes:
    """Return stage two. stamp: x-amz-date's value. scope: `str(Scope)` as bytes."""
    digest = sha256(canonical).hexdigest().encode("ascii")
    return b"%b\n%b\n%b\n%b" % (ALGORITHM, stamp, scope, digest)


def signature(signing_key: bytes, to_sign: bytes) -> bytes:
    """Return stage three: 64 lower-case hexadecimal digits."""
    return hmac.digest(signing_key, to_sign, "sha256").hex().encode("ascii")


def _without_dot_segments(path: bytes) -> bytes:
    kept: list[bytes] = []
    parts = path.split(b"/")
    for part in parts:
        if part == b"..":
            del kept[-1:]
        elif part not in (b"", b"."):
            kept.append(part)
    end = b"/" if kept and parts[-1] in (b"", b".", b"..") else b""
    return b"/" + b"/".join(kept) + end

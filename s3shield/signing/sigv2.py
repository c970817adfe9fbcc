"""Signature version 2, as S3 has it: HMAC-SHA1 over a few lines and the resource.

AWS: "Signing and Authenticating REST Requests", S3 developer guide.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Final

from s3shield.policy import Fields

from .encoding import Query, encode

__all__ = ["SUB_RESOURCES", "canonical_resource", "encode_query", "signature", "string_to_sign"]

SUB_RESOURCES: Final = frozenset(
    b"""accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location
    logging metrics notification object-lock partNumber policy replication requestPayment
    response-cache-control response-content-disposition response-content-encoding
    response-content-language response-content-type response-expires restore select
    select-type storageClass tagging torrent uploadId uploads versionId versioning versions
    website""".split()
)
"""Names of the query parameters that are part of the signed resource."""


def canonical_resource(path: bytes, query: Query) -> bytes:
    """Return the CanonicalizedResource.

    path: `/bucket/` + encoded key, for virtual hosts too. query: decoded; sub-resources are
    sorted by name, their values signed decoded, an empty value as none: servers disagree on
    a lone `=`, so none is sent either (see `encode_query`).
    """
    parts = sorted([(name, value or b"") for name, value in query if name in SUB_RESOURCES])
    if not parts:
        return path
    return path + b"?" + b"&".join([b"%b=%b" % part if part[1] else part[0] for part in parts])


def encode_query(query: Query) -> bytes:
    """Return the query string to send: encoded, sorted, a bare name for an empty value."""
    pairs = sorted([(name, value or b"") for name, value in query])
    return b"&".join(
        [
            b"%b=%b" % (encode(name), encode(value)) if value else encode(name)
            for name, value in pairs
        ]
    )


def string_to_sign(method: bytes, date: bytes, fields: Fields, resource: bytes) -> bytes:
    """Return what is signed.

    date: the Date header, or Expires (epoch seconds) of a presigned URL; empty when an
    x-amz-date field is signed. fields: those sent; only Content-MD5, Content-Type and
    x-amz-* count.
    """
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        lower, tidy = name.lower(), value.strip()
        values[lower] = b"%b,%b" % (values[lower], tidy) if lower in values else tidy
    amz = b"".join(
        [b"%b:%b\n" % (name, values[name]) for name in sorted(values) if name[:6] == b"x-amz-"]
    )
    md5, kind = values.get(b"content-md5", b""), values.get(b"content-type", b"")
    return b"%b\n%b\n%b\n%b\n%b%b" % (method, md5, kind, date, amz, resource)


def signature(secret: str, to_sign: bytes) -> bytes:
    """Return the base64 of the HMAC-SHA1."""
    return b64encode(hmac.digest(secret.encode("utf-8"), to_sign, "sha1"))

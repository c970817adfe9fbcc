"""What is sent to an origin: the signed request of a bucket, or a plain one.

Nothing of the client's goes to a bucket but the key and the query that the location
lets through: no header, and never its `Authorization` or `x-amz-*`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, Protocol

import attrs

from s3shield.policy import CachePolicy, Fields, Request, forwarded_fields
from s3shield.routing import Route
from s3shield.signing import Signer
from s3shield.wire import OriginPool

__all__ = ["BucketRequests", "Origin", "OriginRequests", "PlainRequests"]


_SAFE: Final = frozenset({b"GET", b"HEAD"})


class OriginRequests(Protocol):
    """Makes the head of a request to one origin."""

    def head(self, method: bytes, request: Request, route: Route, extra: Fields) -> bytes:
        """Return a complete request head, blank line included.

        extra: fields of ours for this request (validators, Range), never signed.
        """


def _assemble(method: bytes, target: bytes, fields: Fields, extra: Fields) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in fields]
    lines += [b"%b: %b\r\n" % field for field in extra]
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, b"".join(lines))


def _length(method: bytes, request: Request) -> Fields:
    """Return the length of a body, or that there is none (RFC 9110 section 8.6)."""
    if not request.body and method not in (b"POST", b"PUT", b"PATCH"):
        return ()
    return ((b"Content-Length", b"%d" % len(request.body)),)


@attrs.frozen
class BucketRequests:
    """Signed requests to a bucket. clock: wall time in seconds since the epoch."""

    signer: Signer
    via: bytes
    policy: CachePolicy
    clock: Callable[[], float]

    def head(self, method: bytes, request: Request, route: Route, extra: Fields) -> bytes:
        """Sign last, when the cache has decided: the bytes signed are the bytes sent."""
        if method in _SAFE:
            signed = self.signer.sign(method, route.key[1:], route.query, self.clock())
        else:
            sent = (*forwarded_fields(request, self.policy), *_length(method, request))
            signed = self.signer.sign(
                method,
                route.key[1:],
                route.query,
                self.clock(),
                sent,
                payload_hash=hashlib.sha256(request.body).hexdigest().encode("ascii"),
            )
            there = {name.lower() for name, _ in signed.fields}
            extra += tuple([field for field in sent if field[0].lower() not in there])
        return _assemble(method, signed.target, (*signed.fields, (b"Via", self.via)), extra)


_MISLEADING: Final = frozenset(
    {
        b"forwarded",
        b"x-forwarded-host",
        b"x-forwarded-path",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-forwarded-uri",
        b"x-host",
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-original-host",
        b"x-original-uri",
        b"x-original-url",
        b"x-override-url",
        b"x-rewrite-url",
    }
)
"""Fields by which a client could have an origin answer for another URL or method.

They are in no cache key: the answer would be stored for everybody.
"""


@attrs.frozen
class PlainRequests:
    """Requests to a plain HTTP origin, with the client's end-to-end fields.

    But for those that would make it answer something else (`_MISLEADING`), and on GET and
    HEAD x-amz-*.
    """

    authority: bytes
    policy: CachePolicy

    def head(self, method: bytes, request: Request, route: Route, extra: Fields) -> bytes:
        """Send the target as received, or as rewritten; Host is the origin's."""
        safe = method in _SAFE
        fields = [
            field
            for field in forwarded_fields(request, self.policy, cacheable=safe)
            if field[0] not in _MISLEADING and not (safe and field[0].startswith(b"x-amz-"))
        ]
        if not safe:
            fields += _length(method, request)
        return _assemble(method, route.target, ((b"Host", self.authority), *fields), extra)


@attrs.frozen
class Origin:
    """Where a location's misses go. name: str, for the log. bucket: S3 speaks there."""

    name: str
    requests: OriginRequests
    pool: OriginPool
    bucket: bool

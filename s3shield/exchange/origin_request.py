"""What is sent to an origin: the signed request of a bucket, or a plain one.

Nothing of the client's goes to a bucket but the key and the query that the location
lets through: no header on GET and HEAD, with other methods what describes the content
(`policy.forwarded_fields`), and never its `Authorization`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import attrs

from s3shield.policy import CachePolicy, Fields, Request, forwarded_fields
from s3shield.routing import Route
from s3shield.signing import UNSIGNED_PAYLOAD, Explanation, Signer

from .bodies import declared_hash, upload_of

if TYPE_CHECKING:
    from s3shield.wire import OriginCall, OriginPool, Receiver

    from .bucket import Bucket

__all__ = ["BucketRequests", "PlainRequests", "repeatable", "send"]


_SAFE: Final = frozenset({b"GET", b"HEAD"})
_ONCE: Final = frozenset({b"POST", b"PATCH"})
"""Methods whose requests are never sent twice (RFC 9110 section 9.2.2)."""


def repeatable(method: bytes, request: Request) -> bool:
    """Tell whether `request` may be sent anew, with all that it takes, after an answer."""
    return method not in _ONCE and (
        method != request.method or not (request.body or upload_of(method, request))
    )


def send(
    pool: OriginPool, head: bytes, method: bytes, request: Request, to: Receiver
) -> OriginCall:
    """Send `head` and the client's body: none with a GET that we send in place of another."""
    body = request.body if method == request.method else b""
    upload = upload_of(method, request)
    if upload is None:
        return pool.fetch(method, head + body, to, idempotent=method not in _ONCE)
    return pool.fetch(method, head, to, upload=upload)


def _assemble(method: bytes, target: bytes, fields: Fields, extra: Fields) -> bytes:
    lines = [b"%b: %b\r\n" % field for field in fields]
    lines += [b"%b: %b\r\n" % field for field in extra]
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, b"".join(lines))


def _length(method: bytes, request: Request) -> Fields:
    """Return the length of a body, or that there is none (RFC 9110 section 8.6)."""
    upload = upload_of(method, request)
    if upload is not None:
        if upload.length is None:
            return ((b"Transfer-Encoding", b"chunked"),)
        return ((b"Content-Length", b"%d" % upload.length),)
    if not request.body and method not in (b"POST", b"PUT", b"PATCH"):
        return ()
    return ((b"Content-Length", b"%d" % len(request.body)),)


@attrs.frozen
class BucketRequests:
    """Signed requests to a bucket. bucket: what is known of it, its clock above all."""

    signer: Signer
    via: bytes
    policy: CachePolicy
    bucket: Bucket

    def signer_now(self) -> Signer:
        """Return what to sign the next request with."""
        return self.bucket.signer(self.signer)

    def head(
        self,
        signer: Signer,
        now: float,
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
    ) -> bytes:
        """Sign last, when the cache has decided: the bytes signed are the bytes sent.

        now: epoch seconds to sign for. extra: fields of ours for this request (validators,
        Range), never signed.
        """
        sent, payload_hash = self._body(method, request)
        signed = signer.sign(
            method, route.key[1:], route.query, now, sent, payload_hash=payload_hash
        )
        if sent:
            there = {name.lower() for name, _ in signed.fields}
            extra += tuple([field for field in sent if field[0].lower() not in there])
        return _assemble(method, signed.target, (*signed.fields, (b"Via", self.via)), extra)

    def explain(
        self, signer: Signer, now: float, method: bytes, request: Request, route: Route
    ) -> Explanation:
        """Return how `head` signs, masked."""
        sent, payload_hash = self._body(method, request)
        return signer.explain(
            method, route.key[1:], route.query, now, sent, payload_hash=payload_hash
        )

    def _body(self, method: bytes, request: Request) -> tuple[Fields, bytes | None]:
        """Return the client's fields that go along, and the hash of its body: not of a GET."""
        if method in _SAFE:
            return (), None
        sent = (*forwarded_fields(request, self.policy), *_length(method, request))
        declared = declared_hash(request)  # S3 compares, from one end to the other
        if declared is None and upload_of(method, request) is not None:
            declared = UNSIGNED_PAYLOAD
        return sent, declared or hashlib.sha256(request.body).hexdigest().encode("ascii")


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

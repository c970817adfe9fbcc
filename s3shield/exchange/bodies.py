"""What a location takes of a client's body, and which uploads a bucket cannot be given.

Theory of operation. A short body is gathered whole, so that it may be sent twice and its
hash be signed; a longer one is streamed. To S3 the length must be told before (AWS,
PutObject: Content-Length), and what is signed is either the hash that the client declared
or, over TLS, that there is none (UNSIGNED-PAYLOAD). Where neither will do, the body is
gathered up to `_BOUND` and hashed, and a longer one refused.

A request that S3 would take for something else than the client meant, because of what of
it stays here, is not sent: without its query `PUT /a?acl` would replace the object.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from s3shield.policy import Request
from s3shield.routing import BadTargetError, Route, parse_query
from s3shield.signing import Signer, SignMode
from s3shield.wire import BodyPlan, StreamedRequest, Upload

__all__ = ["NO_BODIES", "Bodies", "declared_hash", "must_hash", "upload_of"]

GATHERED: Final = 64 * 1024
_BOUND: Final = 1 << 20
_HASH: Final = re.compile(rb"[0-9A-Fa-f]{64}")
_UNSIGNED: Final = b"UNSIGNED-PAYLOAD"
_WITH_HASH: Final = frozenset({SignMode.V4, SignMode.V4_QUERY})
_OPERATIONS: Final = frozenset(
    {b"accelerate", b"acl", b"analytics", b"append", b"attributes", b"cors", b"delete"}
    | {b"encryption", b"intelligent-tiering", b"inventory", b"legal-hold", b"lifecycle"}
    | {b"location", b"logging", b"metadataTable", b"metrics", b"notification", b"object-lock"}
    | {b"ownershipControls", b"partNumber", b"policy", b"policyStatus", b"publicAccessBlock"}
    | {b"rename", b"renameObject", b"replication", b"requestPayment", b"restore", b"retention"}
    | {b"select", b"select-type", b"tagging", b"torrent", b"uploadId", b"uploads"}
    | {b"versionId", b"versioning", b"versions", b"website"}
)
"""Parameters with which a request to S3 is about something else than the object's bytes."""


def declared_hash(request: Request) -> bytes | None:
    """Return the SHA-256 that the client says its body has, in hex, or None."""
    value = request.headers.get(b"x-amz-content-sha256", b"")
    return value.lower() if _HASH.fullmatch(value) else None


def upload_of(method: bytes, request: Request) -> Upload | None:
    """Return the body that is on its way, but for a GET that we send in place of another."""
    if method == request.method and isinstance(request, StreamedRequest):
        return request.upload
    return None


@attrs.frozen
class Bodies:
    """What one location takes. limit: `client_max_body_size`, 0 where no method has a body.

    bucket: whether S3 is asked. hashed: whether it must be told each body's hash, because
    nothing else protects the body on its way (see `must_hash`). gated: whether somebody
    before the location has a say: then nothing is read before he has had it, and it is his
    to see to it that the location is given what `wanted` says.
    """

    limit: int = 0
    bucket: bool = False
    hashed: bool = False
    gated: bool = False

    def plan(self, request: Request, route: Route) -> BodyPlan | None:
        """Return what is to be done about `request`'s body; None: nothing, for it is refused."""
        if self.gated and self.limit:
            return BodyPlan(self.limit, self.limit, at_once=True)
        return self.wanted(request, route)

    def wanted(self, request: Request, route: Route) -> BodyPlan | None:
        """Return what the location takes of it; None: nothing."""
        limit = self.limit
        if not limit or self.objection(request, route):
            return None
        if self.bucket and b"content-length" not in request.headers:
            return BodyPlan(limit, _BOUND, 411)
        if self.hashed and declared_hash(request) is None:
            return BodyPlan(limit, _BOUND, 413)
        return BodyPlan(limit, GATHERED)

    def objection(self, request: Request, route: Route) -> int:
        """Return the status that refuses what must not be sent, or 0."""
        return _objection(request, route) if self.bucket else 0

    def refusal(self, request: Request, route: Route) -> int:
        """Return the same when the body, or its `Upload`, is there."""
        if len(request.body) > self.limit:
            return 413  # gathered by another server
        status = self.objection(request, route)
        told = request.headers.get(b"content-length", b"").lstrip(b"0")
        if not status and told and not (request.body or isinstance(request, StreamedRequest)):
            return 400  # it was dropped on the way: an empty one must not stand for it
        return status


NO_BODIES: Final = Bodies()


def must_hash(signer: Signer) -> bool:
    """Tell whether a body must be hashed to be signed: V4, and no TLS around it."""
    return signer.mode in _WITH_HASH and signer.endpoint.scheme != "https"


def _objection(request: Request, route: Route) -> int:
    """Return the status that refuses what cannot be sent to a bucket, or 0.

    411: no length is told. 400: x-amz-content-sha256 is none. 501: another operation of
    S3's than the request would be without what stays here, or a body in AWS's own coding.
    """
    headers = request.headers
    declared = headers.get(b"x-amz-content-sha256")
    if (
        b"x-amz-copy-source" in headers
        or b"aws-chunked" in headers.get(b"content-encoding", b"").lower()
        or (declared is not None and declared.startswith(b"STREAMING-"))
        or _asks_for_more(request, route)
    ):
        return 501
    if declared not in (None, _UNSIGNED) and declared_hash(request) is None:
        return 400
    if (
        request.method in (b"PUT", b"POST")
        and b"content-length" not in headers
        and b"transfer-encoding" not in headers
        and not request.body
    ):
        return 411
    return 0


def _asks_for_more(request: Request, route: Route) -> bool:
    try:
        asked = {name for name, _ in parse_query(request.query)}
    except BadTargetError:
        return True
    return not (asked & _OPERATIONS) <= {name for name, _ in route.query}

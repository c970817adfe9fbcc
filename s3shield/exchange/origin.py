"""Where a location's misses go: a bucket, or any HTTP server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from s3shield.policy import CachePolicy, Fields, Request, ResponseHead
from s3shield.routing import Route
from s3shield.signing import Endpoint, Signer
from s3shield.wire import OriginPool, Receiver

from .asking import BucketCall
from .bucket import Bucket
from .origin_request import BucketRequests, PlainRequests, send
from .patience import ALONE, Patience
from .replicas import ReplicatedOrigin

__all__ = ["BucketOrigin", "Call", "Origin", "PlainOrigin"]


class Call(Protocol):
    """One question to an origin, as its asker holds it. See `wire.OriginCall`."""

    interim: Callable[[ResponseHead], None] | None

    def pause(self) -> None:
        """Stop reading."""

    def resume(self) -> None:
        """Read on."""

    def cancel(self) -> None:
        """Hear nothing more."""


@attrs.frozen
class PlainOrigin:
    """Any HTTP server. name: str, for the log."""

    name: str
    requests: PlainRequests
    pool: OriginPool

    def ask(
        self,
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
        to: Receiver,
        _policy: CachePolicy,
    ) -> Call:
        """Send a request. extra: fields of ours for it (validators, Range)."""
        head = self.requests.head(method, request, route, extra)
        return send(self.pool, head, method, request, to)


@attrs.frozen
class BucketOrigin:
    """A bucket as one location asks it. name: str, for the log.

    pool: connections to the configured endpoint. pool_at: gives those to another one;
    raises OSError or ValueError where it cannot be asked. patience: with a bucket that is
    overloaded.
    """

    name: str
    requests: BucketRequests
    pool: OriginPool
    bucket: Bucket
    pool_at: Callable[[Endpoint], OriginPool]
    patience: Patience = ALONE

    def ask(
        self,
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
        to: Receiver,
        policy: CachePolicy,
    ) -> BucketCall:
        """Send a request, as often as it takes. extra: fields of ours for it, never signed."""
        call = BucketCall(self, method, request, route, extra, to, policy)
        call.begin()
        return call

    def pool_for(self, signer: Signer) -> OriginPool:
        """Return the connections to where `signer`'s requests go."""
        there = signer.endpoint
        return self.pool if there == self.bucket.configured else self.pool_at(there)


Origin = BucketOrigin | PlainOrigin | ReplicatedOrigin
"""Where a location's misses go."""

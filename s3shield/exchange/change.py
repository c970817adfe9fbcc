"""Requests that may change something: passed on, and what they make invalid is forgotten.

RFC 9111 section 4.4: a success of an unsafe method invalidates what is stored for its
target, and for Location and Content-Location of the same origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from s3shield.policy import (
    FailureKind,
    OriginFailure,
    Request,
    ResponseHead,
    invalidation_targets,
    is_unsafe,
)
from s3shield.routing import BadTargetError

from .bodies import upload_of
from .relay import Relay

if TYPE_CHECKING:
    from s3shield.routing import RoutingTable

    from .location import Location

__all__ = ["Change", "Invalidation"]

_UNKNOWN: Final = frozenset({FailureKind.CUT, FailureKind.INVALID, FailureKind.TIMEOUT})
"""What went wrong when the origin may have done what it was asked."""


class Invalidation:
    """Forgets what changes make invalid. table: routes of all `locations`."""

    def __init__(self, table: RoutingTable, locations: Sequence[Location]) -> None:
        self._table = table
        self._locations = locations

    def apply(self, request: Request, head: ResponseHead, origin: str) -> None:
        """Forget what `head`, the answer to `request`, makes invalid. origin: its URL."""
        for target in invalidation_targets(request, head, (origin.encode("utf-8"),)):
            asked = Request(
                b"GET",
                target,
                request.headers,
                host=request.host,
                peer=request.peer,
                scheme=request.scheme,
            )
            try:
                route = self._table.route(asked)
            except BadTargetError:
                continue
            if route is not None:
                self._locations[route.number].forget(route)


class Change(Relay):
    """Relays a request with any method but GET and HEAD, its body and conditions too."""

    __slots__ = ()

    def begin(self) -> None:
        """Ask the origin what the client asked. A body that is on its way goes along."""
        to, location = self._to, self._location
        upload = upload_of(to.request.method, to.request)
        if upload is not None:
            upload.refused = self._refused
            to.watch(self._left)
            if self._gone:
                return
        to.origin_started = location.around.monotonic()
        self._call = location.ask(to.request.method, to.request, to.route, (), self)
        self._call.interim = to.inform

    def _left(self) -> bool:
        """The client is gone; but what it has sent whole may change something yet."""
        upload = upload_of(self._to.request.method, self._to.request)
        if upload is not None and upload.whole:
            return False
        return super()._left()

    def _refused(self, status: int) -> None:
        """What comes from the client is no body, or too much of it."""
        if self._gone or self._chunks is None:
            return
        self._gone = True
        if self._call is not None:
            self._call.cancel()
        self._to.refuse(status)

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Forget what is invalid now, before the client hears of it."""
        self._location.changed(self._to.request, head)
        super().origin_head(head, length)

    def origin_failed(self, failure: OriginFailure) -> None:
        """Where nobody knows what a whole request has done, what is stored is not valid."""
        to = self._to
        upload = upload_of(to.request.method, to.request)
        sent = failure.kind in _UNKNOWN and (upload is None or upload.whole)
        if sent and failure.before_head and not self._gone and is_unsafe(to.request.method):
            self._location.forget(to.route)
        super().origin_failed(failure)

"""Requests that may change something: passed on, and what they make invalid is forgotten.

RFC 9111 section 4.4: a success of an unsafe method invalidates what is stored for its
target, and for Location and Content-Location of the same origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s3shield.policy import Request, ResponseHead, invalidation_targets
from s3shield.routing import BadTargetError

from .relay import Relay

if TYPE_CHECKING:
    from s3shield.routing import RoutingTable

    from .location import Location

__all__ = ["Change", "Invalidation"]


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
        """Ask the origin what the client asked."""
        to = self._to
        to.origin_started = self._location.around.monotonic()
        self._call = self._location.ask(to.request.method, to.request, to.route, (), self)
        self._call.interim = to.inform

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Forget what is invalid now, before the client hears of it."""
        self._location.changed(self._to.request, head)
        super().origin_head(head, length)

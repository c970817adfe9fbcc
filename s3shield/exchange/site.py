"""The door: every request comes in here and is led to its location."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.web.pages import errorPage, notFound
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from s3shield.policy import CacheStatus, Request
from s3shield.routing import BadTargetError, Route, RoutingTable
from s3shield.wire import BodyPlan, Downstream, RequestDownstream, request_from

from .refusal import refusal_head

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .location import Location
    from .transaction import Surroundings

__all__ = ["Node", "Serve", "Site", "Tree"]

Serve = Callable[[Request, Route, Downstream], None]
"""Answers a request whose location is known, or sees to it that it will be answered."""

_MEMO: Final = 12_288
"""Routes remembered of each of two generations; routing is a pure function of host and target."""
_MEMO_TARGET: Final = 512
"""Bytes of a target that is remembered: a route is four times as long, and clients make them."""


class Site:
    """A `wire.Site`: routes a request and lets its location serve it.

    lead: returns what serves each location; None: they do.

    Routes are remembered by (host, target), so that a hit on a known path costs one
    dictionary lookup here. When the younger of two dictionaries is full the older is forgotten.
    """

    __slots__ = ("_around", "_before", "_memo", "_serve", "body_plan", "locations", "table")

    def __init__(
        self,
        table: RoutingTable,
        locations: Sequence[Location],
        around: Surroundings,
        lead: Callable[[Site], list[Serve]] | None = None,
    ) -> None:
        self.table = table
        self.locations = locations
        self._serve = [x.serve for x in locations] if lead is None else lead(self)
        self._around = around
        bodies = any(location.bodies.limit for location in locations)
        # For the wire: bodies are only read where somebody wants them.
        self.body_plan = self._body_plan if bodies else None
        self._memo: dict[tuple[bytes, bytes], Route] = {}
        self._before: dict[tuple[bytes, bytes], Route] = {}

    def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer `request`, or see to it that it will be answered."""
        route = self._memo.get((request.host, request.target))
        if route is None:
            route = self._find(request, downstream)
            if route is None:
                return
        self._serve[route.number](request, route, downstream)

    def _body_plan(self, request: Request) -> BodyPlan | None:
        """Return what is wanted of the body of `request`; None: nothing."""
        if request.method in (b"GET", b"HEAD"):
            return None
        try:
            route = self.table.route(request)
        except BadTargetError:
            return None
        if route is None or not self.locations[route.number].takes(request.method):
            return None
        return self.locations[route.number].bodies.plan(request, route)

    def _find(self, request: Request, downstream: Downstream) -> Route | None:
        known = self._before.get((request.host, request.target))
        if known is not None:
            self._remember(request, known)
            return known
        try:
            route = self.table.route(request)
        except BadTargetError:
            self._refuse(request, downstream, 400)
            return None
        if route is None:
            self._refuse(request, downstream, 404)
            return None
        if not self.table.by_target(route.number):
            return route
        if len(request.target) <= _MEMO_TARGET:
            self._remember(request, route)
        return route

    def _remember(self, request: Request, route: Route) -> None:
        if len(self._memo) >= _MEMO:
            self._before, self._memo = self._memo, {}
        self._memo[request.host, request.target] = route

    def _refuse(self, request: Request, downstream: Downstream, status: int) -> None:
        around = self._around
        head, body = refusal_head(status, now=around.clock)
        if request.method == b"HEAD":
            body = b""
        downstream.reply(head, body)
        duration = around.monotonic() - request.started
        size = len(body)
        none = CacheStatus.NONE
        around.log(
            (
                request.peer,
                around.clock(),
                request,
                status,
                size,
                none,
                None,
                duration,
                None,
                0,
                "",
                b"",
                0,
            )
        )


class Node(Resource):
    """One location as a twisted.web resource."""

    isLeaf = True

    def __init__(self, site: Site, location: Location, monotonic: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.location = location
        self._site = site
        self._monotonic = monotonic

    def render(self, request: Any) -> Any:
        """Hand the request on; the answer comes through `RequestDownstream`."""
        most = self.location.bodies.limit
        received = request_from(request, self._monotonic(), most=most)
        self._site(received, RequestDownstream(request))
        return NOT_DONE_YET


class Tree(Resource):
    """All locations as a twisted.web resource tree, for any twisted.web `Site`.

    The same door as the channel's, one level up: HTTP/2, or a site that mixes locations
    with resources of its own. Slower than the channel, never different.
    """

    def __init__(self, site: Site, monotonic: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._site = site
        self._monotonic = monotonic
        self.nodes = [Node(site, location, monotonic) for location in site.locations]

    def getChildWithDefault(self, path: bytes, request: Any) -> IResource:
        """Return the node of the location that nginx's matching chooses."""
        try:
            route = self._site.table.route(request_from(request, self._monotonic()))
        except BadTargetError:
            return errorPage(400, "Bad Request", "The request is not valid.")
        return notFound() if route is None else self.nodes[route.number]

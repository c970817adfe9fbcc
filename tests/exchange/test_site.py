"""What the door remembers of requests: never more than a bounded number of bytes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import Bodies
from s3shield.exchange import site as site_module
from s3shield.exchange.site import Site
from s3shield.policy import Request
from s3shield.routing import Pattern, Place, Route, RoutingTable


class Counting:
    """A location that notes what it is asked for."""

    bodies = Bodies()

    def __init__(self) -> None:
        self.keys: list[bytes] = []

    def serve(self, request: Request, route: Route, downstream: Any) -> None:
        self.keys.append(route.key)


class MemoTests(SynchronousTestCase):
    def site(self) -> tuple[Site, Counting]:
        place = Place(pattern=Pattern.parse("/"), server=None, origin="media", bucket=True)
        location = Counting()
        return Site(RoutingTable([], [place]), [location], None), location  # type: ignore[arg-type]  # all that is used

    def test_long_targets_are_not_remembered(self) -> None:
        """They are served all the same."""
        site, location = self.site()
        for number in range(50):
            site(Request(b"GET", b"/" + b"%20" * 2000 + b"%d" % number), None)  # type: ignore[arg-type]  # all that is used
        self.assertEqual(50, len(set(location.keys)))
        self.assertEqual({}, site._memo)

    def test_many_targets_are_forgotten(self) -> None:
        """Past a number those asked for long ago are; hosts count too."""
        self.patch(site_module, "_MEMO", 10)
        site, location = self.site()
        for number in range(100):
            for host in (b"a", b"b"):
                site(Request(b"GET", b"/%d" % number, host=host), None)  # type: ignore[arg-type]  # all that is used
                self.assertLessEqual(max(len(site._memo), len(site._before)), 10)
        self.assertEqual(200, len(location.keys))

    def test_used_targets_are_remembered(self) -> None:
        """What is asked for again and again is not looked for again, however many others come."""
        self.patch(site_module, "_MEMO", 10)
        site, location = self.site()
        looked_for = []
        find = site.table.route
        site.table.route = lambda request: looked_for.append(request.target) or find(request)
        for number in range(100):
            for target in (b"/often", b"/%d" % number):
                site(Request(b"GET", target, host=b"a"), None)  # type: ignore[arg-type]  # all that is used
        self.assertEqual(200, len(location.keys))
        self.assertEqual(1, looked_for.count(b"/often"))
        self.assertEqual(101, len(looked_for))

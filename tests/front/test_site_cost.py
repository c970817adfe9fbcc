"""What the manners of a site add to a hit, counted in calls as in `tests.exchange.test_hit_cost`."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from s3shield.config import loads
from s3shield.exchange import Site
from s3shield.front import Ground, Phase
from s3shield.front.directory import index
from s3shield.front.error_pages import error_pages
from s3shield.front.security_fields import security_fields
from s3shield.wire import ChannelFactory
from tests.exchange.test_hit_cost import PART, PYTHON_CALLS, HitCost

INDEX: Final = 2
"""Of what is no directory: a look at the path."""
PAGES: Final = 11
FIELDS: Final = 6


class SiteCostTests(HitCost):
    """Hits on a location of a site."""

    def check(self, phase: Phase, options: str, adds: int) -> None:
        """Count a hit behind a phase, which adds so many calls."""
        config = loads(f"[location:/]\norigin = http://h\n{options}\n").locations[0]
        location: Any = self.location
        site = Site(
            self.channel.factory.site.table,
            [location],
            location.around,
            lambda site: [phase(Ground(location, config, site), location.serve)],
        )
        transport: Any = StringTransport()
        transport.write = self.answers.append
        self.channel = ChannelFactory(site, Clock()).buildProtocol(None)
        self.channel.makeConnection(transport)
        heads = self.requests()
        python, _, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertIn(b"X-Cache-Status: HIT", answer)
        self.assertLessEqual(python, PYTHON_CALLS + adds + PART, told)

    def test_index(self) -> None:
        """`index`: what does not end in a slash goes on."""
        self.check(index, "index = index.html", INDEX)

    def test_error_page(self) -> None:
        """`error_page`: a request and a downstream of its own for each."""
        self.check(error_pages, "error_page = 404 /404.html", PAGES)

    def test_security_headers(self) -> None:
        """`security_headers`: a look at the head."""
        self.check(security_fields, "security_headers = strict", FIELDS)

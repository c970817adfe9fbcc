"""What a gate adds to a hit, counted in calls as in `tests.exchange.test_hit_cost`."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any, Final

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from s3shield.access import LinkTerms, sign_link
from s3shield.config import loads
from s3shield.exchange import Site
from s3shield.front import Ground
from s3shield.front.access import Access
from s3shield.front.process import Process
from s3shield.wire import ChannelFactory
from tests.exchange.test_hit_cost import PART, PYTHON_CALLS, HitCost

GATE: Final = 2
"""Functions written in Python that any gate adds."""
ADDRESS: Final = 1
PASSWORD: Final = 11
"""Eight of them are the log's, which has the user's name."""
LINK: Final = 32
KEY: Final = "0123456789abcdef"
HORSE: Final = "{SHA}L55TUjtiq8FBorTWAZ0jy6g129A="


class GateCostTests(HitCost):
    """Hits through a gate."""

    def gated(self, options: str) -> None:
        """Put a gate before the location."""
        config = loads(f"[location:/]\norigin = http://h\n{options}\n").locations[0]
        process = Process(None, time.time, time.monotonic, None)
        access = Access([config], process)
        self.addCleanup(access.stop)
        if access._passwords is not None:
            access._passwords._in_thread = maybeDeferred
        location: Any = self.location
        site = Site(
            self.channel.factory.site.table,
            [location],
            location.around,
            lambda site: [access.phase(Ground(location, config, site), location.serve)],
        )
        transport: Any = StringTransport()
        transport.write = self.answers.append
        self.channel = ChannelFactory(site, Clock()).buildProtocol(None)
        self.channel.makeConnection(transport)

    def check(self, options: str, adds: int, target: bytes = b"", more: bytes = b"") -> None:
        """Count a hit through a gate of `options`, which adds so many calls to GATE."""
        self.gated(options)
        heads = self.requests(target, more)
        python, _, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertIn(b"X-Cache-Status: HIT", answer)
        fields = more.count(b"\r\n")
        self.assertLessEqual(python, PYTHON_CALLS + fields + GATE + adds + PART, told)

    def test_address(self) -> None:
        """`allow` and `deny`: one look at what is known of the address."""
        self.check("allow = 192.168.0.0/16\ndeny = all", ADDRESS)

    def test_password(self) -> None:
        """`auth_basic`: no hash but a digest of the field, and a look at what is known of it."""
        file = Path(self.mktemp()).absolute()
        file.write_text(f"ann:{HORSE}\n")
        token = base64.b64encode(b"ann:correct horse")
        self.check(
            f"auth_basic = x\nauth_basic_user_file = {file}",
            PASSWORD,
            more=b"Authorization: Basic %b\r\n" % token,
        )

    def test_link(self) -> None:
        """A link of ours: one HMAC, and the path in the spelling that is signed."""
        terms = LinkTerms(expires=int(time.time()) + 3600)
        link = sign_link(KEY.encode(), b"/obj/1", terms)
        self.check(f"signed_link_key = {KEY}", LINK, target=link)

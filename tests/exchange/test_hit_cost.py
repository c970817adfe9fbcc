"""What a hit costs, counted in calls: it must not creep up unnoticed.

The number is of this interpreter's profile events, so it is the same on a fast machine and
on a slow one. Whoever makes the hit path do more raises it here, on purpose; whoever makes
it do less lowers it.
"""

import sys
import time
from collections import Counter
from pathlib import Path

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange import Location, PlainOrigin, PlainRequests, Site, Surroundings, Zone
from s3shield.ops import AccessLog
from s3shield.policy import CachePolicy, EntryMeta, Request
from s3shield.routing import Pattern, Place, RoutingTable
from s3shield.store import Store
from s3shield.wire import ChannelFactory
from tests.store.support import Loop, Threads

FIELDS = 6
HITS = 256  # as many as the access log takes down at once

PYTHON_CALLS = 12 + FIELDS
"""Functions written in Python that a hit calls."""
C_CALLS = 21 + 2 * FIELDS
"""Functions written in C; three read clocks. Later Pythons count fewer."""
FILE = 7
"""Functions written in Python that a body file adds."""
NOT_MODIFIED = 5
"""Those that a 304 adds."""
RANGE = 8
"""Those that a range adds."""
PART = 0.5
"""What is not done for each hit: the log's batches, entries read again after a commit."""

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n"
LONG = bytes(range(250)) * 200
REQUEST = (
    b"GET /obj/%d HTTP/1.1\r\nHost: cdn.example.com\r\nX-Request-Id: %d\r\n"
    b"User-Agent: Mozilla/5.0\r\nAccept: */*\r\nAccept-Encoding: gzip, br\r\n"
    b"X-Forwarded-For: 203.0.113.%d\r\n\r\n"
)


class Unused:
    """An origin that is never asked."""


class HitCost(SynchronousTestCase):
    """What counts the calls of hits on one location."""

    make_location = Location

    def setUp(self):
        """A channel in front of a store with some objects, all as in the daemon."""
        clock = Clock()
        now = time.time()
        path = Path(self.mktemp()).absolute()
        self.store = Store(path, reactor=Loop(), pool=Threads(), clock=time.time, shared=False)
        self.addCleanup(self.store.close)
        self.log = AccessLog(str(path / "access.log"), reactor=clock)
        self.addCleanup(self.log.close)
        self.log_path = path / "access.log"
        around = Surroundings(
            clock=time.time,
            monotonic=time.monotonic,
            call_soon=lambda call: clock.callLater(0, call),
            call_later=clock.callLater,
            log=self.log.append,
        )
        policy = CachePolicy()
        table = RoutingTable(
            [], [Place(pattern=Pattern.parse("/"), server=None, origin="o", bucket=False)]
        )
        self.location = location = self.make_location(
            "/",
            policy,
            Zone(self.store, inline_limit=32768, largest=1 << 30),
            PlainOrigin("o", PlainRequests(b"origin", policy), Unused()),
            around,
            keep_filling=False,
        )
        meta = EntryMeta(
            status=200,
            born=now - 7,
            response_time=now - 7,
            fresh_until=now + 3600,
            etag=b'"tag"',
        )
        route = table.route(Request(b"GET", b"/long", host=b"cdn.example.com"))
        writer = self.store.create_body(route.digest)
        writer.write(LONG)
        self.successResultOf(writer.commit(route.key_text, meta, HEAD))
        for number in range(16):
            route = table.route(Request(b"GET", b"/obj/%d" % number, host=b"cdn.example.com"))
            self.store.put(route.digest, route.key_text, meta, HEAD, b"%04d" % number * 256)
        self.store.flush()
        self.answers = []
        transport = StringTransport()
        transport.write = self.answers.append  # a C function, as uvloop's is
        site = Site(table, [location], around)
        self.channel = ChannelFactory(site, clock).buildProtocol(None)
        self.channel.makeConnection(transport)

    def requests(self, target=b"", more=b""):
        """Heads of which no two are alike. target: instead of the 16 small objects."""
        heads = [REQUEST % (number % 16, number * 7919, number % 250) for number in range(HITS)]
        if target:
            heads = [b"GET %b %b" % (target, head.split(b" ", 2)[2]) for head in heads]
        return [head[:-2] + more + b"\r\n" for head in heads]

    def cost(self, heads, more_heads):
        """Python and C calls for each of `more_heads`, and the calls by name, as text."""
        receive = self.channel.dataReceived
        for head in heads:
            receive(head)  # routes and entries are known from here on
        self.log.flush()
        self.answers.clear()
        counts = Counter()
        names = Counter()

        def profile(frame, event, arg):
            counts[event] += 1
            if event == "call":
                names[frame.f_code.co_qualname] += 1
            elif event == "c_call":
                names[arg.__qualname__] += 1

        sys.setprofile(profile)
        try:
            for head in more_heads:
                receive(head)
        finally:
            sys.setprofile(None)
        self.assertEqual(len(self.answers), HITS)
        self.assertEqual(len(self.log_path.read_bytes().splitlines()), 2 * HITS)
        python, c = counts["call"] / HITS, counts["c_call"] / HITS
        shown = [f"{count / HITS:.2f} {name}" for name, count in names.most_common(60)]
        return python, c, f"{python:.2f} Python and {c:.2f} C calls a hit: " + ", ".join(shown)


class HitCostTests(HitCost):
    """The limits above."""

    def test_calls(self):
        """Calls of functions for a hit, from the bytes of its head to its line in the log."""
        python, c, told = self.cost(self.requests(), self.requests())
        for number, answer in enumerate(self.answers):
            body = b"%04d" % (number % 16) * 256
            self.assertTrue(answer.startswith(HEAD + b"Age: "))
            self.assertTrue(answer.endswith(b"\r\nX-Cache-Status: HIT\r\n\r\n" + body))
        self.assertLessEqual(python, PYTHON_CALLS + PART, told)
        self.assertLessEqual(c, C_CALLS + PART, told)

    def test_not_modified(self):
        """The same for a 304: what decides it, and nothing besides."""
        heads = self.requests(more=b'If-None-Match: "tag"\r\n')
        python, c, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertTrue(answer.startswith(b"HTTP/1.1 304 "))
            self.assertTrue(answer.endswith(b"\r\nX-Cache-Status: HIT\r\n\r\n"))
        self.assertLessEqual(python, PYTHON_CALLS + 1 + NOT_MODIFIED + PART, told)
        self.assertLessEqual(c, C_CALLS + 2 + 3 + PART, told)

    def test_body_file(self):
        """The same where the body has a file: one read more, and no thread."""
        heads = self.requests(b"/long")
        python, c, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertTrue(answer.endswith(b"\r\nX-Cache-Status: HIT\r\n\r\n" + LONG))
        self.assertLessEqual(python, PYTHON_CALLS + FILE + PART, told)
        self.assertLessEqual(c, C_CALLS + 5 + PART, told)

    def test_range(self):
        """The same for a part of it."""
        heads = self.requests(b"/long", b"Range: bytes=100-40099\r\n")
        python, c, told = self.cost(heads, heads)
        for answer in self.answers:
            self.assertTrue(answer.startswith(b"HTTP/1.1 206 "))
            self.assertTrue(answer.endswith(b"\r\n\r\n" + LONG[100:40100]))
        self.assertLessEqual(python, PYTHON_CALLS + 1 + FILE + RANGE + PART, told)
        self.assertLessEqual(c, C_CALLS + 2 + 5 + 10 + PART, told)

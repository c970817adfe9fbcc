"""`front.limiting`: what is asked in which order, and when a request is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import LocationConfig, loads
from s3shield.exchange import Surroundings
from s3shield.front.counts import Counts, digests
from s3shield.front.limiting import Limits
from s3shield.policy import InnerRequest, Request

from .recording import Recording, Source

CONN = digests(b"conn  $remote_addr")(b"1.2.3.4")


def config(options: str) -> LocationConfig:
    """A location with these options."""
    text = f"[s3shield]\nlisten = 8080\n[location:/]\norigin = http://127.0.0.1:9\n{options}\n"
    return loads(text, "x.ini", environ={}).locations[0]


@attrs.define
class Place:
    """Stands in for a location and its ground. served: the downstreams it was given."""

    config: Any
    around: Any
    served: list[Any] = attrs.field(factory=list)
    refused: list[int] = attrs.field(factory=list)
    logged: list[int] = attrs.field(factory=list)
    then: Callable[[Any], None] | None = None

    @property
    def location(self) -> Any:
        """It is one."""
        return self

    def serve(self, request: Any, route: Any, downstream: Any) -> None:
        """As a location."""
        self.served.append(downstream)
        if self.then is not None:
            self.then(downstream)

    def refuse(self, request: Any, route: Any, downstream: Any, status: int) -> None:
        """As a Ground."""
        self.refused.append(status)

    def transaction(self, request: Any, route: Any, downstream: Any) -> Any:
        """As a location."""
        return self

    def log(self, status: int, size: int) -> None:
        """As a transaction."""
        self.logged.append(status)


class LimitingTests(SynchronousTestCase):
    """One location."""

    def make(self, options: str) -> Any:
        """Return what serves a location with these options."""
        self.clock = Clock()
        self.counts = Counts()
        self.limits = Limits(self.counts)
        around = Surroundings(
            clock=self.clock.seconds,
            monotonic=self.clock.seconds,
            call_soon=lambda call: self.clock.callLater(0, call),
            call_later=self.clock.callLater,
            log=lambda record: None,
        )
        self.place: Any = Place(config(options), around)
        serve = self.place.serve
        for phase in (self.limits.connections, self.limits.requests):
            serve = phase(self.place, serve)
        return serve

    def ask(self, serve: Any, downstream: Any = None, request: Any = None) -> Recording:
        """Send a request of 1.2.3.4."""
        client = Recording() if downstream is None else downstream
        serve(request or Request(peer=b"1.2.3.4"), None, client)
        return client

    def test_delay(self) -> None:
        """Each waits for its time and no longer; nothing is counted meanwhile (nginx)."""
        serve = self.make(
            "limit_req = $remote_addr rate=10r/s burst=2\nlimit_conn = $remote_addr 1"
        )
        self.place.then = lambda downstream: downstream.reply(b"head", b"")
        for _ in range(4):
            self.ask(serve)
        served = [len(self.place.served)]
        for _ in range(4):
            self.clock.advance(0.0625)
            served.append(len(self.place.served))
        self.assertEqual(([1, 1, 2, 2, 3], [503]), (served, self.place.refused))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_left_while_it_waited(self) -> None:
        """The request is dropped, and logged once."""
        serve = self.make("limit_req = $remote_addr rate=10r/s burst=2")
        self.ask(serve)
        self.ask(serve).leave()
        self.ask(serve, Recording(lost=True))
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(([499, 499], 1), (self.place.logged, len(self.place.served)))

    def test_left_after_it_waited(self) -> None:
        """From then on whoever answers says so."""
        serve = self.make("limit_req = $remote_addr rate=10r/s burst=2")
        self.ask(serve)
        client = self.ask(serve)
        self.clock.advance(1)
        client.leave()
        self.assertEqual(([], 2), (self.place.logged, len(self.place.served)))

    def test_failure_after_it_waited(self) -> None:
        """The connection is cut, for there is nobody else to do it."""
        serve = self.make("limit_req = $remote_addr rate=10r/s burst=2")
        self.ask(serve)
        client = self.ask(serve)
        self.place.then = lambda downstream: 1 // 0
        self.clock.advance(1)
        self.assertEqual(["abort"], client.calls)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_failure_is_no_request_under_way(self) -> None:
        """The site failed: the connection answers, and the request is not counted any more."""
        serve = self.make("limit_conn = $remote_addr 1")
        self.place.then = lambda downstream: 1 // 0
        self.assertRaises(ZeroDivisionError, self.ask, serve)
        self.assertEqual(0, self.counts.under_way(CONN))

    def test_until_the_client_has_it(self) -> None:
        """An answer that the client has not taken counts, streamed or in one write."""
        serve = self.make("limit_conn = $remote_addr 1")
        large = bytes(100_000)
        for streamed in (True, False):
            for leaves in (True, False):
                client = self.ask(serve, Recording(slow=True))
                downstream = self.place.served[-1]
                if streamed:
                    source = Source()
                    downstream.start(b"head", len(large), source)
                    downstream.write(large)
                    self.assertTrue(source.paused)
                    downstream.finish()
                else:
                    downstream.reply(b"head", large)
                self.assertEqual(["start", "write"], client.calls)
                self.ask(serve)
                self.assertEqual(503, self.place.refused.pop())
                if leaves:
                    client.leave()
                else:
                    client.producer.resumeProducing()
                    self.clock.advance(0)
                    self.assertEqual(["start", "write", "finish"], client.calls)
                self.assertEqual(0, self.counts.under_way(CONN))
                self.assertEqual(large, client.body)

    def test_short_answer(self) -> None:
        """It is one write, and over."""
        serve = self.make("limit_conn = $remote_addr 1")
        client = self.ask(serve)
        self.place.served[-1].reply(b"head", b"body")
        self.place.served[-1].reply(b"head", b"again")
        self.assertEqual([("reply", b"head", b"body")], client.said)
        self.assertEqual(0, self.counts.under_way(CONN))

    def test_led_on(self) -> None:
        """A request of ours in the place of one that was asked about is not asked again."""
        serve = self.make("limit_req = $remote_addr rate=1r/m\nlimit_conn = $remote_addr 1")
        self.ask(serve)
        again = self.limits.again(
            self.place.config, lambda request, downstream: self.ask(serve, downstream, request)
        )
        first = InnerRequest(Request(peer=b"1.2.3.4"))
        self.ask(serve, None, InnerRequest(first))
        self.assertEqual([503], self.place.refused)
        again(first, Recording())
        self.ask(serve, None, InnerRequest(first))  # made of it, wherever that leads
        self.assertEqual(([503], 3), (self.place.refused, len(self.place.served)))
        bare = config("limit_rate = 1k")
        self.assertIs(again, self.limits.again(bare, again))

    def test_without(self) -> None:
        """A location without limits has nothing between."""
        serve = self.make("limit_rate = 1k")
        self.assertEqual(self.place.serve, serve)

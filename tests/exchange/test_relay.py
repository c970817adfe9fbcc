"""One response to one client: what is said, what is logged, when the call ends."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.answer import Representation
from s3shield.exchange.relay import Relay
from s3shield.ops.log_variables import BODY_BYTES, CACHE_STATUS, DURATION, ORIGIN_STATUS, STATUS
from s3shield.policy import CacheStatus, EntryMeta, FailureKind, OriginFailure, ResponseHead

from .place import Down, Place, Timer

LONG = b"x" * 500


def head(status: int = 200, length: int | None = None) -> ResponseHead:
    """Return an origin's head."""
    fields = ((b"ETag", b'"e"'),)
    if length is not None:
        fields += ((b"Content-Length", b"%d" % length),)
    return ResponseHead(status, b"OK", fields)


class RelayTests(SynchronousTestCase):
    def relay(self, method: bytes = b"GET", **headers: bytes) -> tuple[Relay, Down]:
        self.place = Place(enabled=False)
        to, down = self.place.transaction(method, **headers)
        relay = Relay(self.place, to)  # type: ignore[arg-type]  # all of it that is used
        relay.begin()
        return relay, down

    def logged(self) -> list[tuple[int, int, int]]:
        return [(r[STATUS], r[BODY_BYTES], r[ORIGIN_STATUS]) for r in self.place.records]

    def test_short(self) -> None:
        """Collected, sent in one write, logged once."""
        relay, down = self.relay()
        relay.origin_head(head(length=3), 3)
        relay.origin_data(b"ab")
        relay.origin_data(b"c")
        self.assertEqual("", down.ended)
        relay.origin_end()
        self.assertEqual(("reply", b"abc"), (down.ended, down.body))
        self.assertEqual([(200, 3, 200)], self.logged())

    def test_long_and_endless(self) -> None:
        """Started with the head; the length is told when it is known."""
        for length in (len(LONG), None):
            relay, down = self.relay()
            relay.origin_head(head(length=length), length)
            self.assertEqual(length, down.length)
            self.assertEqual(length is not None, b"Content-Length: 500\r\n" in down.head)
            relay.origin_data(LONG)
            relay.origin_end()
            self.assertEqual(("finish", LONG), (down.ended, down.body))
            self.assertEqual([(200, 500, 200)], self.logged())

    def test_conditions_go_along(self) -> None:
        """The client's own: nothing here could answer them."""
        self.relay(range=b"bytes=0-1", if_none_match=b'"e"', if_range=b'"e"', accept=b"x")
        ((method, extra),) = self.place.asked
        self.assertEqual(b"GET", method)
        self.assertEqual({b"Range", b"If-None-Match", b"If-Range"}, {name for name, _ in extra})

    def test_bodiless(self) -> None:
        """HEAD and 304 say the length that there would be, and send nothing."""
        for method, status in ((b"HEAD", 200), (b"GET", 304), (b"HEAD", 404)):
            relay, down = self.relay(method)
            relay.origin_head(head(status, 500), 0)
            if method == b"HEAD":
                relay.origin_data(b"a text of ours")
            relay.origin_end()
            self.assertEqual(("reply", b""), (down.ended, down.body))
            self.assertIn(b"Content-Length: 500\r\n", down.head)
            self.assertEqual([(status, 0, status)], self.logged())

    def test_failures(self) -> None:
        """Before the head a status, after it a cut; either is logged once."""
        for kind, status in ((FailureKind.CONNECT, 502), (FailureKind.TIMEOUT, 504)):
            relay, down = self.relay()
            relay.origin_failed(OriginFailure(kind, "it is so"))
            self.assertEqual("reply", down.ended)
            self.assertTrue(down.head.startswith(b"HTTP/1.1 %d " % status))
            self.assertNotIn(b"it is so", down.body)
            self.assertEqual(status, self.logged()[0][0])
            self.assertEqual(1, len(self.place.troubles))
        relay, down = self.relay()
        relay.origin_head(head(length=500), 500)
        relay.origin_data(b"abc")
        relay.origin_failed(OriginFailure(FailureKind.CUT, "gone"))
        self.assertEqual("abort", down.ended)
        self.assertEqual([(200, 3, 200)], self.logged())
        relay, down = self.relay()
        relay.origin_head(head(length=5), 5)
        relay.origin_data(b"abc")
        relay.origin_failed(OriginFailure(FailureKind.CUT, "gone"))
        self.assertTrue(down.head.startswith(b"HTTP/1.1 502 "))
        self.assertNotIn(b"abc", down.body)

    def test_backpressure(self) -> None:
        """The client's pace is the origin's."""
        relay, _ = self.relay()
        relay.origin_head(head(length=500), 500)
        relay.pauseProducing()
        self.assertTrue(self.place.call.paused)
        relay.resumeProducing()
        self.assertFalse(self.place.call.paused)

    def test_leaving(self) -> None:
        """At every stage: the call is cancelled, one line in the log, nothing after it."""
        for stage in range(4):
            relay, down = self.relay()
            size = 5 if stage == 2 else 500
            if stage:
                relay.origin_head(head(length=size), size)
            if stage > 1:
                relay.origin_data(b"abc")
            down.leave()
            self.assertTrue(self.place.call.cancelled)
            self.assertEqual(1, len(self.place.records), stage)
            status = 200 if stage in (1, 3) else 499
            self.assertEqual(status, self.logged()[0][0], stage)
            relay.pauseProducing()
            relay.resumeProducing()
            relay.stopProducing()
            self.assertEqual(1, len(self.place.records), stage)

    def test_gone_before_it_begins(self) -> None:
        """Nothing is asked for nobody."""
        place = Place(enabled=False)
        to, down = place.transaction()
        down.leave()
        Relay(place, to).begin()  # type: ignore[arg-type]
        self.assertEqual([], place.asked)
        self.assertEqual([499], [record[STATUS] for record in place.records])


class TransactionTests(SynchronousTestCase):
    def settle(self, size: int | None = 10, **headers: bytes) -> tuple[Any, Down, Place]:
        place = Place()
        to, down = place.transaction(**headers)
        to.cache_status = CacheStatus.HIT
        to.cached, to.age = True, 7
        meta = EntryMeta(
            status=200, born=900.0, response_time=900.0, fresh_until=2000.0, etag=b'"e"'
        )
        wire = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 10\r\n'
        return (to, to.settle(Representation(meta, wire, size))), down, place  # type: ignore[arg-type]

    def test_whole(self) -> None:
        """Age and X-Cache-Status once, the record with what was sent."""
        (to, plan), down, place = self.settle()
        to.reply(plan, b"0123456789")
        self.assertEqual(1, down.head.count(b"Age: 7\r\n"))
        self.assertEqual(1, down.head.count(b"X-Cache-Status: HIT\r\n"))
        (record,) = place.records
        self.assertEqual((200, 10, 10), (record[STATUS], record[BODY_BYTES], record[-1]))
        self.assertEqual((CacheStatus.HIT, 10.0), (record[CACHE_STATUS], record[DURATION]))

    def test_part(self) -> None:
        """A range's bytes, in head, body and log."""
        (to, plan), down, place = self.settle(range=b"bytes=2-4")
        to.reply(plan, b"0123456789")
        self.assertEqual(b"234", down.body)
        self.assertIn(b"Content-Range: bytes 2-4/10\r\n", down.head)
        self.assertEqual((206, 3), (place.records[0][STATUS], place.records[0][BODY_BYTES]))

    def test_settled_at_once(self) -> None:
        """304 and 416 are answered and logged without the body."""
        for headers, status in (
            ({"if_none_match": b'"e"'}, 304),
            ({"range": b"bytes=10-"}, 416),
        ):
            (_, plan), down, place = self.settle(**headers)
            self.assertIsNone(plan)
            self.assertTrue(down.head.startswith(b"HTTP/1.1 %d " % status))
            self.assertEqual([status], [record[STATUS] for record in place.records])

    def test_unknown_size(self) -> None:
        """A range of a body whose end is not known is the whole."""
        (_, plan), _, _ = self.settle(None, range=b"bytes=2-4")
        self.assertEqual((200, 0, None), (plan.status, plan.start, plan.end))

    def test_refusal_of_a_head(self) -> None:
        """The text stays behind, its length is told."""
        place = Place()
        to, down = place.transaction(b"HEAD")
        to.refuse(502)
        self.assertEqual(b"", down.body)
        self.assertNotIn(b"Content-Length: 0", down.head)
        self.assertEqual((502, 0), (place.records[0][STATUS], place.records[0][BODY_BYTES]))

    def test_the_log_ends_the_wait(self) -> None:
        """Whatever the end: the timer of a waiter does not outlive its record."""
        place = Place()
        to, _ = place.transaction()
        to.timer = timer = Timer()
        to.refuse(502)
        self.assertEqual(1, timer.cancelled)

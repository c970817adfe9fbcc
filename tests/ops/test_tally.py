"""What records add up to."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.metrics import DURATION, FAMILIES
from s3shield.ops import Tally
from s3shield.policy import AnswerSeconds, CacheStatus, NoStoreReason, Request


def record(
    status: int = 200,
    fate: CacheStatus = CacheStatus.HIT,
    *,
    method: bytes = b"GET",
    sent: int = 100,
    cached: int = 100,
    seconds: float = 0.0001,
    origin: float | None = None,
    reason: NoStoreReason | None = None,
    location: str = "/",
    key: bytes = b"b|/a|",
) -> tuple[object, ...]:
    """Return one of the access log's."""
    request = Request(method, b"/a")
    head = (b"127.0.0.1", 1.0, request, status, sent, fate, reason, seconds)
    return (*head, origin, 0 if origin is None else status, location, key, cached)


class TallyTests(SynchronousTestCase):
    """`Tally`."""

    def test_sums(self) -> None:
        """Each record is in one series of each kind; a second drain has nothing."""
        tally = Tally()
        miss = {"fate": CacheStatus.MISS, "cached": 0, "seconds": 0.3, "origin": 0.2}
        tally.take(
            [
                record(),
                record(seconds=70.0),
                record(**miss),
                record(502, **{**miss, "fate": CacheStatus.NONE, "sent": 9}),
                record(404, CacheStatus.NONE, cached=0, sent=7, location=""),
                record(**miss, reason=NoStoreReason.PRIVATE),
            ]
        )
        found = tally.drain()
        for key, value in {
            ("s3shield_requests_total", "/", "GET", "200", "HIT"): [2],
            ("s3shield_requests_total", "/", "GET", "200", "MISS"): [2],
            ("s3shield_requests_total", "/", "GET", "502", "NONE"): [1],
            ("s3shield_requests_total", "none", "GET", "404", "NONE"): [1],
            ("s3shield_response_bytes_total", "/", "cache"): [200],
            ("s3shield_response_bytes_total", "/", "origin"): [209],
            ("s3shield_response_bytes_total", "none", "self"): [7],
            ("s3shield_no_store_total", "/", "private"): [1],
        }.items():
            self.assertEqual(value, found[key], key)
        total, *buckets = found["s3shield_request_duration_seconds", "/", "HIT"]
        self.assertAlmostEqual(70.0001, total)
        self.assertEqual((1, 1, 2), (buckets[0], buckets[-1], sum(buckets)))
        self.assertEqual(3, sum(found["s3shield_request_origin_seconds", "/"][1:]))
        self.assertEqual((6, 2), (tally.requests, tally.hits))
        self.assertEqual({}, tally.drain())

    def test_first_byte(self) -> None:
        """An answer in pieces counts when it began, one write when it ended, one left not at all."""
        tally = Tally()
        miss = {"fate": CacheStatus.MISS, "origin": 1.0}
        tally.take(
            [
                record(seconds=0.0001),
                record(**miss, seconds=0.3),
                record(**miss, seconds=AnswerSeconds(50.0, 0.2)),
                record(499, **miss, seconds=9.0),
            ]
        )
        found = tally.drain()
        name = "s3shield_request_first_byte_seconds"
        total, *buckets = found[name, "/", "MISS"]
        self.assertAlmostEqual(0.5, total)
        at = DURATION.index(0.25)
        self.assertEqual((1, 1, 2), (buckets[at], buckets[at + 1], sum(buckets)))
        self.assertEqual([1] + [0] * len(DURATION), found[name, "/", "HIT"][1:])
        whole = found["s3shield_request_duration_seconds", "/", "MISS"]
        self.assertEqual((59.3, 3), (round(whole[0], 6), sum(whole[1:])))
        self.assertEqual({}, tally.drain())

    def test_clients_make_no_labels(self) -> None:
        """Methods that clients invent are one; what was no request has none."""
        tally = Tally()
        for number in range(50):
            tally.take([record(405, method=b"M%d" % number)])
        tally.take([record(400, CacheStatus.NONE, method=b"")])
        methods = {key[2] for key in tally.drain() if key[0] == "s3shield_requests_total"}
        self.assertEqual({"OTHER", ""}, methods)

    def test_labels_fit(self) -> None:
        """Every series has its family's labels and as many numbers as it takes."""
        tally = Tally()
        tally.take([record(origin=1.0, reason=NoStoreReason.PRIVATE)])
        for key, numbers in tally.drain().items():
            family = FAMILIES[key[0]]
            self.assertEqual(len(family.labels), len(key) - 1, key)
            wanted = len(family.bounds) + 2 if family.kind == "histogram" else 1
            self.assertEqual(wanted, len(numbers), key)

    def test_objects(self) -> None:
        """The most asked for come first, of many too; the list does not grow; secrets are masked."""
        tally = Tally()
        secret = b"b|/s|X-Amz-Signature=abc"
        for number in range(3000):
            tally.take([record(key=b"b|/%d|" % number), record(key=b"b|/hot|")])
        tally.take([record(key=secret)] * 5000)
        best = tally.objects(2)
        self.assertEqual({"b|/hot|", "b|/s|X-Amz-Signature=***"}, {key for key, _, _ in best})
        self.assertLess(len(tally.objects(10_000)), 513)

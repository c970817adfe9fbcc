"""What `s3shield status` and `top` write, of answers that are given."""

from __future__ import annotations

import copy

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli.figures import lines, printable
from s3shield.cli.top import frame
from s3shield.config import Prices
from s3shield.metrics import Snapshot, summary

HEAD = "s3shield_requests_total", "/", "GET"
ORIGIN = "http://127.0.0.1:9000"
WORKER = {
    "worker": 0,
    "pid": 4711,
    "silent": 0.4,
    "started": 900.0,
    "lag": 0.002,
    "resident": 61_865_984,
    "requests": 10,
    "hits": 6,
}


def told(now: float = 1000.0, times: int = 1, **more: float) -> dict:
    """An answer of /status.json with `times` as many requests. more: gauges of a bucket."""
    slow = (2.0, *[0] * 6, 19, 0, 1, *[0] * 8)
    series = {
        (*HEAD, "200", "HIT"): (6.0 * times,),
        (*HEAD, "200", "REVALIDATED"): (1.0 * times,),
        (*HEAD, "200", "MISS"): (2.0 * times,),
        (*HEAD, "502", "MISS"): (1.0 * times,),
        (*HEAD, "404", "NONE"): (1.0 * times,),
        ("s3shield_response_bytes_total", "/", "cache"): (7e9 * times,),
        ("s3shield_response_bytes_total", "/", "origin"): (3e9 * times,),
        ("s3shield_origin_first_byte_seconds", ORIGIN): slow,
        ("s3shield_origin_failures_total", "http://[::1]:9001", "connect"): (3.0,),
        ("s3shield_s3_errors_total", "media", "SlowDown"): (4.0,),
        ("s3shield_store_entries", "main"): (12.0,),
        ("s3shield_store_size_bytes", "main"): (25e6,),
        ("s3shield_store_max_size_bytes", "main"): (100e6,),
        ("s3shield_client_connections",): (5.0,),
        **{(f"s3shield_{name}", "media"): (value,) for name, value in more.items()},
    }
    hostile = "media|/\x1b[2Jbad\u202e<b>|"
    objects = ((hostile, 900.0, 1e6), ("media|/" + "long/" * 60 + "|", 3.0, 10.0))
    numbers = Snapshot(now, "0.1.0", series, (WORKER,), objects)
    return {**numbers.json(), "summary": summary(numbers, Prices(0.1, 5.0))}


class SummaryTests(SynchronousTestCase):
    """The sums."""

    def test_sums(self) -> None:
        """What a cache has saved, and at which price; a revalidation was a request to S3."""
        said = told(times=1000)["summary"]
        self.assertEqual(
            (11_000, 10_000, 7000), tuple(said[n] for n in ("requests", "cacheable", "hits"))
        )
        self.assertAlmostEqual(0.7, said["hit_ratio"])
        self.assertEqual((6000, 1000), (said["requests_saved"], said["server_errors"]))
        self.assertAlmostEqual(7000 * 0.1 + 0.6 * 5, said["cost_avoided"])
        self.assertEqual(
            [ORIGIN, "http://[::1]:9001"], [each["origin"] for each in said["origins"]]
        )
        self.assertEqual(
            (0.05, 20, 0), tuple(said["origins"][0][n] for n in ("p95", "answers", "failures"))
        )
        nothing = summary(Snapshot(1.0, "0.1.0", {}, (), ()), Prices())
        self.assertEqual(
            (0, None, None), tuple(nothing[n] for n in ("requests", "hit_ratio", "cost_avoided"))
        )


class LinesTests(SynchronousTestCase):
    """The text."""

    def test_table(self) -> None:
        """Numbers stand where people look for them."""
        text = "\n".join(lines(told(1010.0, times=3), told(1000.0), width=80))
        for wanted in (
            "s3shield 0.1.0   workers 1   clients 5   restarts 0",
            "requests         2.2/s   33 in all, 3 with 5xx",
            "hits             70.0%   70.0% in all",
            "sent          2.0 GB/s   30.0 GB in all",
            "saved         1.4 GB/s   21.0 GB in all, cost avoided 2.11",
            "0            4711  2 min    0 s  2.0 ms  61.9 MB        10  60.0%",
            "main      25.0 MB  100 MB  25.0%       12          -",
            "http://127.0.0.1:9000    50.0 ms       20         0",
            "media      SlowDown      4",
        ):
            self.assertIn(wanted, text)

    def test_keys(self) -> None:
        """What ends soon or has ended is seen."""
        for more, wanted in (
            ({"signing_key_expires_seconds": 3 * 86_400.0}, "signing key     3 d"),
            ({"signing_key_expires_seconds": 7200.0}, "signing key   2 h !"),
            ({"signing_key_expires_seconds": -5.0}, "signing key   ENDED"),
            ({"credentials_expire_seconds": 600.0}, "credentials  10 min"),
            ({"bucket_without_credentials": 1.0}, "NOTHING TO SIGN WITH"),
        ):
            self.assertIn(wanted, "\n".join(lines(told(**more), None)), more)

    def test_rates(self) -> None:
        """There are none without an answer before, and none of a daemon that has begun anew."""
        for before in (None, told(990.0, times=5), told(1000.0)):
            self.assertIn("requests             -   11 in all", lines(told(), before)[1])

    def test_no_control(self) -> None:
        """Names from clients move no cursor, and turn no text around."""
        self.assertEqual("a\\x1b[2J\\n\\u202e<b>ä", printable("a\x1b[2J\n\u202e<b>ä"))
        for line in lines(told(), None, width=200):
            self.assertTrue(line.isprintable(), line)

    def test_fits(self) -> None:
        """No line is longer than the terminal is wide, and no more than it is high."""
        for width, height in ((80, 24), (40, 10), (200, 60)):
            found = lines(told(), None, width=width, height=height)
            self.assertLessEqual(max(map(len, found)), width)
            self.assertLessEqual(len(found), height)
            drawn = frame(told(), None, width, height)
            self.assertTrue(drawn.startswith("\x1b[H"))
            self.assertLess(drawn.count("\n"), height)
            self.assertEqual(drawn.count("\n"), drawn.count("\x1b[K\n"))

    def test_another_release(self) -> None:
        """What has more in it than is known is shown all the same."""
        more = copy.deepcopy(told())
        more["summary"]["news"] = more["news"] = 1
        self.assertEqual(lines(told(), None), lines(more, None))

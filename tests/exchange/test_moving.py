"""Where a bucket says that it is, and whom we believe."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.exchange.clock_offset import MOST, learn_offset, skewed
from s3shield.exchange.moving import moved, same_owner
from s3shield.policy import ResponseHead, format_date
from s3shield.signing import Endpoint

NOW = 1_795_478_400.0


def endpoint(url: str, addressing: str = "auto") -> Endpoint:
    """Return the bucket `media` there."""
    return Endpoint.parse(url, "media", addressing)  # type: ignore[arg-type]  # one of the three


class OwnerTests(SynchronousTestCase):
    def test_same(self) -> None:
        """Amazon's own S3 names among themselves; elsewhere what is under the configured name."""
        for host, configured in (
            ("s3.eu-west-1.amazonaws.com", "s3.amazonaws.com"),
            ("s3-eu-west-1.amazonaws.com", "s3.us-east-1.amazonaws.com"),
            ("s3.dualstack.eu-west-1.amazonaws.com", "s3.dualstack.us-east-1.amazonaws.com"),
            ("s3-fips.us-gov-west-1.amazonaws.com", "s3.us-gov-east-1.amazonaws.com"),
            ("s3.cn-north-1.amazonaws.com.cn", "s3.cn-northwest-1.amazonaws.com.cn"),
            ("s3.example.com", "s3.example.com"),
            ("eu.s3.example.com", "s3.example.com"),
            ("10.0.0.1", "10.0.0.1"),
        ):
            self.assertTrue(same_owner(host, configured), (host, configured))

    def test_strangers(self) -> None:
        """Customers of Amazon, look-alikes, siblings, parents, addresses."""
        for host, configured in (
            ("evil.s3.amazonaws.com", "s3.amazonaws.com"),
            ("ec2-1-2-3-4.eu-west-1.compute.amazonaws.com", "s3.amazonaws.com"),
            ("s3.evil.elb.amazonaws.com", "s3.amazonaws.com"),
            ("s3.amazonaws.com.evil.net", "s3.amazonaws.com"),
            ("s3.eu-west-1.amazonaws.com.cn", "s3.amazonaws.com"),
            ("s3.eu-west-1.amazonaws.com", "s3.example.com"),
            ("s3.example.com", "s3.amazonaws.com"),
            ("s3.us.example.com", "s3.eu.example.com"),
            ("example.com", "s3.example.com"),
            ("evils3.example.com", "s3.example.com"),
            ("s3.example.com.evil.net", "s3.example.com"),
            ("1.10.0.0.1", "10.0.0.1"),
            ("10.0.0.2", "10.0.0.1"),
            ("", "s3.example.com"),
        ):
            self.assertFalse(same_owner(host, configured), (host, configured))


class MovedTests(SynchronousTestCase):
    def test_table(self) -> None:
        """What AWS answers to the wrong region, by GET, by HEAD, in both ways of addressing."""
        here = "https://s3.us-east-1.amazonaws.com"
        region = (b"x-amz-bucket-region", b"eu-west-1")
        there = "s3.eu-west-1.amazonaws.com"
        for url, addressing, status, fields, body, expected in (
            (here, "auto", 301, (region,), b"<Endpoint>media.%b</Endpoint>", there),
            (here, "path", 301, (region,), b"<Endpoint>%b</Endpoint>", there),
            (here, "auto", 301, (region,), b"", there),
            (here, "auto", 400, (region,), b"", None),
            (here, "auto", 307, ((b"Location", b"https://media.%b/a"),), b"", there),
            (here, "auto", 301, (region,), b"<Endpoint>evil.example</Endpoint>", None),
            ("https://s3.example.com", "auto", 301, (region,), b"", None),
            (f"https://{there}", "auto", 301, (region,), b"", None),
        ):
            configured = endpoint(url, addressing)
            told = tuple((n, v.replace(b"%b", there.encode())) for n, v in fields)
            move = moved(
                configured,
                configured,
                ResponseHead(status, b"", told),
                body.replace(b"%b", there.encode()),
            )
            got = None if move.endpoint is None else move.endpoint.host
            self.assertEqual(expected, got, (url, status, fields, body))
            if move.endpoint is not None:
                self.assertEqual(
                    (configured.scheme, configured.port, configured.virtual_host),
                    (move.endpoint.scheme, move.endpoint.port, move.endpoint.virtual_host),
                )
            self.assertEqual("eu-west-1" if region in fields else "", move.region)
            self.assertEqual("evil.example" if b"evil" in body else "", move.stranger)

    @settings(deadline=None, max_examples=200)
    @given(st.text(max_size=60), st.text(max_size=40), st.binary(max_size=60))
    def test_any_answer(self, host: str, region: str, location: bytes) -> None:
        """Whatever is said, nothing is raised, and only the owner's hosts come out of it."""
        configured = endpoint("https://s3.example.com:9000")
        body = f"<Endpoint>{host}</Endpoint><Region>{region}</Region>".encode()
        head = ResponseHead(301, b"", ((b"Location", location),))
        move = moved(configured, configured, head, body)
        if move.endpoint is not None:
            self.assertTrue(move.endpoint.host.endswith(".s3.example.com"))
            self.assertEqual(("https", 9000), (move.endpoint.scheme, move.endpoint.port))
        self.assertTrue(move.region == "" or move.region.replace("-", "a").isalnum())
        self.assertTrue(move.stranger.isprintable())


class ClockOffsetTests(SynchronousTestCase):
    def test_table(self) -> None:
        """An offset of a minute to a day that the request was not signed with already."""
        for ahead, current, expected in (
            (3600, 0.0, 3600.0),
            (-3600, 0.0, -3600.0),
            (60, 0.0, 60.0),
            (59, 0.0, None),
            (3600, 3600.0, None),
            (3600, 3630.0, None),
            (0, 3600.0, 0.0),
            (10, 3600.0, 0.0),
            (MOST, 0.0, float(MOST)),
            (MOST + 1, 0.0, None),
            (-MOST - 1, 0.0, None),
        ):
            date = format_date(int(NOW) + ahead)
            self.assertEqual(expected, learn_offset(date, NOW, current), (ahead, current))
        for nonsense in (None, b"", b"yesterday", b"Tue, 24 Nov 2026 25:00:00 GMT"):
            self.assertIsNone(learn_offset(nonsense, NOW, 0.0))

    def test_skewed(self) -> None:
        """Beyond a quarter of an hour S3 must refuse."""
        for ahead, refused in ((0, False), (900, False), (901, True), (-901, True)):
            self.assertIs(refused, skewed(format_date(int(NOW) + ahead), NOW))
        self.assertFalse(skewed(None, NOW))

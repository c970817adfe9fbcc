"""Options, invalidation and Cache-Status."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    ANY,
    USE_STALE_TOKENS,
    CachePolicy,
    CacheStatus,
    NoStoreReason,
    TTLTable,
    cache_status_member,
    invalidation_targets,
    is_unsafe,
)

from .values import DEFAULT, head, request, table


class Table(SynchronousTestCase):
    def test_first_match(self) -> None:
        """As nginx `proxy_cache_valid`: lines in order, `any` where it stands, 206 as 200."""
        ttl = table(({200, 301}, 600), ({404}, 60), (ANY, 5), ({500}, 9))
        for status, seconds in ((200, 600), (206, 600), (301, 600), (404, 60), (500, 5), (299, 5)):
            self.assertEqual(ttl.lifetime(status), seconds, status)
        self.assertIsNone(TTLTable().lifetime(200))
        self.assertEqual(table(({206}, 7), ({200}, 8)).lifetime(206), 7)
        self.assertEqual(table(({206}, 7), ({200}, 8)).lifetime(200), 8)

    def test_defaults(self) -> None:
        """The defaults that the documentation promises."""
        self.assertLessEqual(DEFAULT.use_stale, USE_STALE_TOKENS)
        self.assertTrue(DEFAULT.background_update)
        self.assertFalse(DEFAULT.client_revalidate)
        self.assertEqual(CachePolicy(), DEFAULT)
        hash(DEFAULT)


class Invalidation(SynchronousTestCase):
    def check(self, expected, status=200, method="POST", target="/a/b?q=1", origins=(), **fields):
        """Require this outcome."""
        response = head(*((n.replace("_", "-"), v) for n, v in fields.items()), status=status)
        asked = request(method, target, host="Example.com:8080")
        found = invalidation_targets(asked, response, origins)
        self.assertEqual(found, tuple(expected), fields)

    def test_methods(self) -> None:
        """RFC 9111 4.4: unsafe methods and unknown ones; not the safe ones."""
        for method in (b"POST", b"PUT", b"DELETE", b"PATCH", b"M-SEARCH", b"post", b"FOO"):
            self.assertTrue(is_unsafe(method), method)
        for method in (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND"):
            self.assertFalse(is_unsafe(method), method)
            self.check([], method=method.decode(), Location="/x")

    def test_statuses(self) -> None:
        """RFC 9111 4.4: only a non-error response invalidates."""
        for status in (200, 201, 204, 299, 301, 303, 307):
            self.check([b"/a/b?q=1"], status)
        for status in (100, 400, 404, 412, 499, 500, 503):
            self.check([], status, Location="/x")

    def test_other_targets(self) -> None:
        """RFC 9111 4.4: Location and Content-Location, resolved, of the same origin."""
        own = b"/a/b?q=1"
        for value, expected in (
            ("/x", [own, b"/x"]),
            ("x", [own, b"/a/x"]),
            ("?r=2", [own, b"/a/b?r=2"]),
            ("../x?y#z", [own, b"/x?y"]),
            ("http://example.com:8080/x", [own, b"/x"]),
            ("HTTP://EXAMPLE.COM:8080/x", [own, b"/x"]),
            ("//example.com:8080/x", [own, b"/x"]),
            ("http://example.com:8080", [own, b"/"]),
            ("/a/b?q=1", [own]),
            ("", [own]),
            ("http://example.com/x", [own]),
            ("https://example.com:8080/x", [own]),
            ("http://other.example:8080/x", [own]),
            ("//evil/x", [own]),
            ("http://[broken/x", [own]),
            ("http://example.com:99999/x", [own]),
            ("mailto:a@example.com", [own]),
        ):
            self.check(expected, Location=value)
            self.check(expected, Content_Location=value)
        self.check([own, b"/x", b"/y"], Location="/x", Content_Location="/y")

    def test_default_port(self) -> None:
        """RFC 9110 4.2.3: a default port written out is the same origin."""
        asked = request("POST", "/a", host="example.com")
        response = head(("Location", "http://example.com:80/x"))
        self.assertEqual(invalidation_targets(asked, response), (b"/a", b"/x"))

    def test_origin_behind(self) -> None:
        """A plain origin that names itself means us."""
        self.check([b"/a/b?q=1"], Location="http://127.0.0.1:9000/x")
        self.check(
            [b"/a/b?q=1", b"/x"],
            origins=(b"http://127.0.0.1:9000",),
            Location="http://127.0.0.1:9000/x",
        )

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=20))
    def test_total(self, target: bytes, location: bytes, host: bytes) -> None:
        """No target or Location makes it raise; the request's own target always goes."""
        asked = request("POST", host=host)
        asked.target = target
        for value in (location, b"http://" + location, b"//" + location):
            found = invalidation_targets(asked, head(("Location", value)))
            self.assertEqual(found[0], target)


class CacheStatusMember(SynchronousTestCase):
    def test_members(self) -> None:
        """RFC 9211 section 2: hit and fwd exclude each other; parameters by their rules."""
        for status, options, expected in (
            (CacheStatus.HIT, {"ttl": 60}, b"s3shield; hit; ttl=60"),
            (CacheStatus.HIT, {"stored": True, "fwd_status": 200}, b"s3shield; hit"),
            (CacheStatus.UPDATING, {"ttl": -5}, b"s3shield; hit; ttl=-5"),
            (CacheStatus.STALE, {"ttl": -5}, b"s3shield; hit; ttl=-5"),
            (CacheStatus.STALE, {"fwd_status": 503}, b"s3shield; fwd=stale; fwd-status=503"),
            (
                CacheStatus.MISS,
                {"stored": True, "collapsed": True, "ttl": 9},
                b"s3shield; fwd=miss; stored; collapsed; ttl=9",
            ),
            (
                CacheStatus.REVALIDATED,
                {"fwd_status": 304},
                b"s3shield; fwd=stale; fwd-status=304",
            ),
            (CacheStatus.EXPIRED, {}, b"s3shield; fwd=stale"),
            (CacheStatus.PARTIAL, {}, b"s3shield; fwd=partial"),
            (CacheStatus.BYPASS, {}, b"s3shield; fwd=bypass"),
            (CacheStatus.NONE, {}, b"s3shield; fwd=bypass"),
            (
                CacheStatus.MISS,
                {"reason": NoStoreReason.SET_COOKIE},
                b"s3shield; fwd=miss; detail=set-cookie",
            ),
        ):
            self.assertEqual(cache_status_member(b"s3shield", status, **options), expected)

    def test_every_status(self) -> None:
        """No status is without a word for it."""
        for status in CacheStatus:
            self.assertTrue(cache_status_member(b"x", status).startswith(b"x; "))

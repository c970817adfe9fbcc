"""`access.cors`: whose scripts may read, as the Fetch standard has it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import Cors, OriginRule
from s3shield.policy import Request

A = OriginRule.parse("https://a.example")
BELOW_B = OriginRule.parse("https://*.b.example")
LISTED = Cors(origins=(A, BELOW_B))
ALL = Cors(origins=())


def asked(origin: bytes | None, **more: bytes) -> Request:
    """A preflight of `origin`."""
    headers = {name.replace("_", "-").encode(): value for name, value in more.items()}
    headers[b"access-control-request-method"] = b"GET"
    if origin is not None:
        headers[b"origin"] = origin
    return Request(b"OPTIONS", b"/", headers)


class OriginTests(SynchronousTestCase):
    """Which origins are meant."""

    def test_let_in(self) -> None:
        """Those that are listed, and any number of names below a star."""
        for origin in (
            b"https://a.example",
            b"https://x.b.example",
            b"https://x.y-z.b.example",
            b"https://b.example.b.example",
        ):
            self.assertEqual(origin, LISTED.allowed(origin))

    def test_kept_out(self) -> None:
        """Everything that only looks like them."""
        for origin in (
            None,
            b"",
            b"null",
            b"*",
            b"http://a.example",
            b"https://a.example:8443",
            b"https://a.example.evil.test",
            b"https://evil.test/https://a.example",
            b"https://evila.example",
            b"https://b.example",
            b"https://.b.example",
            b"https://evilb.example",
            b"https://x.b.example.evil.test",
            b"https://x.b.example:444",
            b"https://evil.test/.b.example",
            b"https://evil.test?.b.example",
            b"https://evil.test#.b.example",
            b"https://u@x.b.example",
            b"https://x..b.example",
            b"https://a.example, https://a.example",
            b"https://a.example https://evil.test",
            b"https://x.b.example\n",
            b"https://A.example",
        ):
            self.assertEqual(b"", LISTED.allowed(origin), origin)

    def test_star(self) -> None:
        """Every origin, and the star itself is said: nothing is reflected."""
        for origin in (None, b"null", b"https://a.example"):
            self.assertEqual(b"*", ALL.allowed(origin))

    def test_as_browsers_write_them(self) -> None:
        """Letters are small, and a port that a scheme has anyway is not there."""
        for text, wanted in (
            ("HTTPS://A.Example:443", "https://a.example"),
            ("http://*.B.example:80", "http://*.b.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://a.example:80", "https://a.example:80"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ):
            self.assertEqual(wanted, str(OriginRule.parse(text)))
            self.assertEqual(OriginRule.parse(wanted), OriginRule.parse(text))

    def test_mistakes(self) -> None:
        """What is no origin is refused: null too, which any sandboxed page can be."""
        for text in (
            *("a.example", "https://", "https://a.example/", "https://a.example/path", "null"),
            *("https://*", "https://*.", "https://a.*.example", "https://*a.example", "//a"),
            *("https://u@a.example", "https://a.example:port", "https://a b", "*.a.example"),
        ):
            with self.assertRaises(ValueError, msg=text):
                OriginRule.parse(text)

    @settings(max_examples=200, deadline=None)
    @given(st.text("abe.x*:/-", max_size=12), st.text("abe.x:/-@?#", max_size=12))
    def test_nothing_else(self, before: str, after: str) -> None:
        """Whatever stands around a listed name, what is let in is it or below the star."""
        for text in (f"https://{before}.b.example{after}", f"{before}https://a.example{after}"):
            origin = text.encode()
            if LISTED.allowed(origin):
                host = text.removeprefix("https://")
                self.assertTrue(host == "a.example" or host.endswith(".b.example"), text)
                self.assertRegex(host, r"^[a-z0-9.-]+$")


class AnswerTests(SynchronousTestCase):
    """What is said."""

    def test_answer(self) -> None:
        """An answer names the origin, and no more than was configured."""
        request = Request(headers={b"origin": b"https://a.example"})
        self.assertEqual(
            [(b"Access-Control-Allow-Origin", b"https://a.example")], LISTED.answer(request)
        )
        more = Cors(origins=(A,), credentials=True, expose=(b"ETag", b"X-A"))
        self.assertEqual(
            [
                (b"Access-Control-Allow-Origin", b"https://a.example"),
                (b"Access-Control-Allow-Credentials", b"true"),
                (b"Access-Control-Expose-Headers", b"ETag, X-A"),
            ],
            more.answer(request),
        )
        self.assertEqual([], more.answer(Request(headers={b"origin": b"https://evil.test"})))
        self.assertEqual([], more.answer(Request()))

    def test_preflight(self) -> None:
        """Methods, fields and time; Vary also for who is not let in."""
        cors = Cors(origins=(A,), methods=(b"GET", b"PUT"), headers=(b"X-A", b"X-B"), max_age=600)
        self.assertEqual(
            [
                (b"Access-Control-Allow-Origin", b"https://a.example"),
                (b"Access-Control-Allow-Methods", b"GET, PUT"),
                (b"Access-Control-Allow-Headers", b"X-A, X-B"),
                (b"Access-Control-Max-Age", b"600"),
                (b"Vary", b"Origin"),
            ],
            cors.preflight(asked(b"https://a.example")),
        )
        self.assertEqual([(b"Vary", b"Origin")], cors.preflight(asked(b"https://evil.test")))
        self.assertNotIn(b"Vary", dict(ALL.preflight(asked(b"https://evil.test"))))

    def test_all_headers(self) -> None:
        """A star allows the names that were asked for, where they are names."""
        cors = Cors(origins=(A,), headers=(b"*",), credentials=True)
        for names, wanted in (
            (b"x-a,authorization", b"x-a,authorization"),
            (b"x-a, x-b", b"x-a, x-b"),
            (b"", None),
            (b"x a", None),
            (b"x-a;q=1", None),
            (b"x" * 2000, None),
        ):
            request = asked(b"https://a.example", access_control_request_headers=names)
            found = dict(cors.preflight(request))
            self.assertEqual(wanted, found.get(b"Access-Control-Allow-Headers"), names)
            self.assertEqual(b"Origin, Access-Control-Request-Headers", found[b"Vary"])

    def test_what_a_preflight_is(self) -> None:
        """OPTIONS with both fields, and nothing else."""
        good = asked(b"https://a.example")
        self.assertTrue(LISTED.is_preflight(good))
        for method, headers in (
            (b"GET", good.headers),
            (b"OPTIONS", {b"origin": b"https://a.example"}),
            (b"OPTIONS", {b"access-control-request-method": b"GET"}),
        ):
            self.assertFalse(LISTED.is_preflight(Request(method, b"/", headers)))

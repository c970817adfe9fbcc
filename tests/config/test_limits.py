"""The options `limit_*` and `cors_*`: what they are read as, and what is wrong with them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import Leak
from s3shield.config import dump
from s3shield.policy import Request

from .fixture import PLAIN, mistakes, read


class LimitsTests(SynchronousTestCase):
    """`limit_req`, `limit_conn`, `limit_rate`."""

    def test_lines(self) -> None:
        """Nginx's words and numbers; the dump says the same."""
        for text, leak in (
            ("rate=10r/s", Leak(10_000)),
            ("rate=30r/m", Leak(500)),
            ("rate=1r/m burst=5", Leak(16, 5000)),
            ("rate=10r/s burst=20 nodelay", Leak(10_000, 20_000, None)),
            ("nodelay burst=20 rate=10r/s", Leak(10_000, 20_000, None)),
            ("rate=10r/s burst=20 delay=8 zone=a", Leak(10_000, 20_000, 8000)),
        ):
            config = read(f"{PLAIN}limit_req = $remote_addr {text}\n")
            (line,) = config.locations[0].limits.req
            self.assertEqual(leak, line.leak, text)
            self.assertEqual(config, read(dump(config)), text)
        config = read(
            f"{PLAIN}limit_conn =\n    $binary_remote_addr 10\n    $http_x_a$arg_b 2 zone=z\n"
            "limit_rate = 1m\nlimit_rate_after = 10m\nlimit_conn_status = 429\n"
            "limit_req_dry_run = on\n"
        )
        limits = config.locations[0].limits
        self.assertEqual([10, 2], [each.most for each in limits.conn])
        self.assertEqual((1 << 20, 10 << 20), (limits.rate, limits.rate_after))
        self.assertEqual((429, 503), (limits.conn_status, limits.req_status))
        request = Request(b"GET", b"/?b=2", {b"x-a": b"1"}, peer=b"::1")
        self.assertEqual([b"::1", b"12"], [each.key.value(request) for each in limits.conn])
        self.assertEqual(config, read(dump(config)))

    def test_what_counts_together(self) -> None:
        """Lines that agree; a zone, another rate or another server's name keeps them apart."""
        config = read(
            "[s3shield]\nlimit_req = $remote_addr rate=1r/s\n"
            "[server:a]\nserver_name = a.test b.test\n[server:c]\n"
            f"{PLAIN}[location:/b]\norigin = http://o\nlimit_req = $remote_addr rate=1r/s burst=7\n"
            "[location:/c]\norigin = http://o\nlimit_req = $remote_addr rate=2r/s\n"
            "[location:/d]\norigin = http://o\nlimit_req = $remote_addr rate=1r/s zone=d\n"
            "[location:/e]\norigin = http://o\nlimit_req = ${server_name}$uri rate=1r/s\n"
            "[location:/f]\norigin = http://o\nlimit_req =\n"
        )
        found = {
            (str(each.pattern), each.server): [line.counted_by for line in each.limits.req]
            for each in config.locations
        }
        self.assertEqual(found["/", "a"], found["/", "c"])
        self.assertEqual(found["/", "a"], found["/b", "a"])
        self.assertEqual([], found["/f", "a"])
        others = [found[name, "a"][0] for name in ("/", "/c", "/d", "/e")]
        self.assertEqual(4, len(set(others)))
        self.assertIn(b"a.test$uri", found["/e", "a"][0])
        self.assertIn(b" c$uri", found["/e", "c"][0])
        self.assertEqual(config, read(dump(config)))

    def test_mistakes(self) -> None:
        """Each is named."""
        for text, message in (
            ("limit_req = $remote_addr", "rate=10r/s"),
            ("limit_req = $remote_addr rate=0r/s", "rate=10r/s"),
            ("limit_req = $remote_addr rate=10", "rate=10r/s"),
            ("limit_req = $remote_addr rate=1r/s burst", "KEY rate=10r/s"),
            ("limit_req = $remote_addr rate=1r/s burst=x", "number"),
            ("limit_req = $remote_addr rate=1r/s nodelay delay=1", "delay=N"),
            ("limit_req = $remote_addr rate=1r/s brust=1", "burst"),
            ("limit_req = $nothing rate=1r/s", "there is no variable"),
            ("limit_req = zone=one burst=5", "rate=10r/s"),
            ("limit_req = $uri rate=1r/s zone=a:10m", "zone"),
            ("limit_req =\n    $uri rate=1r/s\n    $uri rate=1r/s burst=2", "count the same"),
            ("limit_conn = $uri", "KEY N"),
            ("limit_conn = $uri 0", "number"),
            ("limit_conn = $uri 65536", "number"),
            ("limit_conn = $uri 1 2", "KEY N"),
            ("limit_req_status = 200", "400"),
            ("limit_rate = fast", "size"),
        ):
            (found,) = mistakes(f"{PLAIN}{text}\n")
            self.assertIn(message, found, text)


class CorsTests(SynchronousTestCase):
    """`cors_*`."""

    def test_read(self) -> None:
        """Everything, and everything left out; the dump says the same."""
        config = read(PLAIN)
        self.assertIsNone(config.locations[0].cors)
        more = (
            "cors_methods = GET PUT\ncors_headers = *\ncors_expose_headers = ETag X-A\n"
            "cors_credentials = on\ncors_max_age = 1h\n"
        )
        for text in (
            "cors_origin = *\n",
            "cors_origin = https://a.example\ncors_headers =\n",
            "cors_origin = https://a.example:443 https://*.b.example https://a.example\n" + more,
        ):
            config = read(PLAIN + text)
            self.assertEqual(config, read(dump(config)))
        config = read("[s3shield]\ncors_origin = *\n" + PLAIN + "cors_origin =\n")
        self.assertIsNone(config.locations[0].cors)

    def test_mistakes(self) -> None:
        """Each is named; the star never goes with credentials."""
        for text, message in (
            ("cors_origin = a.example", "looks like"),
            ("cors_origin = null", "looks like"),
            ("cors_origin = https://a.example/x", "looks like"),
            ("cors_origin = * https://a.example", "alone"),
            ("cors_origin = *\ncors_credentials = on", "credentials"),
            ("cors_origin = https://a\ncors_credentials = on\ncors_expose_headers = *", "named"),
            ("cors_methods = get", "method"),
            ("cors_methods = TRACE", "method"),
            ("cors_headers = * X-A", "alone"),
            ("cors_headers = X A:", "header"),
            ("cors_max_age = soon", "time"),
        ):
            (found,) = mistakes(f"{PLAIN}{text}\n")
            self.assertIn(message, found, text)

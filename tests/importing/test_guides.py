"""Every example of the two guides that people follow today, imported."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Imported, ImportFailed, Weight, import_file
from s3shield.signing import SignMode

from .fixture import DATA, lets_in, loaded, need_crossplane, notes, places

GUIDES = DATA / "guides"


def guide(name: str) -> Imported:
    """Import an example, whose it is told by its content."""
    if name.startswith("nginx"):
        need_crossplane()
    return import_file(str(GUIDES / name))


class NginxTests(SynchronousTestCase):
    """The guide to ngx_aws_auth."""

    def test_basic(self):
        """The basic proxy is a TLS server with one signed location, and nothing is lost."""
        what = guide("nginx-basic.conf")
        config = loaded(what)
        self.assertEqual((), what.notes)
        (listen,) = config.listens
        self.assertEqual(("0.0.0.0:443", True), (listen.text, listen.tls))
        ((_, tls),) = config.tls_hosts(listen)
        self.assertEqual("/etc/ssl/private/assets.example.com.key", tls.pairs[0][1])
        self.assertEqual(("assets.example.com",), config.servers[0].server_name)
        bucket = config.buckets["my-private-bucket"]
        self.assertEqual(SignMode.V4, bucket.sign)
        self.assertEqual("AKIAIOSFODNN7EXAMPLE", bucket.credentials.access_key)
        self.assertEqual("20260226/us-east-1/s3/aws4_request", str(bucket.credentials.scope))
        self.assertEqual(b"my-private-bucket.s3.amazonaws.com", bucket.endpoint.authority)

    def test_subpath(self):
        """Downloads go to the bucket with their prefix cut off, all else to the backend."""
        what = guide("nginx-subpath.conf")
        config = loaded(what)
        self.assertEqual(
            {
                "www.example.com /downloads": ("my-assets-bucket", False),
                "www.example.com /": ("http://backend", False),
            },
            places(config),
        )
        route = config.routing().find(b"www.example.com", b"/downloads/report.pdf", None)
        self.assertEqual(b"/report.pdf", route.key)
        # The guide leaves the certificates out; their absence is told, not hidden.
        self.assertEqual(["1 server { ... }"], notes(what))

    def test_endpoint(self):
        """The endpoint is the location's; the example's key is none, which is told unshown."""
        what = guide("nginx-endpoint.conf")
        config = loaded(what)
        bucket = config.buckets["my-bucket"]
        self.assertEqual(b"my-bucket.s3.cn-north-1.amazonaws.com.cn", bucket.endpoint.authority)
        self.assertEqual(SignMode.OFF, bucket.sign)
        (note,) = what.notes
        self.assertEqual((9, "aws_signing_key ***"), (note.line, note.text))
        self.assertIn("32 bytes", note.why)

    def test_caching(self):
        """The zone is a cache, its lifetimes are rows, X-Cache-Status is sent anyway."""
        config = loaded(guide("nginx-caching.conf"))
        cache = config.caches["s3_cache"]
        self.assertEqual(
            ("/var/cache/nginx/s3", 1 << 30, 3600), (cache.path, cache.max_size, cache.inactive)
        )
        (location,) = config.locations
        self.assertEqual("s3_cache", location.cache)
        self.assertEqual([3600, 60], [row.seconds for row in location.policy.valid.rows])
        self.assertEqual(b"X-Cache-Status", location.policy.cache_status_header)

    def test_access(self):
        """The internal network's location is its own, and of no stranger."""
        what = guide("nginx-access.conf")
        self.assertEqual({"/internal-docs": ("my-private-bucket", True)}, places(loaded(what)))
        (location,) = loaded(what).locations
        self.assertTrue(lets_in(location, b"10.1.2.3"))
        self.assertEqual([], notes(what, Weight.ACCESS))

    def test_nothing_to_serve(self):
        """The pieces that serve nothing by themselves are refused in words."""
        need_crossplane()
        for name in ("nginx-resolver.conf", "nginx-module.conf"):
            with self.assertRaises(ImportFailed) as caught:
                guide(name)
            self.assertIn("nothing in it that is passed on", str(caught.exception))


class ApacheTests(SynchronousTestCase):
    """The guide to mod_unified_s3_auth."""

    def test_proxy(self):
        """The section is a bucket with its keys and its connection, for this machine only."""
        config = loaded(guide("apache-proxy.conf"))
        bucket = config.buckets["mybucket"]
        self.assertEqual((SignMode.V4, "eu-central-1"), (bucket.sign, bucket.region))
        self.assertEqual(
            ("ACCESS_KEY", "SECRET_KEY"),
            (bucket.credentials.access_key, bucket.credentials.secret_key),
        )
        connection = bucket.connection
        self.assertEqual(
            (5, 30, 300),
            (
                connection.origin_connect_timeout,
                connection.origin_read_timeout,
                connection.origin_idle_timeout,
            ),
        )
        self.assertEqual({"/": ("mybucket", False)}, places(config))
        self.assertEqual(["127.0.0.1:8080"], [each.text for each in config.listens])

    def test_virtual_host(self):
        """The host stays Apache's; the bucket behind it is not put on its public port."""
        what = guide("apache-virtual-host.conf")
        config = loaded(what)
        self.assertEqual({"/": ("mybucket", False)}, places(config))
        self.assertEqual(["127.0.0.1:8080"], [each.text for each in config.listens])
        (note,) = [each for each in what.notes if each.weight is Weight.LOST]
        self.assertIn("the Origin asks it", note.why)

    def test_legacy(self):
        """IsmProxyPass of a directory takes the path and the keys of its <Location>."""
        what = guide("apache-legacy.conf")
        config = loaded(what)
        self.assertEqual({"/s3/": ("mybucket", False)}, places(config))
        self.assertEqual(["127.0.0.1:8080"], [each.text for each in config.listens])
        (note,) = what.notes
        self.assertIn("IsmProxyPass http://127.0.0.1:8080/s3/", note.instead)
        # Without S3UseHeaders it signs in the query.
        self.assertEqual(SignMode.V4_QUERY, config.buckets["mybucket"].sign)
        route = config.routing().find(b"", b"/s3/example.ism", None)
        self.assertEqual(b"/example.ism", route.key)

    def test_as_printed(self):
        """The guide's text as some pages print it, without its ends, is an error with a line."""
        with self.assertRaises(ImportFailed) as caught:
            guide("apache-as-printed.conf")
        self.assertEqual(1, caught.exception.line)
        self.assertIn("</Proxy> is missing", str(caught.exception))

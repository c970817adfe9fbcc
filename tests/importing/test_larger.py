"""Ten larger configurations, written to hold what operators' own hold."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import Config
from s3shield.config.options import LATER
from s3shield.importing import Imported, ImportFailed, Weight, import_file
from s3shield.signing import SignMode

from .fixture import DATA, loaded, need_crossplane, notes, places

NGINX = ("cdn", "vod", "tenants", "minio", "mirror")
APACHE = ("httpd", "balanced", "cached", "access", "sites")

SECRETS = (
    "6mFP2/KVedDIlEWvn3tDft9KTf6f03OlIG68KIeST9o=",
    "jcUxLpCwJR0mSxAnb6gcJ8dBw1+x+2TNMwABi0eLyLc=",
    "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "oldSecretKey/WithSlash+Plus",
    "hunter2secretpepper",
    "abcdefghijklmnop0123456789ABCDEF",
    "FwoGZXIvYXdzEXAMPLETOKENabcdefgh1234",
    "oldsecret",
    "minio secret",
    "0123456789abcdef0123456789abcdef",
    "/etc/nginx/htpasswd",
)

SILENT = {
    # Inside of blocks that are noted as a whole.
    *("default 0;", "~session 1;", "AllowOverride none", "Require all denied", "Redirect 503 /"),
    # The default of both.
    *("server_name _;", "listen 80;", "CacheStaleOnError on", "service s3;"),
    "add_header X-Cache-Status $upstream_cache_status;",
    # The address says the same.
    *("aws_s3_bucket cdn-assets;", "region eu-west-1;"),
    # Of a bucket that is not signed for, as its secret cannot be one.
    *("S3AccessKey minio", "S3Region us-east-1"),
    # Taken back, as what is not to be stored cannot be told.
    "proxy_cache pages;",
}
"""Lines that may go without a trace in the ini or the notes, and why."""


def larger(kind: str, name: str) -> tuple[Imported, Config]:
    """Import one; return it and its configuration."""
    if kind == "nginx":
        need_crossplane()
    what = import_file(str(DATA / kind / f"{name}.conf"))
    return what, loaded(what)


class EachTests(SynchronousTestCase):
    """What holds for all of them."""

    def each(self, kind: str, names: tuple[str, ...]) -> None:
        for name in names:
            what, config = larger(kind, name)
            self.assertEqual(kind, what.kind)
            self.assertTrue(config.locations)
            shown = "\n".join(map(str, what.notes))
            for secret in SECRETS:
                self.assertNotIn(secret, shown, name)
            for note in what.notes:
                words = note.text.removeprefix("<").split()[0].rstrip(">").lower()
                line = Path(note.file).read_text().splitlines()[note.line - 1]
                self.assertIn(words, line.lower(), note)

    def test_nginx(self):
        """Each is told from Apache's, loads, shows no secret, and names the right lines."""
        self.each("nginx", NGINX)

    def test_apache(self):
        """Each is told from nginx's, loads, shows no secret, and names the right lines."""
        self.each("apache", APACHE)


class NginxTests(SynchronousTestCase):
    """nginx's."""

    def test_cdn(self):
        """Sites, TLS, caches, a redirect, lines that keep clients out."""
        what, config = larger("nginx", "cdn")
        self.assertEqual(
            {
                "cdn.example.com /": ("cdn-assets", False),
                "cdn.example.com ~* \\.(?:map|bak)$": ("cdn-assets", True),
                "cdn.example.com ^~ /fonts/": ("cdn-fonts", False),
                "cdn.example.com = /health": ("cdn-assets", True),
                "www.example.com /": ("http://10.0.0.5:8080", False),
                "www.example.com /static/": ("http://10.0.0.5:8080", True),
            },
            places(config),
        )
        self.assertEqual(
            ["0.0.0.0:80", "[::]:80", "0.0.0.0:443"], [each.text for each in config.listens]
        )
        self.assertEqual(
            {"assets": (200 << 30, 30 * 86_400, 5 << 30)},
            {
                name: (each.max_size, each.inactive, each.min_free)
                for name, each in config.caches.items()
                if name == "assets"
            },
        )
        root = config.locations[0]
        self.assertEqual("assets", root.cache)
        self.assertEqual([7 * 86_400, 30, 5], [row.seconds for row in root.policy.valid.rows])
        self.assertEqual(10, root.proxy_cache_lock_timeout)
        # A location's own add_header replaces those further out, as in nginx.
        self.assertEqual([(b"Access-Control-Allow-Origin", b"*")], list(root.policy.add_headers))
        fonts = next(each for each in config.locations if each.bucket == "cdn-fonts")
        self.assertEqual([(b"X-Content-Type-Options", b"nosniff")], list(fonts.policy.add_headers))
        self.assertEqual(3, fonts.connection.origin_connect_timeout)
        self.assertEqual(
            ("www-data", "/var/log/nginx/cdn.log"),
            (config.daemon.user, config.daemon.access_log.target),
        )
        # Each server shows its own certificate at the address that they share.
        (listen,) = [each for each in config.listens if each.tls]
        shown = {names: tls.pairs for names, tls in config.tls_hosts(listen)}
        self.assertIn((("/etc/ssl/www.pem", "/etc/ssl/www.key"),), shown.values())
        self.assertIn((("/etc/ssl/cdn.pem", "/etc/ssl/cdn.key"),), shown.values())
        self.assertEqual(["87 deny all"], notes(what, Weight.ACCESS))

    def test_what_is_for_one_client_is_not_stored(self):
        """A condition that cannot be kept turns the cache of its location off."""
        _, config = larger("nginx", "cdn")
        (site,) = [
            each
            for each in config.locations
            if each.server == "www.example.com" and str(each.pattern) == "/"
        ]
        self.assertIsNone(site.cache)

    def test_vod(self):
        """Kaltura's signer, slices, groups by name, methods, a secure link."""
        what, config = larger("nginx", "vod")
        self.assertEqual(
            {
                "vod.example.com /hls/": ("vod-media", False),
                "vod.example.com ~ ^/secure/(?P<name>[^/]+\\.mp4)$": ("vod-media", True),
                "vod.example.com ~ ^/thumbs/(\\d+)/(.*)$": ("vod-thumbs", False),
            },
            places(config),
        )
        media = config.buckets["vod-media"]
        self.assertEqual((SignMode.V4, "eu-west-1"), (media.sign, media.region))
        routing = config.routing()
        host = b"vod.example.com"
        for path, key in (
            (b"/hls/a/1.ts", b"/packaged/a/1.ts"),
            (b"/secure/film.mp4", b"/originals/film.mp4"),
            (b"/thumbs/12/x.jpg", b"/12/t/x.jpg"),
        ):
            self.assertEqual(key, routing.find(host, path, None).key)
        hls = config.locations[0]
        self.assertEqual({b"GET", b"HEAD", b"OPTIONS"}, set(hls.policy.methods))
        self.assertEqual("$uri", str(hls.proxy_cache_key))
        secure = config.locations[1].access.link
        self.assertEqual("$secure_link_expires$uri hunter2secretpepper", secure.text)
        self.assertEqual([], notes(what, Weight.ACCESS))

    def test_tenants(self):
        """Included files, constants in variables, nested locations, a path in front."""
        what, config = larger("nginx", "tenants")
        routing = config.routing()
        for host, path, bucket, key in (
            (b"a.example.com", b"/x.txt", "tenant-a", b"/public/x.txt"),
            (b"a.example.com", b"/docs/v1/a", "tenant-a", b"/manual/1/a"),
            (b"a.example.com", b"/docs/x.pdf", "tenant-a", b"/docs/x.pdf"),
            (b"a.example.com", b"/x.pdf", "tenant-a", b"/public/x.pdf"),
            (b"x.b.example.org", b"/old/y", "tenant-b", b"/new/y"),
            (b"c.example.com", b"/fixed/z", "tenant-c", b"/z"),
        ):
            route = routing.find(host, path, None)
            location = config.locations[route.number]
            self.assertEqual((bucket, key), (location.bucket, route.key), path)
        self.assertIsNone(routing.find(b"c.example.com", b"/else", None))
        root = next(each for each in config.locations if str(each.pattern) == "/")
        self.assertEqual(404, root.policy.missing_403)
        self.assertIn("5 include conf.d/gone.conf", notes(what, Weight.LOST))
        self.assertEqual(
            {"tenants.conf", "a.conf", "b.conf"}, {Path(note.file).name for note in what.notes}
        )

    def test_minio(self):
        """Stores of one's own: upstreams, ports, SigV2, a CA, the internal location."""
        what, config = larger("nginx", "minio")
        self.assertEqual(
            {
                "default /build/": ("http://minio.internal:9000", False),
                "default /secure/": ("secure", False),
                "default /old/": ("archive", False),
                "default /private/": ("http://minio.internal:9000", True),
            },
            places(config),
        )
        self.assertEqual(
            b"secure.store.example.com:9443", config.buckets["secure"].endpoint.authority
        )
        self.assertEqual(SignMode.V2, config.buckets["archive"].sign)
        secure = config.locations[1]
        self.assertEqual("/etc/ssl/store-ca.pem", secure.connection.origin_ca)
        self.assertEqual(["38 internal"], notes(what, Weight.ACCESS))

    def test_mirror(self):
        """Options of http for all, users, a regex that Python has not."""
        what, config = larger("nginx", "mirror")
        found = places(config)
        self.assertEqual(("mirror-private", True), found["mirror.example.com /private/"])
        self.assertEqual(("mirror-private", False), found["mirror.example.com /private/open/"])
        # Without its rewrite it would show other objects: it shows none.
        self.assertEqual(("mirror-weird", True), found["mirror.example.com /weird/"])
        self.assertNotIn("mirror.example.com /", found)
        self.assertEqual({"mirror"}, {each.cache for each in config.locations})
        self.assertIn("35 proxy_set_header Authorization ***", notes(what, Weight.LOST))


class ApacheTests(SynchronousTestCase):
    """Apache's."""

    def test_httpd(self):
        """Modules, two sites, TLS, an excluded path, users for a whole site."""
        what, config = larger("apache", "httpd")
        self.assertEqual(
            {
                "media.example.com /media/": ("media", False),
                "media.example.com ^~ /media/drafts": ("media", True),
                "reports.example.com ^~ /reports/": ("reports", True),
            },
            places(config),
        )
        media, reports = config.buckets["media"], config.buckets["reports"]
        self.assertEqual((SignMode.V4, SignMode.V4_QUERY), (media.sign, reports.sign))
        self.assertEqual(64, media.connection.origin_connections)
        self.assertFalse(reports.endpoint.virtual_host)
        self.assertEqual(("apache", 15), (config.daemon.user, config.daemon.keepalive_timeout))
        (location, *_) = config.locations
        self.assertEqual({b"cache-control", b"etag"}, set(location.policy.hide_headers))
        self.assertEqual(
            [(b"Cache-Control", b"public, max-age=3600")], list(location.policy.add_headers)
        )
        self.assertEqual(["0.0.0.0:80", "0.0.0.0:443"], [each.text for each in config.listens])
        self.assertIn("61 Require valid-user", notes(what, Weight.ACCESS))

    def test_balanced(self):
        """The first of the replicas is asked with its own keys, the other is told of."""
        what, config = larger("apache", "balanced")
        self.assertEqual({"/": ("vod-eu", False)}, places(config))
        # It is the Origin that asks, not whoever reaches port 81.
        self.assertEqual(["127.0.0.1:8080"], [each.text for each in config.listens])
        credentials = config.buckets["vod-eu"].credentials
        self.assertEqual("AKIAIOSFODNN7EXAMPLE", credentials.access_key)
        self.assertEqual("FwoGZXIvYXdzEXAMPLETOKENabcdefgh1234", credentials.session_token)
        # Its bucket is there, and `replica` says so as soon as the loader takes it.
        self.assertEqual("us-east-1", config.buckets["vod-us"].region)
        told = [note.why for note in what.notes if note.text.startswith("BalancerMember")]
        self.assertEqual("replica" in LATER, bool(told))
        self.assertEqual("replica" not in LATER, "replica = vod-us" in what.ini)

    def test_cached(self):
        """mod_cache, SigV2, methods, a ProxyPass that another one hides."""
        _, config = larger("apache", "cached")
        self.assertEqual(
            {"/pub/": ("pub", False), "/app/": ("http://127.0.0.1:3000", False)}, places(config)
        )
        pub, app = config.locations
        self.assertEqual(("main", None), (pub.cache, app.cache))
        self.assertEqual("/var/cache/httpd", config.caches["main"].path)
        self.assertEqual(600, pub.policy.valid.lifetime(200))
        self.assertEqual(SignMode.V2, config.buckets["pub"].sign)
        self.assertEqual({b"GET", b"HEAD", b"POST"}, set(app.policy.methods))
        self.assertEqual(2, app.connection.origin_connect_timeout)

    def test_access(self):
        """Whoever was kept out in any way is kept out, whatever regex would take the path."""
        what, config = larger("apache", "access")
        routing = config.routing()
        for host, path, closed in (
            (b"access.example.com", b"/open/x", False),
            (b"access.example.com", b"/staff/x", True),
            (b"access.example.com", b"/secret/x", True),
            (b"access.example.com", b"/internal/x", True),
            (b"access.example.com", b"/video/x.mp4", False),
            (b"closed.example.com", b"/x", True),
        ):
            route = routing.find(host, path, None)
            methods = config.locations[route.number].policy.methods
            self.assertEqual(closed, methods == {b"OPTIONS"}, path)
        self.assertEqual(b"/x", routing.find(b"access.example.com", b"/old/x", None).key)
        self.assertIn("24 SSLVerifyClient require", notes(what, Weight.ACCESS))

    def test_sites(self):
        """Includes, variables, a directory below DocumentRoot, a role, an <If> that refuses."""
        what, config = larger("apache", "sites")
        self.assertEqual(
            {
                "origin /vod/": ("one", False),
                "two.example.com ^~ /two/": ("two", True),
            },
            places(config),
        )
        self.assertEqual(
            b"one.s3.eu-north-1.amazonaws.com", config.buckets["one"].endpoint.authority
        )
        (origin,) = [each for each in config.servers if each.name == "origin"]
        self.assertEqual(["127.0.0.1:8081"], [each.text for each in origin.listen])
        role = "9 S3RoleARN arn:aws:iam::123456789012:role/one"
        self.assertEqual("aws_role_arn" in LATER, role in notes(what, Weight.LOST))
        self.assertIn("6 S3SecretKey ***", notes(what, Weight.LOST))
        self.assertEqual(SignMode.OFF, config.buckets["two"].sign)


class AccountTests(SynchronousTestCase):
    """Nothing is dropped in silence."""

    def outcome(self, path: Path, kind: str) -> object:
        try:
            what = import_file(str(path), kind)
        except ImportFailed as why:
            return str(why)
        told = [
            (each.weight, Path(each.file).name, each.text, re.sub(r"line \d+", "", each.why))
            for each in what.notes
        ]
        return what.ini, told

    def account(self, kind: str, names: tuple[str, ...]) -> None:
        """Take each line out, one at a time: the ini or the notes must be others."""
        lines_seen = 0
        for name in names:
            with tempfile.TemporaryDirectory() as directory:
                copy = Path(directory) / kind
                shutil.copytree(DATA / kind, copy)
                main = copy / f"{name}.conf"
                whole = self.outcome(main, kind)
                within = sorted(set(copy.rglob("*/*.conf"))) if name in ("tenants", "sites") else []
                for path in (main, *within):
                    text = path.read_text()
                    lines = text.split("\n")
                    for at, line in enumerate(lines):
                        if not self.is_whole(kind, line, lines[at - 1]):
                            continue
                        path.write_text("\n".join(lines[:at] + lines[at + 1 :]))
                        lines_seen += 1
                        if line.strip() not in SILENT:
                            self.assertNotEqual(
                                whole, self.outcome(main, kind), f"{name}:{at + 1}: {line}"
                            )
                    path.write_text(text)
        self.assertGreater(lines_seen, 80)

    def is_whole(self, kind: str, line: str, before: str) -> bool:
        """Tell whether a line is a directive without a block, all of it."""
        bare = line.strip()
        if not bare or bare.startswith(("#", "<")) or bare.endswith("\\"):
            return False
        if kind == "apache":
            return not before.endswith("\\")
        return bare.endswith(";") and "{" not in bare and before.strip().endswith((";", "{", "}"))

    def test_nginx(self):
        """Each line of the five is in the ini or in the notes."""
        need_crossplane()
        self.account("nginx", NGINX)

    def test_apache(self):
        """Each line of the five is in the ini or in the notes."""
        self.account("apache", APACHE)

"""What options become: values, inheritance, buckets made by locations, where things are."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import AUTO, ConfigErrors, SecureConfig, dump, load
from s3shield.policy import ANY, ANY_METHOD, CachePolicy, TTLRow, TTLTable
from s3shield.routing import QueryPolicy
from s3shield.signing import SignMode

from .fixture import BUCKET, PLAIN, SCOPE, SECRET, SIGNING_KEY, read

ROOT = Path(__file__).resolve().parents[2]

# design/config.md, as it is printed there; a real key in place of the shortened one.
SAMPLE = f"""\
[s3shield]                              ; the daemon; any location option here is a default for all
listen = 127.0.0.1:8080                 ; one a line: host:port, [::]:443 tls, unix:/run/s3shield.sock
workers = auto                          ; a number, auto = one per core, 0 = serve in this process
access_log = /var/log/s3shield/access.log combined    ; path|stdout|syslog|off, then a format
error_log = /var/log/s3shield/error.log info
pid_file = /run/s3shield.pid

[cache:main]
path = /var/cache/s3shield
max_size = 10g
min_free = 1g
inactive = 7d
block_size = 1m
inline_limit = 32k

[bucket:media]                          ; what a <Proxy> section is in Apache: one bucket
aws_s3_bucket = my-private-bucket
aws_endpoint = https://s3.eu-central-1.amazonaws.com      ; scheme and port optional
aws_addressing = auto                   ; virtual | path | auto
aws_region = eu-central-1               ; left out with a key scope: taken from the scope
aws_sign = v4                           ; v4 | v4-query | v2 | v2-query | off
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_signing_key = {SIGNING_KEY}
aws_key_scope = {SCOPE}
;aws_secret_key = ...                   ; or the secret itself

[server:assets]                         ; a virtual host; left out: one that takes every name
server_name = assets.example.com *.assets.example.com
listen = 0.0.0.0:443 tls
tls_certificate = /etc/ssl/certs/assets.pem
tls_certificate_key = /etc/ssl/private/assets.key

[location:/]                            ; nginx's matching
server = assets                         ; left out: every server
bucket = media                          ; or origin = http://127.0.0.1:9000
rewrite = ^/downloads/(.*)$ /$1         ; several lines: applied in order
proxy_cache = main                      ; off to sign and stream only
proxy_cache_valid =
    200 206 301 302 60m
    404 1m
    any 5s
"""


class Samples(SynchronousTestCase):
    def test_design(self):
        """The design's sample, without what is for later, is understood as it says."""
        config = read(SAMPLE)
        daemon, (location,), (server,) = config.daemon, config.locations, config.servers
        self.assertEqual(daemon.workers, AUTO)
        self.assertEqual(
            (daemon.access_log.target, daemon.access_log.format),
            ("/var/log/s3shield/access.log", "combined"),
        )
        self.assertEqual(
            (daemon.error_log.target, daemon.error_log.level),
            ("/var/log/s3shield/error.log", "info"),
        )
        self.assertEqual(
            [str(listen) for listen in config.listens], ["127.0.0.1:8080", "0.0.0.0:443 tls"]
        )
        pair = ("/etc/ssl/certs/assets.pem", "/etc/ssl/private/assets.key")
        self.assertEqual(config.servers[0].tls.pairs, (pair,))
        self.assertEqual(config.listens[1].where, "x.ini:29")
        cache = config.caches["main"]
        self.assertEqual(
            (cache.max_size, cache.min_free, cache.inactive), (10 << 30, 1 << 30, 604_800)
        )
        bucket = config.buckets["media"]
        self.assertEqual(
            bucket.endpoint.authority, b"my-private-bucket.s3.eu-central-1.amazonaws.com"
        )
        self.assertEqual(
            (bucket.sign, bucket.region, str(bucket.credentials.scope)),
            (SignMode.V4, "eu-central-1", SCOPE),
        )
        self.assertEqual(server.server_name, ("assets.example.com", "*.assets.example.com"))
        self.assertEqual(
            (location.server, location.bucket, location.cache), ("assets", "media", "main")
        )
        self.assertEqual(location.rewrites[0].apply(b"/downloads/a").path, b"/a")
        self.assertEqual(
            location.policy.valid,
            TTLTable(
                (
                    TTLRow(frozenset({200, 206, 301, 302}), 3600),
                    TTLRow(frozenset({404}), 60),
                    TTLRow(ANY, 5),
                )
            ),
        )
        self.assertEqual(location.where, "x.ini:33")

    def test_shipped(self):
        """etc/s3shield.ini loads as it is."""
        config = load(str(ROOT / "etc" / "s3shield.ini"), environ={}, mode_of=lambda _path: 0o600)
        self.assertEqual(config.warnings, ())
        self.assertEqual(config.caches["main"].path, "/var/cache/s3shield")
        self.assertEqual(config.buckets["media"].credentials.secret_key, SECRET)

    def test_shipped_comments(self):
        """Each option that etc/s3shield.ini shows in a comment is one that exists."""
        text = (ROOT / "etc" / "s3shield.ini").read_text()
        lines = text.splitlines()
        shown = [
            at
            for at, line in enumerate(lines)
            if line.startswith(";") and " = " in line and not line.startswith("; s")
        ]
        self.assertGreater(len(shown), 8)
        for at in shown:
            changed = list(lines)
            name = lines[at].lstrip("; ").split(" ")[0]
            changed[at] = lines[at].lstrip("; ")
            try:
                read("\n".join(changed), environ={"MEDIA_SECRET": SECRET})
            except ConfigErrors as why:
                self.assertNotIn(f"{name}: there is no such option", why.render())
                self.assertNotIn(f"{name}: known", why.render())


class Values(SynchronousTestCase):
    def location(self, *lines):
        """A location of a plain origin with more options."""
        return read(PLAIN + "\n".join(lines)).locations[0]

    def test_defaults(self):
        """A location that says nothing has the policy's own defaults, but for the 16m."""
        location = self.location()
        self.assertEqual(
            location.policy, CachePolicy(enabled=False, methods=frozenset({ANY_METHOD}))
        )
        self.assertEqual((location.query, location.cache), (QueryPolicy("pass"), None))
        self.assertEqual(location.origin_name, "http://127.0.0.1:9000")
        connection = location.connection
        self.assertEqual(
            (connection.origin_connect_timeout, connection.origin_read_timeout), (5, 30)
        )
        self.assertEqual((connection.origin_idle_timeout, connection.origin_connections), (60, 256))
        self.assertIs(connection.origin_verify, True)

    def test_policy(self):
        """Each option ends in the field of its name."""
        for line, field, value in (
            (
                "proxy_cache_valid = 5m",
                "valid",
                TTLTable((TTLRow(frozenset({200, 301, 302}), 300),)),
            ),
            ("proxy_cache_valid_force = on", "valid_force", True),
            ("proxy_cache_use_stale = off", "use_stale", frozenset()),
            (
                "proxy_cache_use_stale = error http_404",
                "use_stale",
                frozenset({"error", "http_404"}),
            ),
            ("proxy_cache_background_update = off", "background_update", False),
            ("proxy_cache_revalidate = off", "revalidate", False),
            ("proxy_cache_heuristic = off", "heuristic", False),
            ("proxy_cache_max_range_offset = off", "max_range_offset", None),
            ("proxy_cache_methods = GET", "cache_methods", frozenset({b"GET"})),
            ("methods = GET", "methods", frozenset({b"GET"})),
            ("methods = any", "methods", frozenset({ANY_METHOD})),
            (
                "proxy_ignore_headers = Cache-Control VARY",
                "ignore_headers",
                frozenset({b"cache-control", b"vary"}),
            ),
            (
                "proxy_ignore_headers = CDN-Cache-Control",
                "ignore_headers",
                frozenset({b"cdn-cache-control"}),
            ),
            ("proxy_hide_header = X-A\n  X-B", "hide_headers", frozenset({b"x-a", b"x-b"})),
            (
                'add_header = X-A "a b" ; c\nadd_header = X-B b c',
                "add_headers",
                ((b"X-A", b"a b"), (b"X-B", b"b c")),
            ),
            ('add_header = X-A ""', "add_headers", ((b"X-A", b""),)),
            ('add_header = X-A "b always"', "add_headers", ((b"X-A", b"b always"),)),
            ("add_header = X-A always", "add_headers", ((b"X-A", b"always"),)),
            ('add_header = X-A "b c" always', "always_headers", ((b"X-A", b"b c"),)),
            ("add_header = X-A b  always", "always_headers", ((b"X-A", b"b"),)),
            (
                "add_header = X-A max-age=1; preload",
                "add_headers",
                ((b"X-A", b"max-age=1; preload"),),
            ),
            (
                "pass_amz_headers = x-amz-meta-* X-Amz-Version-Id",
                "pass_amz_headers",
                frozenset({b"x-amz-meta-*", b"x-amz-version-id"}),
            ),
            (
                "cache_targets = My-Cache-Control CDN-Cache-Control",
                "targets",
                (b"my-cache-control", b"cdn-cache-control"),
            ),
            ("cache_targets =", "targets", ()),
            ("cache_status_header =", "cache_status_header", b""),
            ("cache_status_header = off", "cache_status_header", b""),
            ("cache_status_header = X-Proxy", "cache_status_header", b"X-Proxy"),
            ("via = off", "via", b""),
            ("client_revalidate = on", "client_revalidate", True),
            ("normalize_accept_encoding = on", "normalize_accept_encoding", True),
            ("ignore_authorization = on", "ignore_authorization", True),
            ("max_object_size = 1g", "max_object_size", 1 << 30),
            ("max_ranges = 0", "max_ranges", 0),
            ("missing_403 = 404", "missing_403", 404),
            ("error_pass = on", "error_pass", True),
        ):
            self.assertEqual(getattr(self.location(line).policy, field), value, line)

    def test_location(self):
        """What a location has besides its policy."""
        location = self.location(
            "query = allow a b",
            "fetch_on_abort = cancel",
            "origin_verify = off",
            "origin_connect_timeout = 500ms",
            "origin_ca = /ca.pem",
            "origin_connections = 9",
        )
        self.assertEqual(location.query, QueryPolicy("allow", frozenset({b"a", b"b"})))
        self.assertEqual(location.fetch_on_abort, "cancel")
        self.assertEqual(location.connection.origin_connect_timeout, 0.5)
        self.assertEqual(
            (location.connection.origin_verify, location.connection.origin_ca), (False, "/ca.pem")
        )

    def test_listen(self):
        """The forms of an address."""
        for line, facts in (
            ("8080", ("tcp", "0.0.0.0:8080", "0.0.0.0", 8080, "", False)),
            ("*:80", ("tcp", "0.0.0.0:80", "0.0.0.0", 80, "", False)),
            ("[::1]:80", ("tcp", "[::1]:80", "::1", 80, "", False)),
            ("LocalHost:80", ("tcp", "localhost:80", "localhost", 80, "", False)),
            ("unix:/run/x.sock", ("unix", "unix:/run/x.sock", "", 0, "/run/x.sock", False)),
            ("systemd:1", ("systemd", "systemd:1", "", 1, "", False)),
        ):
            (listen,) = read(f"{PLAIN}[s3shield]\nlisten = {line}").daemon.listen
            self.assertEqual(
                (listen.kind, listen.text, listen.host, listen.port, listen.path, listen.tls), facts
            )
        self.assertEqual([str(x) for x in read(PLAIN).listens], ["127.0.0.1:8080"])

    def test_certificates_by_name(self):
        """A server shows its own wherever it is reached; without any it shows what it inherits."""
        config = read(
            "[s3shield]\nlisten = 443 tls\nlisten = 80\ntls_certificate = /t\ntls_certificate_key = /tk\n"
            "[server:a]\nserver_name = a.test\ntls_certificate = /a1\ntls_certificate = /a2\n"
            "tls_certificate_key =\n /k1\n /k2\n"
            "[server:b]\nserver_name = *.b.test\nlisten = 8443 tls\n"
            f"[server:c]\nserver_name = c.test\nlisten = 9443 tls\n{PLAIN}"
        )
        shown = {
            str(listen): [(names, tls.pairs) for names, tls in config.tls_hosts(listen)]
            for listen in config.listens
            if listen.tls
        }
        top = (("/t", "/tk"),)
        a = (("a.test",), (("/a1", "/k1"), ("/a2", "/k2")))
        b, c = (("*.b.test",), top), (("c.test",), top)
        self.assertEqual(
            shown,
            {
                "0.0.0.0:443 tls": [a, b, c],
                "0.0.0.0:8443 tls": [a, b],
                "0.0.0.0:9443 tls": [a, c],
            },
        )

    def test_open_key(self):
        """A private key that everybody can read is worth a warning; one of a group is not."""
        text = (
            f"{PLAIN}[s3shield]\nlisten = 443 tls\ntls_certificate = /c\ntls_certificate_key = /k\n"
        )
        for mode, warned in ((0o644, 1), (0o640, 0)):
            warnings = read(text, modes={"/k": mode, "/c": 0o644}).warnings
            self.assertEqual(
                warnings, ("/k: there is a private key in it and others can read it",) * warned
            )

    def test_secure(self):
        """Where a location redirects to, and whose certificates it wants; as dumped."""
        config = read(
            "[s3shield]\nlisten = 80\nlisten = 8443 tls\ntls_certificate = /t\ntls_certificate_key = /tk\n"
            "https_redirect = on\ntls_client_ca = /ca\n"
            "[server:a]\nserver_name = a.test *.a.test _\n"
            "[server:b]\nserver_name = b.test\nlisten = 443 tls\ntls_verify_client = optional\n"
            f"{PLAIN}[location:/.well-known/]\norigin = http://127.0.0.1:1\nhttps_redirect = off\n"
        )
        self.assertEqual(
            [(str(each.pattern), each.server, each.secure) for each in config.locations],
            [
                (
                    "/",
                    "a",
                    SecureConfig(
                        redirect=True, names=("a.test", "*.a.test"), port=8443, client_ca="/ca"
                    ),
                ),
                ("/", "b", SecureConfig(redirect=True, names=("b.test",))),
                ("/.well-known/", "a", SecureConfig(client_ca="/ca")),
                ("/.well-known/", "b", SecureConfig()),
            ],
        )
        self.assertEqual(read(dump(config)), config)

    def test_ports_of_the_system(self):
        """Port 0 is another port each time, so it may be there twice."""
        config = read(f"{PLAIN}[s3shield]\nlisten = 127.0.0.1:0\nlisten = 127.0.0.1:0")
        self.assertEqual(len(config.listens), 2)

    def test_elsewhere(self):
        """`env:` and `file:` stand for any value; one newline is dropped, files are relative."""
        text = """\
        [location:/]
        origin = env:ORIGIN
        proxy_cache_valid =
            404 1m
            file:ttl
        [cache:c]
        path = file:/run/path
        """
        config = read(
            text,
            environ={"ORIGIN": "http://h\n"},
            files={"ttl": "200 1h\nany 5s\n", "/run/path": "/a b\n"},
        )
        self.assertEqual(config.locations[0].origin_name, "http://h")
        self.assertEqual(
            [row.seconds for row in config.locations[0].policy.valid.rows], [60, 3600, 5]
        )
        self.assertEqual(config.caches["c"].path, "/a b")

    def test_one_newline(self):
        """A second newline is part of the value, and no path has one."""
        with self.assertRaises(ConfigErrors):
            read(f"{PLAIN}[cache:c]\npath = file:p", files={"p": "/a\n\n"})


class Inheritance(SynchronousTestCase):
    def test_levels(self):
        """Location before server before [s3shield]; a list is replaced as a whole."""
        config = read("""\
            [s3shield]
            proxy_cache_valid = 1m
            proxy_cache_valid = 404 1s
            max_ranges = 1
            add_header = X-A a
            [server:a]
            server_name = a.test
            max_ranges = 2
            proxy_cache_valid = 2m
            [server:b]
            server_name = b.test
            add_header =
            [location:/]
            origin = http://h
            [location:/x]
            origin = http://h
            server = a
            max_ranges = 3
            """)
        found = {
            (each.server, each.pattern.text): (
                each.policy.max_ranges,
                [row.seconds for row in each.policy.valid.rows],
                len(each.policy.add_headers),
            )
            for each in config.locations
        }
        self.assertEqual(
            found,
            {("a", "/"): (2, [120], 1), ("b", "/"): (1, [60, 1], 0), ("a", "/x"): (3, [120], 1)},
        )

    def test_source(self):
        """The nearest of bucket and origin counts."""
        text = f"[s3shield]\nbucket = media\n{BUCKET}{PLAIN}[location:/b]\n"
        plain, bucket = read(text).locations
        self.assertEqual((plain.bucket, plain.origin_name), (None, "http://127.0.0.1:9000"))
        self.assertEqual(
            (bucket.bucket, bucket.origin, bucket.query), ("media", None, QueryPolicy("drop"))
        )
        self.assertIs(bucket.policy.is_bucket, True)

    def test_same_pattern(self):
        """One pattern may stand once for each server, and once for those without their own."""
        config = read("""\
            [server:a]
            server_name = a.test
            [server:b]
            server_name = b.test
            [location:/]
            origin = http://all
            [location:/]
            server = a
            origin = http://one
            """)
        self.assertEqual(
            [(each.server, each.origin_name) for each in config.locations],
            [("b", "http://all"), ("a", "http://one")],
        )

    def test_reached(self):
        """A server is reached at its own addresses and the daemon's, another's not."""
        config = read("""\
            [s3shield]
            listen = 80
            [server:a]
            server_name = a.test
            listen = 81
            origin = http://a
            [server:b]
            server_name = b.test
            listen = 82
            origin = http://b
            [location:/]
            """)
        for at, host, name in (
            (0, b"a.test", "a"),
            (0, b"b.test", "b"),
            (1, b"b.test", "a"),
            (2, b"a.test", "b"),
        ):
            route = config.routing(config.listens[at]).find(host, b"/", None)
            self.assertEqual(config.locations[route.number].server, name)


class Buckets(SynchronousTestCase):
    def test_overridden(self):
        """A key option in a location makes a bucket of its own, and leaves the other alone."""
        text = (
            f"{BUCKET}[location:/]\nbucket = media\n[location:/v2]\nbucket = media\naws_sign = v2\n"
        )
        config = read(text)
        first, second = config.locations
        self.assertEqual(first.bucket, "media")
        self.assertTrue(second.bucket.startswith("media+"))
        self.assertIs(config.buckets["media"].sign, SignMode.V4)
        self.assertIs(config.buckets[second.bucket].sign, SignMode.V2)
        self.assertEqual(config.buckets[second.bucket].name, second.bucket)

    def test_keys_do_not_mix(self):
        """A new kind of key replaces all of the bucket's key options; the rest stays."""
        text = f"{BUCKET}[location:/]\nbucket = media\naws_signing_key = {SIGNING_KEY}\naws_key_scope = {SCOPE}\n"
        config = read(text)
        keys = config.buckets[config.locations[0].bucket].credentials
        self.assertEqual((keys.secret_key, keys.access_key), (None, "AKIAIOSFODNN7EXAMPLE"))

    def test_name_of_the_cache_entries(self):
        """The derived name outlives a new key, but not another bucket behind it."""

        def name(*lines):
            return (
                read(f"{BUCKET}[location:/]\nbucket = media\n" + "\n".join(lines))
                .locations[0]
                .bucket
            )

        self.assertEqual(name("aws_access_key = A"), name("aws_access_key = B"))
        self.assertNotEqual(name("aws_access_key = A"), name("aws_s3_bucket = other"))

    def test_without_a_section(self):
        """As in ngx_aws_auth, a location can say all of it."""
        config = read("[location:/]\n" + BUCKET.partition("\n")[2])
        (location,) = config.locations
        self.assertEqual(config.buckets[location.bucket].endpoint.bucket, "my-private-bucket")

    def test_bucket_completed_by_locations(self):
        """A bucket whose keys all come from its locations lacks nothing."""
        lines = BUCKET.splitlines()
        text = "\n".join([*lines[:-2], "[location:/]", "bucket = media", *lines[-2:]])
        self.assertEqual(len(read(text).buckets), 1)

    def test_endpoint_left_out(self):
        """Amazon's in the region."""
        for region, host in (
            ("eu-west-1", "s3.eu-west-1.amazonaws.com"),
            ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
        ):
            text = BUCKET.replace("aws_endpoint = https://s3.eu-central-1.amazonaws.com\n", "")
            config = read(text.replace("eu-central-1", region) + "[location:/]\nbucket = media")
            self.assertEqual(config.buckets["media"].endpoint.host, host)

    def test_sources(self):
        """Keys from the environment and from a key file."""
        lines = [line for line in BUCKET.splitlines() if "_key" not in line]
        end = "\n[location:/]\nbucket = media"
        environ = {
            "AWS_ACCESS_KEY_ID": "AKIA",
            "AWS_SECRET_ACCESS_KEY": "s3cr3t",
            "AWS_SESSION_TOKEN": "t",
        }
        keys = (
            read("\n".join([*lines, "aws_credentials = env"]) + end, environ=environ)
            .buckets["media"]
            .credentials
        )
        self.assertEqual(
            (keys.access_key, keys.secret_key, keys.session_token), ("AKIA", "s3cr3t", "t")
        )
        files = {"media.key": f"{SIGNING_KEY}\n{SCOPE}\n"}
        text = "\n".join([*lines, "aws_access_key = A", "aws_signing_key_file = media.key"]) + end
        bucket = read(text, files=files).buckets["media"]
        (key,) = bucket.credentials.keys.keys
        self.assertEqual((len(key.signing_key), str(key.scope)), (32, SCOPE))
        self.assertEqual((bucket.key_file, bucket.region), ("media.key", "eu-central-1"))

    def test_key_file_with_several(self):
        """Comments, several days and regions: the bucket takes those of its region."""
        lines = [line for line in BUCKET.splitlines() if "_secret_key" not in line]
        text = "\n".join([*lines, "aws_signing_key_file = m.key", "[location:/]", "bucket = media"])
        other = SCOPE.replace("eu-central-1", "us-east-1")
        later = SCOPE.replace("0226", "0227")
        pairs = "".join(f"# {scope}\n{SIGNING_KEY}\n{scope}\n\n" for scope in (later, other, SCOPE))
        ring = read(text, files={"m.key": pairs}).buckets["media"].credentials.keys
        self.assertEqual([str(key.scope) for key in ring.keys], [SCOPE, later])

    def test_unsigned(self):
        """A public bucket needs no keys."""
        config = read(
            "[bucket:p]\naws_s3_bucket = public\naws_sign = off\n[location:/]\nbucket = p"
        )
        self.assertIsNone(config.buckets["p"].credentials)
        config.buckets["p"].signer()

    def test_repr(self):
        """No secret in the repr of a configuration."""
        self.assertNotIn(SECRET, repr(read(f"{BUCKET}[location:/]\nbucket = media")))


class Warnings(SynchronousTestCase):
    def test_open_files(self):
        """A file with a secret that others can read is warned of, and only that; not its group."""
        end = "[location:/]\nbucket = media\n"
        for mode, count in ((0o600, 0), (0o640, 0), (0o604, 1), (0o622, 0)):
            self.assertEqual(
                len(read(BUCKET + end, modes={"x.ini": mode}).warnings), count, oct(mode)
            )
        self.assertEqual(read(PLAIN, modes={"x.ini": 0o644}).warnings, ())
        other = BUCKET.replace(SECRET, "file:/run/secret") + end
        modes = {"x.ini": 0o644, "/run/secret": 0o644}
        (warning,) = read(other, files={"/run/secret": SECRET}, modes=modes).warnings
        self.assertTrue(warning.startswith("/run/secret: "))
        self.assertNotIn(SECRET, warning)

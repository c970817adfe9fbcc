"""Every mistake has its line, its section, its option and, where there is one, a hint."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import ConfigErrors, load

from .fixture import BUCKET, PLAIN, SCOPE, SECRET, SIGNING_KEY, mistakes

ROLE = "aws_role_arn = arn:aws:iam::123456789012:role/reader"
LOCATION = "[location:/]\nbucket = media\n"


def with_bucket(*lines, without=()):
    """A bucket with some of its lines replaced, and a location before it on lines 1 and 2."""
    kept = [line for line in BUCKET.splitlines() if line.split(" ")[0] not in without]
    return LOCATION + "\n".join([*kept, *lines]) + "\n"


class OneMistake(SynchronousTestCase):
    """Each text has exactly the one mistake."""

    def check(self, text, wanted, **more):
        """Compare with all the lines there are."""
        self.assertEqual(mistakes(text, **more), [wanted])

    def test_sections(self):
        """Kinds, names and repetitions of sections."""
        for head, wanted in (
            (
                "[locatoin:/x]",
                "x.ini:3: [locatoin:/x] there is no such section (did you mean 'location'?)",
            ),
            ("[bucket:]", "x.ini:3: [bucket] it needs a name: [bucket:NAME]"),
            ("[s3shield:x]", "x.ini:3: [s3shield:x] this section has no name: [s3shield]"),
            ("[cache:a b]", "x.ini:3: [cache:a b] a name has letters, digits and _ . + - only"),
            ("[location:/]", "x.ini:3: [location:/] this section is there twice (first: line 1)"),
            (
                "[location:^~ /]",
                "x.ini:3: [location:^~ /] this section is there twice (first: line 1)",
            ),
            ("[location:x]", "x.ini:3: [location:x] the path of a location begins with /"),
        ):
            more = "origin = http://h\n" if "location:" in head else ""
            self.check(f"{PLAIN}{head}\n{more}", wanted)

    def test_regex(self):
        """A regex that does not compile is told, with the reason."""
        (line,) = mistakes("[location:~ (a]\norigin = http://h")
        self.assertIn("x.ini:1: [location:~ (a] the regex does not compile: missing )", line)

    def test_options(self):
        """Unknown, misplaced, repeated, empty and later ones."""
        for option, wanted in (
            (
                "proxy_cache_valdi = 1m",
                "proxy_cache_valdi: there is no such option (did you mean 'proxy_cache_valid'?)",
            ),
            ("zzz = 1", "zzz: there is no such option"),
            ("max_size = 1g", "max_size: this option belongs in [cache:...]"),
            ("workers = 1", "workers: this option belongs in [s3shield]"),
            ("listen = 80", "listen: this option belongs in [s3shield] or [server:...]"),
            ("replica = b", "replica: this option belongs in [bucket:...]"),
            ("origin_verify =", "origin_verify: there is no value"),
            ("origin = http://b", "origin: it is there twice in this section (first: line 2)"),
            (
                "admin_lisen = x",
                "admin_lisen: there is no such option (did you mean 'admin_listen'?)",
            ),
        ):
            self.check(f"{PLAIN}{option}", f"x.ini:3: [location:/] {wanted}")

    def test_values(self):
        """Values that options of a location do not take."""
        for option, wanted in (
            ("origin_verify = yes", "it is on or off: 'yes'"),
            ("origin_connect_timeout = 5x", "a time looks like 30s, 5m, 1h30m or 7d: '5x'"),
            ("origin_connect_timeout = 0", "a timeout is more than zero: '0'"),
            ("origin_connections = 0", "it is a number from 1 to 65535: '0'"),
            ("proxy_cache_valid = 200 500ms", "this time is in seconds, without ms: '500ms'"),
            ("proxy_cache_valid = 99 1m", "a status is from 100 to 599, or any alone: '99'"),
            ("proxy_cache_valid = 200 any 1m", "a status is from 100 to 599, or any alone: 'any'"),
            ("proxy_cache_use_stale = http_505", "http_505'"),
            ("proxy_cache_max_range_offset = 1q", "a size looks like"),
            (
                "proxy_ignore_headers = Vari",
                "this field cannot be ignored: 'Vari' (did you mean 'Vary'?)",
            ),
            ("proxy_cache_methods = POST", "known, but this version does not do it yet: 'POST'"),
            ("methods = GTE", "'GTE' (did you mean 'GET'?)"),
            ("add_header = X", "a header is written NAME VALUE"),
            ("add_header = X: y", "cannot be the name of a header: 'X:'"),
            ("add_header = Connection close", "not yours to add"),
            ("add_header = X always $host", "variables are known"),
            ("add_header = X $host", "variables are known"),
            ("query = allow", "write drop, pass, or allow NAME..."),
            ("query = allways", "(did you mean 'allow'?)"),
            ("missing_403 = 500", "it is off, 404 or 410, not: '500'"),
            ("fetch_on_abort = stop", "it is keep or cancel, not: 'stop'"),
            ("rewrite = ^/(a$ /b", "the regex does not compile"),
            ("rewrite = ^/(.*)$ /$9", "there is no $9: the regex has 1 group(s)"),
            ("rewrite = ^/a /b permanent", "redirects are not made here"),
            ("rewrite = ^/a", "REGEX REPLACEMENT"),
            ("rewrite = ^/a /b$uri", "no other variables"),
            ("rewrite = ^/a b", "begins with /"),
            ("pass_amz_headers = etag", "begins with x-amz-"),
            ("via = 2.0", "it looks like 1.1 NAME"),
            ("proxy_cache = main", "there is no [cache:main]"),
            ("server = s", "there is no [server:s]"),
            ("aws_region = eu-west-1", "a plain origin is not signed: give a bucket"),
            ("bucket = media", "give bucket or origin, not both"),
        ):
            (line,) = mistakes(f"{PLAIN}{option}")
            self.assertIn(wanted, line, option)
            self.assertTrue(line.startswith("x.ini:"), line)

    def test_stall_log(self):
        """A time over zero, or off; nowhere but where the daemon is."""
        time = "a time looks like 30s, 5m, 1h30m or 7d"
        for value, wanted in (
            ("on", f"{time}: 'on'"),
            ("0", "a timeout is more than zero: '0'"),
            ("0ms", "a timeout is more than zero: '0ms'"),
            ("0.5ms", f"{time}: '0.5ms'"),
            ("-1", f"{time}: '-1'"),
            ("", "there is no value"),
        ):
            self.check(
                f"{PLAIN}[s3shield]\nstall_log = {value}",
                f"x.ini:4: [s3shield] stall_log: {wanted}",
            )
        self.check(
            f"{PLAIN}stall_log = 5ms",
            "x.ini:3: [location:/] stall_log: this option belongs in [s3shield]",
        )

    def test_line_of_a_list(self):
        """In a list, the line itself is named."""
        self.check(
            f"{PLAIN}proxy_cache_valid =\n  200 1m\n  404 1x\n",
            "x.ini:5: [location:/] proxy_cache_valid: a time looks like 30s, 5m, 1h30m or 7d: '1x'",
        )

    def test_origin(self):
        """The URL of a plain origin."""
        for url, wanted in (
            ("127.0.0.1:9000", "an origin begins with http:// or https://"),
            ("http://h/path", "an endpoint is a host and perhaps a port, no path"),
            ("http://user:hunter2@h", "no user name or password"),
            ("http://h:99999", "a port is a number"),
        ):
            (line,) = mistakes(f"[location:/]\norigin = {url}")
            self.assertIn(wanted, line)
            self.assertNotIn("hunter2", line)

    def test_no_source(self):
        """A location without bucket and origin, and a file without locations."""
        self.check(
            "[location:/]\n",
            "x.ini:1: [location:/] bucket: it is missing: where requests go (or origin)",
        )
        self.check("", "x.ini:1: there is no [location:...]: nothing would be served")

    def test_references(self):
        """A dangling reference names the nearest section."""
        self.check(
            f"{BUCKET}[location:/]\nbucket = medai\n",
            "x.ini:8: [location:/] bucket: there is no [bucket:medai] (did you mean 'media'?)",
        )
        self.check(
            f"[s3shield]\nproxy_cache = mian\n[cache:main]\npath = /c\n{PLAIN}",
            "x.ini:2: [s3shield] proxy_cache: there is no [cache:mian] (did you mean 'main'?)",
        )

    def test_listen(self):
        """Addresses that are none, and those there twice."""
        for value, wanted in (
            ("127.0.0.1", "a port follows the address"),
            ("127.0.0.1:x", "a port is a number up to 65535"),
            ("127.0.0.1:70000", "a port is a number up to 65535"),
            ("300.0.0.1:80", "this is no address or host name"),
            ("::1:80", "stands in brackets"),
            ("[::1]", "a port follows the address"),
            ("[::x]:80", "an IPv6 address looks like"),
            ("unix:relative", "whole path"),
            ("80 ssl", "(did you mean 'tls'?)"),
            ("80 http2", "only `tls` and `proxy_protocol` can follow"),
            ("80 tls tls", "only `tls` and `proxy_protocol` can follow"),
            ("systemd:x", "looks like systemd:0"),
            ("tcp:8080:interface=::1", "endpoint strings are known"),
        ):
            (line,) = mistakes(f"{PLAIN}[s3shield]\nlisten = {value}")
            self.assertIn(wanted, line, value)
            self.assertIn("x.ini:4: [s3shield] listen:", line)
        self.check(
            f"{PLAIN}[s3shield]\nlisten = 127.0.0.1:80\nlisten = 127.0.0.1:80",
            "x.ini:4: [s3shield] listen: 127.0.0.1:80 is there twice",
        )

    def test_certificates(self):
        """`tls` needs a certificate and its key, the same for all on one address."""
        text = f"{PLAIN}[s3shield]\nlisten = 443 tls\n"
        self.assertEqual(
            mistakes(text),
            [
                "x.ini:3: [s3shield] tls_certificate: it is missing: `listen = 0.0.0.0:443 tls` needs it",
                "x.ini:3: [s3shield] tls_certificate_key: it is missing: `listen = 0.0.0.0:443 tls` needs it",
            ],
        )
        half = "[server:a]\nserver_name = a\ntls_certificate = /a\n"
        self.check(
            PLAIN + half,
            "x.ini:3: [server:a] tls_certificate_key: it is missing: a certificate and its key go "
            "together",
        )
        self.check(
            f"{PLAIN}{half}tls_certificate_key = /k\ntls_certificate_key = /l\n",
            "x.ini:6: [server:a] tls_certificate_key: 2 keys for 1 certificates",
        )
        server = (
            "[server:{0}]\nserver_name = {0}\nlisten = 443{1}\n"
            "tls_certificate = /{0}\ntls_certificate_key = /k\n"
        )
        self.check(
            PLAIN + server.format("a", " tls") + server.format("b", ""),
            "x.ini:10: [server:b] listen: 0.0.0.0:443 has other words after it elsewhere "
            "(see x.ini:5)",
        )

    def test_client_certificates(self):
        """One address asks all clients or none; to verify, there is something to verify with."""
        server = (
            "[server:{0}]\nserver_name = {0}\nlisten = 443 tls\n"
            "tls_certificate = /{0}\ntls_certificate_key = /k\n"
        )
        self.check(
            PLAIN + server.format("a") + server.format("b") + "tls_client_ca = /ca\n",
            "x.ini:8: [server:b] tls_client_ca: all servers at 0.0.0.0:443 have the same, or none "
            "(see x.ini:6)",
        )
        self.check(
            f"{PLAIN}[s3shield]\ntls_verify_client = optional\n",
            "x.ini:3: [s3shield] tls_client_ca: it is missing: what to verify with",
        )

    def test_https_redirect(self):
        """There must be a name to go to that is not the client's own invention."""
        for before in ("", "[server:a]\n", "[server:a]\nserver_name = _\n"):
            (line,) = mistakes(f"{before}{PLAIN}https_redirect = on\n")
            self.assertIn("[location:/] https_redirect: there is no server_name here", line)

    def test_server_names(self):
        """One name has one server on an address; only one takes every name."""
        pair = "[server:a]\nserver_name = {}\n[server:b]\nserver_name = {}\n"
        self.check(
            PLAIN + pair.format("x.test", "y.test X.test"),
            "x.ini:6: [server:b] server_name: another server has the name 'x.test' too (line 4)",
        )
        self.check(
            f"{PLAIN}[server:a]\n[server:b]\n",
            "x.ini:4: [server:b] server_name: another server takes every name too (line 3)",
        )
        (line,) = mistakes(f"{PLAIN}[server:a]\nserver_name = a..b")
        self.assertIn("a server name looks like", line)

    def test_caches(self):
        """A cache has a directory of its own."""
        self.check(f"{PLAIN}[cache:a]\n", "x.ini:3: [cache:a] path: it is missing: the directory")
        self.check(
            f"{PLAIN}[cache:a]\npath = /c\n[cache:b]\npath = /c/\n",
            "x.ini:6: [cache:b] path: another cache has the same directory (line 4)",
        )
        (line,) = mistakes(f"{PLAIN}[cache:a]\npath = /c\nblock_size = 3k\n")
        self.assertIn("a power of two", line)

    def test_daemon(self):
        """Words of the daemon's options."""
        for option, wanted in (
            ("workers = atuo", "(did you mean 'auto'?)"),
            ("workers = 5000", "from 0 to 1024"),
            ("access_log = /x combind", "(did you mean 'combined'?)"),
            ("error_log = /x wran", "(did you mean 'warn'?)"),
            ("user = a b", "it is one word"),
        ):
            (line,) = mistakes(f"{PLAIN}[s3shield]\n{option}")
            self.assertIn(wanted, line)


class Keys(SynchronousTestCase):
    """Buckets whose parts do not go together."""

    def check(self, text, wanted, **more):
        """Exactly one line, with `wanted` in it, and no secret."""
        (line,) = mistakes(text, **more)
        self.assertIn(wanted, line)
        for secret in (SECRET, SIGNING_KEY, SECRET[:8], SIGNING_KEY[:8], "hunter"):
            self.assertNotIn(secret, line)

    def test_missing(self):
        """Each part that is needed is asked for by name."""
        for name, wanted in (
            ("aws_s3_bucket", "x.ini:3: [bucket:media] aws_s3_bucket: it is missing"),
            ("aws_access_key", "x.ini:3: [bucket:media] aws_access_key: it is missing"),
            (
                "aws_secret_key",
                "x.ini:3: [bucket:media] aws_signing_key: it is missing: a key to sign",
            ),
            ("aws_region", "x.ini:3: [bucket:media] aws_region: it is missing"),
        ):
            self.check(with_bucket(without=[name]), wanted)

    def test_scoped_keys(self):
        """A scoped key: base64 of 32 bytes, with its scope, of the same region."""
        for lines, wanted in (
            ((f"aws_signing_key = {SIGNING_KEY}",), "aws_key_scope: it is missing"),
            ((f"aws_key_scope = {SCOPE}",), "aws_signing_key: it is missing"),
            (
                ("aws_signing_key = hunter!", f"aws_key_scope = {SCOPE}"),
                "x.ini:8: [bucket:media] aws_signing_key: the signing key is not valid base64",
            ),
            (
                ("aws_signing_key = aHVudGVy", f"aws_key_scope = {SCOPE}"),
                "a signing key has 32 bytes, this one has 6",
            ),
            (
                (f"aws_signing_key = {SIGNING_KEY}", f"aws_key_scope = {SIGNING_KEY}"),
                "x.ini:9: [bucket:media] aws_key_scope: a key scope looks like",
            ),
            (
                (f"aws_signing_key = {SIGNING_KEY}", "aws_key_scope = 20261301/a/s3/aws4_request"),
                "the calendar has no such day",
            ),
            (
                (
                    f"aws_signing_key = {SIGNING_KEY}",
                    f"aws_key_scope = {SCOPE.replace('eu-', 'us-')}",
                ),
                "x.ini:6: [bucket:media] aws_region: the region is 'eu-central-1', but the key scope is for 'us-central-1'",
            ),
        ):
            self.check(with_bucket(*lines, without=["aws_secret_key"]), wanted)

    def test_both(self):
        """Two kinds of key at once."""
        self.check(
            with_bucket(f"aws_signing_key = {SIGNING_KEY}", f"aws_key_scope = {SCOPE}"),
            "x.ini:9: [bucket:media] aws_signing_key: give one of aws_secret_key and aws_signing_key",
        )
        self.check(with_bucket(f"aws_key_scope = {SCOPE}"), "goes with aws_signing_key")

    def test_version2(self):
        """Version 2 has no scoped keys and no temporary credentials."""
        scoped = (f"aws_signing_key = {SIGNING_KEY}", f"aws_key_scope = {SCOPE}", "aws_sign = v2")
        self.check(
            with_bucket(*scoped, without=["aws_secret_key"]), "version 2 needs aws_secret_key"
        )
        self.check(
            with_bucket("aws_sign = v2-query", "aws_session_token = hunter"),
            "aws_session_token: temporary",
        )
        self.check(
            with_bucket("aws_sign = v5"),
            "aws_sign: it is v4, v4-query, v2, v2-query or off, not: 'v5'",
        )

    def test_endpoint(self):
        """The complaint is about the option that is wrong."""
        for option, value, wanted in (
            ("aws_endpoint", "ftp://x", "aws_endpoint: an endpoint is http:// or https://"),
            ("aws_s3_bucket", "a/b", "aws_s3_bucket: 'a/b' cannot be the name of a bucket"),
            (
                "aws_endpoint",
                "my-private-bucket.s3.eu-central-1.amazonaws.com",
                "aws_endpoint: the endpoint begins with the bucket's name",
            ),
            ("aws_region", "eu central", "aws_region: 'eu central' cannot be the region"),
        ):
            self.check(with_bucket(f"{option} = {value}", without=[option]), wanted)
        self.check(
            with_bucket(
                "aws_endpoint = 127.0.0.1:9000",
                "aws_addressing = virtual",
                without=["aws_endpoint"],
            ),
            "x.ini:9: [bucket:media] aws_addressing: no bucket name can precede the address",
        )

    def test_secrets_never_shown(self):
        """Bad secrets, in whatever way, and secrets in the wrong place are not quoted."""
        for line, wanted in (
            ("aws_secret_key = hunter 2hunter", "no white space"),
            ("aws_secret_key =\n  hunter\n  hunter2", "there is no value"),
            ("aws_session_token = hunter é", "the session token"),
            ("aws_secret_key = ***", "masked by `check --dump`"),
        ):
            self.check(
                with_bucket(line, without=["aws_secret_key"] if "secret" in line else []), wanted
            )
        self.check(
            with_bucket("aws_presign_lifetime = env:HUNTER"),
            "a time looks like",
            environ={"HUNTER": "hunter2"},
        )
        self.check(
            with_bucket("aws_sign = env:HUNTER"),
            "aws_sign: it is v4",
            environ={"HUNTER": "hunter2"},
        )
        self.check(
            with_bucket("aws_endpoint = env:X", without=["aws_endpoint"]),
            "aws_endpoint: no host name: '***'",
            environ={"X": "hunter_!"},
        )
        self.check(with_bucket("aws_secretkye = hunter2"), "did you mean 'aws_secret_key'")
        self.check(
            with_bucket(f"{SIGNING_KEY[:20].replace('/', 'x')} = x"), "this cannot be the name"
        )

    def test_indirect(self):
        """`env:` and `file:` name what is not there."""
        for value, wanted in (
            ("env:NOPE", "aws_secret_key: there is no environment variable 'NOPE'"),
            ("file:/nope", "aws_secret_key: cannot read /nope: No such file or directory"),
            ("env:EMPTY", "aws_secret_key: there is no value"),
        ):
            self.check(
                with_bucket(f"aws_secret_key = {value}", without=["aws_secret_key"]),
                wanted,
                environ={"EMPTY": ""},
            )

    def test_key_file(self):
        """A key file is read, and what is wrong in it is told by its line."""
        for files, wanted in (
            ({}, "cannot read k: No such file"),
            ({"k": "hunter"}, "k: line 1: a key is followed by the line of its scope"),
            (
                {"k": f"{SIGNING_KEY}\n{SCOPE}\n".replace("eu-central", "us-east")},
                "k: no key in it is for eu-central-1/s3, only for us-east-1/s3",
            ),
        ):
            self.check(
                with_bucket("aws_signing_key_file = k", without=["aws_secret_key"]),
                wanted,
                files=files,
            )
        both = f"{SIGNING_KEY}\n{SCOPE}\n{SIGNING_KEY}\n{SCOPE.replace('eu-central', 'us-east')}\n"
        self.check(
            with_bucket("aws_signing_key_file = k", without=["aws_secret_key", "aws_region"]),
            "there are keys for eu-central-1 and us-east-1 in it: say which with aws_region",
            files={"k": both},
        )

    def test_sources(self):
        """Credentials from the environment, or from where they cannot come yet."""
        text = with_bucket("aws_credentials = env", without=["aws_secret_key", "aws_access_key"])
        self.check(text, "there is no environment variable 'AWS_ACCESS_KEY_ID'")
        self.check(with_bucket("aws_credentials = env"), "not from here too")
        self.check(with_bucket("aws_credentials = imds"), "from the source imds: not from here too")
        bare = ["aws_secret_key", "aws_access_key"]
        own = with_bucket().replace(
            "bucket = media\n", "bucket = media\naws_credentials = imds\n", 1
        )
        self.assertEqual(mistakes(own), [])
        for lines, wanted in (
            ("aws_credentials = profile:", "named as profile:NAME"),
            ("aws_credentials = profile:a b", "named as profile:NAME"),
            ("aws_credentials = chian", "(did you mean 'chain'?)"),
            ("aws_credentials = ecs\naws_sign = v2", "temporary credentials are for version 4"),
            ("aws_credentials = ecs\naws_role_arn = reader", "a role looks like arn:aws:iam::"),
            ("aws_credentials = ecs\naws_role_session_name = me", "aws_role_arn, which is missing"),
            (f"aws_credentials = ecs\n{ROLE}\naws_role_session_name = a b", "2 to 64 letters"),
        ):
            self.check(with_bucket(lines, without=bare), wanted)
        scoped = f"aws_signing_key = {SIGNING_KEY}\naws_key_scope = {SCOPE}"
        self.check(
            with_bucket(f"{scoped}\n{ROLE}", without=["aws_secret_key"]),
            "a role is assumed with a secret, not with a scoped key",
        )
        self.check(with_bucket("aws_sign = v2\n" + ROLE), "temporary credentials are for version 4")
        for lines in ("aws_credentials = imds", f"aws_credentials = chain\n{ROLE}"):
            text = with_bucket(lines, without=bare)
            self.check(text, "pip install 's3shield[aws]'", installed=False)
            self.assertEqual(mistakes(text), [])
        self.check(with_bucket(ROLE), "pip install 's3shield[aws]'", installed=False)
        self.check(with_bucket("aws_credentials = evn"), "(did you mean 'env'?)")


class All(SynchronousTestCase):
    def test_all_at_once(self):
        """Mistakes of every section are told together, in the order of their lines."""
        text = """\
        [s3shield]
        workers = many
        [cache:main]
        max_size = 10x
        [bucket:media]
        aws_sing = v4
        aws_s3_bucket = b
        aws_access_key = AKIA
        [location:/]
        bucket = medium
        rewrite = ( /
        proxy_cache = mane
        """
        self.assertEqual(
            [
                (int(line.split(":")[1]), line.split("] ")[1].split(":")[0])
                for line in mistakes(text)
            ],
            [
                (2, "workers"),
                (3, "path"),
                (4, "max_size"),
                (5, "aws_signing_key"),
                (6, "aws_sing"),
                (10, "bucket"),
                (11, "rewrite"),
                (12, "proxy_cache"),
            ],
        )

    def test_inherited_once(self):
        """A mistake that many locations inherit is told once, where it is."""
        text = f"[s3shield]\nmax_ranges = x\n[server:a]\n[server:b]\nserver_name = b.test\n{PLAIN}"
        self.assertEqual(len(mistakes(text)), 1)

    def test_unreadable(self):
        """A file that is not there, or not text, is a mistake like the others."""
        with self.assertRaises(ConfigErrors) as caught:
            load("/nowhere/x.ini")
        self.assertEqual(
            caught.exception.render(),
            "/nowhere/x.ini: it cannot be read: No such file or directory",
        )
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"[s3shield]\n\xff\n")
        with self.assertRaises(ConfigErrors) as caught:
            load(path)
        self.assertEqual(caught.exception.render(), f"{path}:2: it is not UTF-8 text")

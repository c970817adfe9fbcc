"""Small configurations, each about one thing that is easily taken over wrongly."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Imported, ImportFailed, Weight
from s3shield.signing import SignMode

from .fixture import imported, lets_in, loaded, need_crossplane, notes, places

KEYS = """
    aws_access_key AKIAIOSFODNN7EXAMPLE;
    aws_key_scope 20260226/us-east-1/s3/aws4_request;
    aws_signing_key jcUxLpCwJR0mSxAnb6gcJ8dBw1+x+2TNMwABi0eLyLc=;
"""
BUCKET = "proxy_pass https://bbb.s3.amazonaws.com;"


def answered(what: Imported, path: bytes, host: bytes = b"x.example") -> object:
    """Return what a stranger's GET meets: 404, 405 for refused, or (origin, key)."""
    config = loaded(what)
    route = config.routing().find(host, path, None)
    if route is None:
        return 404
    location = config.locations[route.number]
    return (location.origin_name, route.key) if lets_in(location) else 405


class NginxAccessTests(SynchronousTestCase):
    """Nobody gets in who was kept out."""

    def setUp(self):
        need_crossplane()

    def test_restrictions(self):
        """Each way to keep somebody out closes the location, wherever it is said."""
        for said in (
            "deny all; set_real_ip_from 10.0.0.0/8;",
            'auth_basic "x"; auth_basic_user_file f;',
            "auth_request /auth;",
            "auth_jwt x token=$cookie_t;",
            "auth_unheard_of on;",
            "ssl_verify_client on;",
            "access_by_lua_file /x.lua;",
            "if ($http_referer !~ example) { return 403; }",
            "if ($blocked) { return 444; }",
        ):
            location = f"location / {{ {BUCKET} }}"
            for text in (
                f"server {{ location / {{ {said} {BUCKET} }} }}",
                f"server {{ {said} {location} }}",
                f"http {{ server {{ {said} location /a {{ {location} }} }} }}",
                f"http {{ server {{ location / {{ {said} {location} }} }} }}",
            ):
                what = imported(text)
                self.assertEqual(405, answered(what, b"/a"), text)
                self.assertTrue(notes(what, Weight.ACCESS), text)

    def test_no_restriction(self):
        """What lets in everybody closes nothing; inner blocks take back what outer ones say."""
        for outer, inner in (
            ("", "allow all;"),
            ("deny all;", "allow all;"),
            ("auth_basic x;", "auth_basic off;"),
            ("", "if ($request_method !~ ^(GET|HEAD)$) { return 405; }"),
            ("", "limit_except GET { deny all; }"),
            ("", "limit_except GET { allow 10.0.0.0/8; deny all; }"),
            ("auth_delay 1s;", ""),
        ):
            text = f"server {{ {outer} location / {{ {inner} {BUCKET} }} }}"
            self.assertEqual(("bbb", b"/a"), answered(imported(text), b"/a"), text)

    def test_what_was_not_the_buckets(self):
        """Paths that nginx answers itself do not fall to the bucket behind them."""
        what = imported(
            f"""server {{
                location ~ /\\.git {{ return 404; }}
                location ~ \\.(git|txt)$ {{ {BUCKET} }}
                location / {{ {BUCKET} }}
                location /files/ {{ root /srv; }}
                location = /ping {{ return 200; }}
                location /app {{ fastcgi_pass 127.0.0.1:9000; }}
            }}"""
        )
        # The order of regexes stays: the first one that matches counts.
        for path in (b"/x/.git", b"/files/a", b"/ping", b"/app/x"):
            self.assertEqual(405, answered(what, path), path)
        self.assertEqual(("bbb", b"/x.txt"), answered(what, b"/x.txt"))

    def test_a_server_that_answers_itself(self):
        """A server's own return is before its locations: they are closed."""
        what = imported(f"server {{ return 403; location / {{ {BUCKET} }} }}")
        self.assertEqual(405, answered(what, b"/a"))

    def test_a_location_that_cannot_be_written(self):
        """A regex that Python has not closes the others of its server: they would take its paths."""
        what = imported(
            f"server {{ location ~ ^/(?|a|b)/ {{ deny all; {BUCKET} }} location / {{ {BUCKET} }} }}"
            f"server {{ listen 81; location / {{ {BUCKET} }} }}"
        )
        config = loaded(what)
        self.assertEqual(
            {"default /": ("bbb", True), "default-2 /": ("bbb", False)}, places(config)
        )
        self.assertTrue(any("cannot stand in the ini" in each.why for each in what.notes))

    def test_a_rewrite_of_the_server(self):
        """Before one location it goes in; before several they are closed."""
        rewrite = "rewrite ^/a/(.*)$ /public/$1;"
        one = imported(f"server {{ {rewrite} location / {{ {BUCKET} }} }}")
        self.assertEqual(("bbb", b"/public/x"), answered(one, b"/a/x"))
        two = imported(
            f"server {{ {rewrite} location / {{ {BUCKET} }} location /b {{ {BUCKET} }} }}"
        )
        self.assertEqual(405, answered(two, b"/a/x"))

    def test_closed_stays_closed(self):
        """What is said of methods besides opens nothing."""
        for text in (
            f"""server {{ if ($request_method !~ ^(GET|HEAD)$) {{ return 405; }}
                location / {{ deny all; limit_except GET {{ deny all; }} {BUCKET} }} }}""",
            """server { if ($request_method !~ ^(GET|HEAD)$) { return 405; }
                location / { rewrite ^/a/(.*)$ /r/$1 break; rewrite b /c break;
                             proxy_pass https://bbb.s3.amazonaws.com/f$uri; } }""",
        ):
            self.assertEqual(405, answered(imported(text), b"/a"), text)
        apache = """
            ProxyPass /a/ http://h/
            <Location /a>
                Require ip 10.0.0.0/8
                <LimitExcept GET HEAD>
                    Require all denied
                </LimitExcept>
            </Location>
            """
        self.assertEqual(405, answered(imported(apache, "apache"), b"/a/x"))

    def test_redirects(self):
        """A redirect is told of, and changes no path."""
        what = imported(
            f"server {{ location / {{ rewrite ^/old/(.*)$ /new/$1 permanent; {BUCKET} }} }}"
        )
        self.assertEqual(("bbb", b"/old/x"), answered(what, b"/old/x"))
        self.assertTrue(notes(what, Weight.LOST))


class NginxCertificateTests(SynchronousTestCase):
    """Servers show the certificates that they show in nginx."""

    def setUp(self):
        need_crossplane()

    def test_by_name(self):
        """Two servers at one address, one of them with two kinds of key: nothing is lost."""
        tls = "listen 443 ssl; ssl_certificate /{0}.pem; ssl_certificate_key /{0}.key;"
        more = "ssl_certificate /c.pem; ssl_certificate_key /c.key;"
        location = f"location / {{ {BUCKET} }}"
        what = imported(
            f"server {{ server_name a.test; {tls.format('a')} {more} {location} }}"
            f"server {{ server_name b.test; {tls.format('b')} {location} }}"
        )
        config = loaded(what)
        self.assertEqual([], notes(what, Weight.LOST))
        (listen,) = config.listens
        self.assertEqual(
            [
                (("a.test",), (("/a.pem", "/a.key"), ("/c.pem", "/c.key"))),
                (("b.test",), (("/b.pem", "/b.key"),)),
            ],
            [(names, shown.pairs) for names, shown in config.tls_hosts(listen)],
        )


class NginxPathTests(SynchronousTestCase):
    """Paths arrive where nginx sends them."""

    def setUp(self):
        need_crossplane()

    def test_proxy_pass(self):
        """Each form of proxy_pass: with and without a path, with variables, with groups."""
        for location, address, path, found in (
            ("/", "https://b.s3.amazonaws.com", b"/a%20b", ("b", b"/a b")),
            ("/", "https://b.s3.amazonaws.com/", b"/x", ("b", b"/x")),
            ("/a/", "https://b.s3.amazonaws.com", b"/a/x", ("b", b"/a/x")),
            ("/a/", "https://b.s3.amazonaws.com/", b"/a/x", ("b", b"/x")),
            ("/a/", "https://b.s3.amazonaws.com/p/q/", b"/a/x", ("b", b"/p/q/x")),
            ("= /a", "https://b.s3.amazonaws.com/p", b"/a", ("b", b"/p")),
            ("/a.b+/", "https://b.s3.amazonaws.com/", b"/a.b+/x", ("b", b"/x")),
            ("/", "https://b.s3.amazonaws.com$uri", b"/x", ("b", b"/x")),
            ("/", "https://b.s3.amazonaws.com/p$request_uri", b"/x", ("b", b"/p/x")),
            ("/a/", "https://b.s3.amazonaws.com/p$uri$is_args$args", b"/a/x", ("b", b"/p/a/x")),
            ("~ ^/(\\w+)/(.*)$", "https://b.s3.amazonaws.com/$2/$1", b"/a/x", ("b", b"/x/a")),
            ("~ ^/(?<k>.*)$", "https://b.s3.amazonaws.com/p/$k", b"/x", ("b", b"/p/x")),
            ("~* ^/A/(.*)$", "https://b.s3.amazonaws.com/$1", b"/a/x", ("b", b"/x")),
            ("/a/", "https://s3.eu-west-1.amazonaws.com/b/", b"/a/x", ("b", b"/x")),
            ("/a/", "https://s3-eu-west-1.amazonaws.com/b/p/", b"/a/x", ("b", b"/p/x")),
            ("/", "https://s3.amazonaws.com/b$request_uri", b"/x", ("b", b"/x")),
            ("/a/", "https://b.s3.eu-west-1.amazonaws.com:443/", b"/a/x", ("b", b"/x")),
            ("/a/", "http://10.0.0.1:9000/p/", b"/a/x", ("http://10.0.0.1:9000", b"/p/x")),
            ("/a/", "http://up/", b"/a/x", ("http://10.1.1.1:81", b"/x")),
            ("/a/", "http://$host_of/", b"/a/x", ("http://c.example", b"/x")),
            (
                "/",
                "http://b.s3-website-eu-west-1.amazonaws.com",
                b"/x",
                ("http://b.s3-website-eu-west-1.amazonaws.com", b"/x"),
            ),
        ):
            what = imported(
                "upstream up { server 10.1.1.1:81; server 10.1.1.2:81; } "
                f"server {{ set $host_of c.example; location {location} {{ proxy_pass {address}; }} }}"
            )
            self.assertEqual(found, answered(what, path), (location, address))

    def test_what_no_ini_can_say(self):
        """A host or a path of each request's own is not passed on, and is told of."""
        for address in (
            "https://$arg_b.s3.amazonaws.com",
            "https://b.s3.amazonaws.com/$arg_x",
            "http://user:secretpw@h/",
            "unix:/x",
            "https://b.s3.amazonaws.com/a?b=c",
        ):
            with self.assertRaises(ImportFailed) as caught:
                imported(f"server {{ location / {{ proxy_pass {address}; }} }}")
            self.assertIn("nothing in it that is passed on", str(caught.exception))
            self.assertNotIn("secretpw", str(caught.exception))

    def test_own_rewrites_go_first(self):
        """A rewrite that matches is what is asked for; else proxy_pass's path."""
        what = imported(
            "server { location /a/ { rewrite ^/a/old/(.*)$ /new/$1 break; "
            "proxy_pass https://b.s3.amazonaws.com/p/; } }"
        )
        self.assertEqual(("b", b"/new/x"), answered(what, b"/a/old/x"))
        self.assertEqual(("b", b"/p/x"), answered(what, b"/a/x"))

    def test_nested_locations(self):
        """Those inside are tried first, whatever depth they have, with groups of their own."""
        what = imported(
            """server {
                location ~ \\.mp4$ { proxy_pass http://late; }
                location ^~ /a/b/own/ { deny all; proxy_pass http://own; }
                location /a { proxy_pass http://a;
                    location ~ ^/A/([a-z]+)/(.*)$ { proxy_pass http://never; }
                    location ~* ^/(a)/(b|c)/ { proxy_pass http://two/$1/$2;
                        location ~ ^/a/(c)/(.*[.]mp4)$ { proxy_pass http://three/$2; }
                        location ~ /$ { return 404; }
                    }
                }
            }"""
        )
        for path, found in (
            (b"/a/b/x.mp4", ("http://two", b"/a/b")),
            (b"/a/c/x.mp4", ("http://three", b"/x.mp4")),
            (b"/a/c/", 405),
            (b"/a/d/x.mp4", ("http://late", b"/a/d/x.mp4")),
            (b"/a/x", ("http://a", b"/a/x")),
            (b"/a/b/own/x.mp4", 405),
            (b"/A/b/", 404),
        ):
            self.assertEqual(found, answered(what, path), path)

    def test_groups_of_the_rewrite(self):
        """ngx_aws_auth's own README: proxy_pass with the group of the rewrite before it."""
        what = imported(
            f"""server {{ {KEYS} aws_s3_bucket your_s3_bucket;
                location /myfiles {{
                    rewrite /myfiles/(.*) /$1 break;
                    proxy_pass http://your_s3_bucket.s3.amazonaws.com/$1;
                    aws_sign;
                }} }}"""
        )
        self.assertEqual(("your_s3_bucket", b"/a/b"), answered(what, b"/myfiles/a/b"))
        self.assertEqual(("your_s3_bucket", b"/"), answered(what, b"/myfilesOther"))

    def test_index_documents(self):
        """A rewrite that adds to $uri."""
        what = imported(
            'server { location / { rewrite /$ "${uri}index.html" break; proxy_pass http://h; } }'
        )
        self.assertEqual(("http://h", b"/a/index.html"), answered(what, b"/a/"))
        self.assertEqual(("http://h", b"/a/b"), answered(what, b"/a/b"))

    def test_request_uri(self):
        """$request_uri is the path as it came: rewrites count for nothing."""
        what = imported(
            "server { location / { rewrite ^/a/(.*)$ /b/$1 break; proxy_pass http://h$request_uri; } }"
        )
        self.assertEqual(("http://h", b"/a/x"), answered(what, b"/a/x"))

    def test_a_fallback_by_name(self):
        """`try_files $uri @s3` goes to the bucket; the files are told of; guards count."""
        text = """server {
            location / { try_files $uri @s3; }
            location /private/ { deny all; try_files $uri @s3; }
            location @s3 { rewrite ^/(.*)$ /p/$1 break; proxy_pass https://b.s3.amazonaws.com; }
        }"""
        what = imported(text)
        self.assertEqual(("b", b"/p/x"), answered(what, b"/x"))
        self.assertEqual(405, answered(what, b"/private/x"))
        # What the fallback allows does not open the door to it.
        what = imported(text.replace("rewrite", "allow all; rewrite"))
        self.assertEqual(405, answered(what, b"/private/x"))

    def test_servers(self):
        """Unknown names go where nginx sends them, by `default_server` or by the order."""
        text = """
            server {{ listen 80{0}; server_name a.example; location / {{ proxy_pass http://a; }} }}
            server {{ listen 80{1}; server_name b.example; location / {{ proxy_pass http://b; }} }}
            server {{ listen 80; server_name _; location / {{ proxy_pass http://c; }} }}
        """
        for first, second, host, origin in (
            ("", "", b"unknown", "http://a"),
            ("", " default_server", b"unknown", "http://b"),
            ("", " default_server", b"a.example", "http://a"),
            (" default_server", "", b"unknown", "http://a"),
        ):
            what = imported(text.format(first, second))
            self.assertEqual((origin, b"/"), answered(what, b"/", host))
            self.assertTrue(any("no request came here" in each.why for each in what.notes))


class NginxSigningTests(SynchronousTestCase):
    """Who signs, with what."""

    def setUp(self):
        need_crossplane()

    def bucket(self, text: str):
        """Return the one bucket."""
        (found,) = loaded(imported(text)).buckets.values()
        return found

    def test_aws_sign_is_not_inherited(self):
        """As in ngx_aws_auth, a server's aws_sign signs nothing, and that is told."""
        text = f"server {{ {KEYS} aws_s3_bucket bbb; aws_sign; location / {{ {BUCKET} }} }}"
        self.assertEqual(SignMode.OFF, self.bucket(text).sign)
        self.assertTrue(any("aws_sign" in each for each in notes(imported(text), Weight.LOST)))

    def test_keys_are_inherited(self):
        """Keys come from the nearest block that has them."""
        text = (
            f"http {{ {KEYS} server {{ aws_s3_bucket bbb; location / {{ aws_sign; {BUCKET} }} }} }}"
        )
        self.assertEqual("AKIAIOSFODNN7EXAMPLE", self.bucket(text).credentials.access_key)

    def test_keys_of_run_time(self):
        """A variable's name is no key; one that is `set` to a text is that text."""
        text = """server {{ location / {{ {} proxy_pass https://bbb.s3.amazonaws.com;
            aws_access_key A; aws_secret_key $mine; s3_bucket bbb;
            proxy_set_header Authorization $s3_auth_token; }} }}"""
        lua = imported(text.format("set_by_lua $mine 'return 1';"))
        self.assertEqual([SignMode.OFF], [each.sign for each in loaded(lua).buckets.values()])
        self.assertNotIn("$mine", lua.ini)
        found = self.bucket(text.format("set $mine sesame;"))
        self.assertEqual((SignMode.V2, "sesame"), (found.sign, found.credentials.secret_key))

    def test_another_host_than_the_signed_one(self):
        """What is asked is signed for, and the difference is told."""
        text = f"server {{ {KEYS} aws_s3_bucket other; location / {{ aws_sign; {BUCKET} }} }}"
        self.assertEqual(b"bbb.s3.amazonaws.com", self.bucket(text).endpoint.authority)
        self.assertTrue(any("another host" in each.why for each in imported(text).notes))

    def test_broken_keys(self):
        """Keys that cannot be used sign nothing, and are not shown."""
        text = (
            "server { aws_access_key A; aws_key_scope 20260226/us-east-1/s3/aws4_request; "
            "aws_signing_key notAKeyAtAllButASecret; aws_s3_bucket bbb; "
            f"location / {{ aws_sign; {BUCKET} }} }}"
        )
        self.assertEqual(SignMode.OFF, self.bucket(text).sign)
        self.assertNotIn("notAKeyAtAll", "".join(map(str, imported(text).notes)))

    def test_one_bucket_for_equal_ones(self):
        """Locations with the same bucket and keys share a section; others get their own."""
        one = f"aws_sign; {BUCKET}"
        text = (
            f"server {{ {KEYS} aws_s3_bucket bbb; location / {{ {one} }} location /a {{ {one} }} }}"
        )
        self.assertEqual(["bbb"], list(loaded(imported(text)).buckets))
        text = f"server {{ {KEYS} location / {{ {one} }} location /a {{ {BUCKET} }} }}"
        self.assertEqual({"bbb", "bbb-2"}, set(loaded(imported(text)).buckets))


class NginxCacheTests(SynchronousTestCase):
    """What is stored for whom."""

    def setUp(self):
        need_crossplane()

    def caches(self, text: str) -> list[str | None]:
        """Return the cache of each location."""
        what = imported(f"proxy_cache_path /c keys_zone=z:1m; {text}")
        return [each.cache for each in loaded(what).locations]

    def test_conditions_that_cannot_be_kept(self):
        """Without them the answer for one client would be stored for all: nothing is stored."""
        proxied = "proxy_cache z; proxy_pass http://a;"
        for said in (
            "proxy_no_cache $mine;",
            "proxy_cache_bypass $cookie_ok $mine;",
            "proxy_cache_key $uri$mine;",
            'proxy_no_cache "a\nb";',
        ):
            for text in (
                f"server {{ location / {{ {said} {proxied} }} }}",
                f"server {{ {said} location / {{ {proxied} }} }}",
                f"http {{ {said} server {{ location / {{ {proxied} }} }} }}",
            ):
                self.assertEqual([None], self.caches(text), text)
        self.assertEqual(
            ["z"], self.caches(f"server {{ location / {{ proxy_no_cache $cookie_a; {proxied} }} }}")
        )

    def test_a_zone_that_is_nowhere(self):
        """A cache without its path gets one, and that is told."""
        what = imported("server { location / { proxy_cache y; proxy_pass http://a; } }")
        self.assertEqual(["y"], list(loaded(what).caches))
        self.assertTrue(any("no proxy_cache_path" in each.why for each in what.notes))

    def test_headers_of_outer_blocks(self):
        """A location's own add_header ends those of the server, even when it adds our own."""
        text = (
            "server { add_header A 1; location / { add_header X-Cache-Status "
            "$upstream_cache_status; proxy_pass http://a; } location /b { proxy_pass http://a; } }"
        )
        first, second = loaded(imported(text)).locations
        self.assertEqual([], [field for field in first.policy.add_headers if field[1]])
        self.assertEqual([(b"A", b"1")], list(second.policy.add_headers))


class ApacheTests(SynchronousTestCase):
    """Apache's."""

    def test_access_of_hosts(self):
        """A host keeps clients out of what all hosts have, for itself alone."""
        what = imported(
            """
            ProxyPass /a/ http://127.0.0.1:1/
            <VirtualHost *:80>
                ServerName x.example
                <Location /a/b>
                    Require ip 10.0.0.0/8
                </Location>
            </VirtualHost>
            <VirtualHost *:80>
                ServerName y.example
            </VirtualHost>
            <VirtualHost *:80>
                ServerName z.example
                SSLVerifyClient require
            </VirtualHost>
            """,
            "apache",
        )
        inside = ("http://127.0.0.1:1", b"/b/x")
        self.assertEqual(405, answered(what, b"/a/b/x"))
        self.assertEqual(inside, answered(what, b"/a/b/x", b"y.example"))
        self.assertEqual(405, answered(what, b"/a/b/x", b"z.example"))

    def test_the_last_section_counts(self):
        """Sections are merged in their order; what a later one grants is open."""
        for first, second, open_ in (
            ("Require all denied", "Require all granted", True),
            ("Require all granted", "Require all denied", False),
            ("Order allow,deny", "Allow from all", True),
            ("Require ip 10.0.0.1", "ProxyTimeout 5", False),
        ):
            what = imported(
                f"ProxyPass /a/ http://h/\n<Location /a>\n{first}\n</Location>\n"
                f"<Location /a>\n{second}\n</Location>\n",
                "apache",
            )
            found = answered(what, b"/a/x")
            self.assertEqual(("http://h", b"/x") if open_ else 405, found, (first, second))

    def test_restrictions(self):
        """Each way to keep somebody out closes the location; what lets in all does not."""
        text = """
            <VirtualHost *:80>
                ServerName x.example
                SSLEngine {}
                SSLCertificateFile /c
                ProxyPass /a/ http://h/
                <{} "{}">
                    {}
                </{}>
            </VirtualHost>
            """
        for where, at in (("Location", "/a/"), ("Proxy", "http://h/"), ("ProxyMatch", "^http")):
            for engine, said, closed in (
                ("off", "Require all granted", False),
                ("off", "Allow from all", False),
                ("off", "Require valid-user", True),
                ("off", "Require all denied", True),
                ("off", "Order deny,allow\nDeny from all", True),
                ("off", "<RequireNone>\nRequire all granted\n</RequireNone>", True),
                ("off", "<RequireAll>\nRequire not ip 1.2.3.4\n</RequireAll>", True),
                ("off", "SSLRequire %{SSL_CIPHER} eq x", True),
                ("off", "SSLRequireSSL", True),
                ("on", "SSLRequireSSL", False),
                ("off", "SSLVerifyClient require", True),
                ("off", "RewriteRule .* - [F]", True),
                ("off", "<LimitExcept GET>\nRequire all denied\n</LimitExcept>", False),
            ):
                what = imported(text.format(engine, where, at, said, where), "apache")
                found = answered(what, b"/a/x")
                self.assertEqual(closed, found == 405, (where, said))

    def test_paths(self):
        """ProxyPass in its forms; whole segments only, as Apache matches them."""
        for line, path, found in (
            ("ProxyPass /a http://h/p", b"/a/x", ("http://h", b"/p/x")),
            ("ProxyPass /a http://h/p", b"/ab", 404),
            ("ProxyPass / http://h/", b"/x", ("http://h", b"/x")),
            ("ProxyPassMatch ^/(.*\\.mp4)$ http://h/v/$1", b"/x.mp4", ("http://h", b"/v/x.mp4")),
            ("ProxyPassMatch ^(/.*)$ http://h$1", b"/x", ("http://h", b"/x")),
            ("RewriteRule ^/a/(.*)$ http://h/$1 [P]", b"/a/x", ("http://h", b"/x")),
            ("ProxyPass /a/ !\nProxyPass / http://h/", b"/a/x", 405),
            ("ProxyPass / https://b.s3.eu-west-1.amazonaws.com/", b"/x", ("b", b"/x")),
            ("ProxyPass / https://s3.eu-west-1.amazonaws.com/b/p/", b"/x", ("b", b"/p/x")),
        ):
            self.assertEqual(found, answered(imported(f"{line}\n", "apache"), path), line)

    def test_signing(self):
        """S3Region and S3UseHeaders choose among the four ways to sign."""
        for lines, mode in (
            ("S3Region eu-west-1\nS3UseHeaders on", SignMode.V4),
            ("S3Region eu-west-1", SignMode.V4_QUERY),
            ("S3UseHeaders on", SignMode.V2),
            ("S3UseHeaders off", SignMode.V2_QUERY),
        ):
            what = imported(
                f'<Proxy "http://bbb.store.example/">\nS3AccessKey A\nS3SecretKey s\n{lines}\n</Proxy>\n'
                "ProxyPass / http://bbb.store.example/\n",
                "apache",
            )
            (bucket,) = loaded(what).buckets.values()
            self.assertEqual(mode, bucket.sign)
            self.assertEqual(b"bbb.store.example", bucket.endpoint.authority)

    def test_defined(self):
        """<IfDefine> holds by Define and by what Apache is started with; else it is told of."""
        text = """
            <IfDefine STORE>
                ProxyPass /a/ ${STORE}
            </IfDefine>
            <IfDefine !STORE>
                ProxyPass /a/ http://other/
            </IfDefine>
            ProxyPass /b/ http://b/
            """
        for more, defined, found in (
            ("", {"STORE": "http://s/"}, ("http://s", b"/x")),
            ("Define STORE http://t/\n", {}, ("http://t", b"/x")),
            ("", {}, 404),
        ):
            what = imported(more + text, "apache", defined)
            self.assertEqual(found, answered(what, b"/a/x"))
            told = [note for note in notes(what, Weight.LOST) if "IfDefine" in note]
            self.assertEqual(2 if found == 404 else 0, len(told))

    def test_no_address(self):
        """A section without an address, as some pages print the guide, says what is missing."""
        text = '<Proxy "">\nS3AccessKey A\nS3SecretKey s\n</Proxy>\n'
        with self.assertRaises(ImportFailed):
            imported(text, "apache")
        what = imported(f"{text}ProxyPass / http://h/\n", "apache")
        self.assertTrue(any("it names no address" in each.why for each in what.notes))


class MaskTests(SynchronousTestCase):
    """Notes are pasted into tickets."""

    def test_secrets(self):
        """What is a secret, or looks like one, is not shown, wherever it stands."""
        need_crossplane()
        for line, secret in (
            ("aws_secret_key abcd1234;", "abcd1234"),
            ('proxy_set_header Authorization "Basic dXNlcjpwYXNz";', "dXNlcjpwYXNz"),
            ("proxy_set_header X-Api-Key k3yk3yk3y;", "k3yk3yk3y"),
            ("set $my_secret pepper99;", "pepper99"),
            ("unheard https://user:hunter2@h/;", "hunter2"),
            ("unheard https://h/?X-Amz-Signature=abc123def;", "abc123def"),
            ("unheard wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY;", "wJalrXUt"),
            ("unheard 0123456789abcdef0123456789abcdef;", "0123456789abcdef"),
            ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY;", "wJalrXUt"),
            ('secure_link_md5 "$uri pepper";', "pepper"),
            ("unheard password=hunter2;", "hunter2"),
            ("aws_secret_key abcd1234; unheard abcd1234;", "abcd1234"),
        ):
            what = imported(f"server {{ {line} location / {{ proxy_pass http://a; }} }}")
            shown = "".join(map(str, what.notes))
            self.assertIn("***", shown, line)
            self.assertNotIn(secret, shown, line)

    def test_words_and_paths_are_shown(self):
        """What is plain stays readable."""
        need_crossplane()
        for line in (
            "unheard /var/www/html/some/long/path/to/a/file.html;",
            "unheard keys_zone=cache:10m;",
            "unheard https://my-private-bucket.s3.eu-central-1.amazonaws.com;",
            "unheard application/vnd.openxmlformats-officedocument;",
        ):
            what = imported(f"server {{ {line} location / {{ proxy_pass http://a; }} }}")
            self.assertEqual([f"1 {line[:-1]}"], notes(what, Weight.LOST))

"""What is no configuration, or a broken one: one clear line, nothing leaked, no crash."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.importing import Imported, ImportFailed, Weight, import_file

from .fixture import DATA, imported, loaded, need_crossplane, notes, places

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
_NGINX_WORDS = st.sampled_from(
    [
        *("server", "location", "http", "upstream", "if", "{", "}", "{", "}", ";", ";", ";"),
        *("/", "= /a", "^~ /b", "~ ^/c/(.*)$", "~* \\.x$", "~ (", "@n", "'", '"', "\\", "#", "\n"),
        *("proxy_pass", "https://b.s3.amazonaws.com", "http://u/p/", "https://$h/$1", "http://["),
        *(
            "aws_sign",
            "aws_s3_bucket",
            "my_b",
            "aws_key_scope",
            "20260226/us-east-1/s3/aws4_request",
        ),
        *("aws_signing_key", "aws_access_key", "A", "rewrite", "^/(.*)$", "/$1", "break", "last"),
        *(
            "proxy_cache",
            "z",
            "proxy_cache_valid",
            "200",
            "any",
            "1m",
            "0",
            "99999999d",
            "off",
            "on",
        ),
        *("proxy_cache_key", "$uri$x", "proxy_no_cache", "$cookie_a", "add_header", "X", "a b ;c"),
        *(
            "listen",
            "80",
            "443",
            "ssl",
            "[::]:80",
            "unix:/a",
            "server_name",
            "_",
            "x.example",
            "*.y",
        ),
        *(
            "ssl_certificate",
            "/c.pem",
            "deny",
            "allow",
            "all",
            "return",
            "403",
            "include",
            "x",
            "*",
        ),
        *(
            "set",
            "$h",
            "file:/etc/passwd",
            "env:HOME",
            "client_max_body_size",
            "-1",
            "limit_except",
        ),
        *("proxy_cache_path", "keys_zone=z:1m", "max_size=x", "access_log", "error_log", "user"),
    ]
)
_APACHE_LINES = st.sampled_from(
    [
        *("<VirtualHost *:80>", "</VirtualHost>", "<VirtualHost>", "<Location />", "</Location>"),
        *("<Location /a>", '<LocationMatch "^/(b">', "</LocationMatch>", '<Proxy "">', "</Proxy>"),
        *('<Proxy "https://b.s3.eu-west-1.amazonaws.com/">', "<Proxy *>", "<IfModule x>"),
        *("</IfModule>", "<If true>", "</If>", "<Directory /a>", "</Directory>", "<", ">", "</>"),
        *("S3SecretKey s", "S3AccessKey A", "S3Region eu-west-1", "S3UseHeaders on", "S3Region !"),
        *("ProxyPass / https://b.s3.eu-west-1.amazonaws.com/", "ProxyPass /a !", "ProxyPass a"),
        *("ProxyPass /x/ http://127.0.0.1:1/y", "ProxyPassMatch ^/(.*)$ http://a/$1"),
        *(
            "ProxyPassMatch ( http://a/$1",
            "IsmProxyPass http://b.s3.amazonaws.com/",
            "Require ip 1",
        ),
        *(
            "Require all granted",
            "ServerName x.example",
            "ServerAlias",
            "SSLEngine on",
            "Listen 80",
        ),
        *("RewriteRule ^/a - [F]", "RewriteRule ( http://a/ [P]", "Header set X y", "Header"),
        *("ProxySet timeout=x max=-1", "CacheEnable disk /", "CacheRoot /c", "CacheLock maybe"),
        *("Include x.conf", "Define A b", '"', "\\", "a\\", "#", "S3SecretKey file:/x", "x \x0b y"),
    ]
)


def nested(deep: int) -> str:
    """Return blocks within blocks."""
    return "location / {" * deep + "}" * deep


class BrokenTests(SynchronousTestCase):
    """One case each."""

    def refused(self, text: str, kind: str) -> str:
        """Import what is broken; return what is said, without the file's name."""
        with self.assertRaises(ImportFailed) as caught:
            imported(text, kind)
        return str(caught.exception).rpartition("x.conf")[2]

    def test_nginx(self):
        """A brace, a quote or a semicolon that is missing, or too deep: the line and why."""
        need_crossplane()
        block = "server { location / { proxy_pass http://a; }"
        for text, said in (
            (
                f"{block}\n",
                ":1: the file ends inside a block or a quote: a } or a quote is missing",
            ),
            (f"{block} }}\n}}\n", ":2: a } without its {"),
            (
                f"{block} }}\nuser",
                ":2: the file ends inside a directive or a quote: a ; or a quote is missing",
            ),
            (f"{block} }}\n'user x;\n", ":2: the file ends inside"),
            ("server {\n listen 80 }\n", ":2: a directive does not end in ;"),
            ("{ }\n", ":1: a { without a name"),
            (nested(101), ":1: blocks are nested too deeply"),
            (nested(50_000), ":1: blocks are nested too deeply"),
        ):
            found = self.refused(text, "nginx")
            self.assertTrue(found.startswith(said), (text[:40], found))

    def test_apache(self):
        """A section that is not closed, closes another, or a quote left open."""
        for text, said in (
            ("<Location />\n", ":1: <Location> is never closed: </Location> is missing"),
            ("<Location />\n</Proxy>\n", ":2: </Proxy> closes nothing that is open here"),
            ("</Location>\n", ":1: </Location> closes nothing that is open here"),
            ("<Location /\n", ":1: a section begins with <NAME ...>"),
            ("ServerName 'x\n", ":1: a quote is not closed"),
            ("ServerName x\n+/abc=\n", ":2: this is neither a directive nor a section"),
            ("<IfModule a>\n" * 101, ":101: sections are nested too deeply"),
        ):
            self.assertEqual(said, self.refused(text, "apache"))

    def test_a_secret_on_a_line_of_its_own(self):
        """A key that stands where a directive should is not repeated."""
        need_crossplane()
        for kind, text in (
            ("apache", f"S3SecretKey\n{SECRET}\n"),
            ("nginx", f"server {{ aws_secret_key {SECRET} }}\n"),
            ("nginx", f"server {{ aws_secret_key\n{SECRET}"),
        ):
            self.assertNotIn(SECRET[:6], self.refused(text, kind))

    def test_not_text(self):
        """Binary, another encoding, a directory, a pipe, a device: refused before it is parsed."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "x"
            for data, said in (
                (b"server\n{\0}\n", ":2: it is not text: there is a NUL in it"),
                (b"a\n\xff\xfe\n", ":2: it is not UTF-8 text"),
            ):
                path.write_bytes(data)
                with self.assertRaises(ImportFailed) as caught:
                    import_file(str(path), "apache")
                self.assertEqual(f"{path}{said}", str(caught.exception))
            pipe = str(Path(directory) / "pipe")
            os.mkfifo(pipe)
            for other in (directory, pipe, "/dev/zero"):
                with self.assertRaises(ImportFailed) as caught:
                    import_file(other)
                self.assertEqual(f"{other}: it is not a file", str(caught.exception))

    def test_huge(self):
        """What is larger than any configuration is refused, not read."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "x"
            with path.open("wb") as file:
                file.truncate(1 << 40)
            with self.assertRaises(ImportFailed) as caught:
                import_file(str(path))
            self.assertIn("it is too large: 4 MiB", str(caught.exception))

    def test_includes(self):
        """A circle of includes ends with a line; a missing file is noted, a missing glob not."""
        need_crossplane()
        text = "server { location / { proxy_pass http://a; } }\n"
        with self.assertRaises(ImportFailed) as caught:
            imported(f"include y.conf;\n{text}", y_conf="include x.conf;\n")
        self.assertIn("y.conf:1: a file includes itself", str(caught.exception))
        what = imported(f"include gone.conf;\ninclude gone/*.conf;\n{text}")
        self.assertEqual(["1 include gone.conf"], notes(what, Weight.LOST))
        with self.assertRaises(ImportFailed) as caught:
            imported("Include y.conf\n", "apache", y_conf="Include x.conf\n")
        self.assertIn("y.conf:1: a file includes itself", str(caught.exception))

    def test_a_bomb_of_includes(self):
        """Files that include one another many times over end at the limit."""
        files = {f"f{n}_conf": f"Include f{n + 1}.conf\n" * 12 for n in range(6)}
        with self.assertRaises(ImportFailed) as caught:
            imported("Include f0.conf\n", "apache", **files, f6_conf="ServerName x\n")
        self.assertIn("too large", str(caught.exception))


class AnyTests(SynchronousTestCase):
    """Whatever is in the file: an ini that loads, or one error with the file's name."""

    def check(self, text: str, kind: str) -> None:
        try:
            what: Imported = imported(text, kind)
        except ImportFailed as why:
            self.assertTrue(str(why))
            self.assertEqual(1, len(str(why).splitlines()), text)
        else:
            loaded(what)
            for note in what.notes:
                self.assertEqual(2, len(str(note).splitlines()), text)

    @settings(deadline=None, max_examples=150)
    @given(st.lists(_NGINX_WORDS, max_size=60))
    def test_nginx_words(self, words: list[str]):
        """Words of nginx's in any order."""
        need_crossplane()
        self.check(" ".join(words), "nginx")

    @settings(deadline=None, max_examples=150)
    @given(st.lists(st.lists(_NGINX_WORDS, min_size=1, max_size=4), max_size=12))
    def test_nginx_directives(self, directives: list[list[str]]):
        """Well-formed directives of any words, in a location that is served."""
        need_crossplane()
        plain = [[w for w in each if not set(w) & set("{};'\"\\#\n")] for each in directives]
        lines = "\n".join(" ".join(each) + ";" for each in plain if each)
        self.check(
            f"http {{ {lines} server {{ {lines} location /x/ {{ proxy_pass http://a/; {lines} }} "
            f"location ~ ^/(.*)\\.c$ {{ proxy_pass https://b.s3.amazonaws.com/$1; {lines} }} }} }}",
            "nginx",
        )

    @settings(deadline=None, max_examples=200)
    @given(st.lists(_APACHE_LINES, max_size=25))
    def test_apache_lines(self, lines: list[str]):
        """Lines of Apache's in any order."""
        self.check("\n".join(lines), "apache")

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=60), st.sampled_from(["nginx", "apache"]))
    def test_any_text(self, text: str, kind: str):
        """Any text at all."""
        need_crossplane()
        self.check(text.replace("\r", ""), kind)

    def test_cut_off_anywhere(self):
        """A file that ends early is an error or a configuration, never a crash."""
        need_crossplane()
        for name, kind in (("nginx/vod.conf", "nginx"), ("apache/httpd.conf", "apache")):
            text = (DATA / name).read_text()
            for end in range(0, len(text), 41):
                self.check(text[:end], kind)


class KindTests(SynchronousTestCase):
    """Whose a file is."""

    def test_told_by_content(self):
        """Every example is told rightly; --from overrules."""
        need_crossplane()
        for path in sorted(DATA.rglob("*.conf")):
            apache = "apache" in str(path.relative_to(DATA))
            try:
                kind = import_file(str(path)).kind
            except ImportFailed as why:
                self.assertNotIn("neither", str(why), path.name)
            else:
                self.assertEqual("apache" if apache else "nginx", kind, path.name)

    def test_closed_places(self):
        """The fixture's word for closed is what a client meets: no GET."""
        what = imported("location /a { internal; proxy_pass http://a; }")
        self.assertEqual({"/a": ("http://a", True)}, places(loaded(what)))
        self.assertFalse(loaded(what).locations[0].policy.methods & {b"GET", b"HEAD"})

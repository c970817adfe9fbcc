"""Options of a site: what is read, what is refused, what `check --dump` says."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import ConfigErrors, ErrorPage, dump, loads

BASE = "[location:/]\norigin = http://127.0.0.1:9000\n"


def site(text):
    """What the lines of a location make of its site."""
    return loads(BASE + text).locations[0].site


class ReadTests(SynchronousTestCase):
    """What is taken."""

    def test_index(self):
        """Names in order; an empty value takes back what an outer section says."""
        self.assertEqual(("index.html", "/x.html"), site("index = index.html /x.html").index)
        inherited = loads(f"[s3shield]\nlisten = 8080\nindex = a\n{BASE}index =\n")
        self.assertEqual((), inherited.locations[0].site.index)

    def test_error_page(self):
        """The three ways of nginx to say the status."""
        pages = site(
            "error_page = 404 /404.html\nerror_page = 403 410 =200 /x?a=b\nerror_page = 500 = /y\n"
        ).error_pages
        self.assertEqual(
            (
                ErrorPage((404,), 0, "/404.html"),
                ErrorPage((403, 410), 200, "/x?a=b"),
                ErrorPage((500,), None, "/y"),
            ),
            pages,
        )
        self.assertEqual(b"/x?a=b", pages[1].target)
        self.assertEqual(b"/%C3%BC%25.html", ErrorPage((404,), 0, "/ü%.html").target)

    def test_dump(self):
        """What is dumped loads as the same."""
        for text in (
            "",
            "index = a b /c\nslash_redirect = on\ntry_files = $uri ${uri}/ /x$is_args$args\n",
            "try_files = $uri =404\nerror_page = 404 /a\nerror_page = 500 502 =200 /c\n",
            "error_page = 404 = /a\n",
            "autoindex_format = json\nautoindex_valid = 0\n",
        ):
            config = loads(BASE + text)
            self.assertEqual(config, loads(dump(config)), text)


class ListableTests(SynchronousTestCase):
    """Where `autoindex` can be."""

    BUCKET = (
        "[bucket:b]\naws_s3_bucket = b\naws_endpoint = http://127.0.0.1\naws_sign = off\n"
        "aws_region = us-east-1\n"
    )

    def load(self, location, text):
        """Load a location of a bucket."""
        return loads(f"{self.BUCKET}[location:{location}]\nbucket = b\nautoindex = on\n{text}")

    def test_listable(self):
        """Keys that begin otherwise than paths can be listed."""
        for location, text in (
            ("/", ""),
            ("~ ^/x", ""),
            ("/", "rewrite = ^/(.*)$ /site/$1"),
            ("/d/", "rewrite = ^/(.*) /site/$1 break"),
            ("/d.x/", "rewrite = ^/d\\.x/(.*)$ /$1"),
        ):
            config = self.load(location, text)
            self.assertTrue(config.locations[0].site.autoindex)
            self.assertEqual(config, loads(dump(config)))

    def test_not_listable(self):
        """Where no path follows from a key the option is refused, with the reason."""
        for location, text in (
            ("/", "rewrite = ^/d/(.*)$ /x/$1"),
            ("/", "rewrite = ^/(.+)$ /x/$1"),
            ("/", "rewrite = /(.*)$ /x/$1"),
            ("/", "rewrite = ^/(.*)$ /x/$1.gz"),
            ("/", "rewrite = ^/(.*)$ /x/$1?a=b"),
            ("/", "rewrite = ^/(.)(.*)$ /$1/$2"),
            ("/d.x/", "rewrite = ^/d.x/(.*)$ /$1"),
            ("~ ^/d/", "rewrite = ^/d/(.*)$ /x/$1"),
            ("/", "rewrite =\n    ^/(.*)$ /x/$1\n    ^/(.*)$ /y/$1"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                self.load(location, text)
            self.assertIn("autoindex: with this rewrite", str(caught.exception), text)
        with self.assertRaises(ConfigErrors) as caught:
            loads(BASE + "autoindex = on")
        self.assertIn("only a bucket can be listed", str(caught.exception))


class MistakeTests(SynchronousTestCase):
    """What is refused, and in which words."""

    def test_refused(self):
        """Each mistake is told with what is wrong in it."""
        for text, words in (
            ("index = /a b", "only the last may begin with /"),
            ("index = a$b", "variables are not known here"),
            ("index = sub/", "the name of an object"),
            ("error_page = /404.html", "it looks like 404 /404.html"),
            ("error_page = 404", "it looks like 404 /404.html"),
            ("error_page = 200 /x", "from 300 to 599"),
            ("error_page = 600 /x", "from 300 to 599"),
            ("error_page = 404 =99 /x", "from 200 to 599"),
            ("error_page = 304 /x", "has no body"),
            ("error_page = 404 =204 /x", "has no body"),
            ("try_files = $uri =204", "has no body"),
            ("error_page = 499 /x", "nobody is there"),
            ("error_page = 404 x.html", "it begins with /"),
            ("error_page = 404 @named", "it is a path of this site"),
            ("error_page = 404 https://example.com/", "it is a path of this site"),
            ("error_page = 404 /$uri", "variables are not known here"),
            ("error_page = 404 /a#b", "cannot stand in a path"),
            ("try_files = $uri", "it looks like $uri $uri/"),
            ("try_files = $uri @app", "no named locations"),
            ("try_files = =404 $uri", "stands at the end"),
            ("try_files = $uri =1000", "from 200 to 599"),
            ("try_files = $host /x", "begins with / or $uri"),
            ("try_files = /a$host /x", "the variables here are"),
            ("try_files = /a$ /x", "the variables here are"),
            ("slash_redirect = maybe", "maybe"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                site(text)
            self.assertIn(words, str(caught.exception), text)

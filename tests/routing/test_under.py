"""Which cache keys lie below a URL path."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.routing import BadTargetError, RoutingTable

from .test_table import place


class UnderTests(SynchronousTestCase):
    """`RoutingTable.under`."""

    def under(self, path, *places, servers=(), host=b"x"):
        """Ask a table of these places."""
        return RoutingTable(servers, places).under(host, path)

    def test_locations(self):
        """The location of the path, those further down, and every regular expression."""
        places = (
            place("/", origin="root"),
            place("/a/", origin="a"),
            place("/a/b/", origin="ab"),
            place("= /a/x", origin="ax"),
            place("~ \\.png$", origin="png"),
            place("/other", origin="other"),
        )
        for path, wanted in (
            (b"/", ["root|/", "a|/a/", "ab|/a/b/", "ax|/a/x", "png|/", "other|/other"]),
            (b"/a", ["root|/a", "a|/a/", "ab|/a/b/", "ax|/a/x", "png|/a"]),
            (b"/a/c", ["a|/a/c", "png|/a/c"]),
            (b"/a/b/c", ["ab|/a/b/c", "png|/a/b/c"]),
        ):
            found = [text.decode() for _, text in self.under(path, *places)]
            self.assertEqual(found, wanted, path)

    def test_spelling(self):
        """Rewritten, and encoded as the keys of requests are."""
        for path, where, wanted in (
            (b"/a%20b|", place(), b"media|/a%20b%7C"),
            (b"/d/x", place(rewrites=["^/d/(.*)$ /$1"]), b"media|/x"),
            (b"/a%2fb|", place(bucket=False), b"http://o:1|/a%2fb%%7C"),
            (b"/d/x%20y", place(bucket=False, rewrites=["^/d/(.*)$ /$1"]), b"http://o:1|/x%20y"),
        ):
            self.assertEqual(self.under(path, where), [(0, wanted)])

    def test_servers(self):
        """Only the locations of the host's server."""
        servers = [("one", ["one.test"]), ("two", ["two.test"])]
        places = (place(server="one", origin="1"), place(server="two", origin="2"))
        found = self.under(b"/a", *places, servers=servers, host=b"TWO.test")
        self.assertEqual(found, [(1, b"2|/a")])

    def test_bad(self):
        """A path that no request may have."""
        self.assertRaises(BadTargetError, self.under, b"/%zz", place())

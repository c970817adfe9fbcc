"""nginx's rewrite, on decoded paths."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.routing import BadTargetError, Rewrite, rewrite


def run(path, *lines):
    """(path, query, keep_query) after the lines."""
    done = rewrite(path, [Rewrite.parse(line) for line in lines])
    return done.path, done.query, done.keep_query


class Rewriting(SynchronousTestCase):
    def test_paths(self):
        """A search that replaces the whole path; groups, unmatched ones empty; $$."""
        for line, path, result in (
            (r"^/downloads/(.*)$ /$1", b"/downloads/a/b c", b"/a/b c"),
            (r"^/downloads/(.*)$ /$1", b"/other", b"/other"),
            (r"b /x", b"/abc", b"/x"),
            (r"^/(a)(b)?(c) /$3$2$1", b"/ac", b"/ca"),
            (r"^/(.*) /$$$1/%20", b"/a", b"/$a/%20"),
            (r"^/é/(.*) /ü/$1", "/é/x".encode(), "/ü/x".encode()),
            (r"^(/.*)\.txt$ $1", b"/a.txt", b"/a"),
        ):
            self.assertEqual(run(path, line)[0], result, line)

    def test_in_order(self):
        """Each line works on what the one before made; last and break end the run."""
        lines = ["^/a /b", "^/b /c"]
        self.assertEqual(run(b"/a", *lines)[0], b"/c")
        for flag in ("last", "break"):
            self.assertEqual(run(b"/a", f"^/a /b {flag}", "^/b /c")[0], b"/b")
            self.assertEqual(run(b"/b", f"^/a /b {flag}", "^/b /c")[0], b"/c")

    def test_queries(self):
        """`?` sets parameters, the client's follow, unless another `?` ends it."""
        for line, query, keep in (
            ("^/(.*)$ /x?v=$1", ((b"v", b"a&b"),), True),
            (
                "^/(.*)$ /x?v=$1&w=a%20b+c&acl",
                ((b"v", b"a&b"), (b"w", b"a b c"), (b"acl", None)),
                True,
            ),
            ("^/(.*)$ /x?v=$1?", ((b"v", b"a&b"),), False),
            ("^/ /x?", (), False),
            ("^/ /x", (), True),
        ):
            self.assertEqual(run(b"/a&b", line)[1:], (query, keep), line)

    def test_query_survives(self):
        """A later line that sets no parameters leaves an earlier one's."""
        self.assertEqual(run(b"/a", "^/a /b?v=1?", "^/b /c"), (b"/c", ((b"v", b"1"),), False))

    def test_not_absolute(self):
        """A path that a rewrite leaves without its slash is refused when it happens."""
        with self.assertRaises(BadTargetError):
            run(b"/a", "^/(.*)$ $1")

    def test_refused(self):
        """Lines that cannot be meant."""
        for line in (
            "",
            "a",
            "a /b c",
            "( /b",
            "a /$1",
            "(a) /$2",
            "a b",
            "a /$uri",
            "a /$",
            "a /${x}",
            "a http://x/",
            "a /b redirect",
            "a /b permanent",
            "a /b?x=%zz",
            "a /$0",
        ):
            with self.assertRaises(ValueError, msg=line):
                Rewrite.parse(line)

    def test_text(self):
        """A line is written as it was read."""
        for line in ("^/a /b", "^/(a) /$1?x=$1? last"):
            self.assertEqual(str(Rewrite.parse(line)), line)
            self.assertEqual(Rewrite.parse(line), Rewrite.parse(line))

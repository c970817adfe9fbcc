"""nginx's choice of location and server, against a model that is slow and plain."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.routing import LocationMatcher, MatchKind, Pattern, ServerMatcher

KINDS = {
    "=": MatchKind.EXACT,
    "^~": MatchKind.PREFIX_FIRST,
    "~": MatchKind.REGEX,
    "~*": MatchKind.REGEX_NOCASE,
}


def find(path, *patterns):
    """The text of the pattern that takes a path."""
    matcher = LocationMatcher((Pattern.parse(text), at) for at, text in enumerate(patterns))
    at = matcher.find(path)
    return None if at is None else patterns[at]


def model(path, patterns):
    """Follow nginx on `location`, sentence by sentence."""
    for pattern in patterns:
        if pattern.kind is MatchKind.EXACT and pattern.text.encode() == path:
            return pattern
    best = None
    for pattern in patterns:
        if not pattern.is_regex and pattern.kind is not MatchKind.EXACT:
            longer = best is None or len(pattern.text) > len(best.text)
            if path.startswith(pattern.text.encode()) and longer:
                best = pattern
    if best is not None and best.kind is MatchKind.PREFIX_FIRST:
        return best
    for pattern in patterns:
        flags = re.IGNORECASE if pattern.kind is MatchKind.REGEX_NOCASE else 0
        if pattern.is_regex and re.search(pattern.text.encode(), path, flags):
            return pattern
    return best


paths = st.lists(st.sampled_from(["a", "b", "A", "/", ".ts"]), max_size=6).map(
    lambda p: "/" + "".join(p)
)
regexes = st.sampled_from(["a", "^/a", r"\.ts$", "B", "^/$", "a/b", "[ab]{2}"])
some_patterns = st.lists(
    st.one_of(
        st.builds(
            Pattern,
            st.sampled_from([MatchKind.EXACT, MatchKind.PREFIX, MatchKind.PREFIX_FIRST]),
            paths,
        ),
        st.builds(Pattern, st.sampled_from([MatchKind.REGEX, MatchKind.REGEX_NOCASE]), regexes),
    ),
    max_size=8,
    unique_by=lambda pattern: pattern.same,
)


class Locations(SynchronousTestCase):
    def test_documented(self):
        """The example of nginx's documentation, configurations A to E."""
        example = ("= /", "/", "/documents/", "^~ /images/", r"~* \.(gif|jpg|jpeg)$")
        for path, wanted in (
            (b"/", "= /"),
            (b"/index.html", "/"),
            (b"/documents/document.html", "/documents/"),
            (b"/images/1.gif", "^~ /images/"),
            (b"/documents/1.JPG", r"~* \.(gif|jpg|jpeg)$"),
        ):
            self.assertEqual(find(path, *example), wanted)

    def test_corners(self):
        """Order of regexes, prefixes that are not at slashes, nothing at all."""
        self.assertEqual(find(b"/ab", "~ a", "~ b"), "~ a")
        self.assertEqual(find(b"/abc", "/ab", "/a"), "/ab")
        self.assertEqual(find(b"/x", "/a", "= /b"), None)
        self.assertEqual(find(b"/a/b", "^~ /a", "/a/", "~ b"), "~ b")  # a longer one unmarks ^~
        self.assertEqual(find("/é".encode(), "= /é"), "= /é")
        self.assertEqual(find(b"/A", "~ /a"), None)

    def test_parse(self):
        """The mark may touch the pattern; the text is written again with one space."""
        for text, kind, rest, again in (
            ("/a", "", "/a", "/a"),
            ("=/a", "=", "/a", "= /a"),
            ("^~  /a", "^~", "/a", "^~ /a"),
            (r"~\.php$", "~", r"\.php$", r"~ \.php$"),
            ("~* a b", "~*", "a b", "~* a b"),
        ):
            pattern = Pattern.parse(text)
            self.assertEqual(
                (pattern.kind, pattern.text), (KINDS.get(kind, MatchKind.PREFIX), rest)
            )
            self.assertEqual(str(pattern), again)
        for text in ("", "a", "= a", "~", "~ (", "@named"):
            with self.assertRaises(ValueError, msg=text):
                Pattern.parse(text)

    @settings(deadline=None, max_examples=200)
    @given(some_patterns, paths)
    def test_model(self, patterns, path):
        """The same choice as the model's."""
        matcher = LocationMatcher((pattern, at) for at, pattern in enumerate(patterns))
        at = matcher.find(path.encode())
        self.assertEqual(None if at is None else patterns[at], model(path.encode(), patterns))


class Servers(SynchronousTestCase):
    def check(self, servers, cases):
        """servers: lists of names. cases: host -> index."""
        matcher = ServerMatcher((names.split(), at) for at, names in enumerate(servers))
        for host, wanted in cases.items():
            self.assertEqual(matcher.find(host.encode()), wanted, host)

    def test_names(self):
        """Exact before the longest wildcard before the default, which is the first."""
        self.check(
            ["a.test", "*.b.test *.x", "*.a.b.test a.b.test", "B.test"],
            {
                "a.test": 0,
                "a.test.": 0,
                "b.test": 3,
                "x.b.test": 1,
                "a.b.test": 2,
                "c.a.b.test": 2,
                "d.c.a.b.test": 2,
                "y.x": 1,
                "x": 0,
                ".x": 0,
                "other": 0,
                "": 0,
            },
        )

    def test_default(self):
        """A server without names, or with _, takes what nobody else does."""
        self.check(["a.test", ""], {"a.test": 0, "other": 1})
        self.check(["a.test", "b.test _"], {"b.test": 1, "other": 1})
        self.check([], {"a.test": None})

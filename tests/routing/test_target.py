"""Targets: decoded once, refused where they cannot be meant."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.routing import BadTargetError, Target, decode_path, parse_target
from s3shield.signing import encode_key


class Paths(SynchronousTestCase):
    def test_decoded_once(self):
        """Each escape is decoded once; slashes are neither merged nor added."""
        for path, decoded in (
            (b"/", b"/"),
            (b"/a%20b", b"/a b"),
            (b"/a%2520b", b"/a%20b"),
            (b"/a+b", b"/a+b"),
            (b"/a%2Fb", b"/a/b"),
            (b"//a///b", b"//a///b"),
            (b"/%c3%A9", b"/\xc3\xa9"),
            (b"/\xc3\xa9", b"/\xc3\xa9"),
            (b"/a'!*~()", b"/a'!*~()"),
            (b"/a.", b"/a."),
            (b"/%0A", b"/\n"),
        ):
            self.assertEqual(decode_path(path), decoded)

    def test_refused(self):
        """Bad escapes, NUL, relative paths and bytes that no target has."""
        for path in (
            *(b"/%", b"/%4", b"/%zz", b"/a%2", b"/%%20"),
            *(b"/%00", b"/a\0", b"a", b"", b"*", b"%2Fa"),
            *(b"/a b", b"/a\n", b"/\x7f", b"/a#b"),
        ):
            with self.assertRaises(BadTargetError, msg=path):
                decode_path(path)

    def test_dots(self):
        """Dots are literal in keys as long as they stay below the root, in any disguise."""
        for path in (b"/a/../b", b"/./a", b"/a/.", b"/a/b/../../c", b"/a/%2e%2e/b"):
            self.assertEqual(
                decode_path(path).count(b".."), path.replace(b"%2e", b".").count(b"..")
            )
            with self.assertRaises(BadTargetError, msg=path):
                decode_path(path, dot_segments=False)
        for path in (
            b"/..",
            b"/../a",
            b"/a/../..",
            b"/%2E%2e/a",
            b"/a/..%2F..",
            b"//../a",
            b"/./../a",
        ):
            for dots in (True, False):
                with self.assertRaises(BadTargetError, msg=path):
                    decode_path(path, dot_segments=dots)
        for path in (b"/...", b"/.a", b"/a..", b"/..a/b"):
            self.assertEqual(decode_path(path, dot_segments=False), path)

    @settings(deadline=None, max_examples=200)
    @given(st.binary().filter(lambda key: b"\0" not in key and b"." not in key))
    def test_encoded_and_back(self, key):
        """What S3's encoding makes of any key, decoding undoes."""
        self.assertEqual(decode_path(encode_key(b"/" + key)), b"/" + key)

    @settings(deadline=None, max_examples=200)
    @given(st.binary())
    def test_nothing_else(self, data):
        """Any bytes are a path or refused."""
        try:
            decode_path(b"/" + data)
        except BadTargetError:
            return


class Forms(SynchronousTestCase):
    def test_forms(self):
        """RFC 9112 3.2: origin, absolute and asterisk form."""
        for target, parts in (
            (b"/a?b=c", (None, b"/a", b"b=c")),
            (b"/a?", (None, b"/a", b"")),
            (b"/a?b?c", (None, b"/a", b"b?c")),
            (b"//x/y", (None, b"//x/y", None)),
            (b"*", (None, b"*", None)),
            (b"http://H.Example:80/a?b", (b"h.example", b"/a", b"b")),
            (b"HTTPS://h", (b"h", b"/", None)),
            (b"http://h?q", (b"h", b"/", b"q")),
            (b"http://[::1]:80/", (b"[::1]", b"/", None)),
        ):
            self.assertEqual(parse_target(target), Target(*parts))

    def test_refused(self):
        """Authority form, user information, other schemes, nothing."""
        for target in (
            b"",
            b"a",
            b"h:80",
            b"http:///a",
            b"http://u@h/",
            b"http://u:p@h/",
            b"ftp://h/",
            b"http://h/#f",
            b"http://h:x/",
        ):
            with self.assertRaises(BadTargetError, msg=target):
                parse_target(target)

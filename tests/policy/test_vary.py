"""Which variant a request selects (RFC 9111 4.1)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import CachePolicy, variant_key
from s3shield.policy.vary import normalised, selecting_names

from .values import DEFAULT, head, request


class SelectingNames(SynchronousTestCase):
    def test_names(self) -> None:
        """RFC 9110 12.5.5: a list of field names in any case, over any number of lines."""
        for lines, expected in (
            ([], ()),
            ([""], ()),
            (["Foo"], (b"foo",)),
            (["b,A ,  c,"], (b"a", b"b", b"c")),
            (["foo", "BAR"], (b"bar", b"foo")),
            (["*"], (b"*",)),
            (["foo", "*"], (b"*",)),
            (["foo, *"], (b"*",)),
            (["foo:bar"], (b"*",)),
        ):
            response = head(*(("Vary", line) for line in lines))
            self.assertEqual(selecting_names(response, DEFAULT), expected, lines)


class VariantKey(SynchronousTestCase):
    def same(self, name: str, one: str | None, other: str | None, policy=DEFAULT) -> bool:
        """Whether two values of a field select the same variant."""
        keys = []
        for value in (one, other):
            headers = {} if value is None else {name.replace("-", "_"): value}
            keys.append(variant_key(request(**headers), (name.encode(),), policy))
        return keys[0] == keys[1]

    def test_match(self) -> None:
        """RFC 9111 4.1: equal after normalisation the field's definition allows."""
        for name, one, other in (
            ("foo", "1", "1"),
            ("foo", None, None),
            ("foo", "", ""),
            ("foo", "1,2", "1, 2"),
            ("foo", "1 ,\t2", " 1,2 "),
            ("foo", '"a, b" , c', '"a, b",c'),
            ("accept-language", "en, de", "en,de"),
            ("accept-language", "en-US, de", "EN-us, DE"),
            ("accept-language", "en, de", "de, en"),
            ("accept-language", "en;q=0.50, de", "en;q=0.5 , de;q=1"),
            ("accept-language", "en; q=0.5", "en;q=0.5"),
            ("accept-encoding", "gzip, br", "br,gzip"),
            ("accept-encoding", "x-gzip", "GZIP;q=1.000"),
            ("accept", "text/html, */*;q=0.1", "*/*;q=0.100 ,TEXT/HTML"),
            ("accept", "text/html;Level=1", "text/html;level=1"),
            ("accept-charset", "UTF-8", "utf-8"),
            ("accept", "text/html;;q=1, ;", "text/html"),
        ):
            self.assertTrue(self.same(name, one, other), (name, one, other))

    def test_no_match(self) -> None:
        """RFC 9111 4.1: absent only matches absent; what differs in meaning differs."""
        for name, one, other in (
            ("foo", "1", "2"),
            ("foo", "1", None),
            ("foo", "", None),
            ("foo", "a", "A"),
            ("foo", "1, 2", "2, 1"),
            ("foo", "1,2", "12"),
            ("foo", "1 2", "1  2"),
            ("foo", '"a, b"', '"a,b"'),
            ("accept-language", "en", "de"),
            ("accept-language", "en;q=0.5, de", "en, de;q=0.5"),
            ("accept-language", "en", "en, en-us"),
            ("accept-encoding", "gzip", "gzip;q=0"),
            ("accept-encoding", "gzip", ""),
            ("accept", 'text/html;a="X"', 'text/html;a="x"'),
            ("cookie", "a=1, b", "a=1,b"),
            ("user-agent", "x (a, b)", "x (a,b)"),
        ):
            self.assertFalse(self.same(name, one, other), (name, one, other))

    def test_several_names(self) -> None:
        """Every selecting field counts, and no value can pass for another's."""
        names = (b"a", b"b")
        keys = {
            variant_key(request(**headers), names, DEFAULT)
            for headers in (
                {},
                {"a": "1"},
                {"b": "1"},
                {"a": "1", "b": "1"},
                {"a": "1\nb=1:1"},
                {"a": "-"},
                {"a": "", "b": ""},
            )
        }
        self.assertEqual(len(keys), 7)
        self.assertEqual(variant_key(request(a="1"), (), DEFAULT), b"")
        self.assertNotEqual(
            variant_key(request(), (b"a",), DEFAULT), variant_key(request(), (b"b",), DEFAULT)
        )

    def test_accept_encoding_option(self) -> None:
        """`normalize_accept_encoding`: only the codings that matter select."""
        policy = CachePolicy(normalize_accept_encoding=True)
        self.assertTrue(self.same("accept-encoding", "gzip, deflate, foo", "gzip", policy))
        self.assertTrue(self.same("accept-encoding", "deflate", None, policy))
        self.assertFalse(self.same("accept-encoding", "gzip", "gzip;q=0", policy))
        self.assertFalse(self.same("accept-language", "en", "de", policy))
        self.assertFalse(self.same("accept-language", "x-gzip", "gzip"))

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from([b"accept", b"accept-language", b"accept-encoding", b"cookie", b"foo"]),
        st.binary(max_size=40) | st.text('aA,;="\\ q01.', max_size=30).map(str.encode),
    )
    def test_normalisation_is_total_and_settles(self, name: bytes, value: bytes) -> None:
        """It never raises, and a normalised value is its own normal form."""
        once = normalised(name, value)
        self.assertEqual(normalised(name, once), once)

"""The client's conditions (RFC 9110 13, RFC 9111 4.3.2)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import Precondition, conditional, if_range, not_modified_head
from s3shield.policy.etags import listed_tags, strong_match, weak_match

from .values import NOW, date, entry, request

PROCEED, UNCHANGED, FAILED = Precondition.PROCEED, Precondition.NOT_MODIFIED, Precondition.FAILED
MODIFIED = -1000


class Tags(SynchronousTestCase):
    def test_lists(self) -> None:
        """RFC 9110 8.8.3: quotes may hold commas; obs-text is allowed; junk is skipped."""
        for value, expected in (
            (b"", []),
            (b'"a"', [b'"a"']),
            (b'"a", W/"b" ,\t"c"', [b'"a"', b'W/"b"', b'"c"']),
            (b'"a,b", "c"', [b'"a,b"', b'"c"']),
            (b'"a","b"', [b'"a"', b'"b"']),
            (b', ,"a",', [b'"a"']),
            (b'"\xe9"', [b'"\xe9"']),
            (b'bare, "a"', [b"bare", b'"a"']),
            (b'"a b", "c"', [b'"c"']),
            (b'"a"x, "c"', [b'"c"']),
            (b'w/"a"', []),
            (b'"open', []),
            (b'""', [b'""']),
        ):
            self.assertEqual(listed_tags(value), expected, value)

    def test_comparison(self) -> None:
        """RFC 9110 8.8.3.2: the table of examples, and what is no tag."""
        for one, other, strong, weak in (
            (b'W/"1"', b'W/"1"', False, True),
            (b'W/"1"', b'W/"2"', False, False),
            (b'W/"1"', b'"1"', False, True),
            (b'"1"', b'"1"', True, True),
            (b'"1"', b'"2"', False, False),
            (b"1", b"1", False, True),
            (b"1", b'"1"', False, False),
            (b"", b"", False, False),
        ):
            self.assertEqual(strong_match(one, other), strong, (one, other))
            self.assertEqual(weak_match(one, other), weak, (one, other))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60) | st.text('W/"a, \\', max_size=30).map(str.encode))
    def test_total(self, value: bytes) -> None:
        """No bytes make the list reader raise."""
        listed_tags(value)
        listed_tags(value * 500)


class Conditional(SynchronousTestCase):
    def check(self, expected, stored_entry=None, method="GET", as_origin=False, **headers) -> None:
        """Require this outcome."""
        found = conditional(
            request(method, **headers), stored_entry or entry(), as_origin=as_origin
        )
        self.assertEqual(found, expected, headers)

    def test_if_none_match(self) -> None:
        """RFC 9110 13.1.2: weak comparison with each tag of the list, or `*`."""
        for value, expected in (
            ('"v1"', UNCHANGED),
            ('W/"v1"', UNCHANGED),
            ('"x", "v1"', UNCHANGED),
            ('"x","v1","y"', UNCHANGED),
            ('  "v1"  ', UNCHANGED),
            ("*", UNCHANGED),
            ('"v2"', PROCEED),
            ('"V1"', PROCEED),
            ("v1", PROCEED),
            ('"x, v1"', PROCEED),
            ("", PROCEED),
            ("junk", PROCEED),
        ):
            self.check(expected, if_none_match=value)
            self.check(expected, method="HEAD", if_none_match=value)
        self.check(UNCHANGED, entry(etag=b'W/"v1"'), if_none_match='"v1"')
        self.check(UNCHANGED, entry(etag=b"bare"), if_none_match="bare")
        self.check(PROCEED, entry(etag=b""), if_none_match='""')
        self.check(UNCHANGED, entry(etag=b'"\xe9"'), if_none_match=b'"\xe9"')

    def test_if_modified_since(self) -> None:
        """RFC 9110 13.1.3: not modified when Last-Modified is at or before it."""
        for value, expected in (
            (date(MODIFIED), UNCHANGED),
            (date(MODIFIED + 1), UNCHANGED),
            (date(10**6), UNCHANGED),
            (date(MODIFIED - 1), PROCEED),
            (b"yesterday", PROCEED),
            (b"", PROCEED),
            (date(0) + b", " + date(0), PROCEED),
        ):
            self.check(expected, if_modified_since=value)
            self.check(expected, method="HEAD", if_modified_since=value)

    def test_obsolete_dates(self) -> None:
        """RFC 9110 5.6.7: every form of date is understood in a condition."""
        self.check(UNCHANGED, if_modified_since="Tuesday, 14-Nov-23 22:13:20 GMT")
        self.check(UNCHANGED, if_modified_since="Tue Nov 14 22:13:20 2023")
        self.check(PROCEED, if_modified_since="Sunday, 06-Nov-94 08:49:37 GMT")

    def test_without_last_modified(self) -> None:
        """RFC 9111 4.3.2: then the time the response was made is compared."""
        meta = entry(last_modified=-1)
        self.check(UNCHANGED, meta, if_modified_since=date(0))
        self.check(PROCEED, meta, if_modified_since=date(-1))
        self.check(UNCHANGED, entry(last_modified=0), if_modified_since=date(-1))

    def test_precedence(self) -> None:
        """RFC 9110 13.2.2: If-None-Match hides If-Modified-Since."""
        self.check(PROCEED, if_none_match='"x"', if_modified_since=date(0))
        self.check(UNCHANGED, if_none_match='"v1"', if_modified_since=date(MODIFIED - 5))
        self.check(PROCEED, if_none_match="junk", if_modified_since=date(0))

    def test_only_successes(self) -> None:
        """RFC 9110 13.2.1: conditions are ignored unless the answer would be 2xx."""
        for status in (301, 404, 410, 500):
            self.check(PROCEED, entry(status=status), if_none_match="*", if_match='"x"')
        self.check(UNCHANGED, entry(status=203), if_none_match="*")

    def test_only_get_and_head(self) -> None:
        """RFC 9110 13.1.3: no 304 to another method."""
        self.check(PROCEED, method="POST", if_none_match='"v1"')

    def test_origin_conditions_do_not_apply_to_a_cache(self) -> None:
        """RFC 9111 4.3.2: a cache MUST NOT evaluate If-Match and If-Unmodified-Since."""
        self.check(PROCEED, if_match='"x"')
        self.check(PROCEED, if_unmodified_since=date(MODIFIED - 5))

    def test_origin_conditions_before_a_bucket(self) -> None:
        """RFC 9110 13.1.1, 13.1.4: evaluated as the origin that the client sees."""
        for headers, expected in (
            ({"if_match": '"v1"'}, PROCEED),
            ({"if_match": '"x", "v1"'}, PROCEED),
            ({"if_match": "*"}, PROCEED),
            ({"if_match": '"x"'}, FAILED),
            ({"if_match": 'W/"v1"'}, FAILED),
            ({"if_match": ""}, FAILED),
            ({"if_unmodified_since": date(MODIFIED)}, PROCEED),
            ({"if_unmodified_since": date(MODIFIED - 1)}, FAILED),
            ({"if_unmodified_since": b"junk"}, PROCEED),
            ({"if_match": '"v1"', "if_unmodified_since": date(MODIFIED - 1)}, PROCEED),
            ({"if_match": '"v1"', "if_none_match": '"v1"'}, UNCHANGED),
            ({"if_match": '"x"', "if_none_match": '"v1"'}, FAILED),
        ):
            self.check(expected, as_origin=True, **headers)
        dateless = entry(last_modified=-1)
        self.check(PROCEED, dateless, as_origin=True, if_unmodified_since=date(-5000))
        self.check(FAILED, entry(etag=b'W/"v1"'), as_origin=True, if_match='W/"v1"')

    @settings(max_examples=200, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["if_match", "if_none_match", "if_modified_since", "if_range"]),
            st.binary(max_size=40),
        )
    )
    def test_total(self, headers) -> None:
        """No condition makes it raise."""
        asked = request(**headers)
        self.assertIsInstance(conditional(asked, entry(), as_origin=True), Precondition)
        self.assertIsInstance(if_range(asked, entry()), bool)


class IfRange(SynchronousTestCase):
    def test_values(self) -> None:
        """RFC 9110 13.1.5: strong tag, or exact strong date; else the whole is sent."""
        for value, expected in (
            (None, True),
            (b'"v1"', True),
            (b' "v1" ', True),
            (b'W/"v1"', False),
            (b'"x"', False),
            (b'"v1", "x"', False),
            (b"v1", False),
            (b"*", False),
            (b"", False),
            (date(MODIFIED), True),
            (date(MODIFIED - 1), False),
            (date(MODIFIED + 1), False),
        ):
            asked = request() if value is None else request(if_range=value)
            self.assertEqual(if_range(asked, entry()), expected, value)

    def test_weak_stored_validators(self) -> None:
        """RFC 9110 8.8.2.2: a weak tag, or a date less than a second old, guards nothing."""
        self.assertFalse(if_range(request(if_range='W/"v1"'), entry(etag=b'W/"v1"')))
        young = entry(last_modified=int(NOW))
        self.assertFalse(if_range(request(if_range=date(0)), young))
        second = entry(last_modified=int(NOW) - 1, born=float(int(NOW)))
        self.assertTrue(if_range(request(if_range=date(-1)), second))
        self.assertFalse(if_range(request(if_range=date(0)), entry(last_modified=-1)))


class NotModifiedHead(SynchronousTestCase):
    def test_fields(self) -> None:
        """RFC 9110 15.4.5: what a 304 must carry, and nothing about the representation."""
        kept = (
            b"Date: x\r\n",
            b'ETag: "a"\r\n',
            b"last-modified: x\r\n",
            b"Cache-Control: max-age=5\r\n",
            b"CDN-Cache-Control: max-age=9\r\n",
            b"Content-Location: /b\r\n",
            b"EXPIRES: x\r\n",
            b"Vary: a\r\n",
            b"Via: 1.1 x\r\n",
            b"Access-Control-Allow-Origin: *\r\n",
        )
        dropped = (
            b"Content-Length: 5\r\n",
            b"Content-Type: text/plain\r\n",
            b"Content-Encoding: gzip\r\n",
            b"Content-Language: en\r\n",
            b"X-Date: no\r\n",
            b"X-Etag: no\r\n",
            b"Accept-Ranges: bytes\r\n",
        )
        mixed = b"".join(a + b for a, b in zip(kept, (*dropped, b"", b"", b""), strict=True))
        self.assertEqual(
            not_modified_head(b"HTTP/1.1 200 OK\r\n" + mixed),
            b"HTTP/1.1 304 Not Modified\r\n" + b"".join(kept),
        )

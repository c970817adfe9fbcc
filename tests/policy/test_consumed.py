"""`policy.Consumed`: what of a request nobody else may see."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import NOTHING_CONSUMED, Consumed, Request

ALL = Consumed(
    schemes=frozenset({b"bearer"}), cookies=frozenset({b"s"}), arguments=frozenset({b"t"})
)


class HeaderTests(SynchronousTestCase):
    """Fields."""

    def test_fields(self) -> None:
        """What is for us goes, all else stays as it was sent."""
        for name, value, left in [
            (b"authorization", b"Bearer x", None),
            (b"authorization", b"bEARER", None),
            (b"authorization", b"Basic eDp5", b"Basic eDp5"),
            (b"authorization", b"Bearers x", b"Bearers x"),
            (b"cookie", b"s=1", None),
            (b"cookie", b" s = 1 ", None),
            (b"cookie", b"a=b; s=1;c=d", b"a=b;c=d"),
            (b"cookie", b"s=1; flag; s=2", b"flag"),
            (b"cookie", b"S=1; ss=2;  x", b"S=1; ss=2;  x"),
            (b"referer", b"http://x/?t=1", b"http://x/"),
            (b"referer", b"http://x/?a=b&T=1", b"http://x/?a=b"),
            (b"referer", b"http://x/t=1", b"http://x/t=1"),
            (b"x-other", b"Bearer x", b"Bearer x"),
        ]:
            headers = {name: value, b"host": b"h"}
            found = ALL.headers(headers)
            self.assertEqual(left, found.get(name), value)
            self.assertEqual(b"h", found[b"host"])
            self.assertEqual({name: value, b"host": b"h"}, headers)
            self.assertIs(headers, NOTHING_CONSUMED.headers(headers))

    def test_query(self) -> None:
        """Parameters by their decoded names in any case; the others byte for byte."""
        for query, left, masked in [
            (None, None, b"/a"),
            (b"", b"", b"/a?"),
            (b"t=1", None, b"/a?t=***"),
            (b"x=%41&t=1&&y", b"x=%41&&y", b"/a?x=%41&t=***&&y"),
            (b"T=1&%54=2&%74=3&t", None, b"/a?T=***&%54=***&%74=***&t=***"),
            (b"tt=1&x=t", b"tt=1&x=t", b"/a?tt=1&x=t"),
            (b"t=a=b", None, b"/a?t=***"),
        ]:
            target = b"/a" if query is None else b"/a?" + query
            request = Request(b"GET", target)
            self.assertEqual(left, ALL.query(query))
            shown = ALL.request(request)
            self.assertEqual(b"/a" if left is None else b"/a?" + left, shown.target)
            self.assertEqual(masked, ALL.masked(request).target)
            self.assertIs(request, NOTHING_CONSUMED.request(request))

    def test_masked(self) -> None:
        """A log has no values, of the Referer neither; the request itself is not changed."""
        headers = {b"referer": b"http://x/?t=1&a=b", b"cookie": b"s=1; a=b", b"authorization": b"x"}
        request = Request(b"GET", b"/a", headers, host=b"h", peer=b"p", scheme=b"https")
        shown = ALL.masked(request)
        self.assertEqual(
            {b"referer": b"http://x/?t=***&a=b", b"cookie": b"a=b", b"authorization": b"x"},
            shown.headers,
        )
        self.assertEqual((b"h", b"p", b"https"), (shown.host, shown.peer, shown.scheme))
        self.assertEqual(b"http://x/?t=1&a=b", request.headers[b"referer"])
        self.assertIs(bare := Request(b"GET", b"/a"), ALL.masked(bare))

    def test_together(self) -> None:
        """Two together keep back what either does."""
        both = Consumed(arguments=frozenset({b"u"})) | ALL
        self.assertEqual(frozenset({b"t", b"u"}), both.arguments)
        self.assertEqual(ALL, ALL | NOTHING_CONSUMED)

    @settings(deadline=None, max_examples=150)
    @given(st.lists(st.sampled_from([b"t", b"T", b"%74", b"x", b"", b"=", b"&", b"v"]), max_size=9))
    def test_nothing_is_left(self, parts: list[bytes]) -> None:
        """Whatever a query is made of, what is left of it has no such parameter."""
        left = ALL.query(b"".join(parts))
        self.assertEqual(left, ALL.query(left))

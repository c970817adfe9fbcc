"""What is stored and sent of a head, and what goes to the origin."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    CachePolicy,
    Request,
    ResponseHead,
    content_length,
    forwarded_fields,
    parse_stored_head,
    reduced_accept_encoding,
    serialize_head,
    stored_head,
)

from .values import DEFAULT, NOW, date, head, request


def written(response: ResponseHead, policy: CachePolicy = DEFAULT, **options) -> dict[bytes, bytes]:
    """The fields of `stored_head`, by lower-case name."""
    wire = stored_head(response, policy, **{"length": None, "now": NOW, **options})
    found = parse_stored_head(wire)
    return {name.lower(): found.get(name.lower()) or b"" for name, _ in found.fields}


class StoredHead(SynchronousTestCase):
    def test_wire_form(self) -> None:
        """Status line and fields in their order and case, each with CRLF, no blank line."""
        response = head(("eTag", '"a"'), ("X-B", "2"), ("X-B", "3"))
        self.assertEqual(
            stored_head(response, DEFAULT, length=5, now=NOW),
            b"HTTP/1.1 200 OK\r\nDate: " + date() + b'\r\neTag: "a"\r\nX-B: 2\r\nX-B: 3\r\n'
            b"Content-Length: 5\r\nVia: 1.1 s3shield\r\n",
        )

    def test_hop_by_hop(self) -> None:
        """RFC 9110 7.6.1, RFC 9111 3.1: none of these are stored, nor what Connection names."""
        names = [
            "Connection",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authentication-Info",
            "Trailer",
            "TE",
            "Upgrade",
            "Proxy-Authorization",
            "Proxy-Connection",
            "Transfer-Encoding",
            "X-Named",
            "x-other",
            "Content-Length",
        ]
        fields = [(name, "v") for name in names if name != "Connection"]
        response = head(
            ("Connection", "close, X-Named"), ("connection", "X-OTHER"), *fields, ("X-Kept", "v")
        )
        found = written(response)
        for name in names:
            self.assertNotIn(name.lower().encode(), found)
        self.assertIn(b"x-kept", found)

    def test_age(self) -> None:
        """RFC 9111 5.1: Age is counted at delivery; a response passed on keeps its own."""
        self.assertNotIn(b"age", written(head(("Age", "5"))))
        self.assertEqual(written(head(("Age", "5")), keep_age=True)[b"age"], b"5")

    def test_date(self) -> None:
        """RFC 9110 6.6.1: missing or invalid, it is the time of receipt; one is enough."""
        self.assertEqual(written(head(("Date", date(-5))))[b"date"], date(-5))
        self.assertEqual(written(head(dated=False))[b"date"], date())
        self.assertEqual(written(head(("Date", "junk")))[b"date"], date())
        two = head(("Date", "junk"), ("Date", date(-5)), ("Date", date(-9)))
        self.assertEqual(written(two)[b"date"], date(-5))

    def test_via(self) -> None:
        """RFC 9110 7.6.3: ours after those before us; none when off."""
        response = head(("Via", "1.0 other"))
        self.assertEqual(written(response)[b"via"], b"1.0 other, 1.1 s3shield")
        self.assertEqual(written(response, CachePolicy(via=b""))[b"via"], b"1.0 other")

    def test_content_length(self) -> None:
        """Ours when the length is known; never with a 204 (RFC 9110 8.6)."""
        response = head(("Content-Length", "99"))
        self.assertNotIn(b"content-length", written(response))
        self.assertEqual(written(response, length=0)[b"content-length"], b"0")
        self.assertNotIn(b"content-length", written(head(status=204), length=0))

    def test_bucket_fields(self) -> None:
        """x-amz-* of a bucket are dropped unless passed; a plain origin's stay."""
        response = head(("x-amz-id-2", "i"), ("X-Amz-Meta-A", "a"), ("x-amz-meta-b", "b"))
        self.assertIn(b"x-amz-id-2", written(response))
        for passed, expected in (
            (set(), set()),
            ({b"x-amz-meta-a"}, {b"x-amz-meta-a"}),
            ({b"x-amz-meta-*"}, {b"x-amz-meta-a", b"x-amz-meta-b"}),
            ({b"*"}, {b"x-amz-id-2", b"x-amz-meta-a", b"x-amz-meta-b"}),
        ):
            policy = CachePolicy(is_bucket=True, pass_amz_headers=frozenset(passed))
            found = {name for name in written(response, policy) if name.startswith(b"x-amz-")}
            self.assertEqual(found, expected, passed)

    def test_operators_fields(self) -> None:
        """As nginx proxy_hide_header, add_header (2xx and 3xx only), and X-Accel-* are ours."""
        policy = CachePolicy(
            hide_headers=frozenset({b"server"}),
            add_headers=((b"X-Shield", b"yes"), (b"X-Nothing", b"")),
        )
        found = written(head(("Server", "s"), ("X-Accel-Expires", "5")), policy)
        self.assertNotIn(b"server", found)
        self.assertNotIn(b"x-accel-expires", found)
        self.assertEqual(found[b"x-shield"], b"yes")
        self.assertNotIn(b"x-nothing", found)
        for status in range(200, 600):
            shown = b"x-shield" in written(head(status=status), policy)
            named = {200, 201, 204, 206, 301, 302, 303, 304, 307, 308}
            self.assertEqual(shown, status in named, status)

    def test_withheld(self) -> None:
        """RFC 9111 5.2.2.4: fields that may be passed on, not stored."""
        response = head(("X-User", "7"), ("X-Kept", "v"))
        found = written(response, withheld=frozenset({b"x-user"}))
        self.assertNotIn(b"x-user", found)
        self.assertIn(b"x-kept", found)

    def test_reason(self) -> None:
        """The origin's reason, else the registered one, else none."""
        for status, reason, line in (
            (200, b"Fine", b"HTTP/1.1 200 Fine\r\n"),
            (404, b"", b"HTTP/1.1 404 Not Found\r\n"),
            (299, b"", b"HTTP/1.1 299 \r\n"),
            (200, b"x\r\ny", b"HTTP/1.1 200 \r\n"),
        ):
            wire = serialize_head(ResponseHead(status, reason, ()))
            self.assertEqual(wire, line)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=20)), max_size=5),
        st.sampled_from([200, 204, 404, 599]),
    )
    def test_no_bytes_break_out(self, fields, status: int) -> None:
        """RFC 9112 11.1: no field can add a line, and what is written reads back the same."""
        wire = stored_head(ResponseHead(status, b"", tuple(fields)), DEFAULT, length=1, now=NOW)
        self.assertTrue(wire.endswith(b"\r\n"))
        self.assertNotIn(b"\r\n\r\n", wire)
        self.assertEqual(wire.count(b"\r\n"), wire.count(b"\n"))
        parsed = parse_stored_head(wire)
        self.assertEqual(serialize_head(parsed), wire)
        self.assertEqual(parsed.status, status)

    def test_received_content_length(self) -> None:
        """RFC 9110 8.6: one number, even when repeated; anything else is none."""
        for values, expected in (
            ([], None),
            (["5"], 5),
            (["5", "5"], 5),
            (["5, 5"], 5),
            (["5", "6"], None),
            (["-5"], None),
            (["5.0"], None),
            ([""], None),
            (["9" * 5000], None),
        ):
            response = head(*(("Content-Length", value) for value in values))
            self.assertEqual(content_length(response), expected, values)


class ForwardedFields(SynchronousTestCase):
    def sent(self, asked: Request, policy: CachePolicy = DEFAULT, **options) -> dict[bytes, bytes]:
        """What the origin is sent, by name."""
        return dict(forwarded_fields(asked, policy, **options))

    def test_plain_origin(self) -> None:
        """RFC 9110 7.6: end-to-end fields go on; Host, framing and hop-by-hop do not."""
        asked = request(
            host="example.com",
            accept="text/html",
            cookie="a=b",
            authorization="Basic x",
            cache_control="no-cache",
            connection="x-named, close",
            x_named="v",
            keep_alive="5",
            te="trailers",
            transfer_encoding="chunked",
            content_length="5",
            upgrade="h2c",
            expect="100-continue",
        )
        self.assertEqual(
            self.sent(asked),
            {
                b"accept": b"text/html",
                b"cookie": b"a=b",
                b"authorization": b"Basic x",
                b"cache-control": b"no-cache",
                b"x-forwarded-for": b"192.0.2.7",
                b"via": b"1.1 s3shield",
            },
        )

    def test_conditions_stay_here(self) -> None:
        """Of what may be stored the whole is asked for; else the client's wish goes on."""
        asked = request(
            if_none_match='"a"',
            if_modified_since="x",
            if_match='"a"',
            if_unmodified_since="x",
            if_range='"a"',
            range="bytes=0-1",
        )
        self.assertEqual(set(self.sent(asked)), {b"x-forwarded-for", b"via"})
        self.assertEqual(self.sent(asked, cacheable=False)[b"range"], b"bytes=0-1")
        self.assertEqual(len(self.sent(asked, cacheable=False)), 8)

    def test_hops(self) -> None:
        """RFC 9110 7.6.3: this hop after those before it, with the version received."""
        asked = request(via="1.1 a", x_forwarded_for="10.0.0.1")
        self.assertEqual(self.sent(asked)[b"via"], b"1.1 a, 1.1 s3shield")
        self.assertEqual(self.sent(asked)[b"x-forwarded-for"], b"10.0.0.1, 192.0.2.7")
        old = Request(version=(1, 0))
        self.assertEqual(self.sent(old), {b"via": b"1.0 s3shield"})

    def test_bucket(self) -> None:
        """Nothing of the client's on GET; with a PUT what describes the content."""
        policy = CachePolicy(is_bucket=True)
        headers = {
            "content_type": "text/plain",
            "authorization": "x",
            "x_amz_acl": "public-read",
            "cookie": "a",
            "if_none_match": "*",
        }
        self.assertEqual(self.sent(request(**headers), policy), {})
        self.assertEqual(
            set(self.sent(request("PUT", **headers), policy)), {b"content-type", b"if-none-match"}
        )

    def test_accept_encoding_option(self) -> None:
        """`normalize_accept_encoding`: what selects the variant is what the origin sees."""
        policy = CachePolicy(normalize_accept_encoding=True)
        asked = request(accept_encoding="deflate, gzip;q=0.5, br")
        self.assertEqual(self.sent(asked, policy)[b"accept-encoding"], b"br, gzip")
        self.assertEqual(self.sent(request(), policy)[b"accept-encoding"], b"identity")

    def test_reduction(self) -> None:
        """RFC 9110 12.5.3: a weight of 0 refuses a coding; x-gzip is gzip."""
        for value, expected in (
            (None, b"identity"),
            (b"", b"identity"),
            (b"deflate", b"identity"),
            (b"GZIP", b"gzip"),
            (b"x-gzip", b"gzip"),
            (b"gzip, br, zstd", b"zstd, br, gzip"),
            (b"gzip;q=0", b"identity"),
            (b"gzip; q=0.000, br;q=0.1", b"br"),
        ):
            self.assertEqual(reduced_accept_encoding(value), expected, value)

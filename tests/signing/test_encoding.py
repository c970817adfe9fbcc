"""S3's percent-encoding."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote_from_bytes, unquote_to_bytes

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import encode_key, encode_query, without_presign


class Encoding(SynchronousTestCase):
    """`encode_key`, `encode_query` and what is dropped from a query."""

    def test_every_byte(self):
        """Each byte alone is bare or `%XX` exactly as the standard library's strict quoting."""
        for value in range(256):
            byte = bytes((value,))
            self.assertEqual(encode_key(byte), quote_from_bytes(byte, safe="/-._~").encode())
            pair = encode_query(((byte, byte),))
            name = quote_from_bytes(byte, safe="-._~").encode()
            self.assertEqual(pair, name + b"=" + name)

    @settings(deadline=None)
    @given(st.binary(max_size=60))
    def test_decodes_to_itself(self, key):
        """Encoding loses nothing, whatever the bytes, and slashes stay where they are."""
        encoded = encode_key(key)
        self.assertEqual(unquote_to_bytes(encoded), key)
        self.assertEqual(encoded.count(b"/"), key.count(b"/"))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=5))
    def test_query_keeps_every_pair(self, pairs):
        """The canonical query has each pair once, duplicates too, sorted as encoded."""
        encoded = encode_query(tuple(pairs))
        parts = [tuple(part.split(b"=")) for part in encoded.split(b"&")] if pairs else []
        self.assertEqual(parts, sorted(parts))
        back = parse_qsl(encoded.decode(), keep_blank_values=True, encoding="latin-1")
        self.assertEqual(
            sorted((a.encode("latin-1"), b.encode("latin-1")) for a, b in back if pairs),
            sorted(pairs),
        )

    def test_sorted_by_encoded_name(self):
        """`Param` precedes `Param-3`, though `=` follows `-` as a character."""
        query = ((b"Param-3", b"1"), (b"Param", b"2"), ("ሴ".encode(), None))
        self.assertEqual(encode_query(query), b"%E1%88%B4=&Param=2&Param-3=1")

    def test_without_presign(self):
        """Both versions' presign parameters go, whatever their case; the rest stays in order."""
        query = (
            (b"X-Amz-Algorithm", b"AWS4-HMAC-SHA256"),
            (b"versionId", b"1"),
            (b"x-amz-SIGNATURE", b"0"),
            (b"Signature", b"0"),
            (b"X-Amz-Security-Token", None),
            (b"response-expires", b"x"),
        )
        self.assertEqual(
            without_presign(query), ((b"versionId", b"1"), (b"response-expires", b"x"))
        )

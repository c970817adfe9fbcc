"""Queries: what goes on, and that a client's signature never does."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.routing import BadTargetError, QueryPolicy, parse_query
from s3shield.signing import encode_query

PASS, DROP = QueryPolicy("pass"), QueryPolicy("drop")


class Queries(SynchronousTestCase):
    def test_parse(self):
        """Pairs in order, decoded once; + is a space; no = is no value."""
        for query, pairs in (
            (None, ()),
            (b"", ()),
            (b"acl", ((b"acl", None),)),
            (b"a=1&b=&a=%32", ((b"a", b"1"), (b"b", b""), (b"a", b"2"))),
            (b"a=b=c&&", ((b"a", b"b=c"),)),
            (b"a+b=c%2B+d", ((b"a b", b"c+ d"),)),
        ):
            self.assertEqual(parse_query(query), pairs)

    def test_policies(self):
        """drop, pass and allow; names are compared decoded and with their case."""
        query = b"versionId=1&x=2&%76ersionId=3&VERSIONID=4"
        allow = QueryPolicy("allow", frozenset({b"versionId"}))
        self.assertEqual(DROP.apply(query), ())
        self.assertIsNone(DROP.apply_raw(query))
        self.assertEqual(len(PASS.apply(query)), 4)
        self.assertEqual(PASS.apply_raw(query), query)
        self.assertEqual(allow.apply(query), ((b"versionId", b"1"), (b"versionId", b"3")))
        self.assertEqual(allow.apply_raw(query), b"versionId=1&%76ersionId=3")
        self.assertIsNone(allow.apply_raw(b"x=1"))

    def test_presign_parameters(self):
        """A client's own signature is removed, whatever the policy and however written."""
        for query, left in (
            (b"X-Amz-Signature=1&x-amz-date=2&X-AMZ-Foo=3&a=4", b"a=4"),
            (b"%58-amz-Signature=1&a=4", b"a=4"),
            (b"AWSAccessKeyId=1&Signature=2&Expires=3&a=4", b"a=4"),
            (b"Expires=3&Signature=2", None),
            (b"Expires=3", b"Expires=3"),
            (b"expires=3&signature=1", b"expires=3&signature=1"),
            (b"a=4&X-Amz-Date=1&&b", b"a=4&&b"),
        ):
            self.assertEqual(PASS.apply_raw(query), left)
            self.assertEqual(PASS.apply(query), parse_query(left))
        allow = QueryPolicy("allow", frozenset({b"X-Amz-Signature", b"a"}))
        self.assertEqual(allow.apply_raw(b"X-Amz-Signature=1&a=2"), b"a=2")

    def test_as_sent(self):
        """A plain origin gets the bytes that were sent, even what is no good encoding."""
        for query in (b"a=%zz", b"a=%2f&b=+", b"", b"?x", b"&&", b"a=\xc3\xa9", b"100%"):
            self.assertEqual(PASS.apply_raw(query), query)
        self.assertIsNone(PASS.apply_raw(None))

    def test_refused(self):
        """Bad escapes and NUL towards a bucket; controls towards anybody; nothing if dropped."""
        for query in (b"a=%", b"%zz", b"a=%00", b"a=\n", b"a b"):
            with self.assertRaises(BadTargetError, msg=query):
                PASS.apply(query)
            self.assertEqual(DROP.apply(query), ())
        for query in (b"a=\n", b"a b", b"a\0"):
            with self.assertRaises(BadTargetError, msg=query):
                PASS.apply_raw(query)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(st.tuples(st.binary(min_size=1), st.binary())))
    def test_encoded_and_back(self, pairs):
        """What S3's encoding makes of any pairs, parsing undoes."""
        wanted = [(n, v) for n, v in pairs if b"\0" not in n + v]
        self.assertEqual(sorted(parse_query(encode_query(tuple(wanted)))), sorted(wanted))

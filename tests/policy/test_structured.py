"""Structured-field dictionaries (RFC 9651 4.2.2)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy.structured import (
    Boolean,
    Integer,
    Opaque,
    String,
    Token,
    parse_dictionary,
)

YES = Boolean(value=True)


class ParseDictionary(SynchronousTestCase):
    def test_members(self) -> None:
        """RFC 9651 3.2, 3.3: every type of member, with and without parameters."""
        for value, expected in (
            (b"", {}),
            (b"   ", {}),
            (b"a", {b"a": YES}),
            (b"a=?0, b=?1", {b"a": Boolean(value=False), b"b": YES}),
            (b"max-age=60", {b"max-age": Integer(60)}),
            (b"a=-5,b=007", {b"a": Integer(-5), b"b": Integer(7)}),
            (b"a=999999999999999", {b"a": Integer(999999999999999)}),
            (b"a=1.5", {b"a": Opaque()}),
            (b'a="x\\"y\\\\"', {b"a": String(b'x"y\\')}),
            (b"a=tok/en:*", {b"a": Token(b"tok/en:*")}),
            (b"a=*x", {b"a": Token(b"*x")}),
            (b"a=:aGk=:", {b"a": Opaque()}),
            (b"a=@1659578233", {b"a": Opaque()}),
            (b'a=%"f%c3%bc"', {b"a": Opaque()}),
            (b'a=(1 "x" tok;q=1);p', {b"a": Opaque()}),
            (b"a=()", {b"a": Opaque()}),
            (b"a;x=1;y, b; z=?0", {b"a": YES, b"b": YES}),
            (b"a=1;foo=bar", {b"a": Integer(1)}),
            (b" a=1 \t,\t b=2 ", {b"a": Integer(1), b"b": Integer(2)}),
            (b"*a.b_c-d=1", {b"*a.b_c-d": Integer(1)}),
        ):
            self.assertEqual(parse_dictionary(value), expected, value)

    def test_last_of_a_repeated_key(self) -> None:
        """RFC 9651 4.2.2: a repeated key overwrites, and moves to the end."""
        members = parse_dictionary(b"a=1, b, a=2")
        self.assertEqual(list((members or {}).items()), [(b"b", YES), (b"a", Integer(2))])

    def test_failures(self) -> None:
        """RFC 9651 4.2: any deviation fails the whole field."""
        for value in (
            b",",
            b"a,",
            b"a,,b",
            b"a b",
            b"A=1",
            b"Max-Age=1",
            b"1a=1",
            b"-a",
            b"a=",
            b"a= 1",
            b"a =1",
            b"a=1 b",
            b"a=1234567890123456",
            b"a=1.",
            b"a=1.2345",
            b"a=1234567890123.1",
            b"a=--1",
            b"a=+1",
            b'a="x',
            b'a="\\x"',
            b'a="\xe9"',
            b"a='x'",
            b"a=?2",
            b"a=?",
            b"a=:x",
            b"a=(1",
            b"a=(1,2)",
            b'a=(1"x")',
            b"a;=1",
            b"a;B=1",
            b"a;",
            b"\xe9",
            b"a\x00",
            b"max-age=60; , b",
            b"&",
            b"\ta",
        ):
            self.assertIsNone(parse_dictionary(value), value)

    def test_time_is_linear(self) -> None:
        """A field made to backtrack fails at once: 64 KiB each."""
        for unit in (b"a", b"(", b"(a ", b'"', b"a;", b"a=(", b'a="\\"', b"1", b"; ", b"a=(1 "):
            parse_dictionary(b"a=" + unit * (65536 // len(unit)))
            parse_dictionary(unit * (65536 // len(unit)))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=60) | st.text('abA1=,;"\\ \t()?:@%.-*', max_size=40).map(str.encode))
    def test_total(self, value: bytes) -> None:
        """No bytes make it raise."""
        members = parse_dictionary(value)
        self.assertTrue(members is None or isinstance(members, dict))

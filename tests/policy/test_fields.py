"""Cache-Control, Age and lists, well-formed and not (RFC 9111 5.1, 5.2, 4.2.1)."""

from __future__ import annotations

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy.fields import (
    MAX_DELTA,
    Directive,
    Directives,
    RequestDirectives,
    field_names,
    list_members,
    parse_age,
    parse_directives,
    request_directives,
    response_directives,
    targeted_directives,
)
from s3shield.policy.structured import parse_dictionary

HEADERISH = st.text('abc-=",; \\\t0123456789maxgnosteW/*?()', max_size=60).map(str.encode)


class ParseDirectives(SynchronousTestCase):
    def test_members(self) -> None:
        """RFC 9111 5.2: tokens and quoted strings, names in any case, any list spacing."""
        for value, expected in (
            (b"", []),
            (b" , ,\t,", []),
            (b"no-store", [Directive(b"no-store", None, valid=True)]),
            (b"No-StOrE", [Directive(b"no-store", None, valid=True)]),
            (b"a,b ,\tc", [Directive(n, None, valid=True) for n in (b"a", b"b", b"c")]),
            (b"max-age=5", [Directive(b"max-age", b"5", valid=True)]),
            (b'max-age="5"', [Directive(b"max-age", b"5", valid=True)]),
            (b'a="x, y=\\"z"', [Directive(b"a", b'x, y="z', valid=True)]),
            (b'a=""', [Directive(b"a", b"", valid=True)]),
        ):
            self.assertEqual(parse_directives(value), expected, value)

    def test_malformed_members(self) -> None:
        """A member outside the grammar keeps its name, and the next one is read."""
        for value, names in (
            (b"max-age =5, b", [(b"max-age", False), (b"b", True)]),
            (b"max-age= 5, b", [(b"max-age", False), (b"b", True)]),
            (b"max-age=, b", [(b"max-age", False), (b"b", True)]),
            (b"max-age=5;b, c", [(b"max-age", False), (b"c", True)]),
            (b"no-store please, b", [(b"no-store", False), (b"b", True)]),
            (b'a="never ends, no-store', [(b"a", False), (b"no-store", True)]),
            (b'a="x"y, b', [(b"a", False), (b"b", True)]),
            (b'"quoted, no-store", b', [(b"b", True)]),
            (b"=5, b", [(b"b", True)]),
            (b"\xff\xfe, b", [(b"b", True)]),
        ):
            found = [(d.name, d.valid) for d in parse_directives(value)]
            self.assertEqual(found, names, value)

    def test_quoted_commas_hide_nothing_and_show_nothing(self) -> None:
        """RFC 9111 5.2: what stands inside a quoted string is no directive."""
        found = response_directives(b'ext="max-age=100, no-store", max-age=1')
        self.assertEqual(found, Directives(max_age=1))

    def test_time_is_linear(self) -> None:
        """A header made to backtrack is read at once: 64 KiB each."""
        for unit in (b'a="\\",', b'"', b'a="', b'\\"', b"a=b;", b",", b'a="b",'):
            parse_directives(unit * (65536 // len(unit)))
            list_members(unit * (65536 // len(unit)))

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=80) | HEADERISH)
    def test_total(self, value: bytes) -> None:
        """No bytes make any reader of field values raise."""
        parse_directives(value)
        response_directives(value)
        request_directives({b"cache-control": value})
        request_directives({b"pragma": value})
        parse_age(value)
        list_members(value)
        field_names(value)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=40))
    def test_no_store_is_found_after_anything_unquoted(self, junk: bytes) -> None:
        """RFC 9111 5.2.2.5: a `no-store` member is seen whatever stands before it."""
        value = junk.replace(b'"', b"") + b", no-store"
        self.assertTrue(response_directives(value).no_store)


class ResponseDirectives(SynchronousTestCase):
    def test_delta_seconds(self) -> None:
        """RFC 9111 1.2.2 and 4.2.1: digits only; too many count as 2**31; else stale."""
        for argument, expected in (
            (b"0", 0),
            (b"1", 1),
            (b"0003600", 3600),
            (b'"3600"', 3600),
            (b"2147483647", 2**31 - 1),
            (b"2147483648", MAX_DELTA),
            (b"2147483649", MAX_DELTA),
            (b"99999999999", MAX_DELTA),
            (b"9" * 10000, MAX_DELTA),
            (b"-1", 0),
            (b"+5", 0),
            (b"5.0", 0),
            (b"5.5", 0),
            (b"5s", 0),
            (b"a5", 0),
            (b"'5'", 0),
            (b'" 5"', 0),
            (b'""', 0),
            (b"", 0),
            (b"0x10", 0),
            (b"1e3", 0),
            (b" 5", 0),
        ):
            self.assertEqual(
                response_directives(b"max-age=" + argument).max_age, expected, argument
            )
            self.assertEqual(
                response_directives(b"s-maxage=" + argument).s_maxage, expected, argument
            )
        self.assertEqual(response_directives(b"max-age").max_age, 0)
        self.assertEqual(response_directives(b"max-age =100").max_age, 0)

    def test_first_of_a_repeated_directive(self) -> None:
        """RFC 9111 4.2.1: of several values the first is used."""
        self.assertEqual(response_directives(b"max-age=10, max-age=99").max_age, 10)
        self.assertEqual(response_directives(b"max-age=x, max-age=99").max_age, 0)

    def test_flags(self) -> None:
        """RFC 9111 5.2.2: each flag by its name; unknown directives are skipped."""
        for text, name in (
            (b"no-store", "no_store"),
            (b"no-cache", "no_cache"),
            (b"private", "private"),
            (b"public", "public"),
            (b"must-revalidate", "must_revalidate"),
            (b"proxy-revalidate", "proxy_revalidate"),
            (b"must-understand", "must_understand"),
        ):
            expected = attrs.evolve(Directives(), **{name: True})
            for value in (text, text.upper(), b"foo=1, %b ,bar" % text):
                self.assertEqual(response_directives(value), expected, value)
        for value in (b"immutable", b"no-transform", b"foo, bar=baz", b"no-storex", b"xno-store"):
            self.assertEqual(response_directives(value), Directives(), value)
        self.assertEqual(response_directives(None), Directives())

    def test_restrictions_hold_however_they_are_written(self) -> None:
        """RFC 9111 4.2.1: the most restrictive reading, where one is needed."""
        self.assertTrue(response_directives(b"no-store=yes").no_store)
        self.assertTrue(response_directives(b"no-store;x").no_store)
        self.assertTrue(response_directives(b"private;x").private)
        self.assertTrue(response_directives(b"no-cache =x").no_cache)
        self.assertFalse(response_directives(b"public;x").public)

    def test_qualified_forms(self) -> None:
        """RFC 9111 5.2.2.4, 5.2.2.7: listed fields are withheld, nothing else changes."""
        for value, fields in (
            (b'no-cache="Set-Cookie"', {b"set-cookie"}),
            (b'private="X-A, x-b ,"', {b"x-a", b"x-b"}),
            (b"private=x-a", {b"x-a"}),
            (b'private="a", no-cache="b"', {b"a", b"b"}),
        ):
            self.assertEqual(
                response_directives(value), Directives(withheld=frozenset(fields)), value
            )

    def test_qualified_forms_that_cannot_be_met(self) -> None:
        """An empty or strange list, or one of indispensable fields, restricts the whole."""
        for argument in (b'""', b'" , "', b'"a b"', b'"content-type"', b'"x, Content-Encoding"'):
            self.assertTrue(response_directives(b"no-cache=" + argument).no_cache, argument)
            self.assertTrue(response_directives(b"private=" + argument).private, argument)
        both = response_directives(b'private, private="a"')
        self.assertTrue(both.private)

    def test_stale_windows(self) -> None:
        """RFC 5861: a window that is not a number permits nothing."""
        found = response_directives(b"stale-while-revalidate=30, stale-if-error=60")
        self.assertEqual((found.stale_while_revalidate, found.stale_if_error), (30, 60))
        for value in (b"stale-while-revalidate", b"stale-if-error=x, stale-while-revalidate=-1"):
            self.assertEqual(response_directives(value), Directives(), value)

    def test_forbids_stale(self) -> None:
        """RFC 9111 4.2.4: these four prohibit serving stale, nothing else does."""
        for value in (b"must-revalidate", b"proxy-revalidate", b"s-maxage=5", b"no-cache"):
            self.assertTrue(response_directives(value).forbids_stale, value)
        for value in (b"max-age=5", b"public", b"immutable", b"stale-if-error=5"):
            self.assertFalse(response_directives(value).forbids_stale, value)


class TargetedDirectives(SynchronousTestCase):
    def test_types(self) -> None:
        """RFC 9213 2.1: a member of another type than its directive's is not consumed."""
        for value, expected in (
            (b"max-age=60", Directives(max_age=60)),
            (b"max-age=60;foo=bar", Directives(max_age=60)),
            (b"max-age=10, max-age=20", Directives(max_age=20)),
            (b"max-age=60.5", Directives()),
            (b'max-age="60"', Directives()),
            (b"max-age=-60", Directives()),
            (b"max-age=a60", Directives()),
            (b"max-age", Directives()),
            (b"max-age=999999999999999", Directives(max_age=MAX_DELTA)),
            (b"s-maxage=5, must-revalidate", Directives(s_maxage=5, must_revalidate=True)),
            (b"no-store", Directives(no_store=True)),
            (b"no-store=?0", Directives()),
            (b"no-store=1", Directives(no_store=True)),
            (b"private", Directives(private=True)),
            (b'private="x-a"', Directives(withheld=frozenset({b"x-a"}))),
            (b"no-cache=?1", Directives(no_cache=True)),
            (b"no-cache=?0", Directives()),
            (b"public=?0, must-revalidate=no", Directives()),
            (b"unknown, max-age=1", Directives(max_age=1)),
            (b"none", Directives()),
        ):
            members = parse_dictionary(value)
            self.assertTrue(members, value)
            self.assertEqual(targeted_directives(members or {}), expected, value)


class RequestDirectivesTests(SynchronousTestCase):
    def test_directives(self) -> None:
        """RFC 9111 5.2.1: each request directive; a bare max-stale takes any age."""
        for value, expected in (
            (b"no-cache", RequestDirectives(no_cache=True)),
            (b"No-Store", RequestDirectives(no_store=True)),
            (b"only-if-cached", RequestDirectives(only_if_cached=True)),
            (b"max-age=5", RequestDirectives(max_age=5)),
            (b"min-fresh=5", RequestDirectives(min_fresh=5)),
            (b"max-stale=5", RequestDirectives(max_stale=5)),
            (b"max-stale", RequestDirectives(max_stale=MAX_DELTA)),
            (b"max-stale=x", RequestDirectives()),
            (b"max-age=x", RequestDirectives(no_cache=True)),
            (b"min-fresh", RequestDirectives(no_cache=True)),
            (b"foo", RequestDirectives()),
        ):
            self.assertEqual(request_directives({b"cache-control": value}), expected, value)

    def test_pragma(self) -> None:
        """RFC 9111 5.4: Pragma counts only without Cache-Control."""
        self.assertTrue(request_directives({b"pragma": b"foo, No-Cache"}).no_cache)
        self.assertFalse(request_directives({b"pragma": b"foo"}).no_cache)
        both = {b"pragma": b"no-cache", b"cache-control": b"max-age=5"}
        self.assertFalse(request_directives(both).no_cache)
        self.assertEqual(request_directives({}), RequestDirectives())


class Age(SynchronousTestCase):
    def test_values(self) -> None:
        """RFC 9111 5.1: the first member, and only if it is a non-negative integer."""
        for value, expected in (
            (None, None),
            (b"", None),
            (b"0", 0),
            (b"7200", 7200),
            (b" 12 ", 12),
            (b"007", 7),
            (b"7200, 0", 7200),
            (b"0, 7200", 0),
            (b"7200,0", 7200),
            (b"abc, 7200", None),
            (b"7200, abc", 7200),
            (b", 5", 5),
            (b"-5", None),
            (b"5.0", None),
            (b"5;a=b", None),
            (b'"5"', None),
            (b"5 6", None),
            (b"2147483649", MAX_DELTA),
            (b"9" * 5000, MAX_DELTA),
        ):
            self.assertEqual(parse_age(value), expected, value)


class Lists(SynchronousTestCase):
    def test_members(self) -> None:
        """RFC 9110 5.6.1.2: empty members are skipped, quoted commas do not split."""
        for value, expected in (
            (b"", []),
            (b" , a ,, b,", [b"a", b"b"]),
            (b'a="x,y", b', [b'a="x,y"', b"b"]),
            (b'"\\",x", b', [b'"\\",x"', b"b"]),
            (b'"open, b', [b'"open, b']),
        ):
            self.assertEqual(list_members(value), expected, value)

    def test_field_names(self) -> None:
        """RFC 9110 5.1: names are tokens, lower-cased; anything else is no list of them."""
        self.assertEqual(field_names(b"A, b,"), frozenset({b"a", b"b"}))
        for value in (b"", b",", b"a b", b"a:b", b'"a"', b"\xe9"):
            self.assertIsNone(field_names(value), value)

"""Validation: what is asked, which entry a 304 is about, what it changes (RFC 9111 4.3)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import (
    NEVER,
    CachePolicy,
    EntryFlag,
    ResponseHead,
    freshen,
    identify,
    parse_stored_head,
    revalidation_fields,
    selection_fields,
    serialize_head,
    stored_head,
    update_from_head,
)

from .values import DEFAULT, NOW, cc, date, entry, head, stored, table

THEN = NOW + 500


def saved(response: ResponseHead, policy: CachePolicy = DEFAULT) -> ResponseHead:
    """A head as it comes back from the store."""
    return parse_stored_head(stored_head(response, policy, length=5, now=NOW))


class RevalidationFields(SynchronousTestCase):
    def test_validators(self) -> None:
        """RFC 9111 4.3.1: MUST send the tag, SHOULD send Last-Modified."""
        when = date(-1000)
        for meta, expected in (
            (entry(), ((b"If-None-Match", b'"v1"'), (b"If-Modified-Since", when))),
            (entry(etag=b""), ((b"If-Modified-Since", when),)),
            (entry(last_modified=-1), ((b"If-None-Match", b'"v1"'),)),
            (entry(etag=b"", last_modified=-1), ()),
            (entry(status=404), ()),
            (entry(status=300), ()),
            (
                entry(etag=b"", last_modified=0),
                ((b"If-Modified-Since", b"Thu, 01 Jan 1970 00:00:00 GMT"),),
            ),
        ):
            self.assertEqual(revalidation_fields(meta), expected)

    def test_last_modified_as_it_was_sent(self) -> None:
        """RFC 9110 13.1.3: the exact value of the stored field."""
        text = b"Sunday, 06-Nov-94 08:49:37 GMT"
        fields = dict(revalidation_fields(entry(), saved(head(("Last-Modified", text)))))
        self.assertEqual(fields[b"If-Modified-Since"], text)

    def test_offering_all_variants(self) -> None:
        """RFC 9111 4.3.1: one list of every stored tag, each once."""
        metas = [
            entry(),
            entry(etag=b'W/"b"'),
            entry(etag=b""),
            entry(),
            entry(status=404, etag=b'"z"'),
        ]
        self.assertEqual(selection_fields(metas), ((b"If-None-Match", b'"v1", W/"b"'),))
        self.assertEqual(selection_fields([entry(etag=b"")]), ())


class Identify(SynchronousTestCase):
    def check(self, expected, fields, *metas) -> None:
        """Require this outcome."""
        self.assertEqual(identify(head(*fields, status=304), metas), expected, fields)

    def test_strong_tag(self) -> None:
        """RFC 9111 4.3.4: the entry with the same strong validator, else none."""
        a, b = entry(etag=b'"a"'), entry(etag=b'"b"')
        self.check(0, [("ETag", '"a"')], a, b)
        self.check(1, [("ETag", '"b"')], a, b)
        self.check(None, [("ETag", '"c"')], a, b)
        self.check(None, [("ETag", '"c"')], a)
        self.check(None, [("ETag", '"c"'), ("Last-Modified", date(-1000))], a)

    def test_weak_tag(self) -> None:
        """RFC 9111 4.3.4: the most recent that matches weakly."""
        old = entry(etag=b'W/"a"', response_time=NOW - 9)
        new = entry(etag=b'W/"a"', response_time=NOW)
        self.check(1, [("ETag", 'W/"a"')], old, new)
        self.check(0, [("ETag", 'W/"a"')], new, old)
        self.check(None, [("ETag", 'W/"z"')], old, new)

    def test_last_modified(self) -> None:
        """RFC 9111 4.3.4: a weak validator that corresponds, or none."""
        self.check(0, [("Last-Modified", date(-1000))], entry())
        self.check(None, [("Last-Modified", date(-999))], entry())
        older = entry(last_modified=5)
        self.check(1, [("Last-Modified", date(-1000))], older, entry())

    def test_no_validator(self) -> None:
        """Where one was offered it is that one; among several nothing is known."""
        self.check(0, [], entry())
        self.check(0, [], entry(etag=b"", last_modified=-1))
        self.check(None, [], entry(), entry(etag=b'"b"'))
        self.check(None, [])

    def test_strength_alone(self) -> None:
        """An origin that compresses on the fly answers W/"a" with "a" and the reverse."""
        self.check(0, [("ETag", '"a"')], entry(etag=b'W/"a"'))
        self.check(0, [("ETag", 'W/"a"')], entry(etag=b'"a"'))
        self.check(None, [("ETag", '"a"')], entry(etag=b'W/"a"'), entry(etag=b'"b"'))

    def test_first_tag(self) -> None:
        """RFC 9111 4.3.4: a response that had no tag is known by its Last-Modified."""
        untagged = entry(etag=b"")
        self.check(0, [("ETag", '"a"'), ("Last-Modified", date(-1000))], untagged)
        self.check(None, [("ETag", '"a"'), ("Last-Modified", date(-999))], untagged)
        self.check(None, [("ETag", '"a"')], untagged)
        self.check(None, [("ETag", '"a"'), ("Last-Modified", date(-1000))], untagged, untagged)


class Freshen(SynchronousTestCase):
    def freshened(self, original, *fields, policy=DEFAULT, dated=True, delay=0.0):
        """What a 304 with these fields makes of a stored response."""
        lines = [("Date", date(500)), *fields] if dated else list(fields)
        answer = head(*lines, status=304, dated=False)
        meta = stored(original, policy)
        return freshen(meta, saved(original, policy), answer, THEN - delay, THEN, policy)

    def test_fresh_again(self) -> None:
        """RFC 9111 4.3.4: from the time of validation, by the stored directives."""
        meta, fresh = self.freshened(cc("max-age=60", ("ETag", '"v1"')))
        self.assertEqual((meta.born, meta.response_time), (THEN, THEN))
        self.assertEqual((meta.status, meta.fresh_until), (200, THEN + 60))
        self.assertEqual((fresh.status, fresh.get(b"date")), (200, date(500)))

    def test_fields_are_replaced_and_added(self) -> None:
        """RFC 9111 3.2: each field provided replaces all stored lines of its name."""
        original = cc("max-age=60", ("X-A", "1"), ("x-a", "2"), ("X-Old", "o"), ("ETag", '"v1"'))
        meta, fresh = self.freshened(
            original, ("Cache-Control", "max-age=90"), ("X-A", "3"), ("X-New", "n")
        )
        self.assertEqual(meta.fresh_until, THEN + 90)
        for name, values in (
            (b"cache-control", [b"max-age=90"]),
            (b"x-a", [b"3"]),
            (b"x-new", [b"n"]),
            (b"x-old", [b"o"]),
            (b"etag", [b'"v1"']),
        ):
            self.assertEqual(fresh.get_all(name), values)

    def test_fields_that_stay(self) -> None:
        """RFC 9111 3.2: framing, coding, hop-by-hop, Age, and our Via."""
        original = cc(
            "max-age=60", ("ETag", '"v1"'), ("Content-Encoding", "gzip"), ("Via", "1.0 a")
        )
        before = saved(original)
        _, fresh = self.freshened(
            original,
            ("Content-Length", "0"),
            ("Content-Encoding", "br"),
            ("Content-Range", "bytes 0-1/2"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "X-Hop"),
            ("X-Hop", "h"),
            ("Age", "0"),
            ("Via", "1.1 b"),
            ("Set-Cookie", "a=b"),
        )
        for name in (b"content-length", b"content-encoding", b"via"):
            self.assertEqual(fresh.get(name), before.get(name), name)
        for name in (b"content-range", b"transfer-encoding", b"x-hop", b"age", b"set-cookie"):
            self.assertIsNone(fresh.get(name), name)

    def test_content_type_is_updated(self) -> None:
        """RFC 9111 3.2: Content-* is no reason to keep a field as it was."""
        original = cc("max-age=60", ("Content-Type", "text/plain"))
        _, fresh = self.freshened(original, ("Content-Type", "text/html"))
        self.assertEqual(fresh.get(b"content-type"), b"text/html")

    def test_operators_fields(self) -> None:
        """What is hidden stays hidden, and what was added is not added again."""
        policy = CachePolicy(hide_headers=frozenset({b"server"}), add_headers=((b"X-S", b"1"),))
        _, fresh = self.freshened(cc("max-age=60"), ("Server", "x"), policy=policy)
        self.assertIsNone(fresh.get(b"server"))
        self.assertEqual(fresh.get_all(b"x-s"), [b"1"])
        self.assertEqual(fresh.get_all(b"via"), [b"1.1 s3shield"])

    def test_age_of_the_validation(self) -> None:
        """RFC 9111 4.2.3: the 304 may come from another cache."""
        meta, _ = self.freshened(cc("max-age=60"), ("Age", "20"), delay=1.0)
        self.assertEqual((meta.born, meta.fresh_until), (THEN - 21, THEN + 39))

    def test_date(self) -> None:
        """RFC 9110 6.6.1: without a Date of its own it was made when received."""
        meta, fresh = self.freshened(cc("max-age=60"), ("Date", date(490)), dated=False)
        self.assertEqual((fresh.get(b"date"), meta.born), (date(490), THEN - 10))
        for fields in ((), (("Date", "junk"),)):
            meta, fresh = self.freshened(cc("max-age=60"), *fields, dated=False)
            self.assertEqual(fresh.get_all(b"date"), [date(500)])
            self.assertEqual(meta.fresh_until, THEN + 60)

    def test_expires(self) -> None:
        """RFC 9111 4.2.1: a new Expires is a new lifetime; the old one is past."""
        original = head(("Expires", date(60)), ("ETag", '"v1"'))
        self.assertLess(self.freshened(original)[0].fresh_until, THEN + 1)
        meta, _ = self.freshened(original, ("Expires", date(560)))
        self.assertEqual(meta.fresh_until, THEN + 60)

    def test_operators_lifetime(self) -> None:
        """As nginx: a 304 starts `proxy_cache_valid` anew; X-Accel-Expires rules it."""
        policy = CachePolicy(valid=table(({200}, 60)))
        meta, _ = self.freshened(head(), policy=policy)
        self.assertEqual((meta.fresh_until, meta.swr_until), (THEN + 60, THEN + 60 + 86400))
        meta, fresh = self.freshened(head(), ("X-Accel-Expires", "7"), policy=policy)
        self.assertEqual(meta.fresh_until, THEN + 7)
        self.assertIsNone(fresh.get(b"x-accel-expires"))

    def test_validators(self) -> None:
        """A new Last-Modified is taken over; a tag that differs in strength is not."""
        original = cc("max-age=60", ("ETag", 'W/"v1"'), ("Last-Modified", date(-99)))
        meta, fresh = self.freshened(original, ("ETag", '"v1"'), ("Last-Modified", date(-9)))
        self.assertEqual((meta.etag, meta.last_modified), (b'W/"v1"', int(NOW) - 9))
        self.assertEqual(fresh.get_all(b"etag"), [b'W/"v1"'])
        meta, _ = self.freshened(cc("max-age=60"), ("ETag", '"new"'))
        self.assertEqual(meta.etag, b'"new"')

    def test_withdrawn(self) -> None:
        """RFC 9111 5.2.2.5, 5.2.2.7: a 304 can take back the permission to store."""
        for fields in (
            (("Cache-Control", "no-store"),),
            (("Cache-Control", "private, max-age=60"),),
            (("X-Accel-Expires", "0"),),
        ):
            meta, _ = self.freshened(cc("max-age=60, stale-if-error=9"), *fields)
            self.assertTrue(meta.flags & EntryFlag.WITHDRAWN, fields)
            self.assertEqual(
                (meta.fresh_until, meta.swr_until, meta.sie_until), (NEVER, NEVER, NEVER)
            )

    def test_no_cache_and_qualified(self) -> None:
        """RFC 9111 5.2.2.4: validated each time from now on; listed fields are left out."""
        meta, _ = self.freshened(cc("max-age=60"), ("Cache-Control", "no-cache"))
        self.assertTrue(meta.flags & EntryFlag.VALIDATE_ALWAYS)
        _, fresh = self.freshened(
            cc("max-age=60"), ("Cache-Control", 'max-age=60, private="x-u"'), ("X-U", "7")
        )
        self.assertIsNone(fresh.get(b"x-u"))

    def test_head_entry_stays_one(self) -> None:
        """FROM_HEAD is about the stored bytes, which a 304 does not change."""
        meta = entry(flags=int(EntryFlag.FROM_HEAD))
        fresh, _ = freshen(meta, saved(cc("max-age=60")), head(status=304), NOW, NOW, DEFAULT)
        self.assertTrue(fresh.flags & EntryFlag.FROM_HEAD)

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["Cache-Control", "ETag", "Date", "Age", "Vary", "X-A", "\xff", ""]
                ),
                st.binary(max_size=25),
            ),
            max_size=6,
        )
    )
    def test_total(self, fields) -> None:
        """No 304 makes it raise or write a broken head; twice the same changes nothing more."""
        original = cc("max-age=60", ("ETag", '"v1"'))
        answer = head(*fields, status=304, dated=False)
        meta, fresh = freshen(stored(original), saved(original), answer, THEN, THEN, DEFAULT)
        wire = serialize_head(fresh)
        self.assertEqual(wire.count(b"\n"), len(fresh.fields) + 1)
        again, twice = freshen(meta, parse_stored_head(wire), answer, THEN, THEN, DEFAULT)
        self.assertEqual(sorted(twice.fields), sorted(fresh.fields))
        self.assertEqual(again.fresh_until, meta.fresh_until)


class UpdateFromHead(SynchronousTestCase):
    ORIGINAL = cc("max-age=60", ("ETag", '"v1"'), ("Last-Modified", date(-99)))

    def updated(self, *fields, status=200):
        """What a HEAD answered with these fields makes of the stored GET."""
        answer = head(("Date", date(500)), *fields, status=status)
        original = self.ORIGINAL
        return update_from_head(stored(original), saved(original), answer, THEN, THEN, DEFAULT)

    def test_agreement(self) -> None:
        """RFC 9111 4.3.5: matching validators and length: the GET is freshened."""
        for fields in (
            (("ETag", '"v1"'),),
            (("Last-Modified", date(-99)),),
            (("ETag", '"v1"'), ("Content-Length", "5")),
            (("Content-Length", "5"),),
            (),
        ):
            found = self.updated(*fields, ("Cache-Control", "max-age=90"), ("X-New", "n"))
            self.assertIsNotNone(found, fields)
            meta, fresh = found
            self.assertEqual(meta.fresh_until, THEN + 90)
            self.assertEqual((fresh.get(b"x-new"), fresh.get(b"content-length")), (b"n", b"5"))
            self.assertFalse(meta.flags & EntryFlag.FROM_HEAD)

    def test_contradiction(self) -> None:
        """RFC 9111 4.3.5: otherwise the stored response is to be considered stale."""
        for fields in (
            (("ETag", '"v2"'),),
            (("ETag", 'W/"v1"'),),
            (("Last-Modified", date(-98)),),
            (("ETag", '"v1"'), ("Content-Length", "6")),
            (("ETag", '"v1"'), ("Last-Modified", date(-98))),
        ):
            self.assertIsNone(self.updated(*fields), fields)
        for status in (404, 304, 206):
            self.assertIsNone(self.updated(("ETag", '"v1"'), status=status))

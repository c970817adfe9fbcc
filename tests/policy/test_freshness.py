"""Lifetimes and ages (RFC 9111 4.2), and nginx's order of precedence around them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import ANY, CachePolicy, LifetimeSource, assess, current_age
from s3shield.policy.fields import MAX_DELTA
from s3shield.policy.freshness import date_value, initial_age

from .values import DEFAULT, NOW, cc, date, head, table

S = LifetimeSource
YEAR = 365 * 86400


class Assess(SynchronousTestCase):
    def check(self, response, lifetime, source, policy=DEFAULT) -> None:
        """Require this outcome."""
        found = assess(response, NOW, policy)
        self.assertEqual((found.lifetime, found.source), (lifetime, source), response)

    def test_order_of_the_origins_word(self) -> None:
        """RFC 9111 4.2.1: s-maxage, then max-age, then Expires minus Date."""
        expires = ("Expires", date(50))
        self.check(cc("s-maxage=10, max-age=20", expires), 10, S.S_MAXAGE)
        self.check(cc("max-age=20, s-maxage=10", expires), 10, S.S_MAXAGE)
        self.check(cc("max-age=20", expires), 20, S.MAX_AGE)
        self.check(cc("max-age=0", expires), 0, S.MAX_AGE)
        self.check(cc("max-age=nonsense", expires), 0, S.MAX_AGE)
        self.check(cc("s-maxage=nonsense, max-age=20"), 0, S.S_MAXAGE)
        self.check(cc("public", expires), 50, S.EXPIRES)
        self.check(head(expires), 50, S.EXPIRES)
        self.check(head(), 0, S.NONE)

    def test_cache_control_over_several_lines(self) -> None:
        """RFC 9110 5.3: lines of one name are one list, in order."""
        self.check(head(("Cache-Control", "public"), ("cache-control", "max-age=9")), 9, S.MAX_AGE)
        self.check(
            head(("Cache-Control", "max-age=7"), ("Cache-Control", "max-age=9")), 7, S.MAX_AGE
        )

    def test_expires(self) -> None:
        """RFC 9111 5.3 and 4.2.1: no date, the past, two answers: already expired."""
        for value in (
            b"0",
            b"-1",
            b"",
            b"soon",
            date(-1),
            date(0),
            b"Thu, 01 Jan 1970 00:00:00 GMT",
        ):
            self.check(head(("Expires", value)), 0, S.EXPIRES)
        self.check(head(("Expires", date(60)), ("Expires", date(90))), 0, S.EXPIRES)
        self.check(head(("Expires", date(60)), ("Expires", date(60))), 60, S.EXPIRES)
        self.check(head(("Expires", "Fri, 31 Dec 9999 23:59:59 GMT")), MAX_DELTA, S.EXPIRES)

    def test_expires_counts_from_date(self) -> None:
        """RFC 9111 4.2.1: minus Date, whatever our clock says; without one, from receipt."""
        self.check(head(("Date", date(1000)), ("Expires", date(1300))), 300, S.EXPIRES)
        self.check(head(("Date", date(400)), ("Expires", date(300))), 0, S.EXPIRES)
        self.check(head(("Expires", date(60)), dated=False), 60, S.EXPIRES)
        self.check(head(("Date", b"never"), ("Expires", date(60))), 60, S.EXPIRES)

    def test_heuristic(self) -> None:
        """RFC 9111 4.2.2: a tenth of the age at birth, a day at most."""
        for offset, lifetime in ((-1000, 100), (-9, 0), (-YEAR, 86400)):
            self.check(head(("Last-Modified", date(offset))), lifetime, S.HEURISTIC)
        for value in (b"yesterday", date(0), date(500)):
            self.check(head(("Last-Modified", value)), 0, S.NONE)

    def test_heuristic_statuses(self) -> None:
        """RFC 9110 15.1: only for these statuses, or where `public` says cacheable."""
        modified = ("Last-Modified", date(-1000))
        for status in range(200, 600):
            allowed = status in {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 451, 501}
            self.check(
                head(modified, status=status),
                100 if allowed else 0,
                S.HEURISTIC if allowed else S.NONE,
            )
            self.check(cc("public", modified, status=status), 100, S.HEURISTIC)

    def test_no_heuristic_beside_an_explicit_time(self) -> None:
        """RFC 9111 4.2.2: MUST NOT be used when an explicit expiration time is present."""
        modified = ("Last-Modified", date(-YEAR))
        self.check(cc("max-age=0", modified), 0, S.MAX_AGE)
        self.check(head(("Expires", "0"), modified), 0, S.EXPIRES)

    def test_heuristic_off(self) -> None:
        """`proxy_cache_heuristic = off`: no guess."""
        self.check(head(("Last-Modified", date(-1000))), 0, S.NONE, CachePolicy(heuristic=False))

    def test_targeted_field(self) -> None:
        """RFC 9213 2.2: it stands in for Cache-Control and Expires altogether."""
        others = (("Cache-Control", "no-store, max-age=1"), ("Expires", "0"))
        self.check(head(("CDN-Cache-Control", "max-age=60"), *others), 60, S.TARGETED)
        self.check(head(("CDN-Cache-Control", "max-age=60, s-maxage=5"), *others), 5, S.TARGETED)
        found = assess(head(("CDN-Cache-Control", "max-age=60"), *others), NOW, DEFAULT)
        self.assertFalse(found.directives.no_store)
        self.check(head(("CDN-Cache-Control", "none"), ("Cache-Control", "max-age=60")), 0, S.NONE)

    def test_targeted_field_that_does_not_count(self) -> None:
        """RFC 9213 2.1: an empty field, or one that does not parse, is as if absent."""
        for value in ("", "  ", "max-age=60,", "MAX-AGE=60", "max-age = 60", "&", "max-age='6'"):
            self.check(
                head(("CDN-Cache-Control", value), ("Cache-Control", "max-age=7")), 7, S.MAX_AGE
            )

    def test_target_list(self) -> None:
        """RFC 9213 2.2: the first of the list that counts; ignored ones do not."""
        both = head(("CDN-Cache-Control", "max-age=1"), ("Shield-Cache-Control", "max-age=2"))
        names = (b"shield-cache-control", b"cdn-cache-control")
        self.check(both, 2, S.TARGETED, CachePolicy(targets=names))
        self.check(both, 1, S.TARGETED)
        self.check(both, 0, S.NONE, CachePolicy(targets=()))
        ignoring = CachePolicy(targets=names, ignore_headers=frozenset({b"shield-cache-control"}))
        self.check(both, 1, S.TARGETED, ignoring)

    def test_accel_expires(self) -> None:
        """As nginx: X-Accel-Expires rules over all else; seconds, or @ and an instant."""
        for value, lifetime in (("30", 30), ("0", 0), (f"@{int(NOW) + 40}", 40), ("@5", 0)):
            self.check(cc("max-age=9, no-store", ("X-Accel-Expires", value)), lifetime, S.ACCEL)
        for value in ("", "soon", "-5", "@", "@x", "1.5"):
            self.check(cc("max-age=9", ("X-Accel-Expires", value)), 9, S.MAX_AGE)

    def test_table(self) -> None:
        """As nginx `proxy_cache_valid`: after the origin's word, before the guess; first match."""
        policy = CachePolicy(valid=table(({200, 301}, 600), ({404}, 0), (ANY, 5)))
        self.check(head(("Last-Modified", date(-1000))), 600, S.TABLE, policy)
        self.check(head(status=206), 600, S.TABLE, policy)
        self.check(head(status=404), 0, S.TABLE, policy)
        self.check(head(status=503), 5, S.TABLE, policy)
        self.check(cc("max-age=9"), 9, S.MAX_AGE, policy)
        self.check(head(("Expires", "0")), 0, S.EXPIRES, policy)
        self.check(cc("public, must-revalidate"), 600, S.TABLE, policy)
        shadowed = CachePolicy(valid=table((ANY, 5), ({200}, 600)))
        self.check(head(), 5, S.TABLE, shadowed)

    def test_forced_table(self) -> None:
        """`proxy_cache_valid_force`: over the origin, for the statuses it names only."""
        policy = CachePolicy(valid=table(({200}, 600)), valid_force=True)
        for response in (cc("no-store, private"), head(("X-Accel-Expires", "0"))):
            found = assess(response, NOW, policy)
            self.assertEqual((found.lifetime, found.source), (600, S.FORCED))
            self.assertFalse(found.directives.no_store)
        self.check(cc("max-age=9", status=404), 9, S.MAX_AGE, policy)

    def test_ignored_headers(self) -> None:
        """As nginx `proxy_ignore_headers`: what is ignored has no say."""
        response = cc("max-age=9, no-store", ("Expires", date(20)), ("X-Accel-Expires", "30"))

        def ignoring(*names: bytes) -> CachePolicy:
            return CachePolicy(ignore_headers=frozenset(names))

        self.check(response, 9, S.MAX_AGE, ignoring(b"x-accel-expires"))
        self.check(response, 20, S.EXPIRES, ignoring(b"x-accel-expires", b"cache-control"))
        self.check(response, 0, S.NONE, ignoring(b"x-accel-expires", b"cache-control", b"expires"))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        "Cache-Control",
                        "Expires",
                        "Age",
                        "Date",
                        "Last-Modified",
                        "Vary",
                        "ETag",
                        "CDN-Cache-Control",
                        "X-Accel-Expires",
                    ]
                ),
                st.binary(max_size=30),
            ),
            max_size=6,
        ),
        st.integers(200, 599),
    )
    def test_total(self, fields, status) -> None:
        """No response makes it raise, and a lifetime is never negative or endless."""
        response = head(*fields, status=status, dated=False)
        self.assertTrue(0 <= assess(response, NOW, DEFAULT).lifetime <= MAX_DELTA)


class Ages(SynchronousTestCase):
    def test_date_value(self) -> None:
        """RFC 9110 6.6.1: without a usable Date, the time of receipt."""
        self.assertEqual(date_value(head(("Date", date(-5))), NOW), int(NOW) - 5)
        self.assertEqual(date_value(head(dated=False), NOW), int(NOW))
        self.assertEqual(date_value(head(("Date", "0")), NOW), int(NOW))
        self.assertEqual(date_value(head(("Date", "x"), ("Date", date(-7))), NOW), int(NOW) - 7)

    def test_initial_age(self) -> None:
        """RFC 9111 4.2.3: the greater of apparent age and Age plus delay."""
        for response, delay, expected in (
            (head(), 0.0, 0.0),
            (head(), 2.5, 2.5),
            (head(("Age", "100")), 0.0, 100.0),
            (head(("Age", "100")), 2.5, 102.5),
            (head(("Date", date(-50))), 2.0, 50.0),
            (head(("Date", date(-50)), ("Age", "100")), 2.0, 102.0),
            (head(("Date", date(-500)), ("Age", "100")), 2.0, 500.0),
            (head(("Date", date(500))), 0.0, 0.0),
            (head(("Age", "abc"), ("Date", date(-50))), 0.0, 50.0),
            (head(("Age", "100, 5")), 0.0, 100.0),
            (head(("Age", "100"), ("Age", "5")), 0.0, 100.0),
            (head(("Age", "99999999999")), 0.0, float(MAX_DELTA)),
            (head(), -5.0, 0.0),
        ):
            self.assertEqual(initial_age(response, NOW - delay, NOW), expected, response)

    def test_a_response_made_now_has_no_age(self) -> None:
        """Date has whole seconds: the fraction of ours must not count as age."""
        self.assertLess(initial_age(head(("Date", date(0))), NOW + 0.6, NOW + 0.7), 0.2)

    @settings(max_examples=200, deadline=None)
    @given(
        st.one_of(st.none(), st.integers(0, 2**40)),
        st.one_of(st.none(), st.integers(-(10**9), 10**9)),
        st.floats(0, 10**6),
        st.floats(0, 10**9),
    )
    def test_arithmetic(self, age, date_offset, delay, later) -> None:
        """RFC 9111 4.2.3: an age is at least what was received, grows with time, never < 0."""
        fields = []
        if age is not None:
            fields.append(("Age", str(age)))
        if date_offset is not None:
            fields.append(("Date", date(date_offset)))
        initial = initial_age(head(*fields, dated=False), NOW - delay, NOW)
        self.assertTrue(min(age or 0, MAX_DELTA) <= initial <= MAX_DELTA)
        if date_offset is not None:
            self.assertGreaterEqual(initial, min(-date_offset, MAX_DELTA))
        born = NOW - initial
        first, second = current_age(born, NOW), current_age(born, NOW + later)
        self.assertTrue(0 <= first <= second <= MAX_DELTA)

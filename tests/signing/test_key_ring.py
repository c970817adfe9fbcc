"""Several scoped keys: which one signs, until when, and what is told about the end."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import (
    Credentials,
    Endpoint,
    KeyNotice,
    KeyRing,
    Scope,
    ScopedKey,
    Signer,
    SignMode,
    derive_signing_key,
    key_notice,
)

HOUR, DAY = 3600, 86_400
START = 1_795_478_400  # 2026-11-24 00:00:00 UTC


def key(day: int, region: str = "r", service: str = "s3", secret: str = "x") -> ScopedKey:
    """The key of the day that is `day` days after START's."""
    scope = Scope(f"{dt.datetime.fromtimestamp(START + day * DAY, dt.UTC):%Y%m%d}", region, service)
    return ScopedKey(derive_signing_key(secret, scope), scope)


def ring(*days: int) -> KeyRing:
    """A ring of the keys of these days."""
    return KeyRing([key(day) for day in days])


days = st.lists(st.integers(-20, 20), min_size=1, max_size=8)
moments = st.one_of(
    st.integers(-30 * DAY, 30 * DAY),
    st.builds(lambda day, off: day * DAY + off, st.integers(-30, 30), st.integers(-1, 1)),
).map(lambda seconds: START + seconds)


class Choice(SynchronousTestCase):
    """`at`, `valid` and `expires`."""

    def test_table(self):
        """The newest that has begun signs; a week counts from 00:00 UTC; gaps end it."""
        for there, seconds, chosen, valid, expires in (
            ((0,), 0, 0, True, 7 * DAY),
            ((0,), 7 * DAY - 1, 0, True, 7 * DAY),
            ((0,), 7 * DAY, 0, False, 7 * DAY),
            ((0,), -1, 0, False, None),
            ((0, 1, 2), DAY - 1, 0, True, 9 * DAY),
            ((2, 0, 1), DAY, 1, True, 9 * DAY),
            ((0, 1, 2), 8 * DAY, 2, True, 9 * DAY),
            ((0, 7), 3 * DAY, 0, True, 14 * DAY),
            ((0, 8), 3 * DAY, 0, True, 7 * DAY),
            ((0, 8), 7 * DAY, 0, False, 7 * DAY),
            ((0, 8), 8 * DAY, 8, True, 15 * DAY),
            ((3, 5), 0, 3, False, None),
        ):
            with self.subTest(there=there, seconds=seconds):
                keys, now = ring(*there), START + seconds
                self.assertEqual(keys.at(now), key(chosen))
                self.assertEqual(keys.valid(now), valid)
                wanted = 0 if expires is None else START + expires
                self.assertEqual(keys.expires(now), wanted)

    @settings(deadline=None)
    @given(days, moments)
    def test_newest_valid(self, there, now):
        """Whenever a key is good, the one chosen is good and none that is good is newer."""
        keys = ring(*there)
        good = [each for each in keys.keys if each.scope.begins <= now < each.scope.ends]
        self.assertEqual(keys.valid(now), bool(good))
        if good:
            self.assertEqual(keys.at(now), max(good, key=lambda each: each.scope.date))

    @settings(deadline=None)
    @given(days, moments)
    def test_expires(self, there, now):
        """There is a good key at every hour up to the end, and none at the end."""
        keys = ring(*there)
        end = keys.expires(now)
        self.assertFalse(keys.valid(end))
        self.assertEqual(keys.valid(now), end > now)
        for moment in range(now, end, 6 * HOUR):
            self.assertTrue(keys.valid(moment), moment)
        if end > now:
            self.assertTrue(keys.valid(end - 1))

    def test_same_day(self):
        """Of two keys for one day the later in the file counts."""
        keys = KeyRing([key(0, secret="old"), key(0, secret="new")])
        self.assertEqual(keys.at(START), key(0, secret="new"))

    def test_repr(self):
        """No key is shown."""
        one = key(0)
        shown = repr((one, ring(0), Credentials("AKIA", keys=ring(0))))
        self.assertNotIn(repr(one.signing_key)[2:-1], shown)
        self.assertIn("20261124/r/s3", shown)


class Picking(SynchronousTestCase):
    """`pick`: what of a file is for one bucket."""

    def test_picked(self):
        """By region and service; what is left open the keys decide, s3 before others."""
        keys = (key(0), key(1, "q"), key(2, service="iam"), key(3))
        for options, days_left in (
            ({"region": "r"}, (key(0), key(3))),
            ({"region": "q"}, (key(1, "q"),)),
            ({"region": "r", "service": "iam"}, (key(2, service="iam"),)),
        ):
            self.assertEqual(KeyRing.pick(keys, **options).keys, days_left, options)
        only = KeyRing.pick([key(0, "q", "es")])
        self.assertEqual((only.region, only.service), ("q", "es"))

    def test_refused(self):
        """What does not fit is told with what is there."""
        for keys, options, says in (
            ((key(0),), {"region": "q"}, "no key in it is for q/s3, only for r/s3"),
            ((key(0), key(0, "q")), {}, "for q and r in it: say which with aws_region"),
            ((key(0, "r", "a"), key(0, "r", "b")), {}, "for s3, only for r/a, r/b"),
        ):
            error = self.assertRaises(ValueError, KeyRing.pick, keys, **options)
            self.assertIn(says, str(error))
        self.assertRaises(ValueError, KeyRing, ())
        self.assertRaises(ValueError, KeyRing, (key(0), key(0, "q")))


class Notices(SynchronousTestCase):
    """`key_notice`: what is told, and when."""

    def test_table(self):
        """Nothing until 48 h before the end; then two warnings; then an error each hour."""
        end = START + 7 * DAY
        for left, wanted in (
            (48 * HOUR + 1, None),
            (48 * HOUR, KeyNotice(False, end, 48)),
            (24 * HOUR + 1, KeyNotice(False, end, 48)),
            (24 * HOUR, KeyNotice(False, end, 24)),
            (1, KeyNotice(False, end, 24)),
            (0, KeyNotice(True, end, 0)),
            (-HOUR + 1, KeyNotice(True, end, 0)),
            (-HOUR, KeyNotice(True, end, 1)),
            (-100 * HOUR, KeyNotice(True, end, 100)),
        ):
            self.assertEqual(key_notice(ring(0), end - left), wanted, left)

    def test_none_begun(self):
        """A ring for days to come only is an error now."""
        notice = key_notice(ring(1), START)
        self.assertEqual((notice.expired, notice.expires), (True, 0))

    def test_what_is_told(self):
        """Watched every minute, one key's life is two warnings and an error each hour."""
        last, told = None, []
        for now in range(START, START + 7 * DAY + 3 * HOUR, 60):
            notice = key_notice(ring(0), now)
            if notice is not None and notice != last:
                told.append((now - START, notice.expired))
            last = notice
        hours = [(5 * 24, False), (6 * 24, False), *[(7 * 24 + n, True) for n in range(3)]]
        self.assertEqual(told, [(hour * HOUR, expired) for hour, expired in hours])

    @settings(deadline=None)
    @given(days, moments)
    def test_silence(self, there, now):
        """Nothing is told exactly when there are good keys for more than two days."""
        keys = ring(*there)
        self.assertEqual(key_notice(keys, now) is None, keys.expires(now) > now + 48 * HOUR)


class SignerKeys(SynchronousTestCase):
    """A signer with a ring."""

    def signer(self, *there: int) -> Signer:
        """One for the bucket b."""
        endpoint = Endpoint.parse("http://s3.test", "b", "path")
        return Signer(endpoint, SignMode.V4, Credentials("AKIA", keys=ring(*there)))

    def scope(self, signer: Signer, now: float) -> str:
        """The scope's date in a request signed at `now`."""
        fields = dict(signer.sign(b"GET", b"a", (), now).fields)
        return fields[b"Authorization"].decode().split("/")[1]

    def test_each_request(self):
        """The key is chosen for the second of each request, back and forth."""
        signer = self.signer(0, 1, 2)
        for seconds, day in ((0, 24), (DAY - 0.001, 24), (DAY, 25), (9 * DAY, 26), (0, 24)):
            self.assertEqual(self.scope(signer, START + seconds), f"202611{day}", seconds)

    def test_as_with_one_key(self):
        """What a ring signs is what its key of that day signs alone, to the byte."""
        one = key(1)
        alone = Signer(
            Endpoint.parse("http://s3.test", "b", "path"),
            SignMode.V4,
            Credentials("AKIA", signing_key=one.signing_key, scope=one.scope),
        )
        now = START + DAY + 5
        self.assertEqual(
            self.signer(0, 1, 2).sign(b"GET", b"a", (), now), alone.sign(b"GET", b"a", (), now)
        )

    def test_renew(self):
        """New credentials sign within the same second; wrong ones change nothing."""
        signer = self.signer(0)
        self.assertEqual(self.scope(signer, START + DAY), "20261124")
        signer.renew(Credentials("AKIA", keys=ring(0, 1)))
        self.assertEqual(self.scope(signer, START + DAY), "20261125")
        before = signer.sign(b"GET", b"a", (), START + DAY)
        other = Credentials("OTHER", keys=KeyRing([key(0, "q")]))
        self.assertIn("'q'", str(self.assertRaises(ValueError, signer.renew, other)))
        self.assertEqual(signer.sign(b"GET", b"a", (), START + DAY), before)
        signer.renew(Credentials("AKIA2", secret_key="x", session_token="tok"))
        fields = dict(signer.sign(b"GET", b"a", (), START + DAY).fields)
        self.assertIn(b"Credential=AKIA2/20261125/r/s3/", fields[b"Authorization"])
        self.assertEqual(fields[b"x-amz-security-token"], b"tok")

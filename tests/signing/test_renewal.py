"""When credentials are renewed: ahead of their end, never long after it, not all at once."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import Credentials, Endpoint, Signer, SignMode, renew_in, retry_in

NOW = 1_795_478_400.0
jitters = st.floats(0.0, 1.0)


class Renewal(SynchronousTestCase):
    def test_cases(self):
        """15 minutes ahead of a far end, at a third of what is left of a near one."""
        for left, wanted in (
            (6 * 3600, 6 * 3600 - 900),
            (3600, 2700),
            (1350, 450),
            (900, 300),
            (300, 100),
            (6, 2),
            (1, 1),
            (0, 1),
            (-5000, 1),
            (10**9, 86_400),
            (None, 300),
        ):
            expires = None if left is None else NOW + left
            self.assertEqual(renew_in(expires, NOW, 0.0), wanted, left)
            self.assertEqual(renew_in(expires, NOW, 1.0), max(1.0, wanted * 0.9), left)

    @settings(deadline=None, max_examples=150)
    @given(st.floats(3.0, 1e6), jitters)
    def test_ahead(self, left, jitter):
        """However long they are good for, they are renewed in time, and not at once."""
        wait = renew_in(NOW + left, NOW, jitter)
        self.assertTrue(1.0 <= wait < left, wait)

    def test_retries(self):
        """They begin at once and grow to a minute, to five seconds while there are none."""
        self.assertEqual(
            [retry_in(n, 0.0, good=True) for n in (1, 2, 3, 7, 2000)], [1, 2, 4, 60, 60]
        )
        self.assertEqual([retry_in(n, 0.0, good=False) for n in (1, 3, 4, 99)], [1, 4, 5, 5])
        self.assertEqual(retry_in(2, 1.0, good=True), 1.0)


class Pending(SynchronousTestCase):
    """A signer whose credentials come later."""

    def test_never_unsigned(self):
        """Until they are there nothing can be signed, in any mode; then it signs as any other."""
        endpoint = Endpoint.parse("http://s3.test", "b", "path")
        for mode in (SignMode.V4, SignMode.V4_QUERY):
            signer = Signer(endpoint, mode, None, "r", pending=True)
            self.assertRaises(ValueError, signer.sign, b"GET", b"k", (), NOW)
            self.assertRaises(ValueError, signer.explain, b"GET", b"k", (), NOW)
            credentials = Credentials("ASIA", "s", session_token="t")
            signer.renew(credentials)
            ready = Signer(endpoint, mode, credentials, "r")
            self.assertEqual(signer.sign(b"GET", b"k", (), NOW), ready.sign(b"GET", b"k", (), NOW))
        with self.assertRaises(ValueError):
            Signer(endpoint, SignMode.V4, None, None, pending=True)
        with self.assertRaises(ValueError):
            Signer(endpoint, SignMode.V4, None, "r")

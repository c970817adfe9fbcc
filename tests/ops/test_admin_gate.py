"""Who comes in at the admin listener."""

from __future__ import annotations

import base64
import ipaddress

from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.admin_gate import Gate

TOKEN = "0123456789abcdef"


class GateTests(SynchronousTestCase):
    """`admin_allow` and `admin_token`."""

    def test_addresses(self) -> None:
        """Only who is in a network, also as an IPv4 address mapped into IPv6; unix sockets always."""
        gate = Gate([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fe80::/64")])
        for host, good in (
            ("10.1.2.3", True),
            ("::ffff:10.1.2.3", True),
            ("fe80::1%eth0", True),
            (None, True),
            ("11.1.2.3", False),
            ("::1", False),
            ("nonsense", False),
        ):
            refusal = gate.address(host)
            self.assertEqual(good, refusal is None, host)
            if refusal is not None:
                self.assertEqual(403, refusal.status)
        self.assertIsNone(Gate().address("11.1.2.3"))

    def test_tokens(self) -> None:
        """The token as Bearer or as a password; all else is asked for it, and told nothing of it."""

        def basic(text: str) -> bytes:
            return b"Basic " + base64.b64encode(text.encode())

        gate = Gate(token=TOKEN)
        for field, good in (
            (f"Bearer {TOKEN}".encode(), True),
            (f"bearer   {TOKEN} ".encode(), True),
            (basic(f"anybody:{TOKEN}"), True),
            (basic(f":{TOKEN}"), True),
            (basic(TOKEN), False),
            (None, False),
            (b"", False),
            (b"Bearer", False),
            (f"Bearer {TOKEN[:-1]}".encode(), False),
            (f"Bearer {TOKEN}x".encode(), False),
            (TOKEN.encode(), False),
            (b"Basic ***", False),
            ("Bearer ü".encode("latin-1"), False),
        ):
            refusal = gate.credentials(field)
            self.assertEqual(good, refusal is None, field)
            if refusal is not None:
                self.assertEqual((401, True), (refusal.status, refusal.challenge is not None))
                self.assertNotIn(TOKEN, repr(refusal))
        self.assertNotIn(TOKEN, repr(gate))
        self.assertIsNone(Gate().credentials(None))

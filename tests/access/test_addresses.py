"""`access.Addresses`: nginx's allow and deny, line by line."""

from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.access import GRANTED, Addresses, AddressRule, Refused


def addresses(text: str) -> Addresses:
    """`+10.0.0.0/8 -all`: an allow and a deny."""
    return Addresses(AddressRule.parse(word[1:], allow=word[0] == "+") for word in text.split())


class AddressesTests(SynchronousTestCase):
    """What the lines say of an address."""

    def test_table(self) -> None:
        """The first line that matches decides; none at all has nothing to say."""
        for rules, peer, wanted in (
            ("+10.0.0.0/8 -all", "10.1.2.3", True),
            ("+10.0.0.0/8 -all", "11.0.0.1", False),
            ("-all +10.0.0.0/8", "10.1.2.3", False),
            ("-10.1.0.0/16 +10.0.0.0/8 -all", "10.1.2.3", False),
            ("-10.1.0.0/16 +10.0.0.0/8 -all", "10.2.2.3", True),
            ("+10.0.0.1", "10.0.0.1", True),
            ("+10.0.0.1", "10.0.0.2", None),
            ("-10.0.0.1", "10.0.0.2", None),
            ("+2001:db8::/32 -all", "2001:db8::1", True),
            ("+2001:db8::/32 -all", "2001:db9::1", False),
            ("+0.0.0.0/0 -all", "::1", False),
            ("+::/0 -all", "127.0.0.1", False),
            ("+fe80::/10 -all", "fe80::1%eth0", True),
            # Clients of a dual-stack socket, as nginx: by the lines of IPv4 where there are any.
            ("+10.0.0.0/8 -all", "::ffff:10.0.0.1", True),
            ("-10.0.0.0/8 +::/0", "::ffff:10.0.0.1", False),
            ("+::/0", "::ffff:10.0.0.1", True),
            ("+unix: -all", "unix:", True),
            ("+unix: -all", "127.0.0.1", False),
            ("+127.0.0.1 -all", "unix:", False),
            ("-unix: +all", "unix:", False),
            ("+127.0.0.1", "unix:", None),
            # What is no address has nothing but `all`.
            ("+10.0.0.0/8 -all", "", False),
            ("+10.0.0.0/8 -all", "10.0.0.1 ", False),
            ("+10.0.0.0/8 -all", "010.0.0.1", False),
            ("+10.0.0.0/8 -all", "10.1", False),
            ("+10.0.0.0/8 -all", "\xff", False),
        ):
            found = addresses(rules).verdict(peer.encode("latin-1"))
            verdicts = {True: GRANTED, False: Refused(403), None: None}
            self.assertEqual(verdicts[wanted], found, (rules, peer))

    def test_no_lines(self) -> None:
        """Without a line there is nothing to say."""
        self.assertIsNone(Addresses(()).verdict(b"10.0.0.1"))

    @given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
    @settings(deadline=None, max_examples=100)
    def test_a_network_and_the_rest(
        self, inside: ipaddress.IPv4Address, length: int, other: ipaddress.IPv4Address
    ) -> None:
        """A network holds just the addresses that begin with its bits."""
        network = ipaddress.ip_network((inside, length), strict=False)
        found = addresses(f"+{network} -all")
        self.assertEqual(GRANTED, found.verdict(str(inside).encode()))
        alike = int(inside) >> (32 - length) == int(other) >> (32 - length)
        self.assertEqual(GRANTED if alike else Refused(403), found.verdict(str(other).encode()))

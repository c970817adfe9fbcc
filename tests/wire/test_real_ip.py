"""nginx's realip: which address counts."""

import ipaddress

from twisted.trial.unittest import SynchronousTestCase

from s3shield.policy import Request
from s3shield.wire.client_certificate import VerifiedPeer
from s3shield.wire.real_ip import RealIp, Trusted, real_address

TRUSTED = Trusted(
    [ipaddress.ip_network(each) for each in ("10.0.0.0/8", "2001:db8::/32")], unix=False
)


class AddressTests(SynchronousTestCase):
    def test_table(self):
        """(peer, value, recursive) -> the client's address."""
        for peer, value, recursive, wanted in (
            (b"10.0.0.1", b"192.0.2.1", False, b"192.0.2.1"),
            (b"192.0.2.9", b"192.0.2.1", False, b"192.0.2.9"),
            (b"10.0.0.1", b"192.0.2.1, 192.0.2.2", False, b"192.0.2.2"),
            (b"10.0.0.1", b"192.0.2.1, 10.0.0.2", False, b"10.0.0.2"),
            (b"10.0.0.1", b"192.0.2.1, 192.0.2.2, 10.0.0.2", True, b"192.0.2.2"),
            (b"10.0.0.1", b"10.0.0.3, 10.0.0.2", True, b"10.0.0.3"),
            (b"10.0.0.1", b"192.0.2.1,192.0.2.2 ,, ", False, b"192.0.2.2"),
            (b"10.0.0.1", b"192.0.2.1 192.0.2.2", False, b"192.0.2.2"),
            (b"10.0.0.1", b"", True, b"10.0.0.1"),
            (b"10.0.0.1", b"unknown", True, b"10.0.0.1"),
            (b"10.0.0.1", b"192.0.2.1, nonsense, 10.0.0.2", True, b"10.0.0.2"),
            (b"10.0.0.1", b"192.0.2.1:8080", False, b"192.0.2.1"),
            (b"10.0.0.1", b"192.0.2.1:99999", False, b"10.0.0.1"),
            (b"10.0.0.1", b"192.0.2.1:", False, b"192.0.2.1"),
            (b"10.0.0.1", b"[2001:DB8::1]:80", True, b"2001:db8::1"),
            (b"10.0.0.1", b"[2001:db8::1]", False, b"2001:db8::1"),
            (b"10.0.0.1", b"[2001:db8::1]80", False, b"10.0.0.1"),
            (b"10.0.0.1", b"[192.0.2.1]:80", False, b"10.0.0.1"),
            (b"10.0.0.1", b"fe80::1%eth0", False, b"10.0.0.1"),
            (b"10.0.0.1", b"::ffff:192.0.2.1", False, b"192.0.2.1"),
            (b"10.0.0.1", b"\xff\xfe", False, b"10.0.0.1"),
            (b"10.0.0.1", "192.0.2.1²".encode(), False, b"10.0.0.1"),
            (b"2001:db8::2", b"192.0.2.1", False, b"192.0.2.1"),
            (b"2001:db9::2", b"192.0.2.1", False, b"2001:db9::2"),
            (b"unix:", b"192.0.2.1", False, b"unix:"),
        ):
            found = real_address(peer, value, TRUSTED, recursive=recursive)
            self.assertEqual(found, wanted, (peer, value, recursive))

    def test_unix(self):
        """Clients of unix sockets are trusted where that is said."""
        self.assertTrue(Trusted([], unix=True)(b"unix:"))
        self.assertFalse(TRUSTED(b"unix:"))
        everything = Trusted([ipaddress.ip_network("::/0")], unix=False)
        self.assertFalse(everything(b"192.0.2.1"))

    def test_many(self):
        """However many addresses ask, what is remembered of them is bounded."""
        trusted = Trusted([ipaddress.ip_network("10.0.0.0/8")], unix=True)
        for number in range(9000):
            trusted(b"192.0.%d.%d" % divmod(number, 256))
        self.assertLess(len(trusted._known), 5000)
        self.assertTrue(trusted(b"10.0.0.1") and trusted(b"unix:"))


class SiteTests(SynchronousTestCase):
    def test_site(self):
        """The site behind sees the client; what it wants of bodies is known as before."""
        seen = []

        class Site:
            body_plan = "plan"

            def __call__(self, request, downstream):
                seen.append((request.peer, downstream))

        site = RealIp(Site(), b"x-real-ip", TRUSTED, recursive=False)
        self.assertEqual(site.body_plan, "plan")
        for headers in ({b"x-real-ip": b"192.0.2.1"}, {b"x-forwarded-for": b"192.0.2.1"}):
            site(Request(headers=headers, peer=b"10.0.0.1"), "down")
        self.assertEqual(seen, [(b"192.0.2.1", "down"), (b"10.0.0.1", "down")])

    def test_certificate(self):
        """A certificate that was shown counts for the client that the field names."""
        seen = []
        site = RealIp(
            lambda request, _: seen.append(request.peer), b"x-real-ip", TRUSTED, recursive=False
        )
        peer = VerifiedPeer.of(b"10.0.0.1", "/ca")
        site(Request(headers={b"x-real-ip": b"192.0.2.1"}, peer=peer), None)
        self.assertEqual((seen[0], seen[0].client_ca), (b"192.0.2.1", "/ca"))

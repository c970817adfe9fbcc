"""The options of purging: who may be reached, and by whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import dump
from s3shield.config.dump import render

from .fixture import PLAIN, mistakes, read


class AdminListenTests(SynchronousTestCase):
    """`admin_listen`."""

    def test_taken(self):
        """Loopback addresses and unix sockets; what is dumped loads as the same."""
        for value in ("127.0.0.1:9180", "[::1]:9180", "localhost:9180", "unix:/run/a.sock"):
            config = read(f"[s3shield]\nadmin_listen = {value}\n{PLAIN}")
            self.assertEqual(config.daemon.admin_listen.text, value)
            self.assertEqual(config.daemon.admin_listen.where, "x.ini:2")
            self.assertEqual(read(dump(config)), config)
        self.assertIsNone(read(PLAIN).daemon.admin_listen)

    def test_refused(self):
        """Addresses that others can reach, TLS, and one that serves clients."""
        near = "it is a loopback address, 127.0.0.1:9180, or unix:/path"
        for value, wanted in (
            ("0.0.0.0:9180", f"{near}; 0.0.0.0:9180 needs admin_token or admin_allow"),
            ("9180", f"{near}; 0.0.0.0:9180 needs admin_token or admin_allow"),
            ("10.0.0.1:9180", f"{near}; 10.0.0.1:9180 needs admin_token or admin_allow"),
            ("admin.test:9180", f"{near}; admin.test:9180 needs admin_token or admin_allow"),
            ("systemd:0", f"{near}: 'systemd:0'"),
            (
                "127.0.0.1:1 tls",
                "the admin listener has no tls: it is for this machine alone",
            ),
            (
                "127.0.0.1:8080",
                "127.0.0.1:8080 is a listen address too: requests or administration, not both",
            ),
        ):
            self.assertEqual(
                mistakes(f"[s3shield]\nadmin_listen = {value}\n{PLAIN}"),
                [f"x.ini:2: [s3shield] admin_listen: {wanted}"],
            )

    def test_guarded(self):
        """An address that others can reach takes a token or a list; what is dumped is the same."""
        for line in ("admin_token = 0123456789abcdef", "admin_allow = 10.0.0.0/8 ::1"):
            config = read(f"[s3shield]\nadmin_listen = 0.0.0.0:9180\n{line}\n{PLAIN}")
            self.assertEqual(config.daemon.admin_listen.text, "0.0.0.0:9180")
            self.assertTrue(config.daemon.admin.guarded)
            self.assertEqual(read(render(config, str)), config)
        self.assertNotIn("0123456789", f"{config}{dump(config)}")

    def test_bad_token(self):
        """A short token, or one that no field can carry, is refused, and never shown."""
        for value in ("short", "0123456789 abcdef", "0123456789abcdéf"):
            (mistake,) = mistakes(f"[s3shield]\nadmin_token = {value}\n{PLAIN}")
            self.assertIn("16 characters", mistake)
            self.assertNotIn(value, mistake)


class PurgeAllowTests(SynchronousTestCase):
    """`purge_allow`."""

    def test_taken(self):
        """Addresses and networks, inherited, taken back by an empty value."""
        text = f"[s3shield]\npurge_allow = 127.0.0.1 10.0.0.0/8 ::1\n{PLAIN}"
        config = read(f"{text}[location:/x]\norigin = http://h\npurge_allow =\n")
        allowed = [
            [str(network) for network in location.purge_allow] for location in config.locations
        ]
        self.assertEqual(allowed, [["127.0.0.1/32", "10.0.0.0/8", "::1/128"], []])
        self.assertEqual(
            [each.purge_allow for each in read(dump(config)).locations],
            [each.purge_allow for each in config.locations],
        )

    def test_refused(self):
        """What is no network."""
        for value in ("localhost", "10.0.0.1/8", "10.0.0.0/33"):
            (found,) = mistakes(f"{PLAIN}purge_allow = {value}\n")
            self.assertIn("[location:/] purge_allow: it is no address or network", found)

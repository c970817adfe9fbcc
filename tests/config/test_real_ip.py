"""Whose word counts about addresses: the options, and what does not go together."""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import RealIpConfig, dump

from .fixture import PLAIN, mistakes, read


class RealIpTests(SynchronousTestCase):
    def test_options(self) -> None:
        """Several lines, networks and unix sockets; the same after a dump."""
        config = read(
            "[s3shield]\nlisten = 80 proxy_protocol\nlisten = 443 tls proxy_protocol\n"
            "tls_certificate = /c\ntls_certificate_key = /k\n"
            "set_real_ip_from = 10.0.0.0/8 unix:\nset_real_ip_from = 2001:db8::/32\n"
            f"real_ip_header = X-Forwarded-For\nreal_ip_recursive = on\n{PLAIN}"
        )
        networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
        self.assertEqual(
            config.daemon.real_ip,
            RealIpConfig(networks=networks, unix=True, header="x-forwarded-for", recursive=True),
        )
        self.assertEqual(
            [str(listen) for listen in config.listens],
            ["0.0.0.0:80 proxy_protocol", "0.0.0.0:443 tls proxy_protocol"],
        )
        self.assertEqual(read(dump(config)), config)

    def test_field(self) -> None:
        """Which field says it: nginx's default, but none where a PROXY header says it."""
        trusted = {"networks": (ip_network("10.0.0.0/8"),)}
        for config, plain, proxied, from_proxy in (
            (RealIpConfig(), None, None, True),
            (RealIpConfig(**trusted), "x-real-ip", None, True),
            (RealIpConfig(**trusted, header="proxy_protocol"), None, None, True),
            (RealIpConfig(**trusted, header="x-forwarded-for"), *["x-forwarded-for"] * 2, False),
        ):
            fields = [config.field(proxy_protocol=each) for each in (False, True)]
            self.assertEqual([*fields, config.from_proxy()], [plain, proxied, from_proxy], config)

    def test_mistakes(self) -> None:
        """What cannot be meant."""
        for text, wanted in (
            (
                "listen = 80 proxy_protocol",
                "3: [s3shield] set_real_ip_from: it is missing: who may send PROXY headers to 0.0",
            ),
            ("real_ip_header = X-Real-IP", "4: [s3shield] real_ip_header: it goes with "),
            ("real_ip_recursive = on", "4: [s3shield] real_ip_recursive: it goes with "),
            ("set_real_ip_from = 10.0.0.1/8", "has host bits set"),
            ("set_real_ip_from = lb.example.com", "it is no address or network"),
            ("set_real_ip_from = ::1\nreal_ip_header = a b", "X-Forwarded-For or proxy_protocol"),
            ("set_real_ip_from = ::1\nreal_ip_header = proxy_protocoll", "(did you mean "),
            ("admin_listen = 127.0.0.1:1 proxy_protocol", "admin listener"),
        ):
            (line,) = mistakes(f"{PLAIN.rstrip()}\n[s3shield]\n{text}\n")
            self.assertIn(wanted, line)

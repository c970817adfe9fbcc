"""How an endpoint's URL is read, and what follows from it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from s3shield.signing import Endpoint

AWS = "https://s3.eu-central-1.amazonaws.com"


class Parsing(SynchronousTestCase):
    """`Endpoint.parse`."""

    def test_accepted(self):
        """Scheme, port and addressing, given or left out."""
        cases = [
            # url, bucket, addressing -> authority, connect_host, port, virtual
            (AWS, "media", "auto", b"media.s3.eu-central-1.amazonaws.com", None, 443, True),
            (AWS + "/", "media", "path", b"s3.eu-central-1.amazonaws.com", None, 443, False),
            (AWS, "a.b", "auto", b"s3.eu-central-1.amazonaws.com", None, 443, False),
            (AWS, "Media", "auto", b"s3.eu-central-1.amazonaws.com", None, 443, False),
            (AWS, "me_dia", "auto", b"s3.eu-central-1.amazonaws.com", None, 443, False),
            (AWS, "10.0.0.1", "auto", b"s3.eu-central-1.amazonaws.com", None, 443, False),
            (AWS, "a.b", "virtual", b"a.b.s3.eu-central-1.amazonaws.com", None, 443, True),
            ("http://s3.amazonaws.com", "a.b", "auto", b"a.b.s3.amazonaws.com", None, 80, True),
            ("s3.cn-north-1.amazonaws.com.cn", "media", "auto",
             b"media.s3.cn-north-1.amazonaws.com.cn", None, 443, True),
            ("minio.example", "media", "auto", b"minio.example", None, 443, False),
            ("MINIO.example.:9000", "media", "auto", b"minio.example:9000", "minio.example", 9000, False),
            ("http://minio.example:80", "media", "virtual", b"media.minio.example", None, 80, True),
            ("http://minio.example:443", "media", "path", b"minio.example:443", "minio.example", 443, False),
            ("http://127.0.0.1:9000", "media", "auto", b"127.0.0.1:9000", "127.0.0.1", 9000, False),
            ("http://[::1]:9000", "media", "auto", b"[::1]:9000", "::1", 9000, False),
            ("[2001:DB8::0:1]", "media", "auto", b"[2001:db8::1]", "2001:db8::1", 443, False),
            ("http://s3.localhost:8990", "media", "virtual",
             b"media.s3.localhost:8990", "localhost", 8990, True),
            ("http://localhost:8990", "media", "auto", b"localhost:8990", "localhost", 8990, False),
            ("http://minio_1:9000", "media", "auto", b"minio_1:9000", "minio_1", 9000, False),
            ("amazonaws.com.evil.example", "media", "auto", b"amazonaws.com.evil.example", None, 443, False),
            ("https://origin.example", "", "auto", b"origin.example", None, 443, False),
        ]  # fmt: skip
        for url, bucket, addressing, authority, connect, port, virtual in cases:
            with self.subTest(url=url, bucket=bucket, addressing=addressing):
                endpoint = Endpoint.parse(url, bucket, addressing)
                self.assertEqual(endpoint.authority, authority)
                self.assertEqual(endpoint.connect_host, connect or authority.decode())
                self.assertEqual(endpoint.port, port)
                self.assertEqual(endpoint.virtual_host, virtual)

    def test_refused(self):
        """Everything else is a ValueError in plain words; a password is not quoted."""
        cases = [
            ("ftp://host", "media", "auto", "http:// or https://"),
            ("", "media", "auto", "no host name"),
            ("https://", "media", "auto", "no host name"),
            ("https://ho st", "media", "auto", "no host name"),
            ("https://-host", "media", "auto", "no host name"),
            ("https://a..b", "media", "auto", "no host name"),
            ("https://host/media", "media", "auto", "no path"),
            ("https://host?x", "media", "auto", "no path"),
            ("https://me:hush@host", "media", "auto", "password"),
            ("https://host:", "media", "auto", "port"),
            ("https://host:0", "media", "auto", "port"),
            ("https://host:65536", "media", "auto", "port"),
            ("https://host:\uff19\uff10", "media", "auto", "port"),
            ("::1", "media", "auto", "brackets"),
            ("[::1", "media", "auto", "IPv6"),
            ("[::1]9000", "media", "auto", "IPv6"),
            ("[nope]:9000", "media", "auto", "IPv6"),
            ("host", "me/dia", "auto", "name of a bucket"),
            ("host", "me dia", "auto", "name of a bucket"),
            ("host", "Media", "virtual", "use path"),
            ("http://127.0.0.1", "media", "virtual", "use path"),
            ("http://[::1]", "media", "virtual", "use path"),
            ("host", "", "virtual", "use path"),
            ("host", "media", "dns", "auto, virtual or path"),
            ("media.s3.eu-west-1.amazonaws.com", "media", "auto", "give 's3.eu-west-1.amazonaws.com'"),
        ]  # fmt: skip
        for url, bucket, addressing, says in cases:
            with self.subTest(url=url, bucket=bucket, addressing=addressing):
                error = str(self.assertRaises(ValueError, Endpoint.parse, url, bucket, addressing))
                self.assertIn(says, error)
                self.assertNotIn("hush", error)

    @settings(deadline=None)
    @given(
        st.text("htps:/.[]@0189ab-_ é", max_size=30), st.sampled_from(["auto", "virtual", "path"])
    )
    def test_only_value_error(self, url, addressing):
        """Whatever the text: an endpoint whose Host header is clean, or a ValueError."""
        try:
            endpoint = Endpoint.parse(url, "media", addressing)
        except ValueError:
            return
        self.assertRegex(endpoint.authority, rb"^[a-z0-9._:\[\]-]+$")
        self.assertTrue(0 < endpoint.port < 65536)

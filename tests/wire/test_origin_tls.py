"""TLS to the origin: who is believed, what is said when nobody is, and sessions."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet import reactor

from s3shield.policy import FailureKind
from s3shield.wire.origin_options import OriginAddress, OriginOptions
from s3shield.wire.origin_pool import OriginPool
from s3shield.wire.origin_tls import OriginTLS
from tests.wire.certificates import Authority
from tests.wire.origin_fixture import GET, PoolCase, Recorder
from tests.wire.scripted_origin import ABORT, CLOSE, HANG, READ, chunked, response

DAY = dt.timedelta(days=1)
AUTHORITY = Authority()
OTHER = Authority("Somebody else")


class TLSCase(PoolCase):
    def setUp(self) -> None:
        """Write the bundle of authorities we trust."""
        self.ca_file = self.mktemp()
        Path(self.ca_file).write_bytes(b"# the roots we trust\n" + AUTHORITY.pem)

    def secure(self, origin: Any, **options: Any) -> Any:
        """Return a pool that speaks TLS to `origin`, as bucket.test."""
        options = {"ca_file": self.ca_file, "server_name": "bucket.test", **options}
        return self.pool(origin, scheme="https", **options)


class BelievedTests(TLSCase):
    async def test_the_right_certificate(self) -> None:
        """A certificate of a trusted authority for our name: the exchange is as without TLS."""
        for names in (("a.bucket.test",), ("other.test", "a.bucket.test"), ("*.bucket.test",)):
            origin = self.origin(
                [READ, response(b"one"), READ, chunked(b"t", b"wo"), HANG],
                context=AUTHORITY.server(*names),
            )
            pool = self.secure(origin, server_name="a.bucket.test")
            first, second = await self.get(pool), await self.get(pool)
            self.assertEqual((first.body, second.body), (b"one", b"two"))
            self.assertEqual((first.call.reused, second.call.reused), (False, True))
            self.assertEqual(first.call.address, f"127.0.0.1:{origin.port}")
            self.assertGreater(first.call.connect_time, 0)

    async def test_an_address(self) -> None:
        """An origin given by its address shows a certificate for the address."""
        origin = self.origin([READ, response(b"one")], context=AUTHORITY.server("127.0.0.1"))
        self.assertEqual((await self.get(self.secure(origin, server_name=""))).body, b"one")

    async def test_large_bodies(self) -> None:
        """Many records make one body."""
        body = bytes(range(256)) * 8000
        origin = self.origin([READ, response(body)], context=AUTHORITY.server("bucket.test"))
        self.assertEqual((await self.get(self.secure(origin))).body, body)

    async def test_the_server_name_is_sent(self) -> None:
        """SNI carries the name, verified or not."""
        for verify in (True, False):
            names: list[bytes] = []

            def choose(name: bytes, names: list[bytes] = names) -> None:
                names.append(name)

            context = AUTHORITY.server("bucket.test")
            context.getContext().set_tlsext_servername_callback(
                lambda connection, choose=choose: choose(connection.get_servername())
            )
            origin = self.origin([READ, response(b"one")], context=context)
            await self.get(self.secure(origin, verify=verify))
            self.assertEqual(names, [b"bucket.test"])

    async def test_unverified(self) -> None:
        """With `verify=False` any certificate will do."""
        for context in (
            OTHER.server("other.test"),
            AUTHORITY.server(),
            AUTHORITY.server("bucket.test", start=-9 * DAY, end=-DAY),
        ):
            origin = self.origin([READ, response(b"one")], context=context)
            self.assertEqual((await self.get(self.secure(origin, verify=False))).body, b"one")

    async def test_sessions_are_resumed(self) -> None:
        """The second connection resumes the session of the first: no certificate is checked again."""
        checked = []
        check = OriginTLS._refusal
        self.patch(
            OriginTLS, "_refusal", lambda self, *args: checked.append(args[2]) or check(self, *args)
        )
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            context = AUTHORITY.server(
                "bucket.test", enableSessions=True, enableSessionTickets=True
            )
            context.getContext().set_max_proto_version(version)
            context.getContext().set_session_id(b"test")
            origin = self.origin([READ, response(b"one", b"Connection: close")], context=context)
            pool = self.secure(origin)
            await self.get(pool)
            await self.get(pool)
            once = len(checked)
            self.assertEqual(len(origin.connections), 2)
            got = await self.get(pool)
            self.assertEqual(got.body, b"one")
            self.assertEqual(len(checked), once)
            checked.clear()


class RefusedTests(TLSCase):
    async def _refused(self, context: object, *words: str, **options: Any) -> None:
        origin = self.origin([READ, response(b"secret")], context=context)
        pool = self.secure(origin, **options)
        got = await self.get(pool)
        self.assertEqual(got.told, ["failed"])
        self.assertIs(got.failure.kind, FailureKind.CONNECT)
        for word in (*words, f"127.0.0.1:{origin.port}"):
            self.assertIn(word, got.failure.detail)
        self.assertEqual(origin.requests, [])
        stats = pool.stats()
        self.assertEqual((stats.idle, stats.busy, stats.connecting, stats.opened), (0,) * 4)

    async def test_wrong_name(self) -> None:
        """A certificate for another name, and whose it is."""
        await self._refused(
            AUTHORITY.server("a.test", "b.test"),
            "certificate is for a.test, b.test, not bucket.test",
        )

    async def test_wrong_address(self) -> None:
        """A certificate for another address."""
        await self._refused(
            AUTHORITY.server("192.0.2.1"), "is for 192.0.2.1, not 127.0.0.1", server_name=""
        )

    async def test_no_name(self) -> None:
        """A certificate with a common name alone is for nobody (RFC 6125)."""
        await self._refused(AUTHORITY.server(), "certificate is for no name, not bucket.test")

    async def test_expired(self) -> None:
        """A certificate that was good once."""
        await self._refused(
            AUTHORITY.server("bucket.test", start=-9 * DAY, end=-DAY), "has expired"
        )

    async def test_too_early(self) -> None:
        """A certificate that will be good."""
        await self._refused(AUTHORITY.server("bucket.test", start=DAY), "not valid yet")

    async def test_unknown_authority(self) -> None:
        """A certificate nobody we trust has signed."""
        await self._refused(OTHER.server("bucket.test"), "unknown authority")

    async def test_the_platform_is_the_default(self) -> None:
        """Without `ca_file` the platform's authorities are asked; ours is none of them."""
        await self._refused(AUTHORITY.server("bucket.test"), "unknown authority", ca_file=None)

    async def test_plain_http(self) -> None:
        """An origin that does not speak TLS."""
        origin = self.origin([b"HTTP/1.1 400 Bad Request\r\n\r\n", CLOSE])
        got = await self.get(self.secure(origin))
        self.assertIs(got.failure.kind, FailureKind.CONNECT)
        self.assertIn("wrong version number (plain http?)", got.failure.detail)

    async def test_closed_during_the_handshake(self) -> None:
        """An origin that hangs up on our greeting."""
        for end in (CLOSE, ABORT):
            got = await self.get(self.secure(self.origin([end])))
            self.assertIs(got.failure.kind, FailureKind.CONNECT)
            self.assertIn("closed during the TLS handshake", got.failure.detail)

    async def test_no_common_version(self) -> None:
        """The peer's alert is passed on."""
        context = AUTHORITY.server("bucket.test")
        context.getContext().set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
        context.getContext().set_max_proto_version(SSL.TLS1_2_VERSION)
        await self._refused(context, "TLS handshake failed", "alert")

    async def test_every_waiting_call_is_told(self) -> None:
        """A refusal ends the call it was for, and the next tries for itself."""
        origin = self.origin([READ, response(b"x")], context=OTHER.server("bucket.test"))
        pool = self.secure(origin, max_connections=1)
        receivers = [Recorder(), Recorder()]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        for each in receivers:
            self.assertIn("unknown authority", (await each.over).failure.detail)


class EndTests(TLSCase):
    async def test_cut_without_goodbye(self) -> None:
        """A TLS connection that ends without close_notify has been cut: no body ends so."""
        whole = b"HTTP/1.1 200 OK\r\n\r\nabc"
        origin = self.origin([READ, whole, HANG], context=AUTHORITY.server("bucket.test"))
        receiver = Recorder()
        self.secure(origin).fetch(b"GET", GET, receiver)
        await receiver.got(3)
        origin.connections[0].transport.transport.loseConnection()
        await receiver.over
        self.assertEqual(receiver.told[-1], "failed")
        self.assertIs(receiver.failure.kind, FailureKind.CUT)

    async def test_until_close(self) -> None:
        """With close_notify a body without length is whole."""
        whole = b"HTTP/1.1 200 OK\r\n\r\nabc"
        origin = self.origin([READ, whole, CLOSE], context=AUTHORITY.server("bucket.test"))
        got = await self.get(self.secure(origin))
        self.assertEqual((got.body, got.told[-1]), (b"abc", "end"))

    async def test_dead_keep_alive(self) -> None:
        """A dead TLS connection is replaced unseen as well."""
        origin = self.origin(
            [READ, response(b"one"), READ, CLOSE],
            [READ, response(b"two")],
            context=AUTHORITY.server("bucket.test"),
        )
        pool = self.secure(origin)
        await self.get(pool)
        self.assertEqual((await self.get(pool)).body, b"two")

    async def test_pause(self) -> None:
        """Pausing holds a TLS connection as it does a plain one."""
        origin = self.origin(
            [READ, b"HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n", bytes(4_000_000)],
            context=AUTHORITY.server("bucket.test"),
        )
        receiver = Recorder()
        call = self.secure(origin).fetch(b"GET", GET, receiver)
        await receiver.head_seen
        call.pause()
        self.assertLess(len(receiver.body), 4_000_000)
        call.resume()
        await receiver.over
        self.assertEqual(len(receiver.body), 4_000_000)


class BundleTests(TLSCase):
    def test_unusable_bundles(self) -> None:
        """A bundle that is missing, empty or broken is refused when the pool is made."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for content, error in (
            (None, OSError),
            (b"", ValueError),
            (b"text", ValueError),
            (broken, ValueError),
        ):
            path = self.mktemp()
            if content is not None:
                Path(path).write_bytes(content)
            with self.assertRaises(error):
                OriginPool(
                    reactor, OriginAddress("https", "bucket.test", 443), OriginOptions(ca_file=path)
                )

    async def test_several_roots(self) -> None:
        """Each certificate of the bundle is trusted."""
        Path(self.ca_file).write_bytes(AUTHORITY.pem + OTHER.pem)  # a test
        for authority in (AUTHORITY, OTHER):
            origin = self.origin([READ, response(b"one")], context=authority.server("bucket.test"))
            self.assertEqual((await self.get(self.secure(origin))).body, b"one")

"""TLS on both sides: origins that are verified, listeners that have a certificate."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import socket
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto
from twisted.internet import ssl
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol

from tests.wire.certificates import Authority

from .attack import FOR_LONG, Attack
from .harness import Client, Got, Origin, OriginConnection, answer, reactor, until
from .taking import TakingOrigin

LARGE = os.urandom(2_000_000)


class TlsOrigin(Origin):
    """The scripted origin behind TLS."""

    def __init__(self, options: Any) -> None:
        super().__init__()
        factory = Factory.forProtocol(lambda: OriginConnection(self))
        factory.noisy = False
        self.tls_port = reactor.listenSSL(0, factory, options, interface="127.0.0.1")
        self.tls_number = self.tls_port.getHost().port


class PlainAnswer(Protocol):
    """A server that takes whatever comes for bad HTTP."""

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        self.transport.loseConnection()


class OriginTlsTests(Attack):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.ca_path = self.mktemp()
        with open(self.ca_path, "wb") as file:
            file.write(self.authority.pem)
        self.ca = f"origin_ca = {os.path.abspath(self.ca_path)}"

    def secure(self, *names: str, authority: Authority | None = None, **options: Any) -> TlsOrigin:
        """Start an origin whose certificate is for `names`."""
        origin = TlsOrigin((authority or self.authority).server(*names, **options))
        self.addCleanup(origin.port.stopListening)
        self.addCleanup(origin.tls_port.stopListening)
        origin.answers["/a"] = answer(body=b"secret", headers=FOR_LONG)
        origin.answers["/l"] = answer(body=LARGE, headers=FOR_LONG)
        self.tls_origin = origin
        return origin

    def config_text(self, location: str, cache: str, more: str) -> str:
        text = super().config_text(location, cache, more)
        plain = f"origin = http://127.0.0.1:{self.origin.number}"
        return text.replace(plain, f"origin = https://localhost:{self.tls_origin.tls_number}")

    async def refused(self, options: str, *words: str) -> None:
        """The client gets a 502 without a reason; the log line has all of `words`."""
        seen = self.watch_log()
        await self.shield(options)
        got = await self.get("/a")
        self.assertEqual(502, got.status)
        self.assertNotIn(b"certificate", got.body)
        self.assertEqual([], self.tls_origin.asked)
        told = [text for text in seen if all(word in text for word in words)]
        self.assertTrue(told, seen)

    async def test_known_authority(self) -> None:
        """origin_ca: the origin is asked, the connection is used again."""
        origin = self.secure("localhost")
        await self.shield(self.ca)
        for target, body in (("/a", b"secret"), ("/l", LARGE), ("/a", b"secret"), ("/l", LARGE)):
            got = await self.get(target)
            self.assertEqual(200, got.status)
            self.assertTrue(got.body == body)
        self.assertEqual((["/a", "/l"], 1), (origin.targets(), origin.connections))

    async def test_wrong_name(self) -> None:
        """A good certificate of somebody else is refused; the log names both."""
        self.secure("other.test")
        await self.refused(self.ca, "other.test", "localhost")

    async def test_a_name_is_no_address(self) -> None:
        """A certificate for the address does not do for the name."""
        self.secure("127.0.0.1")
        await self.refused(self.ca, "127.0.0.1", "localhost", "certificate")

    async def test_no_name(self) -> None:
        """The common name counts for nothing."""
        self.secure()
        await self.refused(self.ca, "no name", "localhost")

    async def test_unknown_authority(self) -> None:
        """Neither the platform's nor the one in origin_ca."""
        self.secure("localhost")
        await self.refused("", "certificate", "authority")
        await self.stop()
        self.secure("localhost", authority=Authority("Another"))
        await self.refused(self.ca, "certificate")

    async def test_expired(self) -> None:
        """The log says so."""
        day = dt.timedelta(days=1)
        self.secure("localhost", start=-3 * day, end=-day)
        await self.refused(self.ca, "expired")

    async def test_not_verified(self) -> None:
        """origin_verify = off takes any certificate."""
        self.secure("other.test", authority=Authority("Another"))
        await self.shield("origin_verify = off")
        self.assertEqual(b"secret", (await self.get("/a")).body)

    async def test_plain_http_there(self) -> None:
        """TLS to a port that speaks plain HTTP: 502, and the log guesses why."""
        self.secure("localhost")
        factory = Factory.forProtocol(PlainAnswer)
        factory.noisy = False
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.tls_origin.tls_number = port.getHost().port
        await self.refused(self.ca, "TLS", "plain http?")

    async def test_stale_stands_in(self) -> None:
        """A certificate that turned bad is an origin error: the stale body answers."""
        origin = self.secure("localhost")
        origin.answers["/a"] = answer(
            body=b"old",
            headers={"ETag": '"1"', "Cache-Control": "max-age=0", "Connection": "close"},
        )
        await self.shield(self.ca)
        self.assertEqual("MISS", (await self.get("/a")).cache)
        number = origin.tls_number
        await origin.tls_port.stopListening()
        factory = Factory.forProtocol(lambda: OriginConnection(origin))
        factory.noisy = False
        bad = self.authority.server("other.test")
        port = reactor.listenSSL(number, factory, bad, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        got = await self.get("/a")
        self.assertEqual(b"old", got.body)


class ListenerTlsTests(Attack):
    shown: Any = None  # the client's certificate

    def certificate(self) -> str:
        """Write a certificate and its key; return the options that name them."""
        self.authority = Authority()
        self.trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(self.authority.pem)])
        self.files = os.path.abspath(self.mktemp())
        paths = self.authority.files(self.files, "shield.test")
        return f"tls_certificate = {paths[0]}\ntls_certificate_key = {paths[1]}"

    def config_text(self, location: str, cache: str, more: str) -> str:
        # Fixed ports: the plain one is the first to be bound then.
        plain, self.tls_port = free_ports()
        text = super().config_text(location, cache, more.format(port=self.tls_port))
        return text.replace("listen = 127.0.0.1:0", f"listen = 127.0.0.1:{plain}")

    def make_origin(self) -> TakingOrigin:
        """Return one that reads bodies."""
        return TakingOrigin()

    async def secure(self, server: str = "", location: str = "") -> None:
        """Serve without TLS on `port`, with TLS on `tls_port`. server, location: more options."""
        more = "[server:s]\nserver_name = shield.test\nlisten = 127.0.0.1:{port} tls\n"
        location = f"client_max_body_size = 0\n{location}"
        await self.shield(location, more=more + server + self.certificate())

    async def connect_tls(self) -> Client:
        """Return a client that has verified the certificate."""
        options = ssl.optionsForClientTLS(
            "shield.test", trustRoot=self.trust, clientCertificate=self.shown
        )
        client = await connectProtocol(
            SSL4ClientEndpoint(reactor, "127.0.0.1", self.tls_port, options), Client()
        )
        self.addCleanup(self._hang_up, client)
        return client

    async def get_tls(self, target: str, extra: str = "") -> Got:
        """One request on a connection of its own."""
        client = await self.connect_tls()
        client.send(
            f"GET {target} HTTP/1.1\r\nHost: shield.test\r\n{extra}Connection: close\r\n\r\n".encode()
        )
        return await client.take()

    async def test_upload(self) -> None:
        """A body that comes through TLS waits for a slow origin, and is whole in the end."""
        held: list[Any] = []

        def began(connection: Any) -> None:
            connection.transport.pauseProducing()
            held.append(connection)

        self.origin.answers["/a"] = answer(201, b"done")
        self.origin.began = began
        await self.secure()
        client, body = await self.connect_tls(), LARGE * 15
        client.send(b"PUT /a HTTP/1.1\r\nHost: shield.test\r\nExpect: 100-continue\r\n")
        client.send(b"Content-Length: %d\r\n\r\n" % len(body))
        await until(lambda: client.buffer == b"HTTP/1.1 100 Continue\r\n\r\n", "the word")
        client.send(body)
        assert self.serving is not None
        channels = [each for one in self.serving._factories for each in one._channels]
        await until(lambda: held and not all(each._reading for each in channels), "the pause")
        self.assertEqual([], self.origin.bodies)
        held[0].transport.resumeProducing()
        self.assertEqual(201, (await client.take()).status)
        digest = hashlib.sha256(body).hexdigest()
        self.assertEqual([(len(body), digest)], self.origin.bodies)

    async def test_serves(self) -> None:
        """MISS and HIT, small and large, a range, and what is no TLS is refused."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        self.origin.answers["/l"] = answer(body=LARGE, headers=FOR_LONG)
        await self.secure()
        for status in ("MISS", "HIT"):
            small, large = await self.get_tls("/a"), await self.get_tls("/l")
            self.assertEqual((b"abc", status), (small.body, small.cache))
            self.assertEqual(status, large.cache)
            self.assertTrue(large.body == LARGE)
        part = await self.get_tls("/l", "Range: bytes=1000000-1000009\r\n")
        self.assertEqual((206, LARGE[1_000_000:1_000_010]), (part.status, part.body))
        self.assertEqual("HIT", (await self.get("/a", host="shield.test")).cache)
        plain, self.port = self.port, self.tls_port
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        while await client.more():
            pass
        self.assertNotIn(b"200 OK", client.buffer)
        self.port = plain

    async def test_renewed(self) -> None:
        """New files are in use without a restart; what was open goes on; half a file is nothing."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        await self.secure()
        assert self.serving is not None
        before = await self.connect_tls()
        await self.get_tls("/a")
        self.authority = Authority("Another")
        self.authority.files(self.files, "shield.test")
        await self.serving.certificates.check()
        before.send(b"GET /a HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        self.assertEqual(b"abc", (await before.take()).body)
        self.trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(self.authority.pem)])
        self.assertEqual("HIT", (await self.get_tls("/a")).cache)
        with open(f"{self.files}.pem", "r+b") as file:
            file.truncate(200)
        await self.serving.certificates.check()
        self.assertEqual("HIT", (await self.get_tls("/a")).cache)

    async def test_client_certificate(self) -> None:
        """`tls_client_ca`: 400 without one, on the plain address too; served with a good one."""
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        clients = Authority("Clients")
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(clients.pem)
        await self.secure(f"tls_client_ca = {path}\n")
        self.assertEqual(400, (await self.get_tls("/a")).status)
        self.assertEqual(400, (await self.get("/a", host="shield.test")).status)
        self.assertEqual([], self.origin.asked)
        own = clients.server("client")
        self.shown = ssl.PrivateCertificate.load(
            own.certificate.to_cryptography().public_bytes(Encoding.DER),
            ssl.KeyPair(own.privateKey),
            crypto.FILETYPE_ASN1,
        )
        for status in ("MISS", "HIT"):
            got = await self.get_tls("/a")
            self.assertEqual((200, status), (got.status, got.cache))

    async def test_redirect(self) -> None:
        """`https_redirect`: from the plain address alone, to a name of ours; HSTS from there on."""
        self.origin.answers["/a?b=1"] = answer(body=b"abc", headers=FOR_LONG)
        await self.secure(
            location='https_redirect = on\nadd_header = Strict-Transport-Security "max-age=9"'
        )
        port = f":{self.tls_port}"
        for host in ("shield.test", "evil.test"):
            got = await self.get("/a?b=1", host=host)
            place = f"https://shield.test{port}/a?b=1"
            self.assertEqual((301, place), (got.status, got.headers["location"]))
        self.assertEqual(308, (await self.get("/a", "PUT", host="shield.test")).status)
        self.assertEqual([], self.origin.asked)
        for status in ("MISS", "HIT"):
            got = await self.get_tls("/a?b=1")
            self.assertEqual((200, status), (got.status, got.cache))
            self.assertEqual("max-age=9", got.headers["strict-transport-security"])
        # As nginx's without `always`.
        self.assertNotIn("strict-transport-security", (await self.get_tls("/none")).headers)

    async def test_slow_client(self) -> None:
        """Backpressure holds through TLS: nothing is lost, and others are served."""
        large = LARGE * 10
        self.origin.answers["/l"] = answer(body=large, headers=FOR_LONG)
        self.origin.answers["/a"] = answer(body=b"abc", headers=FOR_LONG)
        await self.secure()
        slow = await self.connect_tls()
        slow.transport.pauseProducing()
        slow.send(b"GET /l HTTP/1.1\r\nHost: shield.test\r\n\r\n")
        self.assertEqual(b"abc", (await self.get_tls("/a")).body)
        self.assertTrue((await self.get_tls("/l")).body == large)
        slow.transport.resumeProducing()
        self.assertTrue((await slow.take()).body == large)

    async def test_cut(self) -> None:
        """A body that breaks off is cut through TLS too, without an end that looks right."""

        def broken(connection: Any, asked: Any) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + LARGE[:400_000])
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/l"] = broken
        await self.secure()
        got = await self.get_tls("/l")
        self.assertFalse(got.whole)


def free_ports() -> tuple[int, int]:
    """Return two ports that were free a moment ago."""
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]

"""Certificates by name, replaced while listening, and clients' own, on both kinds of transport."""

import contextlib
import os
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from s3shield.wire.client_certificate import VerifiedPeer
from s3shield.wire.tls import Certificate, CertificateError, ServerTls
from tests.wire.certificates import Authority
from tests.wire.serving import OnTwisted, OnUvloop

GET = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Seen(NamedTuple):
    """What a client saw. names: in the certificate. reused: whether its session was."""

    names: list[str]
    answer: bytes
    context: Any
    session: Any
    reused: bool


class Tls:
    """Servers a.test, *.b.test and c.test on one listener."""

    async def serve_names(self, **options):
        """Listen."""
        self.authority = Authority()
        self.path = self.mktemp()
        self.hosts = {
            name: Certificate([self.authority.files(f"{self.path}{at}", name)], **options)
            for at, name in enumerate(("a.test", "*.b.test", "c.test"))
        }
        self.tls = ServerTls([((name,), each) for name, each in self.hosts.items()])
        await self.serve()

    def shake(self, name=None, earlier=None, **options):
        """Shake hands in a thread; return what was seen. earlier: whose session to go on with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if earlier is None else earlier.context
        context.check_hostname = False
        context.load_verify_locations(cadata=self.authority.pem.decode())
        if "pair" in options:
            context.load_cert_chain(*options["pair"])
        if "ciphers" in options:
            context.set_ciphers(options["ciphers"])
        if options.get("old"):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        where = self.port.getHost()
        session = None if earlier is None else earlier.session

        def run():
            with (
                socket.create_connection((where.host, where.port), 10) as plain,
                context.wrap_socket(plain, server_hostname=name, session=session) as client,
            ):
                names = _names(client.getpeercert(True))
                client.sendall(GET)
                answer = b""
                session_after = client.session, client.session_reused
                while piece := client.recv(1000):
                    answer += piece
                return Seen(names, answer, context, *session_after)

        return deferToThread(run)

    async def names(self, *wanted):
        """Return the names in the certificates that are shown for names wanted."""
        found = []
        for name in wanted:
            seen = await self.shake(name)
            self.assertIn(b"GET /x", seen.answer)
            found.append(seen.names)
        return found

    async def test_by_name(self):
        """Exact names, wildcards; the first for no name and for unknown ones."""
        await self.serve_names()
        self.assertEqual(
            await self.names("c.test", "x.b.test", "A.TEST", "unknown.test", "b.test", None),
            [["c.test"], ["*.b.test"], ["a.test"], ["a.test"], ["a.test"], ["a.test"]],
        )

    async def test_replaced(self):
        """What was taken is shown by the next handshake; the others stay as they are."""
        await self.serve_names()
        self.authority.files(f"{self.path}2", "c.test", "new.test")
        self.assertEqual(await self.names("c.test"), [["c.test"]])
        self.assertTrue(self.hosts["c.test"].changed())
        self.hosts["c.test"].take(self.hosts["c.test"].load())
        self.assertFalse(self.hosts["c.test"].changed())
        self.assertEqual(await self.names("c.test", None), [["c.test", "new.test"], ["a.test"]])

    async def test_sessions(self):
        """A session is taken up again, by the same name, and after a change of certificates."""
        await self.serve_names()
        first = await self.shake("c.test", old=True)
        self.assertFalse(first.reused)
        self.hosts["c.test"].take(self.hosts["c.test"].load())
        second = await self.shake("c.test", first)
        self.assertTrue(second.reused)
        self.assertIn(b"GET /x", second.answer)

    async def test_two_kinds_of_key(self):
        """RSA for clients that know nothing else, ECDSA for the others."""
        self.authority = Authority()
        pairs = [self.authority.files(self.mktemp(), kind, kind=kind) for kind in ("rsa", "ec")]
        self.tls = ServerTls([((), Certificate(pairs))])
        await self.serve()
        for ciphers, kind in (("aRSA", "rsa"), ("aECDSA", "ec")):
            self.assertEqual((await self.shake(old=True, ciphers=ciphers)).names, [kind])

    async def test_old_protocols(self):
        """TLS 1.1 and ciphers without forward secrecy find nobody to talk to."""
        await self.serve_names()
        with self.assertRaises(ssl.SSLError):
            await self.shake("a.test", old=True, ciphers="AES128-SHA:AES256-SHA256")
        self.assertEqual(self.tls.ssl_context().minimum_version, ssl.TLSVersion.TLSv1_2)

    async def test_client_certificate(self):
        """A good one and none pass the handshake, one of somebody else does not."""
        authority, other = Authority("Clients"), Authority("Others")
        path = Path(self.mktemp())
        path.write_bytes(authority.pem)
        await self.serve_names(client_ca=str(path))
        self.factory.client_ca = str(path)
        for pair in ({}, {"pair": authority.files(self.mktemp(), "client")}):
            self.assertIn(b"GET /x", (await self.shake("c.test", **pair)).answer)
        none, shown = [request.peer for request in self.site.requests]
        self.assertEqual((none, shown), (b"127.0.0.1", b"127.0.0.1"))
        self.assertFalse(isinstance(none, VerifiedPeer))
        self.assertEqual(shown.client_ca, str(path))
        # TLS 1.3: the client has done its part before its certificate is looked at.
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            seen = await self.shake("c.test", pair=other.files(self.mktemp(), "client"))
            self.assertEqual(seen.answer, b"")
        self.assertEqual(len(self.site.requests), 2)
        await self.nobody()

    async def test_told(self):
        """For the access log: what was agreed on, the name that was wanted, the client's subject."""
        authority = Authority("Clients")
        path = Path(self.mktemp())
        path.write_bytes(authority.pem)
        await self.serve_names(client_ca=str(path))
        self.factory.client_ca = str(path)
        self.factory.told = self.tls.told = True
        pair = authority.files(self.mktemp(), "client")
        first = await self.shake("c.test", old=True, pair=pair)
        await self.shake("c.test", first)
        await self.shake()
        shown, again, none = [request.peer.tls for request in self.site.requests]
        self.assertEqual(("TLSv1.2", "c.test"), (shown.protocol, shown.server_name))
        self.assertIn("ECDHE", shown.cipher)
        self.assertEqual(("TLSv1.3", None, None), (none.protocol, none.server_name, none.client))
        found = x509.load_pem_x509_certificate(Path(pair[0]).read_bytes())
        self.assertEqual(found.subject.rfc4514_string(), shown.client)
        reused = [None] * 3 if isinstance(self, OnTwisted) else [False, True, False]
        self.assertEqual(reused, [each.reused for each in (shown, again, none)])
        self.assertEqual(b"127.0.0.1", self.site.requests[0].peer)
        self.assertEqual(str(path), self.site.requests[0].peer.client_ca)

    async def test_told_in_the_open(self):
        """There is nothing to tell of a connection without TLS."""
        await self.serve()
        self.factory.told = True
        client = await self.connect()
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.holds(b"GET /x")
        self.assertIs(bytes, type(self.site.requests[0].peer))

    async def test_silent_client(self):
        """Who connects and says nothing, or begins a handshake and stops, is let go of."""
        self.authority = Authority()
        pair = self.authority.files(self.mktemp(), "a.test")
        self.tls = ServerTls([((), Certificate([pair]))], handshake_timeout=0.05)
        await self.serve()
        for piece in (b"", b"\x16\x03\x01\x02\x00\x01"):
            client = await self.connect()
            client.send(piece)
            if isinstance(self, OnTwisted):
                while not self.factory.connections:
                    await self.turn()
                self.tick(62)
            await client.ended()
        self.assertEqual(self.site.requests, [])


def _names(der):
    found = x509.load_der_x509_certificate(der).extensions
    names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)


class TlsOnUvloop(OnUvloop, Tls, TestCase):
    pass


class TlsOnTwisted(OnTwisted, Tls, TestCase):
    pass


class LoadingTests(SynchronousTestCase):
    """Files that are no certificate."""

    def setUp(self):
        """Make a good pair."""
        self.authority = Authority()
        self.certificate, self.key = self.authority.files(self.mktemp(), "a.test")

    def refused(self, *words, **options):
        """Loading fails; the text names what `words` say."""
        certificate = Certificate([(self.certificate, self.key)], **options)
        error = self.assertRaises(CertificateError, certificate.load)
        for word in words:
            self.assertIn(word, str(error))
        self.assertNotIn("\n", str(error))

    def test_good(self):
        """It names its files, and the day on which it ends."""
        certificate = Certificate([(self.certificate, self.key)])
        self.assertEqual(certificate.files, (self.certificate, self.key))
        self.assertRegex(certificate.load().ends, r"\d{4}-\d\d-\d\d")

    def test_missing(self):
        """A path where nothing is, a directory, a pipe that nobody writes."""
        self.certificate, good = self.mktemp(), self.certificate
        self.refused(self.certificate, "No such file")
        os.mkdir(self.certificate)
        self.refused(self.certificate, "Is a directory")
        self.certificate, self.key = good, self.mktemp()
        os.mkfifo(self.key)
        self.refused(self.key, "no private key")

    def test_not_together(self):
        """The key of another certificate, of the same kind and of another."""
        good = self.key
        for kind in ("ec", "rsa"):
            _, self.key = self.authority.files(self.mktemp(), "b.test", kind=kind)
            self.refused(self.key, "not the key of the certificate in", self.certificate)
        self.key = good

    def test_exchanged(self):
        """Two paths in the wrong order."""
        self.certificate, self.key = self.key, self.certificate
        self.refused(self.certificate, "there is no certificate in it")

    def test_half_written(self):
        """A file that ends early."""
        for path in (self.certificate, self.key):
            whole = Path(path).read_bytes()
            for size in (0, 20, 100, len(whole) // 3):
                Path(path).write_bytes(whole[:size])
                self.refused(path)
            Path(path).write_bytes(whole)

    def test_passphrase(self):
        """Nobody is asked for one: the daemon has no terminal."""
        data = Path(self.key).read_bytes().replace(b"BEGIN PRIVATE", b"BEGIN ENCRYPTED PRIVATE")
        Path(self.key).write_bytes(data)
        self.refused(self.key, "passphrase")

    def test_huge(self):
        """Somebody names a wrong file one day."""
        with open(self.key, "r+b") as file:
            file.truncate(1 << 30)
        self.refused(self.key, "far too large")

    def test_client_ca(self):
        """What clients are verified with is checked like the rest."""
        self.refused("/nowhere/ca.pem", "No such file", client_ca="/nowhere/ca.pem")
        self.refused("there is no certificate in it", client_ca=self.key)

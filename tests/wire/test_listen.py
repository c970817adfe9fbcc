"""Binding, listening and stopping; TLS and unix sockets on either kind of transport."""

import socket
import ssl
import stat
from pathlib import Path

from twisted.application.reactors import IReactorInstaller
from twisted.application.service import IServiceMaker
from twisted.internet import reactor
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from s3shield.wire.listen import BindError, bind, listen_socket
from s3shield.wire.tls import Certificate, CertificateError, ServerTls
from tests.wire.certificates import Authority
from tests.wire.serving import OnTwisted, OnUvloop

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


class BindTests(SynchronousTestCase):
    def bind(self, listen, **options):
        """Bind for the length of a test."""
        sock = bind(listen, **options)
        self.addCleanup(sock.close)
        return sock

    def refused(self, listen):
        """Return the error's text."""
        error = self.assertRaises(BindError, bind, listen)
        self.assertIsInstance(error, OSError)
        return str(error)

    def test_addresses(self):
        """host:port, port alone, IPv6 in brackets, `*`, and names."""
        for listen, family, host in [
            ("127.0.0.1:0", socket.AF_INET, "127.0.0.1"),
            ("0", socket.AF_INET, "0.0.0.0"),
            (":0", socket.AF_INET, "0.0.0.0"),
            ("*:0", socket.AF_INET, "0.0.0.0"),
            ("[::1]:0", socket.AF_INET6, "::1"),
            ("[::]:0", socket.AF_INET6, "::"),
        ]:
            sock = self.bind(listen)
            self.assertEqual((sock.family, sock.getsockname()[0]), (family, host), listen)
            self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR))
            self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            self.assertFalse(sock.getblocking())

    def test_name(self):
        """A host name is looked up."""
        self.assertIn(self.bind("localhost:0").getsockname()[0], ("127.0.0.1", "::1"))

    def test_v6_leaves_v4_alone(self):
        """`[::]` and `0.0.0.0` can be bound to the same port side by side, as in nginx."""
        port = self.bind("[::]:0").getsockname()[1]
        self.assertEqual(self.bind(f"0.0.0.0:{port}").getsockname()[1], port)

    def test_in_use(self):
        """One clear message with the address in it."""
        port = self.bind("127.0.0.1:0").getsockname()[1]
        self.assertEqual(
            self.refused(f"127.0.0.1:{port}"),
            f"cannot listen on 127.0.0.1:{port}: something else listens there already",
        )

    def test_reuse_port(self):
        """Two sockets may share a port when both say so."""
        port = self.bind("127.0.0.1:0", reuse_port=True).getsockname()[1]
        self.bind(f"127.0.0.1:{port}", reuse_port=True)

    def test_no_such_address(self):
        """An address of another machine, and a name that is none."""
        self.assertIn("this machine has no such address", self.refused("192.0.2.1:0"))
        self.assertIn("cannot listen on no.such.invalid:80", self.refused("no.such.invalid:80"))

    def test_not_an_address(self):
        """ValueError for what is no address at all."""
        for listen in ("", "x", "127.0.0.1", "127.0.0.1:", "::1:80", "1:2:3", "a:99999", "[::1]"):
            self.assertRaises(ValueError, bind, listen)

    def test_unix(self):
        """A unix socket that everybody may connect to whom the directory lets in."""
        path = self.mktemp()
        self.bind("unix:" + path)
        self.assertEqual(stat.S_IMODE(Path(path).stat().st_mode), 0o666)

    def test_stale_unix(self):
        """A path left by a process that is gone is taken over."""
        path = self.mktemp()
        bind("unix:" + path).close()
        self.assertTrue(Path(path).exists())
        self.bind("unix:" + path)

    def test_live_unix(self):
        """One that somebody listens on is not, nor is its path touched."""
        path = self.mktemp()
        first = self.bind("unix:" + path)
        self.assertIn("something else listens there already", self.refused("unix:" + path))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            first.accept()[0].close()

    def test_a_file_in_the_way(self):
        """A file that is no socket is left alone."""
        path = Path(self.mktemp())
        path.write_text("precious")
        self.refused(f"unix:{path}")
        self.assertEqual(path.read_text(), "precious")

    def test_unwritable_directory(self):
        """A directory that does not exist."""
        self.assertIn("No such file", self.refused("unix:/nonexistent/dir/x.sock"))


class Listening:
    """Ports, on sockets of every kind."""

    async def test_port(self):
        """It is a listening port whose host is the socket's."""
        port = await self.serve()
        verifyObject(IListeningPort, port)
        self.assertEqual(port.getHost().host, "127.0.0.1")
        client = await self.connect()
        client.send(GET)
        await client.holds(b"GET /x")

    async def test_stop(self):
        """No new connections afterwards; those that are open go on."""
        port = await self.serve()
        client = await self.connect()
        client.send(GET)
        await client.holds(b"GET /x")
        address = (port.getHost().host, port.getHost().port)
        await port.stopListening()
        with socket.socket() as late:
            self.assertRaises(ConnectionRefusedError, late.connect, address)
        client.send(GET)
        await client.holds(b"GET /x", 2)

    async def test_ipv6(self):
        """IPv6, with the client's address in the request."""
        port = await self.serve("[::1]:0")
        self.assertEqual(port.getHost().host, "::1")
        client = await self.connect()
        client.send(GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.site.requests[0].peer, b"::1")

    async def test_unix(self):
        """Unix sockets; the path outlives the port, for it is the parent's."""
        path = self.mktemp()
        port = await self.serve("unix:" + path)
        client = await self.connect()
        client.send(GET)
        await client.holds(b"GET /x")
        self.assertEqual(self.site.requests[0].peer, b"unix:")
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        await client.ended()
        self.assertEqual(self.rejected, [(b"unix:", 400, b"GET / HTTP/1.1")])
        await port.stopListening()
        self.assertTrue(self.exists(path))

    async def test_tls(self):
        """TLS 1.2 and later, HTTP/1.1 by ALPN, the chain is sent; scheme is https."""
        await self.serve_tls()

        def ask():
            with self.tls_client() as client:
                client.sendall(GET)
                answer = client.recv(1000)
                while b"GET /x" not in answer:
                    answer += client.recv(1000)
                return client.selected_alpn_protocol(), client.version()

        alpn, version = await deferToThread(ask)
        self.assertEqual((alpn, version), ("http/1.1", "TLSv1.3"))
        self.assertEqual(self.site.requests[0].scheme, b"https")

    async def test_tls_large_and_close(self):
        """A large body through TLS is whole, and its end is an orderly one."""
        await self.serve_tls()
        body = bytes(range(256)) * 16384
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(body)
        self.site = lambda _, down: down.reply(head, body)

        def ask():
            with self.tls_client() as client:
                client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                answer = b""
                while piece := client.recv(1 << 20):
                    answer += piece
                return answer

        answer = await deferToThread(ask)
        self.assertEqual(answer.partition(b"\r\n\r\n")[2], body)

    async def test_tls_refusal(self):
        """A bad request over TLS is answered; TLS has no half-close to linger with."""
        await self.serve_tls()

        def ask():
            with self.tls_client() as client:
                client.sendall(b"GET / HTTP/1.1\r\n\r\n")
                return client.recv(1000)

        self.assertTrue((await deferToThread(ask)).startswith(b"HTTP/1.1 400 "))

    async def test_plain_to_tls(self):
        """Plain HTTP on a TLS port reaches no site."""
        await self.serve_tls()
        client = await self.connect()
        client.send(GET)
        await client.ended()
        self.assertEqual(self.site.requests, [])

    async def test_bad_certificate(self):
        """A certificate that does not load fails the listening."""
        path = self.file(b"nonsense")
        self.tls = ServerTls([((), Certificate([(path, path)]))])
        with bind("127.0.0.1:0") as sock, self.assertRaises(CertificateError):
            await self.listen(sock)

    def exists(self, path):
        """Return whether there is something at `path`."""
        return Path(path).exists()

    def file(self, content):
        """Return the path of a file with `content`."""
        path = Path(self.mktemp())
        path.write_bytes(content)
        return str(path)

    async def serve_tls(self):
        """Listen with a certificate of our own authority."""
        self.authority = Authority()
        pair = self.authority.files(self.mktemp(), "127.0.0.1")
        self.tls = ServerTls([((), Certificate([pair]))])
        await self.serve()

    def tls_client(self):
        """Return a blocking client that trusts our authority."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.set_alpn_protocols(["h2", "http/1.1"])
        host = self.port.getHost()
        sock = socket.create_connection((host.host, host.port), 10)
        return context.wrap_socket(sock, server_hostname="127.0.0.1")


class ListeningOnUvloop(OnUvloop, Listening, TestCase):
    pass


class ListeningOnTwisted(OnTwisted, Listening, TestCase):
    pass


class ListenSocketTests(OnTwisted, TestCase):
    async def test_any_reactor(self):
        """`listen_socket` serves on whichever reactor there is."""
        self.port = await listen_socket(reactor, bind("127.0.0.1:0"), self.factory)
        self.addCleanup(self._end)
        client = await self.connect()
        client.send(GET)
        await client.holds(b"GET /x")


class PluginTests(SynchronousTestCase):
    def test_found(self):
        """Twistd finds the daemon, and `--reactor=uvloop` the reactor."""
        self.assertIn("s3shield", [maker.tapname for maker in getPlugins(IServiceMaker)])
        reactors = [each.shortName for each in getPlugins(IReactorInstaller)]
        self.assertEqual(reactors.count("uvloop"), 1)

"""Certificates are changed under the real daemon: every worker takes them, one line tells."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from cryptography import x509
from twisted.internet.threads import deferToThread

from tests.ports import free_port
from tests.scenario.harness import answer, until
from tests.wire.certificates import Authority

from .workers import STORED, Workers

ASK = b"GET /a HTTP/1.1\r\nHost: shield.test\r\nConnection: close\r\n\r\n"


class CertificateTests(Workers):
    """Two workers that share a TLS address."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with TLS."""
        self.tls_port = free_port()
        self.authority = Authority()
        self.base = os.path.abspath(self.mktemp())
        self.authority.files(self.base, "first.test")
        text = super().config_text(location, cache, more)
        return text.replace(
            "workers = 0",
            f"workers = 0\nlisten = 127.0.0.1:{self.tls_port} tls\n"
            f"tls_certificate = {self.base}.pem\ntls_certificate_key = {self.base}.key",
        )

    def shown(self) -> str:
        """Shake hands and ask; return the name in the certificate. Blocks."""
        context = ssl.create_default_context(cadata=self.authority.pem.decode())
        context.check_hostname = False
        with (
            socket.create_connection(("127.0.0.1", self.tls_port), 30) as plain,
            context.wrap_socket(plain) as client,
        ):
            der = client.getpeercert(True)
            client.sendall(ASK)
            got = b""
            while piece := client.recv(1000):
                got += piece
        self.assertIn(b"200 ", got)
        names = x509.load_der_x509_certificate(der or b"").extensions
        found = names.get_extension_for_class(x509.SubjectAlternativeName).value
        return str(found.get_values_for_type(x509.DNSName)[0])

    async def names(self) -> set[str]:
        """Return the names that are shown to many clients, whichever worker they reach."""
        return {await deferToThread(self.shown) for _ in range(20)}

    def said(self, words: str) -> int:
        """Return how many lines of the log about certificates have `words` in them."""
        return sum("] certificate " in line and words in line for line in list(self.daemon.lines))

    async def test_changed(self) -> None:
        """New files, half a file, and files again: no request fails, each change is one line."""
        self.origin.answers["/a"] = answer(headers=STORED)
        await self.shield()
        self.assertEqual({"first.test"}, await self.names())
        self.authority.files(self.base, "second.test")
        await until(lambda: self.said("is in use") == 1, "the line")
        while await self.names() != {"second.test"}:
            pass
        key = Path(f"{self.base}.key")
        whole = key.read_bytes()
        key.write_bytes(whole[:50])
        await until(lambda: self.said("the one that is loaded goes on") > 0, "the complaint")
        self.assertEqual({"second.test"}, await self.names())
        self.authority.files(self.base, "third.test")
        while await self.names() != {"third.test"}:
            pass
        await until(lambda: self.said("is in use") == 2, "the line")

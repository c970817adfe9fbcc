"""`front.security_fields`: what is told over TLS and what is not."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from s3shield.front.security_fields import PRESETS, security_fields
from s3shield.policy import Request

from .recording import Recording


class PresetTests(SynchronousTestCase):
    """The presets."""

    def head(self, word: str, scheme: bytes, head: bytes = b"HTTP/1.1 200 OK\r\n") -> bytes:
        """Return what becomes of a head."""

        def serve(request: Any, route: Any, downstream: Any) -> None:
            downstream.reply(head, b"")

        ground: Any = SimpleNamespace(
            config=SimpleNamespace(site=SimpleNamespace(security_headers=word))
        )
        to = Recording()
        route: Any = None
        security_fields(ground, serve)(Request(scheme=scheme), route, to)
        return bytes(to.said[0][1])

    def test_strict_transport_security(self) -> None:
        """It is told over TLS alone (RFC 6797 section 7.2)."""
        for word in PRESETS:
            self.assertIn(b"\r\nStrict-Transport-Security: max-age=", self.head(word, b"https"))
            self.assertNotIn(b"strict-transport", self.head(word, b"http").lower())

    def test_what_is_there_stays(self) -> None:
        """A field that is there, however it is written, is neither replaced nor repeated."""
        head = b"HTTP/1.1 200 OK\r\nx-FRAME-options: own\r\n"
        found = self.head("basic", b"https", head)
        self.assertEqual([b"own"], re.findall(rb"(?im)^x-frame-options: (.*)\r$", found))

    def test_off(self) -> None:
        """A location without a preset pays nothing."""
        ground: Any = SimpleNamespace(
            config=SimpleNamespace(site=SimpleNamespace(security_headers="off"))
        )
        serve: Any = object()
        self.assertIs(serve, security_fields(ground, serve))

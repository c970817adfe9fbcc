"""HTTP/2's channel on real TLS sockets: requests, bodies, windows, ends."""

from __future__ import annotations

from twisted.trial.unittest import TestCase

from . import http2_client as h2c
from .serving import OnTwisted, OnUvloop


class Http2:
    """What both kinds of transport have to do."""

    async def client(self, **how):
        """Serve if nobody does, and connect."""
        if self.tls is None:
            self.tls = h2c.server_tls()
            await self.serve()
        host = self.port.getHost()
        client = await h2c.connect(host.host, host.port, **how)
        self.clients.append(client)
        return client

    async def test_get(self):
        """A request is one of the site's, with HTTP/2's version, and answered."""
        client = await self.client()
        self.assertEqual(client.agreed, b"h2")
        got = await client.get("/x?y=1")
        self.assertEqual((got.status, bytes(got.body), got.whole), (200, b"GET /x", True))
        (request,) = self.site.requests
        self.assertEqual((request.host, request.target), (b"shield.test", b"/x?y=1"))
        self.assertEqual((request.version, request.scheme), ((2, 0), b"https"))
        self.assertEqual(request.peer, b"127.0.0.1")


class Http2OnUvloop(OnUvloop, Http2, TestCase):
    pass


class Http2OnTwisted(OnTwisted, Http2, TestCase):
    pass

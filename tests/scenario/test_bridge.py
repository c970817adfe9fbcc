"""The second door: the same locations as a resource tree in a site of twisted.web."""

from __future__ import annotations

import os
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Site as WebSite

from s3shield.exchange import Tree

from .attack import FOR_LONG, Attack, echo
from .harness import answer, reactor, sleep, until

LARGE = os.urandom(20_000_000)


class BridgeTests(Attack):
    async def door(self, location: str = "", more: str = "") -> Any:
        """Serve the tree on a port of its own; requests go there from now on."""
        await self.shield(location, more=more)
        assert self.serving is not None
        (factory,) = self.serving._factories
        self.site = WebSite(Tree(factory.site, reactor.seconds), reactor=reactor)
        self.site.noisy = False
        port = reactor.listenTCP(0, self.site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.fast, self.port = self.port, port.getHost().port

    async def test_miss_and_hit(self) -> None:
        """One cache behind both doors; the same fields on both."""
        fields = {"ETag": '"e"', "X-Own": "y", **FOR_LONG}
        self.origin.answers["/a"] = answer(body=b"abc", headers=fields)
        await self.door()
        first, second = await self.get("/a"), await self.get("/a")
        self.assertEqual(["MISS", "HIT"], [first.cache, second.cache])
        self.assertEqual([b"abc"] * 2, [first.body, second.body])
        self.port = self.fast
        third = await self.get("/a")
        ours = {"server", "connection"}
        self.assertEqual(
            {name: value for name, value in second.headers.items() if name not in ours},
            {name: value for name, value in third.headers.items() if name not in ours},
        )
        self.assertEqual(1, len(self.origin.asked))
        self.assertEqual(
            ["MISS", "HIT", "HIT"], [x["upstream_cache_status"] for x in self.logged()]
        )

    async def test_head_range_and_conditions(self) -> None:
        """HEAD, 206, 304, 412-less If-Match, 416, on miss and hit, small and large."""
        fields = {"ETag": '"e"', **FOR_LONG}
        await self.door()
        for name, body in (("s", LARGE[:5000]), ("l", LARGE[:300_000])):
            for kind, method, extra in (
                ("head", "HEAD", {}),
                ("range", "GET", {"range": "bytes=1000-1999"}),
                ("304", "GET", {"if_none_match": '"e"'}),
                ("416", "GET", {"range": "bytes=900000-"}),
            ):
                target = f"/{name}-{kind}"
                self.origin.answers[target] = answer(body=body, headers=fields)
                for _ in range(2):
                    got = await self.get(target, method, **extra)
                    if kind == "head":
                        self.assertEqual(
                            (200, str(len(body))), (got.status, got.headers["content-length"])
                        )
                    elif kind == "range":
                        self.assertEqual((206, body[1000:2000]), (got.status, got.body))
                        self.assertEqual(
                            f"bytes 1000-1999/{len(body)}", got.headers["content-range"]
                        )
                    elif kind == "304":
                        self.assertEqual(
                            (304, b"", '"e"'), (got.status, got.body, got.headers["etag"])
                        )
                    else:
                        self.assertEqual(
                            (416, f"bytes */{len(body)}"),
                            (got.status, got.headers["content-range"]),
                        )

    async def test_refusals(self) -> None:
        """400, 404, 405, 502 as through the other door; nothing forwarded that should not be."""
        self.echoing()
        await self.door("methods = GET HEAD")
        for target in ("/../a", "/%2e%2e/a", "/%00", "/%zz", "/a/../b"):
            self.assertEqual(400, (await self.get(target)).status, target)
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
            got = await self.get("/a", method)
            self.assertEqual((405, "GET, HEAD"), (got.status, got.headers["allow"]), method)
        self.assertEqual([], self.origin.asked)
        await self.origin.port.stopListening()
        self.assertEqual(502, (await self.get("/a")).status)

    async def test_targets_are_not_touched(self) -> None:
        """twisted.web splits and decodes paths; what is looked up and sent is the target."""
        self.echoing()
        await self.door()
        targets = [
            "/a//b",
            "//a",
            "/a%2Fb",
            "/a%20b",
            "/a+b",
            "/a?x=+&y",
            "/a?",
            "/a;b",
            "/%61",
            "/a/",
        ]
        for _ in range(2):
            for target in targets:
                self.assertEqual(target.encode(), (await self.get(target)).body)
        self.assertEqual(targets, self.origin.targets())

    async def test_large_body_with_a_slow_client(self) -> None:
        """Memory is bounded: a client that does not read stops the reading of the file."""
        self.origin.answers["/l"] = answer(body=LARGE, headers=FOR_LONG)
        self.origin.answers["/p"] = answer(body=LARGE, headers={"Cache-Control": "no-store"})
        await self.door()
        self.assertTrue((await self.get("/l")).body == LARGE)
        for target in (b"/l", b"/p"):
            slow = await self.connect()
            slow.transport.pauseProducing()
            slow.send(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % target)
            await sleep(0.3)
            held = [len(b"".join(c._tempDataBuffer)) + len(c.dataBuffer) for c in self.channels()]
            self.assertTrue(held)
            self.assertLess(max(held), 2 << 20)
            slow.transport.resumeProducing()
            self.assertTrue((await slow.take()).body == LARGE)

    def channels(self) -> list[Any]:
        """Return the transports that twisted.web serves on."""
        return [
            reader
            for reader in reactor.getReaders()
            if getattr(getattr(reader, "protocol", None), "factory", None) is self.site
        ] or [
            transport
            for transport in getattr(reactor, "_readers", ())
            if getattr(getattr(transport, "protocol", None), "factory", None) is self.site
        ]

    async def test_leaving(self) -> None:
        """A client that leaves before the head, or in the body, is let go of."""
        held: list[Any] = []
        self.origin.answers["/a"] = lambda connection, asked: held.append(connection)
        await self.door("proxy_cache = off")
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: held, "the question")
        client.transport.abortConnection()
        await until(lambda: held[0].gone, "the call to be cancelled")
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(held) == 2, "the question")
        held[1].send(b"HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n" + LARGE)
        await until(lambda: len(client.buffer) > 100_000, "some of the body")
        client.transport.abortConnection()
        await until(lambda: held[1].gone, "the call to be cancelled")

    async def test_cut_body(self) -> None:
        """A short body is cut here too."""

        def broken(connection: Any, asked: Any) -> None:
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
            connection.transport.unregisterProducer()
            connection.transport.loseConnection()

        self.origin.answers["/a"] = broken
        await self.door()
        self.assertFalse((await self.get("/a")).whole)

    async def test_beside_other_resources(self) -> None:
        """A node of the tree is a resource like any other."""
        self.origin.reply = lambda asked: echo  # type: ignore[method-assign]
        await self.door()
        root = Resource()
        root.putChild(b"shield", self.site.resource.nodes[0])
        self.site.resource = root
        self.assertEqual(b"/shield/a/b", (await self.get("/shield/a/b")).body)
        self.assertEqual(404, (await self.get("/elsewhere")).status)

    async def test_host_and_connection_tricks(self) -> None:
        """What the channel does about them, the bridge does."""

        def by_language(connection: Any, asked: Any) -> None:
            fields = {"Vary": "Accept-Language", **FOR_LONG}
            body = asked.headers.get("accept-language", "none").encode()
            answer(body=body, headers=fields)(connection, asked)

        self.origin.answers["/a"] = by_language
        await self.door()
        got = await self.get("/a", accept_language="de", connection="close, Accept-Language")
        self.assertEqual(b"none", got.body)
        self.assertEqual(b"de", (await self.get("/a", accept_language="de")).body)

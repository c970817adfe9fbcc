"""Uploads behind a gate: nothing of a body is read before its client is let in."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import Final

from .harness import Client, answer, until
from .test_http2 import Http2Scenario
from .test_uploads import ALL, BODY, GOES_ON, UploadScenario, in_chunks, put

RIGHT: Final = "Authorization: Basic " + base64.b64encode(b"ann:correct horse").decode()
WRONG: Final = "Authorization: Basic " + base64.b64encode(b"ann:guess").decode()
ASKS: Final = "Expect: 100-continue"
SIZES: Final = (5, 60_000, 300_000)


class GatedUploadTests(UploadScenario):
    """`auth_basic` before `methods = PUT`; each password is new, and takes a thread."""

    async def gated(self) -> None:
        """Serve to those who are in the file."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.write("ann:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n")
        await self.shield(f'{ALL}\nauth_basic = "members"\nauth_basic_user_file = {path}')

    async def head_of(self, client: Client) -> bytes:
        """Return the first line that the client is sent, be it interim."""
        while b"\r\n\r\n" not in client.buffer and await client.more():
            pass
        return client.buffer.partition(b"\r\n")[0]

    async def test_refused_before_the_body(self) -> None:
        """Whoever may not come in hears so from the head alone, told to go on or not."""
        await self.gated()
        for fields in ((), (WRONG,), ("Authorization: Basic !",)):
            for size in SIZES:
                for more in ((), (ASKS,)):
                    client = await self.connect()
                    client.send(put(f"Content-Length: {size}", *fields, *more))
                    first = await self.head_of(client)
                    self.assertTrue(first.startswith(b"HTTP/1.1 401 "), (fields, size, first))
            client = await self.connect()
            client.send(put("Transfer-Encoding: chunked", *fields, ASKS))
            self.assertTrue((await self.head_of(client)).startswith(b"HTTP/1.1 401 "))
        self.assertEqual([], self.origin.asked)

    async def test_let_in(self) -> None:
        """Whoever may is told to go on, and all arrives; the connection goes on after it."""
        for size in SIZES:
            await self.gated()
            body = BODY[:size]
            client = await self.connect()
            client.send(put(f"Content-Length: {size}", RIGHT, ASKS))
            self.assertEqual(GOES_ON[:-4], await self.head_of(client))
            client.send(body + put(RIGHT, method="GET"))
            self.assertEqual([201, 200], [(await client.take()).status for _ in range(2)])
            self.assertEqual((size, hashlib.sha256(body).hexdigest()), self.origin.bodies[-2])
            self.assertNotIn(b"uthorization", self.origin.asked[-2].head)
            await self.stop()

    async def test_chunks(self) -> None:
        """A short body in chunks gets a length, a longer one goes on as it comes."""
        await self.gated()
        for size, length in ((60_000, "60000"), (300_000, None)):
            body = BODY[:size]
            head = put("Transfer-Encoding: chunked", RIGHT)
            got = await self.put(head, in_chunks(body, 7000))
            self.assertEqual(201, got.status)
            self.assertEqual((size, hashlib.sha256(body).hexdigest()), self.origin.bodies[-1])
            self.assertEqual(length, self.origin.asked[-1].headers.get("content-length"))

    async def test_broken_body(self) -> None:
        """What turns out to be no body is refused as elsewhere, and nothing is asked."""
        await self.gated()
        for body, status in ((b"5\r\nhello\r\nzz\r\n", 400), (b"%x\r\n" % (200 << 20), 413)):
            got = await self.put(put("Transfer-Encoding: chunked", RIGHT), body)
            self.assertEqual(status, got.status)
        self.assertEqual([], self.origin.asked)

    async def test_client_leaves(self) -> None:
        """A client that leaves in the middle of a short body is logged once, as gone."""
        await self.gated()
        client = await self.connect()
        client.send(put("Content-Length: 100", RIGHT, ASKS))
        await self.head_of(client)
        client.send(b"x" * 10)
        client.transport.abortConnection()
        await until(self.logged, "the log's line")
        self.assertEqual([499], [line["status"] for line in self.logged()])
        self.assertEqual([], self.origin.asked)


class Http2UploadTests(Http2Scenario):
    """The same over HTTP/2."""

    async def test_uploads(self) -> None:
        """Refused before the body; let in, it arrives whole, short and long, told a length or not."""
        self.origin.answers["/a"] = answer(201, b"done")
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.write("ann:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n")
        await self.shield(f'{ALL}\nauth_basic = "members"\nauth_basic_user_file = {path}')
        client = await self.client()
        for size in SIZES:
            for told in (True, False):
                length = [(b"content-length", b"%d" % size)] if told else []
                value = (b"authorization", WRONG.partition(": ")[2].encode())
                stream = client.ask("/a", "PUT", [*length, value], end=False)
                self.assertEqual(401, (await client.answer(stream)).status)
                value = (b"authorization", RIGHT.partition(": ")[2].encode())
                stream = client.ask("/a", "PUT", [*length, value], end=False)
                await client.upload(stream, BODY[:size])
                self.assertEqual(201, (await client.answer(stream)).status)
                right = hashlib.sha256(BODY[:size]).hexdigest()
                self.assertEqual((size, right), self.origin.bodies[-1])
        self.assertEqual(2 * len(SIZES), len(self.origin.asked))

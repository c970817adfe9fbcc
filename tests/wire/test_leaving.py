"""The end of a worker as its clients see it, with a grace: nobody's request is lost."""

from twisted.trial.unittest import TestCase

from tests.wire.serving import OnTwisted, OnUvloop, Source, answer, head_of

GET = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n"
CLOSE = b"\r\nConnection: close\r\n"


class Leaving:
    """`drain(grace)`."""

    async def used(self):
        """Return a connection that has had an answer, and the drain that has begun."""
        await self.serve()
        client = await self.connect()
        client.send(GET % b"1")
        await client.holds(b"GET /1")
        self.assertNotIn(CLOSE, client.received)
        return client, self.factory.drain(4.0)

    async def test_idle_then_a_request(self):
        """A request that comes on an idle connection is served, and its answer says close."""
        client, drained = await self.used()
        self.clock.advance(3)
        self.assertNoResult(drained)
        client.send(GET % b"2")
        self.assertIn(CLOSE + b"\r\nGET /2", await client.ended())
        await drained

    async def test_idle(self):
        """An idle connection is closed when the grace is over, not before."""
        client, drained = await self.used()
        self.clock.advance(3)
        await self.turn()
        self.assertEqual((client.eof, self.factory.connections), (False, 1))
        self.clock.advance(1)
        self.clock.advance(0.1)
        await client.ended()
        await drained
        self.assertNotIn(CLOSE, client.received)

    async def test_unread(self):
        """A request that has come and was not read when the grace is over is served."""
        client, drained = await self.used()
        channel = await self.channel()
        channel.transport.pauseProducing()
        client.send(GET % b"2")
        for _ in range(5):
            await self.turn()
        self.clock.advance(4)  # as when the process had no processor for so long
        channel.transport.resumeProducing()
        self.assertIn(CLOSE + b"\r\nGET /2", await client.ended())
        await drained

    async def test_new(self):
        """Who has connected and asked nothing yet is served as well; so is who comes later."""
        await self.serve()
        before = await self.connect()
        await self.channel()
        drained = self.factory.drain(4.0)
        before.send(GET % b"1")
        self.assertIn(CLOSE, await before.ended())
        await drained
        after = await self.connect()
        after.send(GET % b"2")
        self.assertIn(CLOSE, await after.ended())

    async def test_newcomer_says_nothing(self):
        """Who comes later and asks nothing is sent away when the grace is over."""
        await self.serve()
        await self.factory.drain(4.0)
        client = await self.connect()
        await self.channel()
        self.clock.advance(4)
        self.clock.advance(0.1)
        await client.ended()

    async def test_head_is_out(self):
        """A client that could not be told to close is told with the answer after."""
        await self.serve()
        client = await self.connect()
        client.send(GET % b"late")
        await self.site.asked(1)
        (late,) = self.site.late
        late.start(head_of(6), 6, Source())
        late.write(b"abc")
        drained = self.factory.drain(4.0)
        self.clock.advance(60)
        late.write(b"def")
        late.finish()
        await client.holds(b"abcdef")
        self.assertFalse(client.eof)
        client.send(GET % b"2")
        self.assertIn(CLOSE + b"\r\nGET /2", await client.ended())
        self.assertEqual(client.received.count(CLOSE), 1)
        await drained

    async def test_head_is_to_come(self):
        """An answer that has not begun says close, and the connection ends with it."""
        await self.serve()
        client = await self.connect()
        client.send(GET % b"late")
        await self.site.asked(1)
        drained = self.factory.drain(4.0)
        self.clock.advance(60)
        answer(self.site.late[0])
        self.assertIn(CLOSE, await client.ended())
        await drained

    async def test_half_a_head(self):
        """A head that comes slowly is waited for, longer than the grace."""
        client, drained = await self.used()
        client.send(b"GET /2 HT")
        await self.seen(await self.channel(), 9)
        self.tick(30)
        self.assertNoResult(drained)
        client.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        self.assertIn(CLOSE + b"\r\nGET /2", await client.ended())
        await drained


class LeavingOnUvloop(OnUvloop, Leaving, TestCase):
    pass


class LeavingOnTwisted(OnTwisted, Leaving, TestCase):
    pass

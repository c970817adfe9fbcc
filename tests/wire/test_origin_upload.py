"""A body on its way to the origin: its connection, its pace, its time, its ends."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import Clock
from twisted.trial.unittest import SkipTest

from s3shield.policy import FailureKind
from s3shield.wire.listen import uv_loop
from s3shield.wire.origin_pool import OriginPool
from tests.wire.origin_fixture import PoolCase, Recorder, turns
from tests.wire.scripted_origin import ABORT, CLOSE, HANG, READ, response

HEAD = b"PUT /key HTTP/1.1\r\nHost: bucket.test\r\n\r\n"


class Body:
    """An `Upload` in the test's hands."""

    def __init__(self, length: int | None = 1000) -> None:
        self.length = length
        self.whole = False
        self.refused = None
        self.paused = False
        self.sink: Any = None

    def begin(self, sink: Any) -> None:
        """See `Upload`."""
        self.sink = sink

    def pause(self) -> None:
        """See `Upload`."""
        self.paused = True

    def resume(self) -> None:
        """See `Upload`."""
        self.paused = False

    async def begun(self) -> Body:
        """Return when somebody takes it."""
        while self.sink is None:
            await turns(1)
        return self


def put(pool: OriginPool, body: Body) -> Recorder:
    """Send a PUT with `body`; return who hears of it."""
    receiver = Recorder()
    receiver.call = pool.fetch(b"PUT", HEAD, receiver, upload=body)
    return receiver


class UploadTests(PoolCase):
    async def test_connections(self) -> None:
        """An upload has a new connection, which carries other requests after it."""
        reply = response(b"a")
        origin = self.origin([READ, reply, READ, reply, READ, reply])
        pool = self.pool(origin, max_connections=2)
        await self.get(pool)
        body = Body(3)
        receiver = put(pool, body)
        await body.begun()
        self.assertEqual(2, len(origin.connections))
        body.sink.upload_data(b"abc")
        body.sink.upload_end()
        self.assertEqual(b"a", (await receiver.over).body)
        self.assertEqual(2, pool.stats().idle)

    async def test_no_room(self) -> None:
        """With no connection left an idle one makes room, and a busy one is waited for."""
        origin = self.origin([READ, response(b"a"), READ, response(b"b")])
        pool = self.pool(origin, max_connections=1)
        await self.get(pool)
        first, second = Body(0), Body(0)
        receivers = [put(pool, each) for each in (first, second)]
        await first.begun()
        self.assertIsNone(second.sink)
        first.sink.upload_end()
        self.assertEqual(b"a", (await receivers[0].over).body)
        await second.begun()
        second.sink.upload_end()
        self.assertEqual(b"b", (await receivers[1].over).body)
        self.assertEqual(2, len(origin.connections))

    async def test_time(self) -> None:
        """The origin's time runs when it has the whole body, not while the client is slow."""
        clock = Clock()
        origin = self.origin([READ, HANG])
        body = Body()
        receiver = put(self.pool(origin, clock=clock, read_timeout=30), body)
        await body.begun()
        clock.pump([1] * 300)
        body.sink.upload_data(b"a")
        clock.pump([1] * 300)
        body.sink.upload_end()
        clock.pump([1] * 29)
        self.assertEqual([], receiver.told)
        clock.pump([1] * 2)
        self.assertIs(FailureKind.TIMEOUT, receiver.failure.kind)
        await origin.gone()

    async def test_origin_that_takes_nothing(self) -> None:
        """It is paused for, and after the time it is given up."""
        clock = Clock()
        origin = self.origin([READ, HANG])
        body = Body(1 << 30)
        receiver = put(self.pool(origin, clock=clock, read_timeout=30), body)
        await body.begun()
        origin.connections[0].transport.pauseProducing()
        clock.pump([1] * 100)
        while not body.paused:
            body.sink.upload_data(b"a" * 1_000_000)
            await turns(1)
        clock.pump([1] * 29)
        self.assertEqual([], receiver.told)
        clock.pump([1] * 2)
        self.assertIs(FailureKind.TIMEOUT, receiver.failure.kind)
        self.assertEqual(504, receiver.failure.gateway_status)

    async def test_early_answer(self) -> None:
        """Nothing is sent after an answer has begun; the connection carries nothing else."""
        origin = self.origin([READ, response(b"no", status=b"403 No"), HANG])
        pool = self.pool(origin)
        body = Body()
        receiver = put(pool, body)
        await body.begun()
        body.sink.upload_data(b"a")
        self.assertEqual(403, (await receiver.over).head.status)
        self.assertTrue(body.paused)
        body.sink.upload_data(b"b")
        body.sink.upload_end()
        await origin.gone()
        self.assertNotIn(b"b", origin.connections[0].buffer)
        self.assertEqual(0, pool.stats().idle)

    async def test_answer_and_reset(self) -> None:
        """An origin that answers and closes with bytes unread resets: the answer is read yet."""
        if uv_loop(reactor) is None:
            raise SkipTest("it is libuv that closes at a failed write")
        for _ in range(5):
            early = response(b"no", b"Connection: close", status=b"413 No")
            body = Body(1 << 30)
            receiver = put(self.pool(self.origin([READ, early, CLOSE])), body)
            await body.begun()
            while not body.paused:
                body.sink.upload_data(b"a" * 200_000)
                await turns(1)
            answer = await receiver.over
            self.assertEqual((413, b"no"), (answer.head and answer.head.status, answer.body))

    async def test_interim_answer(self) -> None:
        """An interim response stops nothing, and 100 is nobody's."""
        told = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
        origin = self.origin([READ, told, READ, response(b"a")])
        pool = self.pool(origin)
        body, heard = Body(None), []
        receiver = put(pool, body)
        receiver.call.interim = lambda head: heard.append(head.status)
        await body.begun()
        while not heard:
            await turns(1)
        self.assertEqual([103], heard)
        body.sink.upload_data(b"abc")
        body.sink.upload_end()
        self.assertEqual(b"a", (await receiver.over).body)
        self.assertEqual(b"3\r\nabc\r\n0\r\n\r\n", origin.requests[1])

    async def test_origin_leaves(self) -> None:
        """A failure, once: a body cannot be sent a second time."""
        for how in (CLOSE, ABORT):
            origin = self.origin([READ, how])
            body = Body()
            receiver = await put(self.pool(origin), body).over
            self.assertIs(FailureKind.CUT, receiver.failure.kind)
            self.assertTrue(body.paused)
            body.sink.upload_data(b"a")
            body.sink.upload_end()
            self.assertEqual((1, ["failed"]), (len(origin.requests), receiver.told))

    async def test_cancelled(self) -> None:
        """The connection is cut, so that what came can never look whole."""
        origin = self.origin([READ, HANG])
        body = Body()
        receiver = put(self.pool(origin), body)
        await body.begun()
        body.sink.upload_data(b"a")
        receiver.call.cancel()
        body.sink.upload_end()
        await origin.gone()
        self.assertEqual([], receiver.told)

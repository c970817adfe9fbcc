"""HTTP/2's channel on real TLS sockets: requests, bodies, windows, deadlines, ends."""

from __future__ import annotations

import gc
import weakref

from h2.errors import ErrorCodes
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from s3shield.wire import BodyPlan, StreamedRequest
from s3shield.wire.http2_stream import QUEUED

from . import http2_client as h2c
from .serving import OnTwisted, OnUvloop, Source, answer, head_of

BODY = bytes(range(256)) * 4096


class Endless(Source):
    """A source that writes a piece whenever it may; made: bytes so far."""

    def __init__(self, response, most=1 << 30):
        super().__init__()
        self.held = False
        self.response = response
        self.most = most
        self.made = 0
        self.when_resumed = self.go_on

    def pauseProducing(self):
        """Count it."""
        super().pauseProducing()
        self.held = True

    def go_on(self):
        """Write until told to stop."""
        self.held = False
        while not self.held and not self.stopped and self.made < self.most:
            self.made += 16_384
            self.response.write(bytes(16_384))
        if self.made >= self.most:
            self.response.finish()


class Over2:
    """`client()`: HTTP/2 with the served factory."""

    async def client(self, **how):
        """Serve if nobody does, and connect."""
        if self.tls is None:
            self.tls = h2c.server_tls()
            await self.serve()
        host = self.port.getHost()
        client = await h2c.connect(host.host, host.port, **how)
        self.clients.append(client)
        return client

    async def late(self, client, target="/late"):
        """Ask for what the test answers itself; return the stream and its response."""
        number = client.ask(target)
        before = len(self.site.late)
        while len(self.site.late) == before:
            await self.turn()
        return number, self.site.late[-1]

    async def ended(self, client):
        """Return the code of the last GOAWAY when the connection has ended."""
        await client.until(lambda client: client.gone)
        return client.goodbyes[-1][0] if client.goodbyes else None


class Answers(Over2):
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

    async def test_http1_beside_it(self):
        """Who offers HTTP/1.1 alone, or nothing, gets it on the same listener."""
        await self.client()
        for offered in ([b"http/1.1"], None):
            client = await h2c.connect_plain(self.port.getHost().port, offered)
            client.transport.write(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            await client.until(lambda client: client.gone)
            self.assertTrue(client.received.startswith(b"HTTP/1.1 200 "))

    async def test_cookies(self):
        """Crumbs of a cookie are one cookie again (RFC 9113 section 8.2.3)."""
        client = await self.client()
        await client.answer(client.ask("/", more=[(b"cookie", b"a=1"), (b"cookie", b"b=2")]))
        self.assertEqual(self.site.requests[0].headers[b"cookie"], b"a=1; b=2")

    async def test_many_at_once(self):
        """A hundred streams are served together, in whichever order their answers come."""
        client = await self.client()
        numbers = [client.ask(f"/late{at}") for at in range(100)]
        await self.site.asked(100)
        for at in reversed(range(100)):
            answer(self.site.late[at], b"%d" % at * 100)
        got = await gatherResults(
            [client.until(lambda _, n=n: client.replies[n].over) for n in numbers]
        )
        self.assertEqual(len(got), 100)
        for at, number in enumerate(numbers):
            self.assertEqual(bytes(client.replies[number].body), b"%d" % at * 100)

    async def test_turns(self):
        """A large body does not hold up a small one that was asked for later."""
        client = await self.client(greedy=False, window=1 << 20)
        client.conn.increment_flow_control_window(1 << 22)
        large, response = await self.late(client)
        response.reply(head_of(len(BODY) * 4), BODY * 4)
        small = await client.get("/small")
        self.assertTrue(small.whole)
        self.assertFalse(client.replies[large].over)

    async def test_body_of_a_source(self):
        """A body of a source is whole, with a length and without, empty too."""
        client = await self.client()
        for length, pieces in (
            (12, [b"abc", memoryview(b"def" * 3)]),
            (None, [BODY, b"x"]),
            (0, []),
        ):
            number, response = await self.late(client)
            head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\n"
            response.start(head, length, Source())
            for piece in pieces:
                response.write(piece)
            response.finish()
            got = await client.answer(number)
            self.assertTrue(got.whole)
            self.assertTrue(bytes(got.body) == b"".join(pieces))
            self.assertEqual(got.headers, {"x-a": "1"})

    async def test_interim(self):
        """103 goes before the answer."""
        client = await self.client()
        number, response = await self.late(client)
        response.inform(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
        answer(response)
        got = await client.answer(number)
        self.assertEqual((got.interim, got.status), ([103], 200))

    async def test_fields_of_a_connection(self):
        """What is about a connection does not go out; what is secret is never indexed."""
        client = await self.client()
        number, response = await self.late(client)
        response.reply(b"HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: a=b\r\n", b"")
        self.assertEqual((await client.answer(number)).headers, {"set-cookie": "a=b"})

    async def test_too_short_and_too_long(self):
        """A body that is not what was promised ends with a reset, and the connection goes on."""
        client = await self.client()
        for pieces in ([b"abc"], [b"abcdef"]):
            number, response = await self.late(client)
            response.start(head_of(5), 5, Source())
            for piece in pieces:
                response.write(piece)
            response.finish()
            got = await client.answer(number)
            self.assertEqual(got.reset, ErrorCodes.INTERNAL_ERROR)
        self.assertTrue((await client.get("/x")).whole)

    async def test_site_fails(self):
        """500, and the connection goes on."""
        client = await self.client()
        self.assertEqual((await client.get("/fail")).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue((await client.get("/x")).whole)

    async def test_late_calls(self):
        """What a source does after the end, or after its client, is nothing."""
        client = await self.client()
        number, response = await self.late(client)
        answer(response)
        gone = []
        for call in (
            lambda: answer(response),
            lambda: response.write(b"x"),
            response.finish,
            response.abort,
            lambda: response.on_gone(lambda: gone.append(1)),
        ):
            call()
        self.assertEqual(bytes((await client.answer(number)).body), b"ok")
        late = Source()
        response.start(head_of(1), 1, late)
        self.assertEqual((late.stopped, gone), (1, []))


class Pace(Over2):
    async def test_shut_window(self):
        """A source whose client opens no window is paused, with a queue's worth in memory."""
        client = await self.client(greedy=False)
        number, response = await self.late(client)
        source = Endless(response, most=4 << 20)
        response.start(head_of(source.most), source.most, source)
        source.go_on()
        reply = client.replies[number]
        await client.until(lambda _: len(reply.body) == 65_535)
        self.assertLessEqual(source.made, 65_535 + QUEUED + 2 * 16_384)
        for _ in range(10):
            await self.turn()
        self.assertTrue(source.held)
        client.greedy = True
        client.conn.increment_flow_control_window(1 << 20)
        client.conn.increment_flow_control_window(1 << 20, number)
        client.flush()
        await client.until(lambda _: reply.over)
        self.assertEqual((reply.whole, len(reply.body)), (True, source.most))

    async def test_deaf_client(self):
        """A client that reads nothing from its socket pauses every source, windows or not."""
        client = await self.client(greedy=False, window=(1 << 31) - 1)
        client.conn.increment_flow_control_window((1 << 31) - 1 - 65_535)
        client.flush()
        sources = []
        for _ in range(4):
            _, response = await self.late(client)
            sources.append(Endless(response))
            response.start(head_of(1 << 30), 1 << 30, sources[-1])
        client.transport.pauseProducing()
        for source in sources:
            if not source.held:
                source.go_on()
        await self.settled()
        self.assertTrue(all(source.held for source in sources))
        self.assertLess(sum(source.made for source in sources), 64 << 20)
        client.hang_up()
        while not all(source.stopped for source in sources):
            await self.turn()

    async def test_settings_open_windows(self):
        """SETTINGS that shut and open the windows of streams do both (RFC 9113 6.9.2)."""
        client = await self.client(greedy=False, window=10)
        number, response = await self.late(client)
        response.reply(head_of(100), b"x" * 100)
        reply = client.replies[number]
        await client.until(lambda _: len(reply.body) == 10)
        client.conn.update_settings({4: 1})  # 9 less than nothing
        client.conn.update_settings({4: 30})
        client.flush()
        await client.until(lambda _: len(reply.body) == 30)
        client.conn.update_settings({4: 1000})
        client.flush()
        await client.until(lambda _: reply.over)
        self.assertEqual(len(reply.body), 100)

    async def test_leaving_a_stream(self):
        """A stream that the client resets is left: its source stops, the others go on."""
        client = await self.client()
        one, response = await self.late(client)
        source, gone = Source(), []
        response.start(head_of(10), 10, source)
        two, waiting = await self.late(client)
        waiting.on_gone(lambda: gone.append(2))
        client.conn.reset_stream(one, 8)
        client.conn.reset_stream(two, 8)
        client.flush()
        while not (source.stopped and gone):
            await self.turn()
        response.write(b"x")
        response.finish()
        answer(waiting)
        waiting.on_gone(lambda: gone.append(3))
        self.assertEqual((source.stopped, gone), (1, [2, 3]))
        self.assertTrue((await client.get("/x")).whole)

    async def test_leaving(self):
        """A client that hangs up leaves all of its streams, and nothing stays behind."""
        client = await self.client()
        _, response = await self.late(client)
        source, gone = Source(), []
        response.start(head_of(10), 10, source)
        _, waiting = await self.late(client)
        waiting.on_gone(lambda: gone.append(2))
        channel = weakref.ref(await self.channel())
        client.hang_up()
        await self.nobody()
        self.assertEqual((source.stopped, gone), (1, [2]))
        self.site.late.clear()
        self.site.requests.clear()
        del response, waiting
        await self.turn()
        gc.collect()
        self.assertIsNone(channel())

    async def test_goodbye_of_a_client(self):
        """A client's GOAWAY is about streams of ours: its own are answered, then we close."""
        client = await self.client()
        number, response = await self.late(client)
        client.raw(h2c.frame(7, 0, 0, bytes(8)))
        client.raw(h2c.frame(h2c.PING, 0, 0, b"12345678"))
        await self.turn()
        response.reply(head_of(len(BODY)), BODY)
        got = await client.answer(number)
        self.assertTrue(got.whole)
        self.assertEqual(await self.ended(client), ErrorCodes.NO_ERROR)


class Taker:
    """Takes a body; pauses after each piece when told to."""

    def __init__(self, upload, *, pausing=False):
        self.upload = upload
        self.pausing = pausing
        self.body = b""
        self.ends = 0

    def upload_data(self, data):
        """See `UploadSink`."""
        self.body += data
        if self.pausing:
            self.upload.pause()

    def upload_end(self):
        """See `UploadSink`."""
        self.ends += 1


class Bodies(Over2):
    def plan(self, limit=1 << 30, gather=1000, beyond=0):
        """Want bodies."""
        self.factory.body_plan = lambda request: BodyPlan(limit, gather, beyond)

    async def test_unwanted(self):
        """A body that nobody wants is dropped: the request is served at once, the client told."""
        client = await self.client()
        number = client.ask("/x", more=[(b"content-length", b"1000000")], end=False)
        got = await client.answer(number)
        self.assertEqual((got.status, got.whole), (200, True))
        await client.until(lambda _: got.reset is not None)
        self.assertEqual(got.reset, ErrorCodes.NO_ERROR)
        client.raw(h2c.frame(h2c.DATA, 0, number, bytes(10)))
        self.assertTrue((await client.get("/y")).whole)

    async def test_no_more_than_its_window(self):
        """Of a body that is dropped no more comes than a window."""
        client = await self.client()
        number = client.ask("/late", end=False)
        await self.site.asked(1)
        self.assertEqual(client.conn.local_flow_control_window(number), 65_536)
        while client.conn.local_flow_control_window(number):
            size = min(16_384, client.conn.local_flow_control_window(number))
            client.send(number, bytes(size))
        answer(self.site.late[0])
        await client.answer(number)
        self.assertEqual(client.conn.local_flow_control_window(client.ask("/z")), 65_536)

    async def test_gathered(self):
        """A short one is there when its request is served; an empty one is none."""
        self.plan()
        client = await self.client()
        number = client.ask("/x", "PUT", end=False)
        client.send(number, b"ab")
        client.send(number, b"c", end=True)
        await client.answer(number)
        self.assertEqual(self.site.requests[0].body, b"abc")
        number = client.ask("/x", "PUT", end=False)
        client.send(number, b"", end=True)
        await client.answer(number)
        self.assertEqual(self.site.requests[1].body, b"")

    async def test_streamed(self):
        """A long one is streamed, at its taker's pace: nothing more comes than a window."""
        self.plan()
        client = await self.client()
        for fields in ([(b"content-length", b"%d" % len(BODY))], []):
            number = client.ask("/late", "PUT", fields, end=False)
            sending = client.upload(number, BODY)
            sending = self.together(sending)
            before = len(self.site.late)
            while len(self.site.late) == before:
                await self.turn()
            request, response = self.site.requests[-1], self.site.late[-1]
            self.assertIsInstance(request, StreamedRequest)
            taker = Taker(request.upload, pausing=True)
            request.upload.begin(taker)
            while not taker.ends:
                self.assertLessEqual(len(client.replies), 2)
                await self.turn()
                request.upload.resume()
            self.assertTrue(taker.body == BODY)
            self.assertTrue(request.upload.whole)
            await sending
            answer(response)
            self.assertTrue((await client.answer(number)).whole)

    async def test_nobody_takes_it(self):
        """What nobody takes stops at the window, and other streams go on."""
        self.plan()
        client = await self.client()
        number = client.ask("/late", "PUT", end=False)
        for _ in range(4):
            client.send(number, bytes(16_384))
        await self.site.asked(1)
        self.assertTrue((await client.get("/x")).whole)
        self.assertEqual(client.conn.local_flow_control_window(number), 0)
        answer(self.site.late[0])
        self.assertEqual((await client.answer(number)).status, 200)

    async def test_continue(self):
        """A client that asks whether to go on is told so, when somebody takes the body."""
        self.plan()
        client = await self.client()
        number = client.ask("/x", "PUT", [(b"expect", b"100-continue")], end=False)
        reply = client.replies[number]
        await client.until(lambda _: reply.interim)
        client.send(number, b"abc", end=True)
        await client.answer(number)
        self.assertEqual((reply.interim, reply.status), ([100], 200))
        number = client.ask("/x", "PUT", [(b"expect", b"tea")], end=False)
        self.assertEqual((await client.answer(number)).status, 417)

    async def test_too_large(self):
        """413: by what is told, by what comes, gathered and streamed."""
        self.plan(limit=2000, gather=1000)
        client = await self.client()
        number = client.ask("/x", "PUT", [(b"content-length", b"2001")], end=False)
        self.assertEqual((await client.answer(number)).status, 413)
        number = client.ask("/late", "PUT", end=False)
        client.send(number, bytes(1500))
        await self.site.asked(1)
        refused = []
        self.site.requests[0].upload.refused = refused.append
        self.site.requests[0].upload.begin(Taker(self.site.requests[0].upload))
        client.send(number, bytes(1500))
        while not refused:
            await self.turn()
        self.assertEqual(refused, [413])
        answer(self.site.late[0])
        await client.answer(number)
        self.plan(limit=2000, gather=1000, beyond=411)
        number = client.ask("/x", "PUT", end=False)
        client.send(number, bytes(1500))
        self.assertEqual((await client.answer(number)).status, 411)
        self.assertEqual([status for _, status, _ in self.rejected], [413, 411])

    async def test_slow(self):
        """408 for a body that does not come; one that nobody takes may wait."""
        self.plan()
        client = await self.client()
        number = client.ask("/x", "PUT", end=False)
        held = client.ask("/late", "PUT", [(b"content-length", b"5000")], end=False)
        await self.site.asked(1)
        self.tick(75)
        self.assertEqual((await client.answer(number)).status, 408)
        self.assertFalse(client.replies[held].over)

    async def test_leaving_in_a_body(self):
        """A client that resets its upload leaves it."""
        self.plan()
        client = await self.client()
        number = client.ask("/late", "PUT", [(b"content-length", b"5000")], end=False)
        await self.site.asked(1)
        gone = []
        self.site.late[0].on_gone(lambda: gone.append(1))
        taker = Taker(self.site.requests[0].upload)
        self.site.requests[0].upload.begin(taker)
        client.send(number, bytes(100))
        client.conn.reset_stream(number, 8)
        client.flush()
        while not gone:
            await self.turn()
        self.assertEqual((len(taker.body), taker.ends), (100, 0))

    def together(self, coroutine):
        """Let a coroutine run beside the test."""
        return Deferred.fromCoroutine(coroutine)


class Deadlines(Over2):
    """All by an injected clock."""

    async def test_idle(self):
        """75 seconds after the last stream an idle connection is told so, and closed."""
        client = await self.client()
        self.clock.advance(1)
        await client.get("/x")
        self.tick(74)
        client.conn.ping(b"12345678")  # does not put it off
        client.flush()
        await client.get("/y")
        self.tick(74)
        self.assertFalse(client.gone)
        self.tick(3)
        self.assertEqual(await self.ended(client), ErrorCodes.NO_ERROR)

    async def test_ping_is_not_a_request(self):
        """PING keeps no connection."""
        client = await self.client()
        await client.get("/x")
        self.tick(70)
        client.conn.ping(b"12345678")
        client.flush()
        await self.turn()
        self.tick(7)
        self.assertEqual(await self.ended(client), ErrorCodes.NO_ERROR)

    async def test_no_request(self):
        """A connection that never asks ends after client_header_timeout, preface or not."""
        await self.client()
        clients = []
        for sent in (b"", h2c.PREFACE[:10], h2c.PREFACE):
            clients.append(await h2c.connect_plain(self.port.getHost().port, [b"h2"]))
            clients[-1].transport.write(sent)
        for client in clients:
            await client.until(lambda client: client.received)  # our SETTINGS: nothing is unsent
        self.tick(62)
        for client in clients:
            await client.until(lambda client: client.gone)

    async def test_slow_fields(self):
        """A field block that dribbles in ends the connection, whatever else goes on."""
        client = await self.client()
        await self.late(client)
        client.raw(h2c.frame(h2c.HEADERS, 0, 3, b"\x82"))
        channel = await self.channel()
        while not channel._block:
            await self.turn()
        for _ in range(12):
            client.raw(h2c.frame(h2c.CONTINUATION, 0, 3, b"\x86"))
            await self.turn()
            self.tick(4.9)
        self.tick(15)
        self.assertEqual(await self.ended(client), ErrorCodes.PROTOCOL_ERROR)

    async def test_shut_window(self):
        """A stream whose window stays shut is reset after send_timeout; the site hears it."""
        client = await self.client(greedy=False, window=0)
        number, response = await self.late(client)
        source = Source()
        response.start(head_of(10), 10, source)
        response.write(b"12345")
        other = client.ask("/late2")
        await self.site.asked(2)
        self.tick(90)
        self.assertEqual((await client.answer(number)).reset, ErrorCodes.CANCEL)
        self.assertEqual(source.stopped, 1)
        self.assertFalse(client.replies[other].over)  # it waits for us

    async def test_deaf_client(self):
        """A client that reads nothing is cut after send_timeout."""
        client = await self.client(greedy=False, window=(1 << 31) - 1)
        client.conn.increment_flow_control_window((1 << 31) - 1 - 65_535)
        client.flush()
        _, response = await self.late(client)
        source = Endless(response)
        response.start(head_of(1 << 30), 1 << 30, source)
        client.transport.pauseProducing()
        source.go_on()
        await self.settled()
        self.tick(90)
        while not source.stopped:
            await self.turn()
        await self.nobody()

    async def test_no_timer_when_idle(self):
        """One timer for all of it, and none when nobody is there."""
        client = await self.client()
        await client.get("/x")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        client.hang_up()
        await self.nobody()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class Draining(Over2):
    async def test_busy(self):
        """Streams under way end, what was on its way is served, then nothing, then the end."""
        client = await self.client()
        number, response = await self.late(client)
        drained = self.factory.drain()
        self.assertNoResult(drained)
        # Our first GOAWAY waits for something of the client's.
        self.assertEqual(client.goodbyes, [])
        client.raw(h2c.frame(h2c.PING, 0, 0, b"12345678"))
        await client.until(lambda client: len(client.goodbyes) == 2)
        self.assertEqual([last for _, last in client.goodbyes], [(1 << 31) - 1, number])
        self.assertEqual({code for code, _ in client.goodbyes}, {0})
        response.reply(head_of(len(BODY)), BODY)
        self.assertTrue((await client.answer(number)).whole)
        await drained
        await client.until(lambda client: client.gone)

    async def test_idle(self):
        """An idle connection is told, and closed when it has answered."""
        client = await self.client()
        await client.get("/x")
        drained = self.factory.drain()
        self.tick(3)
        await drained
        await client.until(lambda client: client.gone)

    async def test_no_answer(self):
        """A client that does not answer our PING has two seconds; what it asks then, is refused."""
        client = await self.client()
        number, response = await self.late(client)
        client.mute = True
        drained = self.factory.drain()
        self.tick(3)
        await client.until(lambda client: client.goodbyes)
        self.tick(4)
        await client.until(lambda client: len(client.goodbyes) == 2)
        late = await client.get("/too-late")
        self.assertEqual(late.reset, ErrorCodes.REFUSED_STREAM)
        self.assertEqual(len(self.site.requests), 1)
        answer(response)
        await client.answer(number)
        await drained

    async def test_late_connection(self):
        """A handshake that ends when we drain already: two seconds of service, then GOAWAY."""
        client = await self.client()
        await self.late(client)
        drained = self.factory.drain()
        client.raw(h2c.frame(h2c.PING, 0, 0, b"12345678"))
        await client.until(lambda client: len(client.goodbyes) == 2)
        late, silent = await self.client(), await self.client()
        for _ in range(2):
            self.assertTrue((await late.get("/x")).whole)
            self.assertEqual(late.goodbyes, [])
        self.tick(4)
        await late.until(lambda client: client.gone)
        await silent.until(lambda client: client.gone)
        self.assertNoResult(drained)
        answer(self.site.late[0])
        await drained

    async def test_abort(self):
        """`abort` cuts them all."""
        client = await self.client()
        await self.late(client)
        self.factory.abort()
        await client.until(lambda client: client.gone)
        await self.nobody()


class AnswersOnUvloop(OnUvloop, Answers, TestCase):
    pass


class AnswersOnTwisted(OnTwisted, Answers, TestCase):
    pass


class PaceOnUvloop(OnUvloop, Pace, TestCase):
    pass


class PaceOnTwisted(OnTwisted, Pace, TestCase):
    pass


class BodiesOnUvloop(OnUvloop, Bodies, TestCase):
    pass


class BodiesOnTwisted(OnTwisted, Bodies, TestCase):
    pass


class DeadlinesOnUvloop(OnUvloop, Deadlines, TestCase):
    pass


class DeadlinesOnTwisted(OnTwisted, Deadlines, TestCase):
    async def test_slow_handshake(self):
        """Who does not finish the handshake is dropped; uvloop sees to it by itself."""
        await self.client()
        client = await self.connect()
        while self.factory.connections < 2:
            await self.turn()
        self.tick(62)
        await client.ended()


class DrainingOnUvloop(OnUvloop, Draining, TestCase):
    pass


class DrainingOnTwisted(OnTwisted, Draining, TestCase):
    pass

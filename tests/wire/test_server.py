"""The HTTP/1.1 channel over real sockets: order, keep-alive, bodies, slow clients, ends."""

import gc
import re
import weakref

from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import TestCase

from tests.wire.serving import OnTwisted, OnUvloop, Source, answer, head_of

HOST = b"Host: a.example\r\n\r\n"


def get(path, *fields, method=b"GET", version=b"HTTP/1.1"):
    """Return a request's head."""
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"%b %b %b\r\n%b%b" % (method, path, version, lines, HOST)


def statuses(text):
    """Return the status lines in `text`."""
    return re.findall(rb"HTTP/1\.1 [0-9]{3} [A-Za-z ]*", text)


class Requests:
    """What the site is given."""

    async def test_request(self):
        """Every attribute of the request, as sent."""
        await self.serve()
        client = await self.connect()
        await self.channel()
        self.clock.advance(5)
        client.send(
            b"GET /a%20b?x=1&y HTTP/1.1\r\nHOST: A.Example:8080\r\nX-One: 1 \t\r\n"
            b"x-one:  2\r\nCookie: a=b\r\ncookie: c=d\r\nX-Empty:\r\n\r\n"
        )
        await client.holds(b"GET /a%20b")
        (request,) = self.site.requests
        self.assertEqual(request.method, b"GET")
        self.assertEqual(request.target, b"/a%20b?x=1&y")
        self.assertEqual((request.path, request.query), (b"/a%20b", b"x=1&y"))
        self.assertEqual(request.version, (1, 1))
        self.assertEqual(
            request.headers,
            {
                b"host": b"A.Example:8080",
                b"x-one": b"1, 2",
                b"cookie": b"a=b; c=d",
                b"x-empty": b"",
            },
        )
        self.assertEqual((request.host, request.peer), (b"a.example", b"127.0.0.1"))
        self.assertEqual((request.scheme, request.started), (b"http", 5.0))

    async def test_plain_and_judged_alike(self):
        """The short way for plain heads gives what the long way gives."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/1?q", b"X: y"))
        await client.holds(b"GET /1")
        client.send(get(b"/1?q", b"X: y"))
        await client.holds(b"GET /1", 2)
        client.send(get(b"/1?q", b"X: y", b"Connection: z"))
        await client.holds(b"GET /1", 3)
        one, two, three = self.site.requests
        del three.headers[b"connection"]
        for name in one.__slots__:
            self.assertEqual(getattr(one, name), getattr(two, name), name)
            self.assertEqual(getattr(one, name), getattr(three, name), name)

    async def test_query(self):
        """No `?` is no query, a `?` at the end is an empty one."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/a"), get(b"/a?"))
        await client.holds(b"GET /a", 2)
        self.assertEqual([request.query for request in self.site.requests], [None, b""])

    async def test_absolute_form(self):
        """RFC 9112 3.2.2: the target's host stands above the Host field."""
        await self.serve()
        client = await self.connect()
        for target, path, query in [
            (b"http://Other.example:80/p?q", b"/p", b"q"),
            (b"HTTPS://other.example", b"/", None),
            (b"http://other.example?q", b"/", b"q"),
        ]:
            client.send(get(target))
            await self.site.asked(len(self.site.requests) + 1)
            request = self.site.requests[-1]
            self.assertEqual((request.host, request.path), (b"other.example", path))
            self.assertEqual((request.target, request.query), (target, query))

    async def test_methods(self):
        """Which methods are allowed is the site's to say, known to the parser or not."""
        await self.serve()
        client = await self.connect()
        methods = [b"HEAD", b"PURGE", b"BREW", b"get", b"DESCRIBE", b"GETX", b"M-SEARCH"]
        for number, method in enumerate(methods, 1):
            client.send(get(b"/m", method=method))
            await client.holds(b" /m", number)
        client.send(get(b"*", method=b"OPTIONS"))
        await client.holds(b"OPTIONS *")
        self.assertEqual([r.method for r in self.site.requests], [*methods, b"OPTIONS"])
        self.assertEqual(self.rejected, [])

    async def test_upgrade_is_declined(self):
        """An offer to upgrade is answered as an ordinary request, and so is the next."""
        await self.serve()
        client = await self.connect()
        offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: x")
        client.send(get(b"/1", *offer), get(b"/2"))
        await client.holds(b"GET /2")
        self.assertEqual(statuses(client.received), [b"HTTP/1.1 200 OK"] * 2)
        self.assertFalse(client.eof)

    async def test_large_but_allowed(self):
        """Heads up to the limits are served: 8 KiB line, 100 fields, nearly 32 KiB."""
        await self.serve()
        client = await self.connect()
        target = b"/" + b"a" * (8192 - len(b"GET / HTTP/1.1"))
        many = [b"X%d: y" % number for number in range(99)]
        client.send(get(target), get(b"/many", *many), get(b"/big", b"X: " + b"y" * 32000))
        await client.holds(b"GET /big")
        self.assertEqual(len(statuses(client.received)), 3)


class RequestsOnUvloop(OnUvloop, Requests, TestCase):
    pass


class RequestsOnTwisted(OnTwisted, Requests, TestCase):
    pass


class Connections:
    """Keep-alive, pipelining, pieces, bodies that nobody wants."""

    async def test_keep_alive(self):
        """RFC 9112 9.3: which connections stay and what the answer says about it."""
        await self.serve()
        close, keep = b"Connection: close", b"Connection: keep-alive"
        for version, fields, stays, said in [
            (b"HTTP/1.1", (), True, None),
            (b"HTTP/1.1", (keep,), True, None),
            (b"HTTP/1.1", (b"Connection: Keep-Alive, x",), True, None),
            (b"HTTP/1.1", (close,), False, close),
            (b"HTTP/1.1", (b"Connection: x, CLOSE",), False, close),
            (b"HTTP/1.1", (b"Connection: x", b"Connection: close"), False, close),
            (b"HTTP/1.0", (), False, close),
            (b"HTTP/1.0", (b"Connection: Keep-Alive",), True, keep),
            (b"HTTP/1.0", (b"Connection: keep-alive, close",), False, close),
        ]:
            client = await self.connect()
            client.send(get(b"/1", *fields, version=version))
            what = (version, fields)
            if stays:
                await client.holds(b"GET /1")
                first = client.received
                client.send(get(b"/2"))
                await client.holds(b"GET /2")
                self.assertFalse(client.eof, what)
                self.assertNotIn(b"Connection", client.received[len(first) :], what)
            else:
                client.send(get(b"/not-read"))
                first = await client.ended()
                self.assertEqual(len(statuses(first)), 1, what)
            self.assertEqual(first.count(b"Connection"), 0 if said is None else 1, what)
            if said is not None:
                self.assertIn(b"\r\n" + said + b"\r\n\r\n", first, what)

    async def test_http_1_0_without_host(self):
        """HTTP/1.0 needs no Host."""
        await self.serve()
        got = await self.ask(b"GET /old HTTP/1.0\r\n\r\n")
        self.assertIn(b"GET /old", got)
        self.assertEqual(self.site.requests[0].host, b"")

    async def test_byte_by_byte(self):
        """Requests that arrive one byte at a time, each byte on its own."""
        await self.serve()
        client = await self.connect()
        channel = await self.channel()
        text = b"\r\n" + get(b"/1") + get(b"/2", method=b"BREW") + get(b"/3")
        for at in range(len(text)):
            channel.dataReceived(text[at : at + 1])
        await client.holds(b"GET /3")
        self.assertEqual([r.path for r in self.site.requests], [b"/1", b"/2", b"/3"])

    async def test_pieces_over_the_socket(self):
        """A head in two packets."""
        await self.serve()
        client = await self.connect()
        channel = await self.channel()
        client.send(b"GET /1 HT")
        await self.seen(channel, 9)
        self.assertEqual(self.site.requests, [])
        client.send(b"TP/1.1\r\n" + HOST)
        await client.holds(b"GET /1")

    async def test_pipelining(self):
        """Answers come in the order of the requests, though the first one is late."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late1") + get(b"/2") + get(b"/late3") + get(b"/4") + b"\r\n")
        await self.site.asked(1)
        self.assertEqual(len(self.site.requests), 1)
        answer(self.site.late[0], b"one")
        await self.site.asked(3)
        self.assertEqual([r.path for r in self.site.requests], [b"/late1", b"/2", b"/late3"])
        answer(self.site.late[1], b"three")
        await client.holds(b"GET /4")
        places = [client.received.index(text) for text in (b"one", b"GET /2", b"three", b"GET /4")]
        self.assertEqual(places, sorted(places))

    async def test_many_pipelined(self):
        """A long row of requests in one write."""
        await self.serve()
        client = await self.connect()
        client.send(b"".join(get(b"/%d." % number) for number in range(500)))
        await client.holds(b"GET /499.")
        self.assertEqual([r.path for r in self.site.requests], [b"/%d." % n for n in range(500)])

    async def test_reading_stops_behind_a_late_response(self):
        """A client that pipelines without end is not read while it waits."""
        await self.serve()
        client = await self.connect()
        channel = await self.channel()
        client.send(get(b"/late"))
        await self.site.asked(1)
        client.send(b"".join(get(b"/%d." % number) for number in range(100_000)))
        await self.seen(channel, 16 * 1024)
        while channel._reading:
            await self.turn()
        held = len(channel._backlog)
        for _ in range(20):
            await self.turn()
        self.assertEqual(len(channel._backlog), held)
        self.assertLess(held, 1 << 20)
        self.assertEqual(len(self.site.requests), 1)
        answer(self.site.late[0])
        await client.holds(b"GET /99999.")
        self.assertEqual(len(self.site.requests), 100_001)

    async def test_small_body_is_dropped(self):
        """An unwanted body of up to 64 KiB is read past; the connection stays."""
        await self.serve()
        client = await self.connect()
        for path in (b"/1", b"/late1"):
            client.send(get(path, b"Content-Length: 65536", method=b"POST"))
            client.send(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".ljust(65536) + get(b"/2"))
        await self.site.asked(3)
        answer(self.site.late[0], b"late")
        await client.holds(b"GET /2", 2)
        paths = [request.path for request in self.site.requests]
        self.assertEqual(paths, [b"/1", b"/2", b"/late1", b"/2"])

    async def test_body_that_is_not_read(self):
        """Large and chunked bodies and Expect: the answer says close, and arrives."""
        await self.serve()
        for fields in [
            (b"Content-Length: 70000",),
            (b"Transfer-Encoding: chunked",),
            (b"Content-Length: 5", b"Expect: 100-continue"),
        ]:
            client = await self.connect()
            client.send(get(b"/put", *fields, method=b"PUT"), get(b"/x") * 3000)
            await client.ended()
            self.assertEqual(statuses(client.received), [b"HTTP/1.1 200 OK"], fields)
            self.assertIn(b"\r\nConnection: close\r\n", client.received)
        self.assertEqual([request.path for request in self.site.requests], [b"/put"] * 3)

    async def test_half_close(self):
        """A client that has shut down its side still gets what it asked for."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late1") + get(b"/2"))
        client.transport.loseWriteConnection()
        await self.site.asked(1)
        channel = await self.channel()
        while not channel._eof:
            await self.turn()
        answer(self.site.late[0], b"late")
        await client.ended()
        self.assertEqual(len(statuses(client.received)), 2)
        self.assertTrue(client.received.endswith(b"GET /2"))

    async def test_half_close_when_idle(self):
        """Nothing to wait for: the connection ends."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/1") + b"GET /part")
        client.transport.loseWriteConnection()
        got = await client.ended()
        self.assertEqual(len(statuses(got)), 1)
        await self.nobody()

    async def test_site_fails(self):
        """An exception in the site is a 500, logged, and the connection goes on."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/fail") + get(b"/2"))
        await client.holds(b"GET /2")
        self.assertEqual(statuses(client.received)[0], b"HTTP/1.1 500 Internal Server Error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_counters(self):
        """Open connections and requests are counted."""
        await self.serve()
        client = await self.connect()
        await self.channel()
        self.assertEqual(self.factory.connections, 1)
        client.send(get(b"/1") + get(b"/2", b"Connection: close"))
        await client.ended()
        await self.nobody()
        self.assertEqual((self.factory.connections, self.factory.requests), (0, 2))


class ConnectionsOnUvloop(OnUvloop, Connections, TestCase):
    async def test_no_garbage(self):
        """A connection that has ended is freed without the garbage collector's help."""
        await self.serve()
        client = await self.connect()
        channel = weakref.ref(await self.channel())
        client.send(get(b"/1") + get(b"/late", b"Connection: x"))
        await self.site.asked(2)
        self.site.late.clear()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        client.transport.abortConnection()
        await self.nobody()
        await self.turn()
        self.assertIsNone(channel())


class ConnectionsOnTwisted(OnTwisted, Connections, TestCase):
    pass


class Responses:
    """Streamed responses: framing, backpressure, cuts, and who is told."""

    async def late(self, *fields, version=b"HTTP/1.1"):
        """Return a client and the downstream of its request."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late", *fields, version=version))
        await self.site.asked(1)
        return client, self.site.late[0]

    async def test_with_length(self):
        """Head and pieces arrive as they are written, and the connection goes on."""
        client, down = await self.late()
        down.start(head_of(6), 6, Source())
        await client.holds(b"Content-Length: 6\r\n\r\n")
        down.write(b"abc")
        await client.holds(b"abc")
        down.write(memoryview(b"-def-")[1:4])
        down.write(b"")
        down.finish()
        await client.holds(b"abcdef")
        client.send(get(b"/next"))
        await client.holds(b"GET /next")

    async def test_chunked(self):
        """Without a length HTTP/1.1 gets chunks, each as it comes."""
        client, down = await self.late()
        down.start(b"HTTP/1.1 200 OK\r\n", None, Source())
        down.write(b"abc")
        await client.holds(b"3\r\nabc\r\n")
        down.write(memoryview(b"x" * 26))
        down.write(b"")
        down.finish()
        await client.holds(b"\r\n0\r\n\r\n")
        top, _, body = client.received.partition(b"\r\n\r\n")
        self.assertEqual(top, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked")
        self.assertEqual(body, b"3\r\nabc\r\n1a\r\n" + b"x" * 26 + b"\r\n0\r\n\r\n")
        client.send(get(b"/next"))
        await client.holds(b"GET /next")

    async def test_until_close(self):
        """HTTP/1.0 knows no chunks: the body ends with the connection."""
        client, down = await self.late(b"Connection: keep-alive", version=b"HTTP/1.0")
        down.start(b"HTTP/1.1 200 OK\r\n", None, Source())
        down.write(b"abc")
        down.finish()
        got = await client.ended()
        self.assertEqual(got, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        self.assertFalse(client.gone)  # an orderly end, no reset

    async def test_start_at_once(self):
        """A site may start, write and finish before it returns."""
        await self.serve()

        def site(_, down):
            down.start(head_of(3), 3, Source())
            down.write(b"abc")
            down.finish()
            down.write(b"late")
            answer(down)

        self.site = site
        client = await self.connect()
        client.send(get(b"/1") + get(b"/2"))
        await client.holds(b"abc", 2)
        client.send(get(b"/3"))
        await client.holds(b"abc", 3)
        self.assertNotIn(b"late", client.received)

    async def test_calls_after_the_end(self):
        """What a source says late never gets into another response."""
        client, down = await self.late()
        down.start(head_of(3), 3, Source())
        down.write(b"abc")
        down.finish()
        late = Source()
        for _ in range(2):
            answer(down, b"WRONG")
            down.start(head_of(5), 5, late)
            down.write(b"WRONG")
            down.finish()
            down.abort()
        self.assertEqual(late.stopped, 2)
        client.send(get(b"/late2"))
        await self.site.asked(2)
        answer(down, b"WRONG")
        down.abort()
        answer(self.site.late[1], b"right")
        await client.holds(b"right")
        self.assertNotIn(b"WRONG", client.received)

    async def test_slow_reader(self):
        """The source is paused while the client does not read, and goes on when it does."""
        client, down = await self.late()
        client.transport.pauseProducing()
        source = Source()
        size, piece = 32 << 20, b"x" * 65536
        sent = 0
        down.start(head_of(size), size, source)

        def pump():
            nonlocal sent
            while sent < size and source.paused == source.resumed:
                sent += len(piece)
                down.write(piece)
            if sent == size:
                down.finish()

        source.when_resumed = pump
        pump()
        self.assertEqual(source.paused, 1)
        await self.settled()
        self.assertEqual(source.resumed + 1, source.paused)
        self.assertLess(sent, 16 << 20)  # two sockets' buffers and our own
        client.transport.resumeProducing()
        await client.until(lambda client: client.size >= size)
        self.assertEqual(client.received.count(b"x"), size)
        self.assertEqual(source.paused, source.resumed)
        client.send(get(b"/next"))
        await client.holds(b"GET /next")

    async def test_slow_reader_of_replies(self):
        """Further requests wait while the answers to the first ones are not read."""
        await self.serve()
        body = b"x" * 65536
        self.site = lambda _, down: answer(down, body)
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(get(b"/") * 500)
        channel = await self.channel()
        while not channel._congested:
            await self.turn()
        await self.settled()
        self.assertLess(self.factory.requests, 400)
        client.transport.resumeProducing()
        await client.until(lambda client: client.size >= 500 * 65536)
        self.assertEqual(self.factory.requests, 500)

    async def test_source_paused_from_the_start(self):
        """A source that starts while earlier answers are unread is paused at once."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late"))
        await self.site.asked(1)
        channel = await self.channel()
        channel.pauseProducing()
        source = Source()
        self.site.late[0].start(head_of(1), 1, source)
        self.assertEqual(source.paused, 1)
        channel.resumeProducing()
        self.assertEqual(source.resumed, 1)

    async def test_abort(self):
        """A cut body is short of its length, or lacks the last chunk, or ends in a reset."""
        await self.serve()
        for length, version, end in [
            (6, b"HTTP/1.1", None),
            (None, b"HTTP/1.1", None),
            (None, b"HTTP/1.0", ConnectionLost),
        ]:
            client = await self.connect()
            client.send(get(b"/late", version=version))
            await self.site.asked(len(self.site.requests) + 1)
            down = self.site.late[-1]
            down.start(b"HTTP/1.1 200 OK\r\n", length, Source())
            down.write(b"abc")
            await client.holds(b"abc")
            down.abort()
            await client.ended()
            self.assertNotIn(b"0\r\n\r\n", client.received)
            self.assertTrue(client.received.rstrip(b"\r\n").endswith(b"abc"))
            if end is not None:
                await client.until(lambda client: client.gone)
                client.reason.trap(end)
            await self.nobody()

    async def test_abort_before_the_head(self):
        """Nothing is sent at all."""
        client, down = await self.late()
        down.abort()
        self.assertEqual(await client.ended(), b"")

    async def test_too_few_bytes(self):
        """A source that finishes before its length is reached does not end the body."""
        client, down = await self.late()
        down.start(head_of(6), 6, Source())
        down.write(b"abc")
        await client.holds(b"abc")
        down.finish()
        self.assertTrue((await client.ended()).endswith(b"abc"))

    async def test_too_many_bytes(self):
        """Bytes over the length would be read as the next response: the connection is cut."""
        client, down = await self.late()
        down.start(head_of(3), 3, Source())
        down.write(b"abcd")
        got = await client.ended()
        self.assertNotIn(b"d", got.partition(b"\r\n\r\n")[2])

    async def test_client_leaves(self):
        """The producer is stopped, whoever waits is told, and late calls do nothing."""
        client, down = await self.late()
        source, gone = Source(), []
        down.on_gone(lambda: gone.append(1))
        down.start(head_of(6), 6, source)
        client.transport.abortConnection()
        await self.nobody()
        self.assertEqual((source.stopped, gone), (1, [1]))
        down.write(b"abc")
        down.finish()
        down.abort()
        down.on_gone(lambda: gone.append(2))
        self.assertEqual((source.stopped, gone), (1, [1, 2]))

    async def test_client_leaves_before_the_head(self):
        """A request that waits for its origin is told as well; a source started then stops."""
        client, down = await self.late()
        gone = []
        down.on_gone(lambda: gone.append(1))
        client.transport.abortConnection()
        await self.nobody()
        self.assertEqual(gone, [1])
        source = Source()
        down.start(head_of(6), 6, source)
        self.assertEqual(source.stopped, 1)

    async def test_client_leaves_after_the_end(self):
        """Nobody is told of what no longer concerns them."""
        client, down = await self.late()
        gone = []
        down.on_gone(lambda: gone.append(1))
        answer(down)
        await client.holds(b"ok")
        client.transport.abortConnection()
        await self.nobody()
        self.assertEqual(gone, [])


class ResponsesOnUvloop(OnUvloop, Responses, TestCase):
    pass


class ResponsesOnTwisted(OnTwisted, Responses, TestCase):
    pass


class Timeouts:
    """All by an injected clock."""

    async def test_keep_alive_timeout(self):
        """An idle connection is closed after its 75 seconds, not before; in silence."""
        await self.serve()
        client = await self.connect()
        await self.channel()
        self.clock.advance(1)
        client.send(get(b"/1"))
        await client.holds(b"GET /1")
        before = client.received
        self.tick(74)
        self.assertFalse((await self.channel())._ended)
        self.tick(3)
        self.assertEqual(await client.ended(), before)
        self.assertEqual(self.rejected, [])

    async def test_each_request_extends_it(self):
        """It counts from the last request."""
        await self.serve()
        client = await self.connect()
        for number in range(1, 5):
            client.send(get(b"/1"))
            await client.holds(b"GET /1", number)
            self.tick(50)
        self.assertFalse(client.eof)

    async def test_no_request_at_all(self):
        """A connection that never says anything is closed after client_header_timeout."""
        await self.serve()
        client = await self.connect()
        await self.channel()
        self.tick(62)
        self.assertEqual(await client.ended(), b"")

    async def test_slow_head(self):
        """A head that dribbles in gets 408 after 60 seconds, however lively it is."""
        await self.serve()
        client = await self.connect()
        channel = await self.channel()
        client.send(b"GET / HTTP/1.1\r\n")
        await self.seen(channel, 16)
        for number in range(12):
            client.send(b"X%02d: y\r\n" % number)
            await self.seen(channel, 16 + 8 * (number + 1))
            self.tick(4.9)
        self.tick(3)
        self.assertTrue((await client.ended()).startswith(b"HTTP/1.1 408 "))
        self.assertEqual(self.rejected, [(b"127.0.0.1", 408, b"GET / HTTP/1.1")])
        self.assertEqual(self.site.requests, [])

    async def test_slow_head_after_requests(self):
        """The same on a connection that has served; the time begins with the head."""
        await self.serve()
        client = await self.connect()
        channel = await self.channel()
        client.send(get(b"/1"))
        await client.holds(b"GET /1")
        self.tick(50)
        client.send(b"GET / HT")
        await self.seen(channel, 8)
        self.tick(55)
        self.assertFalse(channel._ended)
        self.tick(7)
        self.assertIn(b"HTTP/1.1 408 ", await client.ended())

    async def test_body_that_does_not_come(self):
        """A body that is announced and does not come ends the connection, unanswered."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/1", b"Content-Length: 10", method=b"POST"), b"abc")
        await client.holds(b"POST /1")
        self.tick(80)
        got = await client.ended()
        self.assertEqual(len(statuses(got)), 1)

    async def test_send_timeout(self):
        """A client that takes no byte for 60 seconds is cut, its source stopped."""
        await self.serve()
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(get(b"/late"))
        await self.site.asked(1)
        source = Source()
        size = 32 << 20
        self.site.late[0].start(head_of(size), size, source)
        self.site.late[0].write(b"x" * size)
        await self.settled()
        self.tick(50)
        self.assertEqual(source.stopped, 0)
        self.tick(40)
        await self.nobody()
        self.assertEqual(source.stopped, 1)

    async def test_slow_is_not_stalled(self):
        """A client that takes a little now and then is left alone."""
        await self.serve()
        client = await self.connect()
        client.transport.pauseProducing()
        client.send(get(b"/late"))
        await self.site.asked(1)
        size = 32 << 20
        self.site.late[0].start(head_of(size), size, Source())
        self.site.late[0].write(b"x" * size)
        self.site.late[0].finish()
        for _ in range(8):
            before = client.size
            client.transport.resumeProducing()
            await client.until(lambda client, before=before: client.size - before > 2 << 20)
            client.transport.pauseProducing()
            self.tick(40)
        self.assertEqual(self.factory.connections, 1)

    async def test_waiting_for_the_site(self):
        """A response that is long in coming is not the client's fault."""
        await self.serve()
        client = await self.connect()
        client.send(get(b"/late"))
        await self.site.asked(1)
        self.tick(1000)
        answer(self.site.late[0])
        await client.holds(b"ok")

    async def test_lingering_ends(self):
        """A refused client that neither reads nor leaves is dropped after a few seconds."""
        await self.serve()
        client = await self.connect()
        client.send(b"\x16\x03")
        await client.ended()
        self.assertEqual(self.factory.connections, 1)
        self.tick(7)
        await self.nobody()

    async def test_no_timer_when_idle(self):
        """Nothing is armed while there is no connection."""
        await self.serve()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        client = await self.connect()
        await self.channel()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        client.transport.abortConnection()
        await self.nobody()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TimeoutsOnUvloop(OnUvloop, Timeouts, TestCase):
    pass


class TimeoutsOnTwisted(OnTwisted, Timeouts, TestCase):
    pass


class Draining:
    """The end of a worker."""

    async def test_idle(self):
        """Idle connections are closed at once, whether or not they have been used."""
        await self.serve()
        new, used = await self.connect(), await self.connect()
        used.send(get(b"/1"))
        await used.holds(b"GET /1")
        while self.factory.connections < 2:
            await self.turn()
        await self.factory.drain()
        await new.ended()
        await used.ended()
        self.assertEqual(self.factory.connections, 0)

    async def test_busy(self):
        """Responses under way are finished; an unsent head says close."""
        await self.serve()
        started, waiting = await self.connect(), await self.connect()
        started.send(get(b"/late1") + get(b"/not-served"))
        await self.site.asked(1)
        waiting.send(get(b"/late2"))
        await self.site.asked(2)
        one, two = self.site.late
        one.start(head_of(6), 6, Source())
        one.write(b"abc")
        drained = self.factory.drain()
        self.assertNoResult(drained)
        one.write(b"def")
        one.finish()
        self.assertTrue((await started.ended()).endswith(b"abcdef"))
        self.assertNoResult(drained)
        answer(two)
        self.assertIn(b"\r\nConnection: close\r\n", await waiting.ended())
        await drained
        self.assertEqual(len(self.site.requests), 2)

    async def test_half_a_head(self):
        """A request that is arriving is served, and told to close."""
        await self.serve()
        client = await self.connect()
        client.send(b"GET /1 HTTP/1.1\r\n")
        await self.seen(await self.channel(), 17)
        drained = self.factory.drain()
        self.assertNoResult(drained)
        client.send(HOST)
        got = await client.ended()
        self.assertIn(b"\r\nConnection: close\r\n\r\nGET /1", got)
        await drained

    async def test_nobody(self):
        """With no connection it is done at once; and again."""
        await self.serve()
        await self.factory.drain()
        await self.factory.drain()

    async def test_newcomers(self):
        """Who connects while we drain is sent away."""
        await self.serve()
        await self.factory.drain()
        client = await self.connect()
        await client.ended()


class DrainingOnUvloop(OnUvloop, Draining, TestCase):
    pass


class DrainingOnTwisted(OnTwisted, Draining, TestCase):
    pass

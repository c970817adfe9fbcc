"""The origin pool over real sockets: reuse, retry, queue, limits, backpressure."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock

from s3shield.policy import FailureKind
from tests.wire.origin_fixture import GET, PoolCase, Recorder, turns
from tests.wire.scripted_origin import ABORT, CLOSE, HANG, READ, Wait, chunked, response

MIB = 1024 * 1024


class ReuseTests(PoolCase):
    async def test_one_connection_serves_all(self) -> None:
        """Calls one after the other go over one connection, and say so."""
        origin = self.origin(
            [READ, response(b"one"), READ, response(b"two"), READ, chunked(b"th", b"ree")]
        )
        pool = self.pool(origin)
        first = await self.get(pool)
        second = await self.get(pool)
        third = await self.get(pool)
        self.assertEqual([first.body, second.body, third.body], [b"one", b"two", b"three"])
        self.assertEqual([first.length, third.length], [3, None])
        self.assertEqual([each.call.reused for each in (first, second, third)], [False, True, True])
        self.assertEqual(len(origin.connections), 1)
        self.assertEqual(origin.requests, [GET] * 3)
        stats = pool.stats()
        self.assertEqual((stats.idle, stats.busy, stats.opened), (1, 0, 1))

    async def test_timings_and_address(self) -> None:
        """A call knows whom it reached and how long it took; a reused one did not connect."""
        origin = self.origin([READ, response(b"one"), READ, response(b"two")])
        pool = self.pool(origin)
        for reused in (False, True):
            got = await self.get(pool)
            self.assertEqual(got.call.address, f"127.0.0.1:{origin.port}")
            self.assertEqual(got.call.connect_time is None, reused)
            self.assertLessEqual(got.call.first_byte_time, got.call.header_time)
            self.assertTrue(got.call.done)

    async def test_the_last_freed_is_used_first(self) -> None:
        """Idle connections are taken last in, first out, so that the surplus grows old."""
        origin = self.origin(
            *[[READ, response(b"%d" % n), READ, response(b"%d" % n)] for n in (1, 2)]
        )
        pool = self.pool(origin)
        receivers = [Recorder(), Recorder()]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        last: list[bytes] = []
        for each in receivers:
            each.over.addCallback(lambda got: last.append(got.body) or got)
        await gatherResults([each.over for each in receivers])
        self.assertEqual((await self.get(pool)).body, last[-1])

    async def test_not_reused(self) -> None:
        """`Connection: close`, HTTP/1.0, surplus bytes, and bodies until close end a connection."""
        for wire in (
            response(b"abc", b"Connection: close"),
            response(b"abc", b"connection: x, Close"),
            b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            response(b"abc") + b"surplus",
            response(b"abc") + response(b"poison"),
        ):
            origin = self.origin([READ, wire, HANG])
            pool = self.pool(origin)
            got = await self.get(pool)
            self.assertEqual((got.body, got.told[-1]), (b"abc", "end"), wire)
            self.assertEqual(pool.stats().idle, 0, wire)
            await origin.gone()

    async def test_old_http_that_keeps_alive(self) -> None:
        """HTTP/1.0 with `Connection: keep-alive` is kept."""
        wire = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc"
        pool = self.pool(self.origin([READ, wire, HANG]))
        await self.get(pool)
        self.assertEqual(pool.stats().idle, 1)

    async def test_unsolicited_data_closes(self) -> None:
        """What an idle connection says is no answer to anything: it is closed."""
        origin = self.origin([READ, response(b"abc"), HANG], [READ, response(b"new")])
        pool = self.pool(origin)
        await self.get(pool)
        origin.connections[0].write(response(b"poison"))
        await origin.gone()
        self.assertEqual(pool.stats().idle, 0)
        self.assertEqual((await self.get(pool)).body, b"new")

    async def test_old_connections_carry_nothing_new(self) -> None:
        """After `max_age` a connection is closed, so that a changed address is noticed."""
        clock = Clock()
        origin = self.origin([READ, response(b"1"), READ, response(b"2"), READ])
        pool = self.pool(origin, clock=clock, max_age=100, idle_timeout=1000)
        await self.get(pool)
        clock.advance(99)
        await self.get(pool)
        self.assertEqual(pool.stats().idle, 1)
        clock.advance(1)
        self.assertEqual(pool.stats().idle, 0)
        await origin.gone()

    async def test_idle_connections_expire(self) -> None:
        """After `idle_timeout` without a call a connection is closed."""
        clock = Clock()
        origin = self.origin([READ, response(b"1"), READ])
        pool = self.pool(origin, clock=clock, idle_timeout=60)
        await self.get(pool)
        clock.pump([1] * 59)
        self.assertEqual(pool.stats().idle, 1)
        clock.pump([1] * 2)
        self.assertEqual(pool.stats().idle, 0)
        await origin.gone()
        await turns()
        self.assertEqual(len(clock.getDelayedCalls()), 1)
        clock.advance(1)
        self.assertEqual(clock.getDelayedCalls(), [])

    async def test_the_announced_timeout_is_undercut(self) -> None:
        """`Keep-Alive: timeout=N` ends a connection a second before the server does."""
        for field, kept in ((b"Keep-Alive: max=5, timeout=7", 6), (b"keep-alive: Timeout=1", 0)):
            clock = Clock()
            origin = self.origin([READ, response(b"1", field), READ])
            pool = self.pool(origin, clock=clock, idle_timeout=60)
            await self.get(pool)
            self.assertEqual(pool.stats().idle, 1 if kept else 0)
            clock.pump([0.5] * (2 * kept - 1))
            self.assertEqual(pool.stats().idle, 1 if kept else 0)
            clock.pump([0.5] * 3)
            self.assertEqual(pool.stats().idle, 0)
            await origin.gone()

    async def test_an_expired_connection_is_not_taken(self) -> None:
        """Between two sweeps as well, a call does not get a connection past its time."""
        clock = Clock()
        origin = self.origin(
            [READ, response(b"1", b"Keep-Alive: timeout=2"), READ], [READ, response(b"2")]
        )
        pool = self.pool(origin, clock=clock)
        await self.get(pool)
        clock.rightNow += 1.5  # without running what is due
        got = await self.get(pool)
        self.assertEqual((got.body, got.call.reused), (b"2", False))


class RetryTests(PoolCase):
    async def test_a_dead_connection_is_replaced_unseen(self) -> None:
        """A kept connection that dies before any answer costs the receiver nothing."""
        for death in (CLOSE, ABORT):
            origin = self.origin([READ, response(b"one"), READ, death], [READ, response(b"two")])
            pool = self.pool(origin)
            await self.get(pool)
            got = await self.get(pool)
            self.assertEqual(got.told, ["head", "data", "end"])
            self.assertEqual((got.body, got.call.reused), (b"two", False))
            self.assertIsNotNone(got.call.connect_time)
            self.assertEqual(pool.stats().retried, 1)

    async def test_only_once(self) -> None:
        """When the fresh connection dies as well, the call has failed."""
        origin = self.origin([READ, response(b"one"), READ, CLOSE], [READ, CLOSE])
        pool = self.pool(origin)
        await self.get(pool)
        got = await self.get(pool)
        self.assertEqual(got.told, ["failed"])
        self.assertIs(got.failure.kind, FailureKind.CUT)
        self.assertTrue(got.failure.before_head)
        self.assertEqual(len(origin.requests), 3)

    async def test_not_for_what_must_not_be_repeated(self) -> None:
        """A call that is not idempotent is not sent twice."""
        origin = self.origin([READ, response(b"one"), READ, CLOSE], [READ, response(b"two")])
        pool = self.pool(origin)
        await self.get(pool)
        got = await self.get(pool, idempotent=False)
        self.assertIs(got.failure.kind, FailureKind.CUT)
        self.assertEqual(len(origin.requests), 2)

    async def test_not_on_a_fresh_connection(self) -> None:
        """A new connection that dies without an answer is a failure, not a stale connection."""
        origin = self.origin([READ, CLOSE])
        got = await self.get(self.pool(origin))
        self.assertIs(got.failure.kind, FailureKind.CUT)
        self.assertEqual(len(origin.requests), 1)

    async def test_not_after_a_byte(self) -> None:
        """Once the answer has begun the request was served: no second one."""
        origin = self.origin([READ, response(b"one"), READ, b"H", CLOSE], [READ, response(b"two")])
        pool = self.pool(origin)
        await self.get(pool)
        got = await self.get(pool)
        self.assertEqual(got.told, ["failed"])
        self.assertEqual(len(origin.requests), 2)

    async def test_the_retry_keeps_its_turn(self) -> None:
        """With the pool full, the repeated call goes before those that wait."""
        dead: Deferred = Deferred()
        origin = self.origin(
            [READ, response(b"one"), READ, Wait(lambda: dead), CLOSE],
            [READ, response(b"two"), READ, response(b"three")],
        )
        pool = self.pool(origin, max_connections=1)
        await self.get(pool)
        receivers = [Recorder(), Recorder()]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        dead.callback(None)
        await gatherResults([each.over for each in receivers])
        self.assertEqual([each.body for each in receivers], [b"two", b"three"])


class QueueTests(PoolCase):
    async def test_calls_wait_their_turn(self) -> None:
        """Beyond `max_connections` calls wait, first come first served."""
        origin = self.origin(
            [READ, response(b"0"), READ, response(b"1"), READ, response(b"2"), READ, response(b"3")]
        )
        pool = self.pool(origin, max_connections=1)
        receivers = [Recorder() for _ in range(4)]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        self.assertEqual(pool.stats().queued, 3)
        await gatherResults([each.over for each in receivers])
        self.assertEqual([each.body for each in receivers], [b"0", b"1", b"2", b"3"])
        self.assertEqual(len(origin.connections), 1)

    async def test_a_closed_connection_makes_room(self) -> None:
        """A connection that is not kept is replaced for the next in the queue."""
        origin = self.origin(*[[READ, response(b"%d" % n, b"Connection: close")] for n in range(3)])
        pool = self.pool(origin, max_connections=1)
        receivers = [Recorder() for _ in range(3)]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        await gatherResults([each.over for each in receivers])
        self.assertEqual([each.body for each in receivers], [b"0", b"1", b"2"])

    async def test_waiting_too_long(self) -> None:
        """A call that has waited for `connect_timeout` fails with a timeout."""
        clock = Clock()
        origin = self.origin([READ, HANG])
        pool = self.pool(
            origin, clock=clock, max_connections=1, connect_timeout=5, read_timeout=100
        )
        busy = Recorder()
        pool.fetch(b"GET", GET, busy)
        waiting = Recorder()
        pool.fetch(b"GET", GET, waiting)
        while not origin.requests:
            await turns(1)
        clock.pump([1] * 4)
        self.assertEqual(waiting.told, [])
        clock.pump([1] * 2)
        self.assertIs(waiting.failure.kind, FailureKind.TIMEOUT)
        self.assertIn("no connection free", waiting.failure.detail)
        self.assertEqual(busy.told, [])
        self.assertEqual(pool.stats().queued, 0)

    async def test_cancelled_in_the_queue(self) -> None:
        """A cancelled call leaves the queue and is never sent."""
        origin = self.origin([READ, response(b"0"), READ, response(b"1")])
        pool = self.pool(origin, max_connections=1)
        first, second, third = receivers = [Recorder() for _ in range(3)]
        calls = [pool.fetch(b"GET", GET, each) for each in receivers]
        calls[1].cancel()
        await gatherResults([first.over, third.over])
        self.assertEqual((third.body, second.told), (b"1", []))
        self.assertEqual(len(origin.requests), 2)


class TimeoutTests(PoolCase):
    async def _running(self, script: list, **options):
        clock = Clock()
        origin = self.origin(script)
        pool = self.pool(origin, clock=clock, **options)
        receiver = Recorder()
        call = pool.fetch(b"GET", GET, receiver)
        while not origin.requests:
            await turns(1)
        return clock, origin, receiver, call

    async def test_no_first_byte(self) -> None:
        """An origin that never answers is a timeout before the head; the connection goes."""
        clock, origin, receiver, _ = await self._running([READ, HANG], read_timeout=30)
        clock.pump([1] * 29)
        self.assertEqual(receiver.told, [])
        clock.pump([1] * 2)
        self.assertIs(receiver.failure.kind, FailureKind.TIMEOUT)
        self.assertTrue(receiver.failure.before_head)
        self.assertEqual(receiver.failure.gateway_status, 504)
        await origin.gone()

    async def test_each_byte_counts(self) -> None:
        """The time runs between two bytes, not over the whole answer."""
        clock, origin, receiver, _ = await self._running(
            [READ, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HANG], read_timeout=30
        )
        await receiver.head_seen
        for count in range(1, 4):
            clock.pump([1] * 25)
            origin.connections[0].write(b"x")
            await receiver.got(count)
        clock.pump([1] * 31)
        self.assertIs(receiver.failure.kind, FailureKind.TIMEOUT)
        self.assertFalse(receiver.failure.before_head)

    async def test_our_own_pause_does_not_count(self) -> None:
        """While we do not read, silence is ours."""
        clock, origin, receiver, call = await self._running(
            [READ, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", HANG], read_timeout=30
        )
        await receiver.head_seen
        call.pause()
        clock.pump([1] * 300)
        self.assertEqual(receiver.told, ["head"])
        call.resume()
        clock.pump([1] * 29)
        self.assertEqual(receiver.told, ["head"])
        origin.connections[0].write(b"abc")
        self.assertEqual((await receiver.over).body, b"abc")

    async def test_connecting_takes_too_long(self) -> None:
        """A name that is not found in time, or a handshake that does not end, is a timeout."""
        clock = Clock()
        origin = self.origin([HANG])
        pool = self.pool(origin, clock=clock, scheme="https", connect_timeout=5)
        receiver = Recorder()
        pool.fetch(b"GET", GET, receiver)
        while not origin.connections or not origin.connections[0].buffer:
            await turns(1)
        clock.advance(4.9)
        self.assertEqual(receiver.told, [])
        clock.advance(0.1)
        self.assertIs(receiver.failure.kind, FailureKind.TIMEOUT)
        self.assertIn("TLS", receiver.failure.detail)
        self.assertEqual(pool.stats().connecting, 0)
        await origin.gone()


class ConnectTests(PoolCase):
    async def test_refused(self) -> None:
        """A port where nobody listens: CONNECT, with the system's word and the address."""
        origin = self.origin([])
        await origin.refuse()
        got = await self.get(self.pool(origin))
        self.assertIs(got.failure.kind, FailureKind.CONNECT)
        self.assertEqual(got.failure.detail, f"127.0.0.1:{origin.port}: connection refused")
        self.assertEqual(got.told, ["failed"])

    async def test_refused_to_all_who_wait(self) -> None:
        """A refusal takes one call and lets the next one try."""
        origin = self.origin([])
        await origin.refuse()
        pool = self.pool(origin, max_connections=1)
        got = await gatherResults([Deferred.fromCoroutine(self.get(pool)) for _ in range(3)])
        self.assertEqual([each.told for each in got], [["failed"]] * 3)
        self.assertEqual(pool.stats().connecting, 0)

    async def test_unknown_name(self) -> None:
        """A name without an address: CONNECT, and the name in the detail."""
        self._resolve([])
        got = await self.get(self.pool(9, host="nowhere.test"))
        self.assertIs(got.failure.kind, FailureKind.CONNECT)
        self.assertIn("nowhere.test: no address", got.failure.detail)

    async def test_every_address_is_tried(self) -> None:
        """The second address serves when the first refuses."""
        origin = self.origin([READ, response(b"abc")])
        self._resolve(["127.0.0.9", "127.0.0.1"])
        got = await self.get(self.pool(origin, host="two.test"))
        self.assertEqual((got.body, got.call.address), (b"abc", f"127.0.0.1:{origin.port}"))

    async def test_a_silent_address_does_not_hold_up(self) -> None:
        """While one address is silent the next one is tried (happy eyeballs)."""
        origin = self.origin([READ, response(b"abc")])
        # TEST-NET-1 (RFC 5737): no answer, or unreachable at once; either way the next is tried.
        self._resolve(["192.0.2.1", "127.0.0.1"])
        got = await self.get(self.pool(origin, host="two.test", connect_timeout=10))
        self.assertEqual(got.body, b"abc")

    async def test_all_refusals_are_told(self) -> None:
        """When no address answers, the detail names each."""
        origin = self.origin([])
        await origin.refuse()
        self._resolve(["127.0.0.9", "127.0.0.1"])
        got = await self.get(self.pool(origin, host="two.test"))
        for host in ("127.0.0.9", "127.0.0.1"):
            self.assertIn(f"{host}:{origin.port}: connection refused", got.failure.detail)

    async def test_names_are_looked_up_again(self) -> None:
        """A new connection asks the name again and goes where it points now."""
        old = self.origin([READ, response(b"old", b"Connection: close")])
        asked = self._resolve(["127.0.0.1"])
        pool = self.pool(old, host="moving.test")
        await self.get(pool)
        await self.get(pool)
        self.assertEqual(asked, ["moving.test"] * 2)

    def test_impossible_names(self) -> None:
        """A name that no resolver can take is refused when the address is made."""
        for host in ("a..b", "x" * 64 + ".test", ""):
            with self.assertRaises(ValueError):
                self.pool(80, host=host)

    async def test_cancelled_while_connecting(self) -> None:
        """A cancelled call stops its connection and hears nothing."""
        origin = self.origin([READ, response(b"abc")])
        pool = self.pool(origin)
        receiver = Recorder()
        pool.fetch(b"GET", GET, receiver).cancel()
        self.assertEqual(pool.stats().connecting, 0)
        self.assertEqual((await self.get(pool)).body, b"abc")
        self.assertEqual(receiver.told, [])

    def _resolve(self, hosts: list[str]) -> list[str]:
        """Let every name have these addresses; return the list of names asked."""
        asked: list[str] = []

        class Resolver:
            def resolveHostName(self, receiver, name, port=0, types=None, semantics="TCP"):
                asked.append(name)
                receiver.resolutionBegan(None)
                for host in hosts:
                    family = IPv6Address if ":" in host else IPv4Address
                    receiver.addressResolved(family("TCP", host, port))
                receiver.resolutionComplete()

        before = reactor.nameResolver
        reactor.installNameResolver(Resolver())
        self.addCleanup(reactor.installNameResolver, before)
        return asked


class BackpressureTests(PoolCase):
    async def test_pause_stops_reading(self) -> None:
        """While paused nothing is read: the origin's socket fills and its writer waits."""
        size = 64 * MIB
        origin = self.origin([READ, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, HANG])
        pool = self.pool(origin)
        receiver = Recorder()
        call = pool.fetch(b"GET", GET, receiver)
        await receiver.head_seen
        call.pause()
        sender = origin.connections[0]
        stuck: Deferred = Deferred()
        sent = 0

        class Source:
            """Writes until the transport says stop and stays stopped."""

            def resumeProducing(self) -> None:
                nonlocal sent
                self.paused = False
                while not self.paused and sent < size:
                    sent += 65536
                    sender.write(bytes(65536))
                if sent >= size:
                    sender.transport.unregisterProducer()

            def pauseProducing(self) -> None:
                self.paused = True

            def stopProducing(self) -> None:
                self.paused = True

        source = Source()
        sender.transport.registerProducer(source, True)
        source.resumeProducing()
        before = -1
        while before != sent:  # the kernel's buffers fill; then it stands still
            before = sent
            await turns(50)
        self.assertLess(sent, size)
        self.assertLessEqual(len(receiver.body), 512 * 1024)
        kept = len(receiver.body)
        await turns(50)
        self.assertEqual(len(receiver.body), kept)
        stuck.callback(None)
        call.resume()
        await receiver.over
        self.assertEqual((len(receiver.body), receiver.told[-1]), (size, "end"))
        self.assertEqual(pool.stats().idle, 1)

    async def test_paused_at_the_end(self) -> None:
        """A call that was paused when its answer ended leaves a connection that reads."""
        origin = self.origin([READ, response(b"abc"), READ, response(b"def")])
        pool = self.pool(origin)
        receiver = Recorder()
        receiver.origin_data = lambda _data: call.pause()
        call = pool.fetch(b"GET", GET, receiver)
        await receiver.over
        self.assertEqual((await self.get(pool)).body, b"def")
        self.assertEqual(len(origin.connections), 1)

    async def test_paused_before_it_is_sent(self) -> None:
        """A pause before there is a connection holds from the first byte on."""
        origin = self.origin([READ, response(b"abc")])
        receiver = Recorder()
        call = self.pool(origin).fetch(b"GET", GET, receiver)
        call.pause()
        while not origin.requests:
            await turns(1)
        await turns(20)
        self.assertEqual(receiver.told, [])
        call.resume()
        self.assertEqual((await receiver.over).body, b"abc")


class CancelTests(PoolCase):
    async def test_nothing_is_heard_after_it(self) -> None:
        """Cancelled at any callback, a call hears nothing more, and a long body is cut."""
        for moment in ("origin_head", "origin_data"):
            origin = self.origin(
                [READ, b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\nabc", HANG]
            )
            pool = self.pool(origin)
            receiver = Recorder()
            done: Deferred = Deferred()
            told = getattr(receiver, moment)

            def cancel(*args, told=told, done=done, receiver=receiver):
                told(*args)
                receiver.call.cancel()
                receiver.call.cancel()
                done.callback(None)

            setattr(receiver, moment, cancel)
            receiver.call = pool.fetch(b"GET", GET, receiver)
            await done
            await origin.gone()
            self.assertEqual(receiver.told, ["head", "data"][: 1 + (moment == "origin_data")])
            self.assertEqual((pool.stats().idle, pool.stats().busy), (0, 0))

    async def test_a_short_rest_is_drained(self) -> None:
        """With little missing the rest is dropped and the connection kept."""
        body = bytes(60000)
        origin = self.origin([READ, b"HTTP/1.1 200 OK\r\nContent-Length: 60003\r\n\r\nabc", HANG])
        pool = self.pool(origin)
        receiver = Recorder()
        call = pool.fetch(b"GET", GET, receiver)
        await receiver.got(3)
        call.pause()
        call.cancel()
        self.assertEqual(pool.stats().busy, 1)
        origin.connections[0].script.clear()
        origin.connections[0].script.extend([READ, response(b"next")])
        origin.connections[0].write(body)
        while not pool.stats().idle:
            await turns(1)
        self.assertEqual((await self.get(pool)).body, b"next")
        self.assertEqual(receiver.told, ["head", "data"])
        self.assertEqual(len(origin.connections), 1)

    async def test_a_rest_that_does_not_come(self) -> None:
        """Draining does not last longer than the read timeout."""
        clock = Clock()
        origin = self.origin([READ, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", HANG])
        pool = self.pool(origin, clock=clock, read_timeout=30)
        receiver = Recorder()
        call = pool.fetch(b"GET", GET, receiver)
        await receiver.got(3)
        call.cancel()
        clock.pump([1] * 31)
        self.assertEqual(pool.stats().busy, 0)
        await origin.gone()
        self.assertEqual(receiver.told, ["head", "data"])

    async def test_after_the_end(self) -> None:
        """A cancel that comes too late harms nobody."""
        origin = self.origin([READ, response(b"abc"), READ, response(b"def")])
        pool = self.pool(origin)
        receiver = Recorder()
        end = receiver.origin_end
        receiver.origin_end = lambda: (call.cancel(), call.pause(), call.resume(), end())
        call = pool.fetch(b"GET", GET, receiver)
        await receiver.over
        self.assertEqual((await self.get(pool)).body, b"def")

    async def test_asking_again_at_the_end(self) -> None:
        """From within `origin_end` the connection is free for the next call."""
        origin = self.origin([READ, response(b"abc"), READ, response(b"def")])
        pool = self.pool(origin)
        receiver, second = Recorder(), Recorder()
        end = receiver.origin_end
        receiver.origin_end = lambda: (pool.fetch(b"GET", GET, second), end())
        pool.fetch(b"GET", GET, receiver)
        self.assertEqual((await second.over).body, b"def")
        self.assertEqual(len(origin.connections), 1)


class ReceiverFaultTests(PoolCase):
    async def test_a_receiver_that_raises(self) -> None:
        """An exception in a receiver is logged and fails its call, not the pool."""
        for moment in ("origin_head", "origin_data"):
            origin = self.origin([READ, response(b"abc"), HANG], [READ, response(b"def")])
            pool = self.pool(origin)
            receiver = Recorder()
            setattr(receiver, moment, lambda *_: 1 / 0)
            pool.fetch(b"GET", GET, receiver)
            await receiver.over
            self.assertEqual(receiver.told[-1], "failed")
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual((await self.get(pool)).body, b"def")

    async def test_a_receiver_that_raises_at_the_end(self) -> None:
        """An exception in the last callback is logged; the connection is kept."""
        for script, moment in (
            ([READ, response(b"abc"), HANG], "origin_end"),
            ([READ, CLOSE], "origin_failed"),
        ):
            pool = self.pool(self.origin(script))
            receiver = Recorder()
            told: Deferred = Deferred()

            def fault(*_, told=told):
                told.callback(None)
                raise ZeroDivisionError

            setattr(receiver, moment, fault)
            pool.fetch(b"GET", GET, receiver)
            await told
            await turns()
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(pool.stats().idle, int(moment == "origin_end"))


class CloseTests(PoolCase):
    async def test_everything_ends(self) -> None:
        """Closing fails what runs, waits or connects, and waits for the last connection."""
        origin = self.origin([READ, b"HTTP/1.1 200 OK\r\n", HANG])
        pool = self.pool(origin, max_connections=2)
        running, connecting, waiting = Recorder(), Recorder(), Recorder()
        pool.fetch(b"GET", GET, running)
        while not origin.requests:
            await turns(1)
        pool.fetch(b"GET", GET, connecting)
        pool.fetch(b"GET", GET, waiting)
        await pool.close()
        self.assertEqual([each.told for each in (running, connecting, waiting)], [["failed"]] * 3)
        stats = pool.stats()
        self.assertEqual((stats.idle, stats.busy, stats.connecting, stats.queued), (0,) * 4)
        await pool.close()

    async def test_no_new_calls(self) -> None:
        """A closed pool fails a call, but not before `fetch` has returned."""
        pool = self.pool(1)
        await pool.close()
        receiver = Recorder()
        pool.fetch(b"GET", GET, receiver)
        self.assertEqual(receiver.told, [])
        self.assertIs((await receiver.over).failure.kind, FailureKind.CONNECT)

    async def test_draining(self) -> None:
        """`drain=True` lets calls end, the waiting ones too, and keeps nothing after them."""
        origin = self.origin([READ, response(b"one"), READ, response(b"two"), HANG])
        pool = self.pool(origin, max_connections=1)
        receivers = [Recorder(), Recorder()]
        for each in receivers:
            pool.fetch(b"GET", GET, each)
        closed = pool.close(drain=True)
        self.assertEqual((await self.get(pool)).told, ["failed"])
        await closed
        self.assertEqual([each.body for each in receivers], [b"one", b"two"])
        self.assertEqual(pool.stats().idle, 0)

    async def test_idle_connections_go(self) -> None:
        """Idle connections are closed in good order."""
        origin = self.origin([READ, response(b"one"), HANG])
        pool = self.pool(origin)
        await self.get(pool)
        await pool.close()
        await origin.gone()

"""Keep-alive connections to one origin, and the calls that wait for them."""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocolFactory, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.policy import FailureKind, OriginFailure

from .origin_call import OriginCall, Receiver
from .origin_connection import OriginConnection
from .origin_dial import Dialing, dial, failure_text
from .origin_options import OriginAddress, OriginOptions, OriginStats
from .origin_tls import OriginTLS, tls_failure_text
from .origin_upload import OriginUpload
from .upload import Upload

__all__ = ["OriginAddress", "OriginOptions", "OriginPool", "OriginStats"]


@implementer(IProtocolFactory)
class _Dial:
    """One new connection on its way, for one call."""

    def __init__(self, pool: OriginPool, call: OriginCall, timer: IDelayedCall) -> None:
        self.pool = pool
        self.call = call
        self.timer = timer
        self.started = pool.seconds()
        self.connection: OriginConnection | None = None
        self.dialing: Dialing | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self.connection = OriginConnection(self.pool, self.call, secure=self.pool.secure)
        return self.connection

    def doStart(self) -> None:
        """Nothing: TLSMemoryBIOFactory calls it."""

    def doStop(self) -> None:
        """Nothing: TLSMemoryBIOFactory calls it."""

    def stop(self) -> None:
        """Give up, at whatever stage."""
        if self.timer.active():
            self.timer.cancel()
        if self.dialing is not None:
            self.dialing.cancel()
        if self.connection is not None:
            self.connection.abort()


class OriginPool:
    """Connections to one origin, shared by all calls to it.

    reactor: IReactorTCP, IReactorTime, IReactorPluggableNameResolver. clock:
    IReactorTime, the reactor when None. Raises OSError and ValueError for an unusable
    `ca_file`. Opens nothing until the first `fetch`.

    Limits are watched about once a second, a quarter of the smallest timeout where that
    is shorter: a timeout may come that much late.
    """

    def __init__(
        self,
        reactor: Any,
        address: OriginAddress,
        options: OriginOptions | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        self.address = address
        self.options = options = OriginOptions() if options is None else options
        self.secure = address.scheme == "https"
        self._reactor = reactor
        self._clock: IReactorTime = reactor if clock is None else clock
        self.seconds = self._clock.seconds
        self._tls = (
            OriginTLS(
                (options.server_name or address.host).rstrip("."),
                verify=options.verify,
                ca_file=options.ca_file,
            )
            if self.secure
            else None
        )
        self._alive: dict[OriginConnection, None] = {}  # until the transport is gone
        self._open: dict[OriginConnection, None] = {}  # idle and busy ones
        self._idle: dict[OriginConnection, None] = {}
        self._dials: dict[OriginCall, _Dial] = {}
        self._queue: deque[OriginCall] = deque()
        self._opened = 0
        self._retried = 0
        self._closed = False
        self._waiters: list[Deferred[None]] = []
        self._sweeping: IDelayedCall | None = None
        self._interval = min(
            1.0,
            options.connect_timeout / 4,
            options.read_timeout / 4,
            options.idle_timeout / 4,
        )

    def fetch(
        self,
        method: bytes,
        head: bytes,
        receiver: Receiver,
        *,
        idempotent: bool = True,
        upload: Upload | None = None,
    ) -> OriginCall:
        """Send `head` and hand the response to `receiver`.

        method: as in the head; says whether the response has a body. head: the whole
        request head as it goes on the wire, blank line included. idempotent: whether it
        may be sent a second time when a kept connection turns out dead (RFC 9110 section
        9.2.2). With all connections busy the call waits its turn, no longer than
        `connect_timeout`. upload: the body that follows; it goes over a new connection, for
        it cannot be sent a second time, and begins when that is there.
        """
        now = self.seconds()
        call = OriginCall(
            self,
            head,
            receiver,
            now,
            without_body=method == b"HEAD",
            idempotent=idempotent and upload is None,
            upload=None if upload is None else OriginUpload(upload, self.seconds),
        )
        idle = self._idle
        if upload is not None and idle and not self._has_room():
            next(iter(idle)).close()
        while idle and upload is None:
            connection = idle.popitem()[0]
            if connection.expires > now:
                connection.send(call, now)
                return call
            connection.close()
        if self._closed:
            failure = OriginFailure(FailureKind.CONNECT, "the origin pool is closed")
            self._clock.callLater(0, call.fail, failure)
        elif self._has_room():
            self._connect(call)
        else:
            self._wait(call)
            self._queue.append(call)
        return call

    def stats(self) -> OriginStats:
        """Return the counts of this moment."""
        idle = len(self._idle)
        return OriginStats(
            idle=idle,
            busy=len(self._open) - idle,
            connecting=len(self._dials),
            queued=len(self._queue),
            opened=self._opened,
            retried=self._retried,
        )

    def close(self, *, drain: bool = False) -> Deferred[None]:
        """Take no more calls; return a Deferred that fires when no connection is left.

        drain: let the calls that were made come to their end first, else they fail now.
        """
        self._closed = True
        done: Deferred[None] = Deferred()
        self._waiters.append(done)
        for connection in list(self._idle):
            connection.close()
        if not drain:
            why = "the origin pool is closing"
            waiting = [*self._queue, *self._dials]
            self._queue.clear()
            dials, self._dials = self._dials, {}
            for dialed in dials.values():
                dialed.stop()
            for connection in list(self._alive):
                # With TLS a goodbye would wait for the peer's.
                if self.secure or not connection.closing:
                    connection.give_up(
                        OriginFailure(FailureKind.CUT, why, before_head=connection.before_head)
                    )
            for call in waiting:
                call.fail(OriginFailure(FailureKind.CONNECT, why))
        self._finish_close()
        return done

    # -- for calls

    def forget(self, call: OriginCall) -> None:
        """Drop a cancelled call, wherever it is."""
        if call.connection is not None:
            call.connection.forget(call)
        elif (dialed := self._dials.pop(call, None)) is not None:
            dialed.stop()
            self._serve_queue()
        elif call in self._queue:
            self._queue.remove(call)
        self._finish_close()

    # -- for connections

    def connected(self, connection: OriginConnection) -> None:
        """Know a connection from its first moment, before TLS."""
        self._alive[connection] = None

    def opened(self, connection: OriginConnection) -> None:
        """Send the request that the connection was opened for."""
        call = connection.intended
        dialed = self._dials.pop(call)
        dialed.timer.cancel()
        dialed.dialing = None  # it knows `dialed`
        self._open[connection] = None
        self._opened += 1
        self._sweep_later()
        now = self.seconds()
        call.connect_time = now - dialed.started
        connection.send(call, now)
        if call.paused:
            # uvloop starts to read after `connection_made`, whatever that has said.
            self._clock.callLater(0, call.hold)

    def freed(self, connection: OriginConnection, now: float) -> None:
        """Give the connection to the call that waits longest, or keep it for later."""
        options = self.options
        oldest = connection.born + options.max_age
        if oldest <= now:
            connection.close()
        elif self._queue:
            connection.send(self._queue.popleft(), now)
        else:
            expires = min(now + options.idle_timeout, oldest)
            if connection.announced is not None:
                # The server must not close while our request is on its way.
                expires = min(expires, now + connection.announced - 1.0)
            if self._closed or expires <= now:
                connection.close()
            else:
                connection.expires = expires
                self._idle[connection] = None

    def answered(self, connection: OriginConnection) -> None:
        """Keep the TLS session for the next connection."""
        if self._tls is not None:
            self._tls.remember(connection.tls_handle())

    def spent(self, connection: OriginConnection) -> None:
        """Count the connection no more; its place may be taken."""
        self._idle.pop(connection, None)
        if connection in self._open:
            del self._open[connection]
            self._serve_queue()

    def retry(self, call: OriginCall) -> None:
        """Send `call` once more, over a new connection."""
        call.retried = True
        call.reused = False
        call.connection = None
        self._retried += 1
        if self._has_room():
            self._connect(call)
        else:
            self._wait(call)
            self._queue.appendleft(call)

    def lost(self, connection: OriginConnection, reason: Failure) -> None:
        """Forget the connection; fail its call when it never became usable."""
        self._alive.pop(connection, None)
        dialed = self._dials.get(connection.intended)
        if dialed is not None and dialed.connection is connection:
            if self._tls is None:
                text = failure_text(reason.value)
            else:
                text = tls_failure_text(connection.refusal, reason.value)
            self._dial_failed(dialed, FailureKind.CONNECT, f"{connection.address}: {text}")
        self._finish_close()

    # -- within

    def _has_room(self) -> bool:
        return len(self._open) + len(self._dials) < self.options.max_connections

    def _connect(self, call: OriginCall) -> None:
        """Open a connection for `call`."""
        address = self.address
        timer = self._clock.callLater(self.options.connect_timeout, self._too_slow, call)
        self._dials[call] = dialed = _Dial(self, call, timer)
        factory: IProtocolFactory = dialed
        if self._tls is not None:
            factory = self._tls.wrap(self._reactor, dialed)
        dialed.dialing = dial(
            self._reactor,
            address.host,
            address.port,
            factory,
            lambda why: self._dial_failed(dialed, FailureKind.CONNECT, why),
        )

    def _too_slow(self, call: OriginCall) -> None:
        """Give up connecting for `call`."""
        dialed = self._dials[call]
        stage = "" if dialed.connection is None else " (TLS handshake)"
        text = f"connecting took more than {self.options.connect_timeout:g} s{stage}"
        self._dial_failed(dialed, FailureKind.TIMEOUT, f"{self.address}: {text}")

    def _dial_failed(self, dialed: _Dial, kind: FailureKind, text: str) -> None:
        if self._dials.pop(dialed.call, None) is not None:
            dialed.stop()
            self._serve_queue()
            dialed.call.fail(OriginFailure(kind, text))
            self._finish_close()

    def _wait(self, call: OriginCall) -> None:
        call.deadline = self.seconds() + self.options.connect_timeout
        self._sweep_later()

    def _serve_queue(self) -> None:
        """Open connections for waiting calls, as many as there is room for."""
        while self._queue and self._has_room():
            self._connect(self._queue.popleft())

    def _sweep_later(self) -> None:
        if self._sweeping is None:
            self._sweeping = self._clock.callLater(self._interval, self._sweep)

    def _sweep(self) -> None:
        """Look for whatever has waited too long."""
        self._sweeping = None
        now = self.seconds()
        read_timeout = self.options.read_timeout
        for connection in list(self._alive):
            if connection.closing:
                if connection.expires <= now:
                    connection.abort()
            elif connection.busy:
                if connection.silent_too_long(now, read_timeout):
                    text = f"{connection.address} sent nothing for {read_timeout:g} s"
                    connection.give_up(
                        OriginFailure(FailureKind.TIMEOUT, text, before_head=connection.before_head)
                    )
            elif connection.ready and connection.expires <= now:
                connection.close()
        for call in [call for call in self._queue if call.deadline <= now]:
            if call in self._queue:
                self._queue.remove(call)
                text = f"{self.address}: no connection free within"
                call.fail(
                    OriginFailure(FailureKind.TIMEOUT, f"{text} {self.options.connect_timeout:g} s")
                )
        self._finish_close()
        if self._alive or self._queue:
            self._sweep_later()

    def _finish_close(self) -> None:
        """Tell who waits for the end, once it is here."""
        if self._closed and not (self._alive or self._dials or self._queue):
            if self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(None)

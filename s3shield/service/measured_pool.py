"""A pool of connections that counts what it is asked and what it is answered."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from s3shield.metrics import CONNECT, DURATION
from s3shield.policy import FailureKind, OriginFailure, OriginStatus, ResponseHead
from s3shield.wire import OriginCall, OriginPool, Receiver, Upload

__all__ = ["Durations", "MeasuredPool"]


class Durations:
    """A histogram since it was last taken. bounds: seconds."""

    __slots__ = ("_bounds", "_numbers")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._numbers = [0.0] * (len(bounds) + 2)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._numbers[0] += seconds
        self._numbers[1 + bisect_left(self._bounds, seconds)] += 1

    def take(self) -> list[float]:
        """Return the sum and the buckets; it begins anew."""
        numbers, self._numbers = self._numbers, [0.0] * (len(self._bounds) + 2)
        return numbers


class _Ear:
    """Hears what a receiver does, and counts it. A `wire.Receiver`."""

    __slots__ = ("_pool", "_to", "call")

    def __init__(self, pool: MeasuredPool, to: Receiver) -> None:
        self._pool = pool
        self._to = to
        self.call: OriginCall | None = None

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Note status and time."""
        pool, call, self.call = self._pool, self.call, None
        pool.statuses[head.status] = pool.statuses.get(head.status, 0) + 1
        if call is not None and call.first_byte_time is not None:
            pool.first_byte.add(call.first_byte_time)
        if pool.noted and call is not None:
            status = OriginStatus(head.status)
            status.connect, status.header = call.connect_time or 0.0, call.header_time
            head = ResponseHead(status, head.reason, head.fields)
        self._to.origin_head(head, length)

    def origin_data(self, data: bytes) -> None:
        """Note the bytes."""
        self._pool.received += len(data)
        self._to.origin_data(data)

    def origin_end(self) -> None:
        """Pass it on."""
        self._to.origin_end()

    def origin_failed(self, failure: OriginFailure) -> None:
        """Note which kind."""
        self.call = None
        failures = self._pool.failures
        failures[failure.kind] = failures.get(failure.kind, 0) + 1
        self._to.origin_failed(failure)


class MeasuredPool(OriginPool):
    """An `OriginPool` with counts, all since the start.

    statuses, failures: of answers. received: bytes of bodies. connect, first_byte: since they
    were taken. noted: whether the access log wants to know how long each answer took.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.statuses: dict[int, int] = {}
        self.failures: dict[FailureKind, int] = {}
        self.received = 0
        self.noted = False
        self.connect = Durations(CONNECT)
        self.first_byte = Durations(DURATION)

    def fetch(
        self,
        method: bytes,
        head: bytes,
        receiver: Receiver,
        *,
        idempotent: bool = True,
        upload: Upload | None = None,
    ) -> OriginCall:
        """See `OriginPool.fetch`."""
        ear = _Ear(self, receiver)
        call = super().fetch(method, head, ear, idempotent=idempotent, upload=upload)
        ear.call = call
        return call

    def opened(self, connection: Any) -> None:
        """Note how long it took."""
        super().opened(connection)
        seconds = connection.intended.connect_time
        if seconds is not None:
            self.connect.add(seconds)

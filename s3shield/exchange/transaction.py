"""One request and its fate: what is said to the client, and what is written in the log.

Everything but an inline hit goes through here; the inline hit is written out in
`location`, for speed, and says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from s3shield.policy import CachePolicy, CacheStatus, Fields, NoStoreReason, Request

from .answer import Answer, Representation, answer
from .reading import Reader, Source
from .refusal import refusal_head

if TYPE_CHECKING:
    from s3shield.ops import LogRecord
    from s3shield.routing import Route
    from s3shield.wire import Downstream

__all__ = ["Surroundings", "Transaction"]


class Surroundings:
    """What every transaction needs from the process it happens in.

    clock: wall time, seconds since the epoch. monotonic: for durations. call_soon: runs
    its argument in a later turn of the event loop. log: takes one `ops.LogRecord`.
    """

    __slots__ = ("call_soon", "clock", "log", "monotonic")

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
        log: Callable[[LogRecord], object],
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic
        self.call_soon = call_soon
        self.log = log


class Transaction:
    """A client's request that is being answered.

    policy: the location's. location: str, for the log.
    cache_status, reason: its fate. age: seconds to say in Age, or
    None. origin_status, origin_started: what was asked of the origin, for the log.
    """

    __slots__ = (
        "_around",
        "_location",
        "_policy",
        "age",
        "cache_status",
        "cached",
        "downstream",
        "origin_started",
        "origin_status",
        "reason",
        "request",
        "route",
    )

    def __init__(
        self,
        around: Surroundings,
        request: Request,
        route: Route,
        downstream: Downstream,
        *,
        location: str,
        policy: CachePolicy,
    ) -> None:
        self.request = request
        self.route = route
        self.downstream = downstream
        self.cache_status = CacheStatus.NONE
        self.reason: NoStoreReason | None = None
        self.age: int | None = None
        self.origin_status = 0
        self.origin_started: float | None = None
        self.cached = False
        self._around = around
        self._location = location
        self._policy = policy

    def settle(self, what: Representation) -> Answer | None:
        """Answer at once if no byte of the body is wanted, else return what is."""
        plan = answer(self.request, what, self._policy)
        if not isinstance(plan, Answer):
            self.refuse(plan.status, plan.fields)
            return None
        if plan.end is not None and plan.end <= plan.start:
            self.downstream.reply(plan.head + self.tail(), b"")
            self.log(plan.status, 0)
            return None
        return plan

    def reply(self, plan: Answer, body: bytes) -> None:
        """Answer in one write; `body` is the whole body that `plan` was made for."""
        piece = body if plan.end is None else body[plan.start : plan.end]
        self.downstream.reply(plan.head + self.tail(), piece)
        self.log(plan.status, len(piece))

    def stream(self, plan: Answer, source: Source) -> Reader:
        """Start the answer; return the reader that takes the rest from `source`.

        The caller lets the reader begin: `Reader.advance`.
        """
        reader = Reader(
            source,
            self.downstream,
            plan.start,
            plan.end,
            self._around.call_soon,
            lambda written, _whole: self.log(plan.status, written),
        )
        length = None if plan.end is None else plan.end - plan.start
        self.downstream.start(plan.head + self.tail(), length, reader)
        return reader

    def refuse(self, status: int, fields: Fields = ()) -> None:
        """Answer with a status and a short text of ours."""
        head, body = refusal_head(status, fields, now=self._around.clock)
        if self.request.method == b"HEAD":
            body = b""
        self.downstream.reply(head + self._status_line(), body)
        self.log(status, len(body))

    def tail(self) -> bytes:
        """Return the fields that say what the cache did: Age and X-Cache-Status."""
        if self.age is None:
            return self._status_line()
        return b"Age: %d\r\n%b" % (self.age, self._status_line())

    def _status_line(self) -> bytes:
        name = self._policy.cache_status_header
        if name and self.cache_status is not CacheStatus.NONE:
            return b"%b: %b\r\n" % (name, self.cache_status.value)
        return b""

    def log(self, status: int, body_bytes: int) -> None:
        """Write the access log's record: once per transaction, at its end."""
        around = self._around
        now = around.monotonic()
        request = self.request
        started = self.origin_started
        around.log(
            (
                request.peer,
                around.clock(),
                request,
                status,
                body_bytes,
                self.cache_status,
                self.reason,
                now - request.started,
                None if started is None else now - started,
                self.origin_status,
                self._location,
                self.route.key_text,
                body_bytes if self.cached else 0,
            )
        )

"""One request and its fate: what is said to the client, and what is written in the log.

Everything but an inline hit goes through here; the inline hit is written out in
`location`, for speed, and says the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.interfaces import IPushProducer

from s3shield.policy import (
    AnswerSeconds,
    CachePolicy,
    CacheStatus,
    Fields,
    NoStoreReason,
    Request,
    ResponseHead,
    added_fields,
    cache_status_member,
    interim_head,
)

from .answer import Answer, Representation, answer
from .reading import Reader, Source, never
from .refusal import refusal_head

if TYPE_CHECKING:
    from s3shield.ops import LogRecord
    from s3shield.routing import Route
    from s3shield.wire import Downstream

__all__ = ["Surroundings", "Transaction"]


_CLIENT_GONE: Final = 499
"""nginx's status, for the log alone, of a request whose client did not wait."""


class Timer(Protocol):
    """Something that will happen unless it is cancelled."""

    def cancel(self) -> None:
        """See that it does not."""


class Surroundings:
    """What every transaction needs from the process it happens in.

    clock: wall time, seconds since the epoch. monotonic: for durations. call_soon: runs
    its argument in a later turn of the event loop. call_later: the same after so many
    seconds, unless what it returns is cancelled. log: takes one `ops.LogRecord`. over: see
    `turns.Turns`.
    """

    __slots__ = ("call_later", "call_soon", "clock", "log", "monotonic", "over")

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        call_soon: Callable[[Callable[[], None]], object],
        call_later: Callable[[float, Callable[[], None]], Timer],
        log: Callable[[LogRecord], object],
        over: Callable[[], bool] = never,
    ) -> None:
        self.clock = clock
        self.monotonic = monotonic
        self.call_later = call_later
        self.call_soon = call_soon
        self.log = log
        self.over = over


class Transaction:
    """A client's request that is being answered.

    policy: the location's. location: str, for the log.
    cache_status, reason: its fate. collapsed: what its status was before it joined
    another's fetch, or None. refusal: why its answer is not stored whatever it is, or None.
    timer: ends its wait for another's fetch. age: seconds to say in Age, or
    None. origin_status, origin_started: what was asked of the origin, for the log.
    cached: all bytes come from the cache; held: tells how many of some ranges do.
    first_byte: seconds until the head of an answer in pieces had gone, or None.
    restarted: it was begun anew once because the representation had changed. rounds: how
    often it was, because the fetch of another worker's that it waited for was over.
    """

    __slots__ = (
        "_around",
        "_location",
        "_policy",
        "age",
        "cache_status",
        "cached",
        "collapsed",
        "downstream",
        "first_byte",
        "fresh_until",
        "held",
        "origin_started",
        "origin_status",
        "reason",
        "refusal",
        "request",
        "restarted",
        "rounds",
        "route",
        "timer",
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
        self.collapsed: CacheStatus | None = None
        self.refusal: NoStoreReason | None = None
        self.first_byte: float | None = None
        self.fresh_until: float | None = None
        self.timer: Timer | None = None
        self.held: Callable[[list[tuple[int, int]]], int] | None = None
        self.restarted = False
        self.rounds = 0
        self._around = around
        self._location = location
        self._policy = policy

    def inform(self, head: ResponseHead) -> None:
        """Pass an interim response (1xx) on (RFC 9110 section 15.2); a bucket's are its own."""
        if self.request.version >= (1, 1) and not self._policy.is_bucket:
            self.downstream.inform(interim_head(head, self._policy))

    def told(self, head: bytes) -> bytes:
        """Return the head that is relayed in place of the origin's own."""
        return head

    def settle(self, what: Representation) -> Answer | None:
        """Answer at once if no byte of the body is wanted, else return what is."""
        self.fresh_until = what.meta.fresh_until
        plan = answer(self.request, what, self._policy)
        if not isinstance(plan, Answer):
            self.refuse(plan.status, plan.fields)
            return None
        if plan.end is not None and plan.end <= plan.start:
            self.downstream.reply(plan.head + self.tail(), b"")
            self.log(plan.status, 0)
            return None
        return plan

    def give(self, what: Representation, body: bytes) -> None:
        """Answer from `what`, whose whole body is at hand."""
        plan = self.settle(what)
        if plan is not None:
            self.reply(plan, body)

    def reply(self, plan: Answer, body: bytes) -> None:
        """Answer in one write; `body` is the whole body that `plan` was made for."""
        piece = body if plan.end is None else body[plan.start : plan.end]
        if plan.rest:
            more = [lead + body[start:end] for lead, start, end in plan.rest]
            piece = b"".join((plan.lead, piece, *more, plan.tail))
        self.downstream.reply(plan.head + self.tail(), piece)
        self.log(plan.status, len(piece))

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """Begin an answer whose body follows, and note when. head: without our own fields."""
        self.first_byte = self._around.monotonic() - self.request.started
        self.downstream.start(head + self.tail(), length, producer)

    def stream(self, plan: Answer, source: Source) -> Reader:
        """Start the answer; return the reader that takes the rest from `source`.

        The caller lets the reader begin: `Reader.advance`.
        """

        def done(written: int, _whole: bool) -> None:
            held = self.held
            self.log(plan.status, written, None if held is None else held(reader.spans))

        reader = Reader(
            source,
            self.downstream,
            plan.start,
            plan.end,
            self._around.call_soon,
            done,
            plan.rest,
            plan.tail,
            self._around.over,
        )
        self.start(plan.head, plan.length, reader)
        if plan.lead:
            reader.say(plan.lead)
        return reader

    def refuse(self, status: int, fields: Fields = ()) -> None:
        """Answer with a status and a short text of ours."""
        fields = (*fields, *added_fields(status, self._policy))
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
        policy = self._policy
        name = policy.cache_status_header
        line = b""
        if name and self.cache_status is not CacheStatus.NONE:
            line = b"%b: %b\r\n" % (name, self.cache_status.value)
        if policy.cache_status:
            line += b"Cache-Status: %b\r\n" % self._member(policy.cache_status_name)
        return line

    def _member(self, name: bytes) -> bytes:
        """Return what RFC 9211's field says."""
        forwarded = self.origin_started is not None
        if not forwarded and not self.cached and self.cache_status is CacheStatus.NONE:
            return name  # refused here: neither a hit nor forwarded
        status = self.cache_status
        if self.collapsed is not None and status is CacheStatus.HIT:
            status = self.collapsed
        stored = forwarded and not self.cached and self.reason is None
        ttl = None
        if self.fresh_until is not None and (stored or self.cached):
            # No instant at all: it is to be validated each time.
            ttl = int(self.fresh_until - self._around.clock()) if self.fresh_until else 0
        return cache_status_member(
            name,
            status,
            reason=self.reason,
            ttl=ttl,
            fwd_status=self.origin_status or None,
            stored=stored,
            collapsed=self.collapsed is not None,
        )

    def watch(self, gone: Callable[[], bool]) -> None:
        """Have `gone` called when the client leaves before its answer has begun.

        gone: whether nobody answers it any more, so that the log must tell.
        """

        def left() -> None:
            if gone():
                self.log(_CLIENT_GONE, 0)

        self.downstream.on_gone(left)

    def wait_no_longer(self) -> None:
        """What it waited for has come, one way or the other."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def log(self, status: int, body_bytes: int, cached_bytes: int | None = None) -> None:
        """Write the access log's record: once per transaction, at its end.

        cached_bytes: of these, how many the cache had; None: all or none, as `cached` says.
        """
        if cached_bytes is None:
            cached_bytes = body_bytes if self.cached else 0
        if self.timer is not None:
            self.timer.cancel()
        around = self._around
        now = around.monotonic()
        request = self.request
        started = self.origin_started
        duration, first_byte = now - request.started, self.first_byte
        around.log(
            (
                request.peer,
                around.clock(),
                request,
                status,
                body_bytes,
                self.cache_status,
                self.reason,
                duration if first_byte is None else AnswerSeconds(duration, first_byte),
                None if started is None else now - started,
                self.origin_status,
                self._location,
                self.route.key_text,
                cached_bytes,
            )
        )

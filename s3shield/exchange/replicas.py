"""A bucket and its replicas: who is asked, and what becomes of the one that failed.

Theory of operation. A request goes to the first bucket whose breaker (`breaker`) lets it.
A failure before any byte of the answer went on sends it to the next one, signed with that
one's keys; so does a 403 or 404 where `replica_on` names it. A short answer is held back
until it is whole, so that it may break off in the middle too; the rest of a long one is
asked of the next bucket (`rest`). When all that may be asked
have failed, those are asked whose breakers are open: a slow answer is better than none.

Only GET and HEAD are asked of replicas: what changes an object goes to the first bucket
alone. What is stored is asked about by strong ETag only (`versions`), so a replica with
another version answers with the whole of it, or with 412, as the first bucket would after
a change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import LogLevel

from s3shield.policy import (
    CachePolicy,
    FailureKind,
    Fields,
    OriginFailure,
    OriginStatus,
    Request,
    ResponseHead,
)

from .asking import BucketCall
from .breaker import Leave
from .members import Member, counts
from .origin_request import repeatable
from .rest import Rest
from .versions import bound, strongly

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.wire import Receiver

    from .origin import Call
    from .transaction import Timer

__all__ = ["ReplicatedOrigin"]

_SAFE: Final = frozenset({b"GET", b"HEAD"})
_HELD: Final = 32 * 1024
"""Bytes of an answer that is held back until it is whole."""


@attrs.frozen
class ReplicatedOrigin:
    """A bucket and its replicas, as one location asks them. members: the bucket first."""

    members: Sequence[Member]

    @property
    def name(self) -> str:
        """The first one's: it begins cache keys, whoever answers."""
        return self.members[0].name

    def ask(
        self,
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
        to: Receiver,
        policy: CachePolicy,
    ) -> Call:
        """Send a request, to as many of them as it takes. extra: as for `BucketOrigin`."""
        if method not in _SAFE or not repeatable(method, request) or bound(extra):
            return self.members[0].origin.ask(method, request, route, extra, to, policy)
        call = ReplicaCall(self.members, method, request, route, strongly(extra), to, policy)
        call.send()
        return call


@attrs.frozen
class _Refusal:
    """An answer that `replica_on` names, until another bucket has answered. said: its status."""

    member: Member
    leave: Leave
    said: int
    head: ResponseHead
    length: int | None
    chunks: list[bytes]


class ReplicaCall:
    """A `Call`, and a `wire.Receiver` before the asker's own. See the module's text.

    interim: never called, as of a `BucketCall`.
    """

    __slots__ = (
        "_at",
        "_call",
        "_chunks",
        "_extra",
        "_first",
        "_got",
        "_head",
        "_leave",
        "_left",
        "_length",
        "_member",
        "_method",
        "_over",
        "_passed",
        "_paused",
        "_policy",
        "_request",
        "_rest",
        "_route",
        "_timer",
        "_to",
        "interim",
    )

    def __init__(
        self,
        members: Sequence[Member],
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
        to: Receiver,
        policy: CachePolicy,
    ) -> None:
        self._method = method
        self._request = request
        self._route = route
        self._extra = extra
        self._to = to
        self._policy = policy
        self._left = list(members)  # who was not asked yet
        self._member = members[0]
        self._leave = Leave.NO
        self._call: BucketCall | None = None
        self._timer: Timer | None = None
        # An answer that is held back, and the one of who was asked before.
        self._head: ResponseHead | None = None
        self._length: int | None = None
        self._chunks: list[bytes] = []
        self._first: _Refusal | None = None
        self._got = 0  # bytes that have been passed on
        self._rest: Rest | None = None  # what is asked for now, of an answer that broke off
        self._paused = self._over = self._passed = False
        self.interim: Callable[[ResponseHead], None] | None = None

    # Call

    def send(self) -> None:
        """Ask the first that may be asked."""
        self._next()

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if self._call is not None:
            self._call.resume()

    def cancel(self) -> None:
        """Hear nothing more. Does nothing when it is over."""
        if self._over:
            return
        self._over = True
        self._wait_no_longer()
        self._member.breaker.unheard(self._leave)
        if self._first is not None:
            self._first.member.breaker.unheard(self._first.leave)
        if self._call is not None:
            self._call.cancel()

    # wire.Receiver

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Hold a short answer back, pass on a long one."""
        self._wait_no_longer()
        if self._rest is not None:
            self._judge(self._rest, head, length)
            return
        self._head, self._length = head, length
        if head.status < 400 and (length is None or length > _HELD):
            self._pass_on()

    def origin_data(self, data: bytes) -> None:
        """Take body bytes; none of an answer that was refused at its head (`_judge`)."""
        if self._over:
            return
        if self._passed:
            self._got += len(data)
            self._to.origin_data(data)
        else:
            self._chunks.append(data)

    def origin_end(self) -> None:
        """The answer is whole: pass it on, or ask for a better one."""
        if self._over:
            return
        member, leave, head = self._member, self._leave, self._head
        assert head is not None
        if self._passed:
            self._over = True
            member.answered(leave)
            self._to.origin_end()
            return
        said = self._said
        if said in member.on and self._first is None:
            self._first = _Refusal(member, leave, said, head, self._length, self._chunks)
            if self._next():
                return
            self._first = None
        member.answered(leave)
        if self._first is not None:
            self._compare(self._first, said)
        self._give()

    def origin_failed(self, failure: OriginFailure) -> None:
        """Ask the next one, where nothing has been passed on."""
        self._wait_no_longer()
        member, leave = self._member, self._leave
        why = f"{failure.kind.name.lower()}: {failure.detail}"
        ends = member.origin.bucket.closed
        if ends:
            member.breaker.unheard(leave)
        elif not counts(failure):
            member.answered(leave)
        else:
            member.failed(leave, why)
            if self._go_on() if self._passed else self._next():
                key = self._route.key_text.decode("utf-8", "backslashreplace")
                what = " for the rest" if self._passed else ""
                text = f"{why} (for {key}): {self._member.name} is asked{what}"
                kind = f"instead {failure.kind.name} {failure.status}{what}"
                member.origin.bucket.say(LogLevel.warn, kind, text)
                return
        if self._first is not None and not self._passed:
            # Nobody knows better than the one that has answered.
            self._take(self._first)
            self._give()
            return
        self._over = True
        self._to.origin_failed(failure)

    # Inside

    @property
    def _said(self) -> int:
        """The status that the bucket itself gave: `missing_403` may show another one."""
        assert self._head is not None
        return self._head.status if self._call is None else self._call.said or self._head.status

    def _choose(self) -> tuple[Member, Leave] | None:
        for member in self._left:
            leave = member.breaker.leave(member.now())
            if leave is not Leave.NO:
                return member, leave
        if not self._left or self._first is not None:
            return None
        return self._left[0], self._left[0].breaker.probe()

    def _next(self) -> bool:
        """Ask the next one; False when there is none."""
        found = None if self._member.origin.bucket.closed else self._choose()
        if found is None:
            return False
        self._head, self._length, self._chunks = None, None, []
        self._ask(*found, self._extra)
        return True

    def _go_on(self) -> bool:
        """Ask another one for the rest of what broke off; False when that cannot be had."""
        head = self._head
        if head is None or self._method != b"GET" or self._member.origin.bucket.closed:
            return False
        rest = Rest.of(head, self._length, self._got)
        found = None if rest is None else self._choose()
        if rest is None or found is None:
            return False
        self._rest = rest
        self._ask(*found, rest.fields(self._extra))
        return True

    def _judge(self, rest: Rest, head: ResponseHead, length: int | None) -> None:
        """Let the rest follow, if that is what it is."""
        self._member.answered(self._leave)
        self._leave = Leave.YES
        if rest.fits(head, length):
            return
        assert self._call is not None
        self._call.cancel()
        self._over = True
        text = f"{self._member.name} has no rest of the same version: status {head.status}"
        self._to.origin_failed(OriginFailure(FailureKind.CUT, text, before_head=False))

    def _ask(self, member: Member, leave: Leave, extra: Fields) -> None:
        self._member, self._leave = member, leave
        self._left.remove(member)
        request, route, policy = self._request, self._route, self._policy
        call = member.origin.ask(self._method, request, route, extra, self, policy)
        self._call = call
        if self._paused:
            call.pause()
        if any(not other.breaker.is_open for other in self._left):
            bucket = member.origin.bucket
            self._timer = bucket.call_later(member.timeout, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        assert self._call is not None
        self._call.cancel()
        text = f"no answer within {self._member.timeout:g} s (replica_timeout)"
        self.origin_failed(OriginFailure(FailureKind.TIMEOUT, text))

    def _wait_no_longer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _compare(self, first: _Refusal, said: int) -> None:
        """Two have answered: judge the one that was asked before, choose who is heard."""
        if said in (403, 404):
            self._take(first)
        elif first.said == 403:
            # The object is there, and it would not give it: something is wrong with its keys.
            first.member.failed(first.leave, "it answers 403 to what its replica gives")
        else:
            first.member.answered(first.leave)

    def _take(self, first: _Refusal) -> None:
        """Nobody knows better than the one that was asked before."""
        first.member.answered(first.leave)
        self._member, self._leave, self._head = first.member, Leave.YES, first.head
        self._length, self._chunks = first.length, first.chunks

    def _give(self) -> None:
        self._pass_on()
        if not self._over:
            self._over = True
            self._to.origin_end()

    def _pass_on(self) -> None:
        """Let the asker have what has come."""
        head = self._head
        assert head is not None
        if self._leave is Leave.PROBE:
            self._member.answered(self._leave)
            self._leave = Leave.YES  # what becomes of its body is no matter of the probe's
        self._passed = True
        status = OriginStatus(head.status, self._member.name)
        chunks, self._chunks = self._chunks, []
        self._to.origin_head(ResponseHead(status, head.reason, head.fields), self._length)
        for chunk in chunks:
            if self._over:
                return
            self._got += len(chunk)
            self._to.origin_data(chunk)

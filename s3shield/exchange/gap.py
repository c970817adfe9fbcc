"""One gap of a sparse body being filled: one origin request, or several in a row.

The bytes flow as in any other fill (`fill.Fill`), from the gap's start on. Nobody gets
one before the origin's head was compared with what is stored (`matching.match`). A part
that the origin cuts shorter than asked, saying so, is asked for again from there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.internet.defer import Deferred, succeed

from s3shield.policy import FailureKind, OriginFailure, ResponseHead
from s3shield.store import span_key

from .answer import Answer
from .fill import Fill
from .matching import Match, guard, match
from .transaction import Transaction
from .verdict import examine

if TYPE_CHECKING:
    from s3shield.policy import Request, RunningDigest
    from s3shield.routing import Route
    from s3shield.store import GapWriter, Span

    from .origin import Call
    from .sparse import Sparse
    from .view import View

__all__ = ["Gap"]

_PASSING: Final = frozenset({FailureKind.CONNECT, FailureKind.CUT, FailureKind.TIMEOUT})
_TRIES: Final = 2
_INVALID: Final = "a part of the object that does not fit what was asked"


class Gap:
    """See the module's text. A `wire.Receiver`.

    start, stop: offsets. fill: set once the bytes are known
    to be the right ones. request, route: whose fetch it is. check: what a gap that is the
    whole body must sum up to. claim: on it, among the workers. deep: it begins inside a
    block, whose beginning is to come.
    """

    def __init__(
        self,
        sparse: Sparse,
        start: int,
        stop: int,
        request: Request,
        route: Route,
        *,
        check: RunningDigest | None = None,
        deep: bool = False,
    ) -> None:
        self.deep = deep
        self.start = start
        self.stop = stop
        self.fill: Fill | None = None
        self.over = False
        self.claim: Span | None = None
        self._check = check
        self._tries = 0  # without a byte more
        self._sparse = sparse
        self._request = request
        self._route = route
        self._call: Call | None = None
        self._expected = start  # offset at which the answer under way ends
        self._from = start  # where it began
        self._waiting: list[tuple[Transaction, Answer]] = []
        self._followers: list[View] = []
        self._writer: GapWriter | None = None
        self._then: list[Callable[[], None]] = []

    @property
    def whose(self) -> tuple[Request, Route]:
        """For whom it is asked."""
        return self._request, self._route

    @property
    def arrived(self) -> int:
        """Offset up to which bytes have come."""
        return self.start if self.fill is None else self.fill.arrived

    def brings(self, position: int) -> bool:
        """Tell whether a reader at `position` can have its bytes from here."""
        fill = self.fill
        low = self.start if fill is None or fill.keeps else fill.received
        return low <= position < self.stop

    @property
    def key(self) -> bytes:
        """What it is claimed by, if it is."""
        claim = self.claim
        return b"" if claim is None else span_key(self._sparse.blob, claim.start)

    # What the sparse body calls

    def begin(self) -> None:
        """Ask the origin for what is still missing."""
        sparse = self._sparse
        self._from = self.arrived
        extra = (
            (b"Range", b"bytes=%d-%d" % (self._from, self.stop - 1)),
            *guard(sparse.body.entry),
        )
        self._call = sparse.location.ask(b"GET", self._request, self._route, extra, self)

    def adopt(self, call: Call, expected: int) -> None:
        """Take over a call whose head has been judged: its bytes go up to `expected`."""
        self._call = call
        self._accept(expected)

    def wait(self, transaction: Transaction, plan: Answer) -> None:
        """Let a client wait for the head."""
        self._waiting.append((transaction, plan))
        transaction.watch(partial(self._left, transaction))

    def take(self, view: View) -> None:
        """Let a reader follow."""
        if self.fill is None:
            self._followers.append(view)
        else:
            view.follow(self.fill)

    def drop(self, view: View) -> None:
        """A reader that followed is gone."""
        if view in self._followers:
            self._followers.remove(view)
            if not self._followers and not self._waiting:
                self._abandoned()

    def then(self, call: Callable[[], None]) -> None:
        """Call when this is over, one way or the other."""
        self._then.append(call)

    def shorten(self, stop: int) -> None:
        """Somebody else fetches from `stop` on."""
        self.stop = stop
        if self.fill is not None:
            self.fill.stop = stop

    def idle(self) -> None:
        """See whether anybody has come: a 304 may have been all they wanted."""
        reading = self.fill is not None and self.fill.readers
        if not (self.over or reading or self._waiting or self._followers):
            self._abandoned()

    def settled(self) -> Deferred[None]:
        """Return what fires when all that will be is written and noted."""
        return succeed(None) if self._writer is None else self._writer.finish()

    # What the origin call calls

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Compare with what is stored; then let the waiting ones have it."""
        for transaction, _ in self._waiting:
            transaction.origin_status = head.status
        sparse = self._sparse
        entry = sparse.body.entry
        verdict, end = match(entry, entry.size, head, length, self._from, self.stop)
        if verdict is Match.WHOLE and self.fill is None:
            sparse.ranges = False
            self.start, self.stop = 0, end
            self._accept(end)
        elif verdict is Match.PART:
            self._accept(end)
        elif verdict is Match.CHANGED:
            self._stop_call()
            self._changed()
        elif verdict is Match.OTHER:
            self._stop_call()
            text = f"status {head.status}"
            self.origin_failed(OriginFailure(FailureKind.STATUS, text, head.status))
        else:
            self._stop_call()
            self.origin_failed(OriginFailure(FailureKind.INVALID, _INVALID))

    def origin_data(self, data: bytes) -> None:
        """Take bytes; not one more than was said, nor than is wanted."""
        fill = self.fill
        if fill is None or self.over:
            return
        left = min(self._expected, self.stop) - fill.arrived
        if len(data) <= left:
            fill.data(data)
            return
        if left > 0:
            fill.data(data[:left])
        self._stop_call()
        if self.over:
            return
        if fill.arrived >= self.stop and self._expected > self.stop:
            self._finish()
        else:
            self.origin_failed(OriginFailure(FailureKind.INVALID, "more than it announced"))

    def origin_end(self) -> None:
        """All of one answer is there."""
        if self.over or self.fill is None:
            return
        arrived = self.fill.arrived
        if arrived >= self.stop:
            self._finish()
        elif arrived == self._expected and arrived > self._from:
            self.begin()
        else:
            self.origin_failed(OriginFailure(FailureKind.CUT, "less than it announced"))

    def origin_failed(self, failure: OriginFailure) -> None:
        """The rest will not come; the whole blocks stay."""
        if not (self.over or self.again(failure)):
            self.end_with(failure)

    def again(self, failure: OriginFailure) -> bool:
        """Ask for the rest once more where somebody has begun to read; not for ever."""
        if failure.kind not in _PASSING or not (self.fill or self._followers):
            return False
        self._tries = 1 if self.arrived > self._from else self._tries + 1
        if self._tries > _TRIES or not self._sparse.ranges:
            return False
        self._sparse.location.trouble(self._route, failure)
        self.begin()
        return True

    def end_with(self, failure: OriginFailure) -> None:
        """Give up."""
        self._sparse.faltered = True
        if not failure.status:
            self._sparse.location.trouble(self._route, failure)
        self._end()
        for transaction, _ in self._waiting:
            self._sparse.refused(transaction, failure)
        self._waiting.clear()
        self._cut()

    # Inside

    def _accept(self, expected: int) -> None:
        self._expected = expected
        assert self._call is not None
        if self.fill is not None:
            self.fill.retap(self._call)
            return
        self.fill = Fill(
            self._call,
            start=self.start,
            length=self.stop - self.start,
            inline_limit=0,
            new_body=self._new_writer if self._sparse.keeps(self.stop - self.start) else None,
            abandoned=self._abandoned,
        )
        waiting, self._waiting = self._waiting, []
        followers, self._followers = self._followers, []
        for transaction, plan in waiting:
            self._sparse.stream(transaction, plan)
        for view in followers:
            view.follow(self.fill)
        if waiting or followers:
            self.idle()

    def _new_writer(self) -> GapWriter:
        self._writer = self._sparse.body.writer(self.start, self._check)
        return self._writer

    def _finish(self) -> None:
        """All is there: readers get the last bytes when the index names the blocks."""
        if self._writer is not None:
            self._writer.finish().addCallback(lambda _none: self._written())
        else:
            self._landed()

    def _written(self) -> None:
        """It may have begun inside a block, which the index names when it is whole."""
        rest = None if self.over else self._sparse.rest_of(self)
        if rest is None:
            self._landed()
        else:
            rest.then(self._landed)

    def _landed(self) -> None:
        if not self.over:
            assert self.fill is not None
            # A gap that was shortened has not seen all of it.
            whole = self.fill.arrived == self._sparse.body.entry.size
            if whole and (failure := examine(self._check)):
                self._damaged(failure)
                return
            self.over = True
            self.fill.end()
            self._leave()

    def _damaged(self, failure: OriginFailure) -> None:
        """The body is not what its head announced: nobody gets the end of it."""
        self._sparse.location.trouble(self._route, failure)
        self._end()
        self._sparse.changed()
        self._cut()

    def _changed(self) -> None:
        self._end()
        waiting, self._waiting = self._waiting, []
        self._sparse.changed()
        for transaction, _ in waiting:
            self._sparse.restart(transaction)
        self._cut()

    def _abandoned(self) -> None:
        """Nobody reads any more: go on to the end, or stop."""
        near = self.stop - self.arrived <= 1 << self._sparse.body.blocks.shift
        if self.over or near or self._sparse.location.keep_filling:
            return
        self._stop_call()
        self._end()
        self._cut()

    def _end(self) -> None:
        self.over = True
        if self._writer is not None:
            self._sparse.location.zone.settling(self._writer.finish())

    def _left(self, transaction: Transaction) -> bool:
        """A client has gone: it waits no more. False when it did not wait here."""
        here = [pair for pair in self._waiting if pair[0] is transaction]
        if not here:
            return False
        self._waiting.remove(here[0])
        if not self._waiting and not self._followers:
            self._abandoned()
        return True

    def _cut(self) -> None:
        followers, self._followers = self._followers, []
        for view in followers:
            view.cut()
        if self.fill is not None:
            self.fill.fail()
        self._leave()

    def _leave(self) -> None:
        self._sparse.filled(self)
        waiting, self._then = self._then, []
        for each in waiting:
            each()

    def _stop_call(self) -> None:
        if self._call is not None:
            self._call.cancel()

"""A location that compresses: its clients get coded forms of what has some.

Theory of operation. Whatever is answered with, stored, stale, revalidated or on its way
from the origin, comes to `Transaction.settle`, which says what its client gets of it. Here
that is a coded form where the response has some and the client takes one: the stored one; or
one that is being made; or a new `making.Making`, which takes the place of the client as the
reader of the identity form. Nothing else in the exchange knows of coded forms.

Fresh entries do not go that way: `CodedLocation.serve` answers them as `Location.serve`
does, in one run, with no object for the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from s3shield.policy import HIT, CacheStatus, coded_head, decide, varied_head
from s3shield.store import Entry

from .answer import Answer, Refused, Representation
from .careful import CarefulLocation
from .forms import Forms, coded_answer
from .location import Location
from .reading import Piece, Reader, Source, SourceState, StoredSource
from .transaction import Surroundings, Transaction
from .zone import VARIANTS

if TYPE_CHECKING:
    from s3shield.policy import CachePolicy, Request
    from s3shield.routing import Route
    from s3shield.store import BodyFile
    from s3shield.wire import Downstream

    from .making import Making

__all__ = ["CodedCarefulLocation", "CodedLocation"]


def _unlogged(_written: int, _whole: bool) -> None:
    """The identity form's reader is no client."""


@attrs.define
class _Coded(Answer):
    """The whole of a coded form that is not stored. Its bounds are the identity form's."""

    coding: bytes = b""
    what: Representation | None = None


class _InMemory:
    """A `reading.Source` of a body that is at hand."""

    __slots__ = ("_body", "received", "state")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.received = len(body)
        self.state = SourceState.COMPLETE

    def read(self, position: int, size: int) -> Piece:
        """Return bytes."""
        return memoryview(self._body)[position : position + size]

    def caught_up(self) -> None:
        """All of it is there from the start."""

    def left(self, reader: Reader) -> None:
        """Nothing is held."""


class CodedTransaction(Transaction):
    """A `Transaction` of a location that compresses: see the module's text."""

    __slots__ = ("_at", "_forms")

    def __init__(
        self,
        around: Surroundings,
        request: Request,
        route: Route,
        downstream: Downstream,
        *,
        location: _Coding,
        policy: CachePolicy,
    ) -> None:
        super().__init__(
            around, request, route, downstream, location=location.pattern, policy=policy
        )
        self._at = location
        self._forms = location.forms

    def told(self, head: bytes) -> bytes:
        """Return the head that is relayed: to a HEAD it says what a GET would get."""
        forms = self._forms
        if not forms.has_part(head):
            return head
        if self.request.method == b"HEAD" and forms.has(head):
            coding = forms.coding(self.request, None)
            if coding is not None:
                return coded_head(head, coding, None)
        return varied_head(head)

    def settle(self, what: Representation) -> Answer | None:
        """Answer at once if the identity form is not needed for it, else return what is."""
        forms, request = self._forms, self.request
        if not forms.has(what.head):
            return super().settle(what)
        coding = forms.coding(request, what.meta)
        if coding is None:
            return super().settle(attrs.evolve(what, head=varied_head(what.head)))
        self.fresh_until = what.meta.fresh_until
        form = forms.find(what.meta, coding) if isinstance(what.meta, Entry) else None
        size = None if form is None else form.size
        plan = coded_answer(request, what.meta, what.head, coding, size, self._policy)
        if isinstance(plan, Refused):
            self.refuse(plan.status, plan.fields)
        elif plan.end is not None and plan.end <= plan.start:
            self.downstream.reply(plan.head + self.tail(), b"")
            self.log(plan.status, 0)
        elif form is not None:
            self._give_form(plan, form, what)
        else:
            making = forms.running(what, coding)
            if making is not None:
                self._follow(making, plan)
            elif not forms.has_room(what, coding):
                return super().settle(attrs.evolve(what, head=varied_head(what.head)))
            else:
                return _Coded(plan.status, plan.head, 0, what.size, coding=coding, what=what)
        return None

    def reply(self, plan: Answer, body: bytes) -> None:
        """Answer; `body` is the whole body that `plan` was made for."""
        if isinstance(plan, _Coded):
            self.stream(plan, _InMemory(body)).advance()
        else:
            super().reply(plan, body)

    def stream(self, plan: Answer, source: Source) -> Reader:
        """Start the answer; return the reader that takes the rest from `source`."""
        if not isinstance(plan, _Coded):
            return super().stream(plan, source)
        forms, what = self._forms, plan.what
        assert what is not None
        # Meanwhile another may have begun; then nobody reads `source`.
        making = forms.running(what, plan.coding)
        begun = making is None
        if making is None:
            making = forms.begin(what, plan.coding)
        around = self._around
        reader = Reader(source, making, 0, plan.end, around.call_soon, _unlogged, over=around.over)
        if begun:
            making.reader = reader
        else:
            reader.stopProducing()
        self._follow(making, plan)
        if begun:
            making.look()
        return reader

    # Inside

    def _follow(self, making: Making, plan: Answer) -> None:
        """Take the coded form as it is made."""
        self.held = None  # of the identity form's ranges
        fill = making.fill
        fill.join(super().stream(Answer(plan.status, plan.head, 0, None), fill))

    def _give_form(self, plan: Answer, form: Entry, what: Representation) -> None:
        self.cached, self.held = True, None
        if form.body is not None:
            super().reply(plan, form.body)
            return

        def give_file(file: BodyFile | None) -> None:
            if file is not None:
                super(CodedTransaction, self).stream(plan, StoredSource(file, form.size)).advance()
                return
            self._forms.drop(form)  # its file is gone, or cannot be opened
            assert isinstance(what.meta, Entry)
            self._at.give_entry(self, what.meta, self.cache_status)

        store = self._at.zone.store
        file = store.open_body(form)
        if file is not None:
            give_file(file)
        else:
            store.open_body_later(form).addCallback(give_file)


class _Coding(Location):
    """What both locations have. forms: set before the first request."""

    forms: Forms

    def transaction(self, request: Request, route: Route, downstream: Downstream) -> Transaction:
        """Return the record of a request that is not answered at once."""
        return CodedTransaction(
            self.around, request, route, downstream, location=self, policy=self.policy
        )


class CodedCarefulLocation(_Coding, CarefulLocation):
    """A location whose every request must be looked at, and that compresses."""


class CodedLocation(_Coding):
    """A location that compresses."""

    def serve(self, request: Request, route: Route, downstream: Downstream) -> None:
        """Answer `request` now, or see to it that it will be answered."""
        if request.method not in self._methods:
            super().serve(request, route, downstream)
            return
        now = self._clock()
        entry = self._get(route.digest, route.key_text)
        if entry is not None and entry.flags & VARIANTS:
            entry = self.zone.variant(entry, route, request, self.policy)
        decision = decide(request, entry, now, self.policy)
        if decision is not HIT:
            self.resolve(self.transaction(request, route, downstream), entry, decision)
            return
        assert entry is not None
        self._touch(entry.digest, now)
        found = self.forms.at_hand(request, entry, now, self._open_body, self._over)
        if found is None:
            self.give_entry(self.transaction(request, route, downstream), entry, CacheStatus.HIT)
            return
        status, head, body = found
        age = now - entry.born
        downstream.reply(head + self._hit_tail % (age if age > 0.0 else 0), body)
        size = len(body)
        self._log(
            (
                request.peer,
                now,
                request,
                status,
                size,
                CacheStatus.HIT,
                None,
                self._monotonic() - request.started,
                None,
                0,
                self.pattern,
                route.key_text,
                size,
            )
        )

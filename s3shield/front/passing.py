"""Downstreams that stand before another, for phases that look at answers or change them.

`Passing` hands every call on: a phase overrides what it is about. `Ending` also tells, once,
that the response is over, whichever way: answered, cut off, or left by its client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IPushProducer

from s3shield.wire import Downstream, Octets

__all__ = ["Ending", "Passing"]


class Passing:
    """A `Downstream` that hands every call on to `inner`, the one nearer to the client."""

    __slots__ = ("inner",)

    def __init__(self, inner: Downstream) -> None:
        self.inner = inner

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        self.inner.reply(head, body)

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""
        self.inner.inform(head)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self.inner.start(head, length, producer)

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""
        self.inner.write(data)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        self.inner.finish()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self.inner.abort()

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        self.inner.on_gone(gone)


class Nowhere:
    """A `Downstream` of a response that is over: every call is ignored."""

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""

    def inform(self, head: bytes) -> None:
        """See `Downstream.inform`."""

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`: its source is told to stop."""
        producer.stopProducing()

    def write(self, data: bytes | memoryview) -> None:
        """See `Downstream.write`."""

    def finish(self) -> None:
        """See `Downstream.finish`."""

    def abort(self) -> None:
        """See `Downstream.abort`."""

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""


NOWHERE: Final = Nowhere()


class Ending(Passing):
    """A `Passing` whose `ended` is called just once, at the end of the response.

    begun: the answer has; over: it has ended.

    A subclass calls `end` too where it ends a response by other calls than these. Whoever is
    further in may ask to be told of a client that leaves, as of any downstream: a downstream
    tells but one, and here that is this object.
    """

    __slots__ = ("_gone", "_lost", "begun", "over")

    def __init__(self, inner: Downstream) -> None:
        super().__init__(inner)
        self._gone: Callable[[], None] | None = None
        self.begun = self.over = self._lost = False

    def watch(self) -> None:
        """Begin to listen for the client's leaving: when the subclass is ready for `ended`."""
        self.inner.on_gone(self._left)

    def ended(self) -> None:
        """The response is over; for a subclass to say what that means."""

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        if not self.begun:
            self.begun = True
            self.inner.reply(head, body)
            self.end()

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self.begun = True
        self.inner.start(head, length, producer)

    def finish(self) -> None:
        """See `Downstream.finish`."""
        self.inner.finish()
        self.end()

    def abort(self) -> None:
        """See `Downstream.abort`."""
        self.inner.abort()
        self.end()

    def on_gone(self, gone: Callable[[], None]) -> None:
        """See `Downstream.on_gone`."""
        if self._lost:
            gone()
        elif not self.over:
            self._gone = gone

    def end(self) -> None:
        """Call `ended`, unless it was."""
        if not self.over:
            self.over = True
            self._gone = None
            self.ended()
            # What is inside has ended, but may go on knowing this: no cycle is left behind.
            self.inner = NOWHERE

    def _left(self) -> None:
        if self.over:
            return
        self._lost = True
        gone = self._gone
        self.end()
        if gone is not None:
            gone()

"""A gap of a sparse body that another worker is filling, and who waits for it here.

It stands among the gaps like one of our own. The bytes come by way of the file: every few
milliseconds it looks which blocks the other has noted, and lets the readers have them.
When the other gives its claim up, or dies, readers look further: what is not there by then
they fetch themselves.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from s3shield.store import Claim, Span, span_key, span_stop

if TYPE_CHECKING:
    from .answer import Answer
    from .sparse import Sparse
    from .transaction import Transaction
    from .view import View

__all__ = ["DistantGap"]


class DistantGap:
    """See the module's text. To `Sparse` and `View` it is as a `Gap` whose head is awaited.

    span: of the other worker's claim.
    """

    fill: Final = None
    deep: Final = False

    def __init__(self, sparse: Sparse, span: Span) -> None:
        self.start = span.start
        self.stop = span.stop
        self.over = False
        self.ident = span.ident
        self.key = span_key(sparse.blob, span.start)
        self._sparse = sparse
        # Nobody's: what had come by now was learned after its reader had looked.
        self._missing = -1
        self._waiting: list[tuple[Transaction, Answer]] = []
        self._followers: list[View] = []

    @property
    def arrived(self) -> int:
        """Offset up to which the blocks are there."""
        return max(self.start, min(self.stop, self._sparse.body.blocks.held_from(self.start)))

    def brings(self, position: int) -> bool:
        """Tell whether a reader at `position` can have its bytes from here."""
        return self.start <= position < self.stop

    # What the sparse body calls

    def wait(self, transaction: Transaction, plan: Answer) -> None:
        """Let a client wait for its first block."""
        self._waiting.append((transaction, plan))
        transaction.watch(partial(self._left, transaction))

    def take(self, view: View) -> None:
        """Let a reader follow."""
        self._followers.append(view)

    def drop(self, view: View) -> None:
        """A reader that followed is gone, or past it."""
        if view in self._followers:
            self._followers.remove(view)
            self.idle()

    def shorten(self, stop: int) -> None:
        """Somebody here fetches from `stop` on."""
        self.stop = stop

    def idle(self) -> None:
        """Nobody waits any more: what the other worker does is its own business."""
        if not (self.over or self._waiting or self._followers):
            self.over = True
            self._sparse.filled(self)

    # What looks at the claims calls

    def look(self, claim: Claim | None) -> None:
        """Let readers have what has come. claim: the other's as it is now; None: it is over."""
        if self.over:
            return
        sparse = self._sparse
        if not sparse.refresh():
            sparse.alone = True
        if claim is None or sparse.alone:
            self._end()
            return
        stop, missing = min(self.stop, span_stop(claim)), sparse.body.blocks.missing
        if (stop, missing) != (self.stop, self._missing):
            self.stop, self._missing = stop, missing
            self._serve()

    # Inside

    def _serve(self) -> None:
        blocks = self._sparse.body.blocks
        for pair in tuple(self._waiting):
            start = pair[1].spans(blocks.size)[0][0]
            if blocks.has(start >> blocks.shift) or not self.brings(start):
                self._waiting.remove(pair)
                self._sparse.resume(*pair)
        for view in tuple(self._followers):
            view.go_on()
        self.idle()

    def _end(self) -> None:
        self.over = True
        waiting, self._waiting = self._waiting, []
        followers, self._followers = self._followers, []
        for transaction, plan in waiting:
            self._sparse.resume(transaction, plan)
        for view in followers:
            view.go_on()
        self._sparse.filled(self)

    def _left(self, transaction: Transaction) -> bool:
        """A client has gone: it waits no more. False when it did not wait here."""
        here = [pair for pair in self._waiting if pair[0] is transaction]
        if not here:
            return False
        self._waiting.remove(here[0])
        self.idle()
        return True

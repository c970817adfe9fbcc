"""The clients that wait for one flight, the leader first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3shield.policy import NoStoreReason, ResponseHead

    from .transaction import Surroundings, Transaction

__all__ = ["Company"]


def _nobody() -> None:
    """The flight is over."""


class Company:
    """See the module's text.

    waiting: the transactions, the leader first; empty for a background refresh. deserted:
    called when the last of them has left. leader: for whom the origin is asked, even
    when that one has been answered or has left; None where it is for the store's sake.
    """

    __slots__ = ("_deserted", "_given", "_waiting", "leader")

    def __init__(self, waiting: list[Transaction], deserted: Callable[[], None]) -> None:
        self._waiting = waiting
        self._deserted = deserted
        self._given = 0
        self.leader = waiting[0] if waiting else None

    def __iter__(self) -> Iterator[Transaction]:
        return iter(tuple(self._waiting))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __len__(self) -> int:
        return len(self._waiting)

    def set_out(self, started: float) -> None:
        """The origin is being asked. started: monotonic seconds."""
        for transaction in self:
            transaction.origin_started = started
            transaction.watch(partial(self._left, transaction))

    def add(self, transaction: Transaction) -> None:
        """One more waits."""
        self._waiting.append(transaction)
        transaction.watch(partial(self._left, transaction))

    def inform(self, head: ResponseHead) -> None:
        """Pass an interim response on to the leader: it may be meant for that one alone."""
        if self.leader is not None and self.leader in self._waiting:
            self.leader.inform(head)

    def part_with(self, transaction: Transaction) -> bool:
        """Let a waiter go its own way; False for the first, and for who does not wait here."""
        if transaction not in self._waiting[1:]:
            return False
        self._waiting.remove(transaction)
        return True

    def settled(self) -> None:
        """Nobody need be told any more that all have left."""
        self._deserted = _nobody

    def part(self, stays: Callable[[Transaction], bool]) -> list[Transaction]:
        """Keep those who stay; return the others."""
        others = [each for each in self._waiting if not stays(each)]
        self._waiting = [each for each in self._waiting if each not in others]
        return others

    def take(self) -> list[Transaction]:
        """Return all of them; nobody waits any more."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def hand_out(self, around: Surroundings, give: Callable[[int, Transaction], None]) -> None:
        """Call `give` with each one's number and each: some in later turns where they are many.

        Until its turn comes one waits as before: it may leave.
        """
        self._given = 0
        self._give(around, give)

    def _give(self, around: Surroundings, give: Callable[[int, Transaction], None]) -> None:
        while self._waiting:
            if around.over():
                around.call_soon(partial(self._give, around, give))
                return
            number, self._given = self._given, self._given + 1
            give(number, self._waiting.pop(0))

    def note(self, reason: NoStoreReason) -> None:
        """Why what comes is not stored; the leader's log line says it too."""
        for transaction in self._waiting:
            transaction.reason = reason
        if self.leader is not None:
            self.leader.reason = reason

    def _left(self, transaction: Transaction) -> bool:
        """A client has gone: it waits no more. False when it did not wait here."""
        if transaction not in self._waiting:
            return False
        self._waiting.remove(transaction)
        if not self._waiting:
            self._deserted()
        return True

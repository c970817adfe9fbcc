"""How long readers of bodies may have the event loop at a time, all of them together.

Theory of operation. What is in the page cache is copied as fast as memory is: one reader
stops after a mebibyte, but some hundreds that are ready in the same turn of the loop held
it for most of a second, and every other client waited. So they share a slice of each turn.
Who finds it used up goes on in a later turn, in the order of asking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["SLICE", "Turns"]

SLICE: Final = 0.002
"""Seconds of a turn."""


class Turns:
    """See the module's text.

    call_soon: runs its argument in the next turn of the event loop. monotonic: seconds.
    """

    __slots__ = ("_armed", "_asked", "_begun", "_call_soon", "_monotonic", "_waiting")

    def __init__(
        self,
        call_soon: Callable[[Callable[[], None]], object],
        monotonic: Callable[[], float],
    ) -> None:
        self._call_soon = call_soon
        self._monotonic = monotonic
        self._waiting: deque[Callable[[], None]] = deque()
        self._armed = False
        self._begun = self._asked = float("-inf")

    def over(self) -> bool:
        """Tell whether the slice is used up: then go on `later`."""
        now = self._monotonic()
        if now - self._asked > SLICE:  # nobody has for so long: it is another turn
            self._begun = now
        self._asked = now
        return now - self._begun >= SLICE

    def later(self, function: Callable[[], None]) -> None:
        """Run `function` in a later turn, as soon as there is room for it."""
        self._waiting.append(function)
        self._arm()

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._call_soon(self._turn)

    def _turn(self) -> None:
        self._begun = self._asked = now = self._monotonic()
        end, waiting = now + SLICE, self._waiting
        try:
            waiting.popleft()()
            while waiting and self._monotonic() < end:
                waiting.popleft()()
        finally:
            # What is asked for meanwhile has been done, or is in the queue.
            self._armed = False
            if waiting:
                self._arm()

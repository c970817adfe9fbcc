"""Lines for the error log about what may happen a thousand times a second: one each second."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Seldom"]


class Seldom:
    """Says something now, or counts it for the next time.

    say: takes a text. monotonic: seconds.
    """

    __slots__ = ("_monotonic", "_more", "_next", "_say")

    def __init__(self, say: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self._say = say
        self._monotonic = monotonic
        self._next = 0.0
        self._more = 0

    def tell(self, text: str) -> None:
        """Say `text`, if the last was said a second ago or longer."""
        now = self._monotonic()
        if now < self._next:
            self._more += 1
            return
        self._next = now + 1.0
        more, self._more = self._more, 0
        self._say(f"{text} (and {more} more since the last line)" if more else text)

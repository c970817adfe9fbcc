"""What held the event loop, in words, and how often it is told. Pure.

A stack is a sequence of `Frame`, the innermost first. Never more than places: no values of
variables, which may be anything a client or a key file says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

__all__ = [
    "LOOP_ITSELF",
    "UNSCHEDULED",
    "Culprit",
    "Frame",
    "Pause",
    "Spent",
    "StallNotes",
    "collecting",
    "culprit",
    "held",
]

LOOP_ITSELF: Final = "the loop itself, or no processor for it"
_MOST: Final = 6
_LIBRARY: Final = re.compile(r".*/(?:(?:site|dist)-packages|python3\.[0-9]+)/")
_TELL_EVERY: Final = 1.0


@attrs.frozen
class Frame:
    """One call under way. file: its path. line: where it is. name: of the function."""

    file: str
    line: int
    name: str


@attrs.frozen
class Culprit:
    """What held the loop. text: for the log. place: what is the same the next time."""

    text: str
    place: str


UNSCHEDULED: Final = Culprit("no processor for it, the machine has more to do", "no processor")


@attrs.frozen
class Spent:
    """What the loop's thread did of a hold: seconds computing, seconds ready to run and not run.

    None: not known. The rest it waited, for a disk or for another thread.
    """

    computing: float | None = None
    queued: float | None = None

    def shown(self, seconds: float) -> str:
        """Return a remark on a hold of so many seconds; empty where nothing is known."""
        parts = []
        if self.computing is not None:
            parts.append(f"{_millis(min(self.computing, seconds))} of it computing")
        if self.queued is not None and self.queued >= 0.0005:
            parts.append(f"{_millis(min(self.queued, seconds))} without a processor")
        return f" ({', '.join(parts)})" if parts else ""


_UNKNOWN: Final = Spent()


@attrs.frozen
class Pause:
    """A garbage collection. start, end: seconds, monotonic. generation: 0 to 2."""

    start: float
    end: float
    generation: int

    @property
    def seconds(self) -> float:
        """How long every thread stood still."""
        return self.end - self.start


def culprit(stack: Sequence[Frame], under: Sequence[Frame], root: str) -> Culprit:
    """Name the innermost functions of ours in `stack`.

    under: the stack that the loop itself has, not to be told. root: the directory of the
    package that is ours, with a slash. What is not ours is named where it is the innermost,
    or where nothing else is there.
    """
    inner = list(stack)
    for below in reversed(under):
        if not inner or (inner[-1].file, inner[-1].name) != (below.file, below.name):
            break
        inner.pop()
    if not inner:
        return Culprit(LOOP_ITSELF, "loop")
    ours = [frame for frame in inner if frame.file.startswith(root)]
    shown = (ours or inner)[:_MOST]
    if shown[0] is not inner[0]:
        shown = [inner[0], *shown]
    text = " < ".join(f"{_short(each.file, root)}:{each.line} {each.name}" for each in shown)
    first = ours[0] if ours else inner[0]
    return Culprit(text, f"{first.file} {first.name}")


def _short(file: str, root: str) -> str:
    """Return the path below our package, below the library, or just the file's name."""
    if file.startswith(root):
        return file[len(root) :]
    found = _LIBRARY.match(file)
    return file[found.end() :] if found else file.rsplit("/", 1)[-1]


def collecting(pause: Pause) -> Culprit:
    """Name a garbage collection."""
    text = f"garbage collection, generation {pause.generation}"
    return Culprit(text, text)


def held(start: float, end: float, pauses: Iterable[Pause]) -> float:
    """Return for how many seconds of `start` to `end` no garbage collection is to blame."""
    return (end - start) - sum(
        [max(0.0, min(end, pause.end) - max(start, pause.start)) for pause in pauses]
    )


@attrs.define
class _Told:
    """A place that has been told. text: as it was the last time."""

    since: float
    text: str
    untold: int = 0
    longest: float = 0.0


class StallNotes:
    """Each place is told once a second; what else happens there is counted and told after it."""

    def __init__(self) -> None:
        self._places: dict[str, _Told] = {}

    def note(self, what: Culprit, seconds: float, now: float, spent: Spent = _UNKNOWN) -> list[str]:
        """Return the lines to write about one hold: one, or none yet.

        now: seconds, monotonic; `due` has been called with it.
        """
        told = self._places.get(what.place)
        if told is None:
            self._places[what.place] = _Told(now, what.text)
            remark = spent.shown(seconds)
            return [f"event loop held for {_millis(seconds)}: {what.text}{remark}"]
        told.text = what.text
        told.untold += 1
        told.longest = max(told.longest, seconds)
        return []

    def due(self, now: float) -> list[str]:
        """Return the lines about what was not told more than a second ago."""
        over = [place for place, told in self._places.items() if now - told.since >= _TELL_EVERY]
        return [line for place in over for line in self._count(self._places.pop(place))]

    def rest(self) -> list[str]:
        """Return the lines about all that was not told: there will be no more."""
        places, self._places = self._places, {}
        return [line for told in places.values() for line in self._count(told)]

    def _count(self, told: _Told) -> list[str]:
        if not told.untold:
            return []
        times = "once more" if told.untold == 1 else f"{told.untold} times more"
        return [f"event loop held {times}, for up to {_millis(told.longest)}: {told.text}"]


def _millis(seconds: float) -> str:
    return f"{round(seconds * 1000)} ms"

"""What became of each directive: nothing of a configuration is dropped in silence."""

from __future__ import annotations

import enum

import attrs

from .masking import Masking
from .source import Directive, walk

__all__ = ["Ledger", "Note", "Weight"]


class Weight(enum.Enum):
    """How much a note matters."""

    ACCESS = "access"
    """It kept somebody out; what it stood for is closed in the ini."""
    LOST = "lost"
    """It did something that is not done here, or is done otherwise."""
    NEEDLESS = "needless"
    """Nothing need be done: it is so here anyway, or means nothing here."""


@attrs.frozen
class Note:
    """One line that was not taken over as it is.

    file, line: where; line 0 for a file as a whole. text: the line, secrets masked. why:
    a sentence. instead: what to do, or "".
    """

    weight: Weight
    file: str
    line: int
    text: str
    why: str
    instead: str = ""

    def __str__(self) -> str:
        """Two lines: the place with the line, and what to know about it."""
        at = f"{self.file}:{self.line}" if self.line else self.file
        return f"{at}: {self.text}\n    {self.why}" + (f"; {self.instead}" if self.instead else "")


class Ledger:
    """Keeps account of the directives of one configuration. masking: shows them."""

    def __init__(self, masking: Masking) -> None:
        self.masking = masking
        self._notes: list[Note] = []
        self._seen: set[int] = set()

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes, by weight, then by place."""
        order = list(Weight)
        return tuple(
            sorted(self._notes, key=lambda note: (order.index(note.weight), note.file, note.line))
        )

    def knows(self, directive: Directive) -> bool:
        """Tell whether anything has been said of it."""
        return id(directive) in self._seen

    def used(self, *directives: Directive) -> None:
        """They are in the ini."""
        self._seen.update(id(each) for each in directives)

    def whole(self, directive: Directive) -> None:
        """What stands in its block is accounted for with it."""
        self.used(directive, *walk(directive.block or ()))

    def lost(self, directive: Directive, why: str, instead: str = "") -> None:
        """It is not in the ini, or not as it was."""
        self._note(Weight.LOST, directive, why, instead)

    def note(self, directive: Directive, why: str, instead: str = "") -> None:
        """As `lost`, but what stands in its block is not accounted for with it."""
        self._note(Weight.LOST, directive, why, instead, whole=False)

    def access(self, directive: Directive, why: str, instead: str) -> None:
        """It is not in the ini, and somebody was kept out by it."""
        self._note(Weight.ACCESS, directive, why, instead)

    def needless(self, directive: Directive, why: str) -> None:
        """It is not in the ini and need not be."""
        self._note(Weight.NEEDLESS, directive, why, "")

    def missing(self, file: str, line: int, text: str, why: str, instead: str) -> None:
        """Note what is not about a directive: an include that names nothing."""
        note = Note(Weight.LOST, file, line, self.masking.text(text), why, instead)
        self._notes.append(note)

    def _note(
        self, weight: Weight, directive: Directive, why: str, instead: str, *, whole: bool = True
    ) -> None:
        if whole:
            self.whole(directive)
        else:
            self.used(directive)
        text = self.masking.line(directive)
        note = Note(weight, directive.file, directive.line, text, why, instead)
        if note not in self._notes:
            self._notes.append(note)

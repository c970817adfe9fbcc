"""The rows of the table: what is measured, and what s3shield has to reach.

A row is a generator function under `@row`. It gets a `Bench`, makes everything ready, yields
for each side a function that measures once, and looks afterwards whether all was as it should
be; it raises `Doubt` where a figure would not mean what it says.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

import attrs

from bench.sides import Field, Options
from bench.wrk import Run

__all__ = [
    "ROWS",
    "Bench",
    "Goal",
    "Measure",
    "Row",
    "Target",
    "at_least",
    "at_most",
    "median",
    "no_slower",
    "row",
    "run_row",
]


class Goal(Enum):
    """How a figure and its target are to be compared."""

    RATIO = "at least so many times nginx's"
    LATENCY = "at most so many times nginx's"
    LIMIT = "at most so much, whatever nginx has"
    SHOWN = "no target: just shown"


@attrs.frozen
class Target:
    """What a row has to reach. value: a ratio, or a figure in the row's unit."""

    goal: Goal
    value: float = 0.0

    def __str__(self) -> str:
        if self.goal is Goal.SHOWN:
            return "-"
        number = f"{self.value:.4g}"
        if self.goal is Goal.LATENCY:
            return f"<= {number} x"
        return f"<= {number}" if self.goal is Goal.LIMIT else f">= {number} x"

    def met(self, figure: float, ratio: float | None) -> bool | None:
        """Return whether it is; None where there is none. ratio: ours to nginx's."""
        if self.goal is Goal.SHOWN:
            return None
        if self.goal is Goal.LIMIT:
            return figure <= self.value
        if ratio is None:
            return None
        return ratio >= self.value if self.goal is Goal.RATIO else ratio <= self.value


@attrs.define
class Bench:
    """The servers that rows share.

    say: prints a line of progress. fields: by the number of workers. million: with as many
    entries.
    """

    options: Options
    say: Callable[[str], None] = print
    fields: dict[int, Field] = attrs.field(factory=dict)
    million: Field | None = None

    def field(self, workers: int = 1) -> Field:
        """Return the servers with so many workers each; they go on running."""
        if workers not in self.fields:
            self.fields[workers] = Field(self.options, f"workers-{workers}", workers=workers)
        return self.fields[workers]

    @contextlib.contextmanager
    def fresh(self, name: str, **more: Any) -> Iterator[Field]:
        """Yield servers of one's own with empty caches; they are removed afterwards."""
        field = Field(self.options, name, **more)
        try:
            yield field
        finally:
            field.remove()

    def stop(self) -> None:
        """End all servers."""
        for field in [*self.fields.values(), *([self.million] if self.million else [])]:
            field.stop()
        self.fields.clear()
        self.million = None


Measure = Callable[[int], Run]
"""Measures a side once. Takes the number of the round."""
Rehearsal = Callable[[Bench], Iterator[Mapping[str, Measure]]]


@attrs.frozen
class Row:
    """One line of the table.

    name: for --rows. title: what it says. unit: of its figures. explicit: it takes long, and
    is only run when it is named, or with --all. rounds: how many, where the option's number
    makes no sense. warm: one more run comes first, and does not count.
    """

    name: str
    title: str
    unit: str
    target: Target
    measure: Rehearsal = attrs.field(repr=False)
    explicit: bool = False
    rounds: int | None = None
    warm: bool = True


ROWS: Final[dict[str, Row]] = {}
"""Those of the modules that have been imported, by name; bench.every_row imports all."""


def row(
    name: str,
    title: str,
    target: Target,
    *,
    unit: str = "req/s",
    explicit: bool = False,
    rounds: int | None = None,
    warm: bool = True,
) -> Callable[[Rehearsal], Rehearsal]:
    """Register the decorated generator function as a row; see Row for the arguments."""

    def register(function: Rehearsal) -> Rehearsal:
        ROWS[name] = Row(name, title, unit, target, function, explicit, rounds, warm)
        return function

    return register


def at_least(value: float) -> Target:
    """Return the target of a row where more is better, against nginx."""
    return Target(Goal.RATIO, value)


def no_slower(value: float) -> Target:
    """Return the target of a row where less is better, against nginx."""
    return Target(Goal.LATENCY, value)


def at_most(value: float) -> Target:
    """Return the target of a row that has a limit, whatever nginx needs."""
    return Target(Goal.LIMIT, value)


def run_row(bench: Bench, row: Row) -> dict[str, list[Run]]:
    """Measure a row: all sides in turns, in the other order every second round."""
    found: dict[str, list[Run]] = {}
    rehearsal = contextlib.contextmanager(row.measure)
    with rehearsal(bench) as sides:
        names = list(sides)
        if row.warm:
            for name in names:
                sides[name](-1)
        for number in range(row.rounds or bench.options.rounds):
            for name in names if number % 2 == 0 else reversed(names):
                run = sides[name](number)
                found.setdefault(name, []).append(run)
                bench.say(f"    round {number + 1}: {name:<9} {run.figure:>12,.1f} {row.unit}")
    return found


def median(runs: list[Run], what: str = "figure") -> float | None:
    """Return the median of a field, where the runs have it."""
    values = [value for run in runs if (value := getattr(run, what)) is not None]
    return statistics.median(values) if values else None

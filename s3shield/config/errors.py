"""Mistakes in a configuration: collected, and told all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import attrs

__all__ = ["BadValueError", "Complaints", "ConfigError", "ConfigErrors", "nearest"]


@attrs.frozen
class ConfigError:
    """One mistake.

    file: str. line: 1-based, 0 for the file as a whole. section: what stands in
    brackets, or "". option: its name, or "" when it is about the section. message: one
    sentence, never a secret. suggestion: the nearest known name, or None.
    """

    file: str
    line: int
    section: str
    option: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        section = f"[{self.section}] " if self.section else ""
        option = f"{self.option}: " if self.option else ""
        hint = f" (did you mean {self.suggestion!r}?)" if self.suggestion else ""
        line = f":{self.line}" if self.line else ""
        return f"{self.file}{line}: {section}{option}{self.message}{hint}"


class ConfigErrors(Exception):  # noqa: N818 - it holds several
    """The configuration cannot be used. errors: tuple of ConfigError, in order of line."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__(self.render())

    def render(self) -> str:
        """Return one line for each mistake."""
        return "\n".join(str(error) for error in self.errors)


class BadValueError(ValueError):
    """A value that an option does not take.

    problem: one sentence without the value. got: the part of the value that is wrong,
    shown unless it may be a secret. suggestion: the nearest right one.
    """

    def __init__(self, problem: str, got: str | None = None, suggestion: str | None = None) -> None:
        self.problem = problem
        self.got = got
        self.suggestion = suggestion
        super().__init__(problem if got is None else f"{problem}: {got!r}")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` was probably meant to be, or None."""
    folded: dict[str, str] = {}
    for name in known:
        folded.setdefault(name.lower(), name)
    found = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[found[0]] if found else None


class Complaints:
    """Collects mistakes and warnings while a configuration is read."""

    def __init__(self) -> None:
        self._errors: list[ConfigError] = []
        self.warnings: list[str] = []

    def add(self, error: ConfigError) -> None:
        """Note a mistake; the same one is noted once."""
        if error not in self._errors:
            self._errors.append(error)

    def warn(self, text: str) -> None:
        """Note what is allowed but should not be; once."""
        if text not in self.warnings:
            self.warnings.append(text)

    def raise_if_any(self) -> None:
        """Raise ConfigErrors when there was a mistake."""
        if self._errors:
            # A stable sort: what is about one line stays in the order it was found.
            raise ConfigErrors(sorted(self._errors, key=lambda error: error.line))

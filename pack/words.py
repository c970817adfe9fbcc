"""The words of the command line, as its argparse parsers have them: for manuals and completion.

argparse tells them to nobody but itself, hence the underscores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import attrs

from s3shield.cli import _parser

__all__ = ["Command", "Word", "commands", "top"]

_FILES = {"FILE", "PATH", "INI", "DIR"}


@attrs.frozen
class Word:
    """An option, or what stands without one.

    names: of the option, longest last; empty: it is an operand. value: what comes after it, empty:
    nothing does. choices: all values there are; empty: any.
    """

    names: tuple[str, ...]
    value: str
    help: str
    choices: tuple[str, ...] = ()
    many: bool = False

    @property
    def is_file(self) -> bool:
        """Whether its value is the name of a file."""
        return self.value.upper() in _FILES

    @property
    def once(self) -> str:
        """Its value for a reader."""
        return f"{self.value}..." if self.many else self.value


@attrs.frozen
class Command:
    """A command. path: its words, `("cache", "ls")`."""

    path: tuple[str, ...]
    brief: str
    text: str
    examples: str
    words: tuple[Word, ...]

    @property
    def name(self) -> str:
        """As it is typed."""
        return " ".join(self.path)

    @property
    def options(self) -> list[Word]:
        """Those that begin with a dash."""
        return [word for word in self.words if word.names]

    @property
    def operands(self) -> list[Word]:
        """The others."""
        return [word for word in self.words if not word.names]


def top() -> Command:
    """Return the command line without a command."""
    return _read(_parser()[0], (), "")


def commands() -> list[Command]:
    """Return every command, one within another after it."""
    return list(_below(_parser()[0], ()))


def _below(parser: argparse.ArgumentParser, path: tuple[str, ...]) -> Iterator[Command]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            briefs = {pseudo.dest: pseudo.help or "" for pseudo in action._choices_actions}
            for name, inner in action.choices.items():
                yield _read(inner, (*path, name), briefs.get(name, ""))
                yield from _below(inner, (*path, name))


def _read(parser: argparse.ArgumentParser, path: tuple[str, ...], brief: str) -> Command:
    words = [
        _word(parser, action)
        for action in parser._actions
        if not isinstance(action, argparse._SubParsersAction)
    ]
    return Command(path, brief, parser.description or "", parser.epilog or "", tuple(words))


def _word(parser: argparse.ArgumentParser, action: argparse.Action) -> Word:
    names = tuple(sorted(action.option_strings, key=len))
    value = "" if action.nargs == 0 else _value(action)
    choices = tuple(str(choice) for choice in action.choices or ())
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    return Word(names, value, text, choices, action.nargs in ("*", "+"))


def _value(action: argparse.Action) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar is not None:
        return action.metavar
    if action.choices:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()

"""The ini text taken apart: sections and options with their line numbers.

Standard configparser loses the lines. What is special here: `]` and `:` may stand in the
name of a section (a location's regex), and sections may be repeated.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from .errors import Complaints, ConfigError

__all__ = ["Line", "Option", "Section", "escape", "read_ini"]

# White space, then a semicolon; `\;` stands for one that begins no comment.
_COMMENT: Final = re.compile(r"\s;.*", re.DOTALL)
_ESCAPED: Final = re.compile(r"(\s)\\(\\*;)")
_TO_ESCAPE: Final = re.compile(r"(\s)(\\*;)")
_OPTION: Final = re.compile(r"([^=\s][^=]*?)\s*=\s*(.*)", re.DOTALL)
# Too short for the rest of a secret key on a line of its own.
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,38}")
KINDS: Final = ("s3shield", "cache", "bucket", "server", "location")


@attrs.frozen
class Line:
    """One line of a value. number: 1-based. text: without comment and outer space."""

    number: int
    text: str = attrs.field(repr=False)


@attrs.frozen
class Option:
    """One option. number: of its first line. lines: of its value, empty ones left out."""

    name: str
    number: int
    lines: list[Line]


@attrs.frozen
class Section:
    """One section. kind: `cache` of `[cache:main]`. name: `main`. options: in order."""

    kind: str
    name: str
    number: int
    options: list[Option] = attrs.field(factory=list)

    @property
    def title(self) -> str:
        """What stands in brackets."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def escape(value: str) -> str:
    """Write a value, to stand after ` = `, so that no part of it is taken for a comment."""
    return _TO_ESCAPE.sub(r"\1\\\2", " " + value)[1:]


def _bare(text: str) -> str:
    return _ESCAPED.sub(r"\1\2", _COMMENT.sub("", text)).strip()


class _Sections:
    """What has been read so far."""

    def __init__(self, file: str, complaints: Complaints) -> None:
        self.file = file
        self.complaints = complaints
        self.sections: list[Section] = []
        self.section: Section | None = None
        self.skipping = False
        """After a section that could not be understood: its options say nothing."""
        self.open: list[Line] | None = None
        self.indent = 0

    def complain(self, number: int, message: str) -> None:
        title = self.section.title if self.section else ""
        self.complaints.add(ConfigError(self.file, number, title, "", message))

    def line(self, number: int, raw: str) -> None:
        text = raw.strip()
        if not text or text[0] in ";#":
            return
        indent = len(raw) - len(raw.lstrip())
        if self.open is not None and indent > self.indent:
            self.open.append(Line(number, _bare(text)))
            return
        self.open = None
        if text.startswith("["):
            self.header(number, text)
        elif not self.skipping:
            self.option(number, text, indent)

    def header(self, number: int, text: str) -> None:
        inside, close, rest = _bare(text)[1:].rpartition("]")
        self.section, self.skipping = None, True
        if not close:
            self.complain(number, "a section ends with ]")
        elif rest.strip():
            self.complain(number, "nothing but a comment can follow the ] of a section")
        else:
            kind, _, name = inside.strip().partition(":")
            self.section = Section(kind.strip(), name.strip(), number)
            self.sections.append(self.section)
            self.skipping = False

    def option(self, number: int, text: str, indent: int) -> None:
        found = _OPTION.fullmatch(text)
        # Neither line nor name is quoted: it may be the rest of a key.
        if found is None:
            self.complain(number, "this is neither a section nor an option (name = value)")
            self.open, self.indent = [], indent
            return
        if self.section is None:
            self.complain(number, "an option before the first section")
            return
        value = _bare(" " + found[2])
        self.open, self.indent = [Line(number, value)] if value else [], indent
        if _NAME.fullmatch(found[1]):
            self.section.options.append(Option(found[1], number, self.open))
        else:
            self.complain(number, "this cannot be the name of an option")


def read_ini(file: str, text: str, complaints: Complaints) -> list[Section]:
    """Take `text` apart; complain about lines that are nothing. file: its name, for these.

    An indented line goes on with the option above it. Comments: whole lines that begin
    with `;` or `#`, and ` ;` to the end of a line. Values are never quoted.
    """
    reader = _Sections(file, complaints)
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        reader.line(number, raw)
    return reader.sections

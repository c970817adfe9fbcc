"""httpd.conf taken apart: lines, sections in angle brackets, includes put in place.

https://httpd.apache.org/docs/2.4/configuring.html#syntax
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Final

from .reading import Library
from .source import Directive, ImportFailed

__all__ = ["read_apache"]

_DEEPEST: Final = 100
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)')
_OPEN: Final = re.compile(r"<([A-Za-z!][A-Za-z0-9_!]*)\s*(.*?)>", re.DOTALL)
_CLOSE: Final = re.compile(r"</([A-Za-z!][A-Za-z0-9_!]*)\s*>")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9_]+)\}")
_INCLUDES: Final = ("include", "includeoptional")


def read_apache(
    path: str, library: Library, defined: Mapping[str, str] | None = None
) -> tuple[Directive, ...]:
    """Return what the file at `path` says, included files in their places.

    An include is relative to the first file's directory or to that of the file it stands
    in. defined: what Apache is started with, `-D NAME` or a variable of its environment.
    `${NAME}` is what that or a `Define` before it says; unknown ones stay. An <IfDefine>
    whose name is known is decided here; others stay. Raises ImportFailed.
    """
    return _File(path, library, (path,), dict(defined or {})).read()


def _lines(text: str) -> list[tuple[int, str]]:
    """Return (number, line), lines that end in a backslash joined, without comments."""
    found = []
    start, sofar = 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        start = start or number
        if raw.endswith("\\"):
            sofar += raw[:-1] + " "
            continue
        line = (sofar + raw).strip()
        if line and not line.startswith("#"):
            found.append((start, line))
        start, sofar = 0, ""
    if sofar.strip():
        found.append((start, sofar.strip()))
    return found


class _File:
    def __init__(
        self, path: str, library: Library, opened: tuple[str, ...], defined: dict[str, str]
    ) -> None:
        self.path = path
        self.library = library
        self.opened = opened
        self.defined = defined

    def words(self, text: str, line: int) -> tuple[str, ...]:
        found = []
        for word in _WORD.finditer(text):
            double, single, bare = word.groups()
            if bare is not None and bare[0] in "\"'":
                raise ImportFailed(self.path, line, "a quote is not closed")
            quoted = double if double is not None else single
            value = bare if quoted is None else re.sub(r"\\([\"'\\])", r"\1", quoted)
            found.append(
                _VARIABLE.sub(lambda match: self.defined.get(match[1], match[0]), value or "")
            )
        return tuple(found)

    def read(self) -> tuple[Directive, ...]:
        # (name, words, line, what is in it so far)
        stack: list[tuple[str, tuple[str, ...], int, list[Directive]]] = [("", (), 0, [])]
        for number, line in _lines(self.library.read(self.path)):
            if line.startswith("</"):
                closing = _CLOSE.fullmatch(line)
                if closing is None:
                    raise ImportFailed(self.path, number, "a section ends with </NAME>")
                name, words, at, inside = stack[-1]
                if len(stack) == 1 or name.lower() != closing[1].lower():
                    raise ImportFailed(
                        self.path, number, f"</{closing[1]}> closes nothing that is open here"
                    )
                stack.pop()
                asked = words[0] if name.lower() == "ifdefine" and words else ""
                if asked in self.defined:
                    stack[-1][3].extend(inside)
                elif asked.removeprefix("!") not in self.defined:
                    made = Directive(f"<{name}>", words, self.path, at, tuple(inside))
                    stack[-1][3].append(made)
            elif line.startswith("<"):
                opening = _OPEN.fullmatch(line)
                if opening is None:
                    raise ImportFailed(self.path, number, "a section begins with <NAME ...>")
                if len(stack) > _DEEPEST:
                    raise ImportFailed(self.path, number, "sections are nested too deeply")
                stack.append((opening[1], self.words(opening[2], number), number, []))
            else:
                stack[-1][3].extend(self.simple(line, number))
        if len(stack) > 1:
            name, _, at, _ = stack[-1]
            raise ImportFailed(self.path, at, f"<{name}> is never closed: </{name}> is missing")
        return tuple(stack[0][3])

    def simple(self, text: str, line: int) -> list[Directive]:
        name, _, rest = text.partition(" ")
        name, tab, more = name.partition("\t")
        if not _NAME.fullmatch(name):
            # Not quoted: it may be the rest of a key.
            raise ImportFailed(self.path, line, "this is neither a directive nor a section")
        words = self.words(f"{more} {rest}" if tab else rest, line)
        if name.lower() == "define" and words:
            self.defined[words[0]] = words[1] if len(words) > 1 else ""
        if name.lower() not in _INCLUDES or len(words) != 1:
            return [Directive(name, words, self.path, line)]
        found: list[Directive] = []
        bases = (str(PurePath(self.opened[0]).parent), str(PurePath(self.path).parent))
        for path in self.library.included(words[0], self.path, line, *bases):
            if path in self.opened:
                raise ImportFailed(self.path, line, "a file includes itself")
            opened = (*self.opened, path)
            found += _File(path, self.library, opened, self.defined).read()
        return found

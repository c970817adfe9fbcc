"""nginx.conf taken apart, by the lexer of the crossplane library; includes put in place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from .reading import Library
from .source import Directive, ImportFailed

__all__ = ["read_nginx"]

_DEEPEST: Final = 100
_ABSENT: Final = (
    "reading nginx's configuration needs the crossplane library: pip install 's3shield[import]'"
)
_Token = tuple[str, int, bool]


def _tokens(path: str, text: str) -> Iterator[_Token]:
    """Yield (token, line, quoted), without comments. Raises ImportFailed."""
    try:
        from crossplane.errors import NgxParserSyntaxError  # noqa: PLC0415 - an extra
        from crossplane.lexer import lex  # noqa: PLC0415
    except ImportError:
        raise ImportFailed(path, 0, _ABSENT) from None
    last, at = "", 0
    try:
        for token, line, quoted in lex(path):
            if quoted or not token.startswith("#"):
                last, at = "" if quoted else token, line
                yield token, line, quoted
    except NgxParserSyntaxError as why:
        reason = "a } without its {"
        if "end of file" in why.strerror:
            reason = "the file ends inside a block or a quote: a } or a quote is missing"
        raise ImportFailed(path, why.lineno or 0, reason) from None
    # The lexer says nothing of a word or a quote that the end of the file cuts off.
    end, bare = _last_line(text)
    if end > at or (end and (last not in (";", "}") or not bare.endswith((";", "}")))):
        raise ImportFailed(
            path, end, "the file ends inside a directive or a quote: a ; or a quote is missing"
        )


def _last_line(text: str) -> tuple[int, str]:
    """Return number and text of the last line with more than a comment on it; 0 for none."""
    found = (0, "")
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if bare and not bare.startswith("#"):
            found = (number, bare)
    number, bare = found
    return number, re.sub(r"\s#.*|(?<=[;{}])#.*", "", bare).rstrip()


def read_nginx(path: str, library: Library) -> tuple[Directive, ...]:
    """Return what the file at `path` says, included files in their places.

    An include is relative to the first file's directory, as in nginx, or else to that of
    the file it stands in. Raises ImportFailed.
    """
    return _File(path, library, (path,)).read()


class _File:
    def __init__(self, path: str, library: Library, opened: tuple[str, ...]) -> None:
        self.path = path
        self.library = library
        self.opened = opened

    def read(self) -> tuple[Directive, ...]:
        tokens = _tokens(self.path, self.library.read(self.path))
        # (words of the block's own directive, its line, what is in it so far)
        stack: list[tuple[list[str], int, list[Directive]]] = [([], 0, [])]
        words: list[str] = []
        start = 0
        for token, line, quoted in tokens:
            inside = stack[-1][2]
            if quoted or token not in (";", "{", "}"):
                start = start if words else line
                words.append(token.replace("\\\\", "\\"))
            elif token == "}":  # noqa: S105 - a brace
                if words:
                    raise ImportFailed(self.path, start, "a directive does not end in ;")
                opener, at, inside = stack.pop()
                made = self.directive(opener, at, tuple(inside))
                stack[-1][2].append(made)
            elif token == "{":  # noqa: S105 - a brace
                if not words or len(stack) > _DEEPEST:
                    what = "a { without a name" if not words else "blocks are nested too deeply"
                    raise ImportFailed(self.path, line, what)
                stack.append((words, start, []))
                words = []
            elif words:
                inside += self.simple(words, start)
                words = []
        return tuple(stack[0][2])

    def directive(
        self, words: list[str], line: int, block: tuple[Directive, ...] | None
    ) -> Directive:
        return Directive(words[0], tuple(words[1:]), self.path, line, block)

    def simple(self, words: list[str], line: int) -> list[Directive]:
        if words[0] != "include" or len(words) != 2:
            return [self.directive(words, line, None)]
        found: list[Directive] = []
        bases = (str(PurePath(self.opened[0]).parent), str(PurePath(self.path).parent))
        for path in self.library.included(words[1], self.path, line, *bases):
            if path in self.opened:
                raise ImportFailed(self.path, line, "a file includes itself")
            found += _File(path, self.library, (*self.opened, path)).read()
        return found

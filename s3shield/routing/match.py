"""nginx's choice of a server by name and of a location by path."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

import attrs

__all__ = ["LocationMatcher", "MatchKind", "Pattern", "ServerMatcher"]

_MARKS: Final = ("^~", "~*", "~", "=")


class MatchKind(enum.Enum):
    """What stands before a location's pattern."""

    EXACT = "="
    PREFIX = ""
    PREFIX_FIRST = "^~"
    REGEX = "~"
    REGEX_NOCASE = "~*"


@attrs.frozen
class Pattern:
    """What follows `location:`. kind: MatchKind. text: str, a path or a regex."""

    kind: MatchKind
    text: str

    def __attrs_post_init__(self) -> None:
        if not self.text:
            raise ValueError("a location needs a path or a regex")
        if self.is_regex:
            try:
                self.compiled()
            except (re.error, OverflowError, RecursionError) as why:
                raise ValueError(f"the regex does not compile: {why}") from None
        elif not self.text.startswith("/"):
            raise ValueError("the path of a location begins with /")

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read `/prefix`, `= /exact`, `^~ /prefix`, `~ regex` or `~* regex`.

        Raises ValueError for a path that does not begin with `/` or a bad regex.
        """
        text = text.strip()
        for mark in _MARKS:
            if text.startswith(mark):
                return cls(MatchKind(mark), text[len(mark) :].strip())
        return cls(MatchKind.PREFIX, text)

    @property
    def is_regex(self) -> bool:
        """Whether the text is a regex."""
        return self.kind in (MatchKind.REGEX, MatchKind.REGEX_NOCASE)

    def compiled(self) -> re.Pattern[bytes]:
        """Return the regex over decoded paths, to be searched for; `.` is any byte."""
        flags = re.DOTALL
        if self.kind is MatchKind.REGEX_NOCASE:
            flags |= re.IGNORECASE
        return re.compile(self.encoded, flags)

    @property
    def encoded(self) -> bytes:
        """The text as bytes, to compare with decoded paths."""
        return self.text.encode("utf-8", "surrogateescape")

    @property
    def same(self) -> tuple[str, str]:
        """Equal for patterns that cannot stand beside one another."""
        prefix = self.kind in (MatchKind.PREFIX, MatchKind.PREFIX_FIRST)
        return ("" if prefix else self.kind.value, self.text)

    def __str__(self) -> str:
        """As in the configuration."""
        return f"{self.kind.value} {self.text}".lstrip()


class LocationMatcher:
    """Finds the location of a path among `patterns`, as nginx's ngx_http_core_find_location.

    An exact match ends the search; else the longest prefix is remembered, and ends it
    when marked `^~`; else the first regex that matches, in order; else that prefix.
    """

    def __init__(self, patterns: Iterable[tuple[Pattern, int]]) -> None:
        self._exact: dict[bytes, int] = {}
        self._prefixes: dict[bytes, tuple[int, bool]] = {}
        regexes = []
        for pattern, index in patterns:
            if pattern.is_regex:
                regexes.append((pattern.compiled().search, index))
            elif pattern.kind is MatchKind.EXACT:
                self._exact.setdefault(pattern.encoded, index)
            else:
                final = pattern.kind is MatchKind.PREFIX_FIRST
                self._prefixes.setdefault(pattern.encoded, (index, final))
        self._regexes = tuple(regexes)
        self._lengths = tuple(sorted({len(prefix) for prefix in self._prefixes}, reverse=True))

    def find(self, path: bytes) -> int | None:
        """Return the index that came with the pattern of a decoded path, or None."""
        index = self._exact.get(path)
        if index is not None:
            return index
        for length in self._lengths:
            found = self._prefixes.get(path[:length])
            if found is not None:
                index, final = found
                if final:
                    return index
                break
        for search, regex_index in self._regexes:
            if search(path):
                return regex_index
        return index


class ServerMatcher:
    """Finds a virtual host by name: exact, longest `*.wildcard`, then the default.

    servers: (names, index) in order. The default is the first without names, or whose
    names hold `_`; without one the first of all (nginx, `server_name`, `default_server`).
    """

    def __init__(self, servers: Iterable[tuple[Iterable[str], int]]) -> None:
        self._exact: dict[bytes, int] = {}
        self._wild: dict[bytes, int] = {}
        default: int | None = None
        first: int | None = None
        for names, index in servers:
            listed = tuple(names)
            first = index if first is None else first
            if default is None and (not listed or "_" in listed):
                default = index
            for name in listed:
                lower = name.lower().encode("utf-8")
                if lower.startswith(b"*."):
                    self._wild.setdefault(lower[1:], index)
                else:
                    self._exact.setdefault(lower, index)
        self._default = first if default is None else default

    def find(self, host: bytes) -> int | None:
        """Return the index of the server of a lower-case host without port.

        None only when there are no servers at all.
        """
        host = host.removesuffix(b".")
        index = self._exact.get(host)
        if index is not None:
            return index
        if self._wild:
            dot = host.find(b".", 1)  # `*` stands for at least one character
            while dot >= 0:
                index = self._wild.get(host[dot:])
                if index is not None:
                    return index
                dot = host.find(b".", dot + 1)
        return self._default

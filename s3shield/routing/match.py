"""nginx's choice of a location, and the rewriting of a path. Pure.

nginx, `location`: exact, then the longest prefix unless it is `^~`, then regular
expressions in order of appearance, then that longest prefix. Matched on the decoded path.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from typing import Final

import attrs

__all__ = ["LocationMatcher", "MatchKind", "Pattern", "Rewrite", "ServerMatcher"]


class MatchKind(enum.Enum):
    """How a pattern matches; the value is nginx's modifier."""

    EXACT = "="
    PREFIX_FIRST = "^~"
    PREFIX = ""
    REGEX = "~"
    REGEX_NOCASE = "~*"


_REGEX: Final = frozenset({MatchKind.REGEX, MatchKind.REGEX_NOCASE})


@attrs.frozen
class Pattern:
    """The pattern of a `[location:...]`. text: str, without the modifier."""

    kind: MatchKind
    text: str

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Parse `/prefix`, `= /exact`, `^~ /prefix`, `~ regex` or `~* regex`.

        Raises ValueError for anything else, a regex that does not compile included.
        """
        modifier, _, rest = text.strip().partition(" ")
        kinds = {kind.value: kind for kind in MatchKind if kind.value}
        kind = kinds.get(modifier, MatchKind.PREFIX)
        pattern = text.strip() if kind is MatchKind.PREFIX else rest.strip()
        if kind in _REGEX:
            if not pattern:
                raise ValueError(f"there is no regular expression after {modifier!r}")
            try:
                re.compile(pattern.encode("utf-8"))
            except re.error as error:
                raise ValueError(f"the regular expression does not compile: {error}") from None
        elif not pattern.startswith("/"):
            raise ValueError(f"a location begins with a slash or one of = ^~ ~ ~*, not {text!r}")
        return cls(kind, pattern)

    def __str__(self) -> str:
        return f"{self.kind.value} {self.text}".strip()

    def compiled(self) -> re.Pattern[bytes]:
        """Return the regular expression of a regex pattern."""
        flags = re.IGNORECASE if self.kind is MatchKind.REGEX_NOCASE else 0
        return re.compile(self.text.encode("utf-8"), flags)


class LocationMatcher:
    """Chooses among the locations of one server.

    patterns: (pattern, number) in order of appearance; the number is what `find` returns.
    """

    __slots__ = ("_exact", "_prefixes", "_regexes")

    def __init__(self, patterns: Iterable[tuple[Pattern, int]]) -> None:
        self._exact: dict[bytes, int] = {}
        prefixes: list[tuple[bytes, bool, int]] = []
        self._regexes: list[tuple[re.Pattern[bytes], int]] = []
        for pattern, number in patterns:
            text = pattern.text.encode("utf-8")
            if pattern.kind is MatchKind.EXACT:
                self._exact.setdefault(text, number)
            elif pattern.kind in _REGEX:
                self._regexes.append((pattern.compiled(), number))
            else:
                prefixes.append((text, pattern.kind is MatchKind.PREFIX_FIRST, number))
        self._prefixes = sorted(prefixes, key=lambda p: len(p[0]), reverse=True)

    def find(self, path: bytes) -> int | None:
        """Return the number of the location that answers a decoded path, or None."""
        number = self._exact.get(path)
        if number is not None:
            return number
        best: int | None = None
        for text, first, number in self._prefixes:
            if path.startswith(text):
                if first:
                    return number
                best = number
                break
        for regex, number in self._regexes:
            if regex.search(path):
                return number
        return best


class ServerMatcher:
    """Chooses a virtual host by name: exact, then the longest `*.suffix`, else the default.

    names: (server_name as in nginx, number). default: number for all other names, or None.
    """

    __slots__ = ("_default", "_exact", "_wild")

    def __init__(self, names: Iterable[tuple[str, int]], default: int | None) -> None:
        self._default = default
        self._exact: dict[bytes, int] = {}
        wild: dict[bytes, int] = {}
        for name, number in names:
            text = name.lower().encode("idna") if not name.startswith("*") else b""
            if name.startswith("*."):
                wild.setdefault(name[1:].lower().encode("ascii"), number)
            else:
                self._exact.setdefault(text, number)
        self._wild = sorted(wild.items(), key=lambda item: len(item[0]), reverse=True)

    def find(self, host: bytes) -> int | None:
        """Return the number of the server for a lower-case host without port, or None."""
        host = host.rstrip(b".")
        number = self._exact.get(host)
        if number is not None:
            return number
        for suffix, number in self._wild:
            if host.endswith(suffix) and len(host) > len(suffix):
                return number
        return self._default


_REFERENCE: Final = re.compile(rb"\$(\d)")


@attrs.frozen
class Rewrite:
    """One `rewrite = REGEX REPLACEMENT [last|break]` line, applied to a decoded path.

    Lines are applied in order, each to what the one before made; `last` and `break` end
    the run when they matched. `$1`..`$9` stand for groups; a `?` begins a new query.
    """

    regex: re.Pattern[bytes] = attrs.field(eq=lambda regex: regex.pattern)
    replacement: bytes
    stops: bool = False

    @classmethod
    def parse(cls, text: str) -> Rewrite:
        """Parse a line. Raises ValueError, in words for the operator."""
        parts = text.split()
        if len(parts) not in (2, 3) or (len(parts) == 3 and parts[2] not in ("last", "break")):
            raise ValueError("a rewrite is: REGEX REPLACEMENT, then nothing, last or break")
        try:
            regex = re.compile(parts[0].encode("utf-8"))
        except re.error as error:
            raise ValueError(f"the regular expression does not compile: {error}") from None
        replacement = parts[1].encode("utf-8")
        if not replacement.startswith((b"/", b"$")):
            raise ValueError("the replacement of a rewrite begins with a slash")
        for reference in _REFERENCE.findall(replacement):
            if int(reference) > regex.groups:
                number = reference.decode()
                raise ValueError(f"${number} has no group {number} in the regular expression")
        return cls(regex, replacement, len(parts) == 3)

    def apply(self, path: bytes) -> bytes | None:
        """Return the rewritten path, query and all, or None when it does not match."""
        found = self.regex.search(path)
        if found is None:
            return None
        return _REFERENCE.sub(lambda ref: found[int(ref[1])] or b"", self.replacement)

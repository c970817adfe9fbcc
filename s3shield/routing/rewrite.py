"""`rewrite = REGEX REPLACEMENT [last|break]`: nginx's rewriting of paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

import attrs

from s3shield.signing import Query

from .query import parse_query
from .target import BadTargetError

__all__ = ["Rewrite", "Rewritten", "rewrite"]

_REFERENCE: Final = re.compile(r"\$(\$|[0-9]|[A-Za-z_{])?")
_Template = tuple[bytes | int, ...]
"""Literal bytes and numbers of groups."""


def _template(text: str, groups: int) -> _Template:
    parts: list[bytes | int] = []
    end = 0
    for found in _REFERENCE.finditer(text):
        parts.append(_literal(text[end : found.start()]))
        end = found.end()
        what = found[1]
        if what == "$":
            parts.append(b"$")
        elif what is None or not what.isdigit():
            raise ValueError("a rewrite knows $1 to $9 (and $$ for a dollar), no other variables")
        elif what == "0" or int(what) > groups:
            raise ValueError(f"there is no ${what}: the regex has {groups} group(s)")
        else:
            parts.append(int(what))
    parts.append(_literal(text[end:]))
    return tuple(part for part in parts if part != b"")


def _literal(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _expand(template: _Template, match: re.Match[bytes]) -> bytes:
    return b"".join(
        [part if isinstance(part, bytes) else (match[part] or b"") for part in template]
    )


@attrs.frozen
class Rewritten:
    """A path after rewriting.

    path: decoded bytes. query: pairs that the replacement set, decoded. keep_query:
    whether the client's parameters follow them. changed: whether any line matched.
    """

    path: bytes
    query: Query = ()
    keep_query: bool = True
    changed: bool = False


@attrs.frozen
class Rewrite:
    """One `rewrite` line; make it with `parse`.

    regex, replacement: str, as written. flag: "", "last" or "break"; either ends the
    list of lines (a location is chosen once, by the path as it came).
    """

    regex: str
    replacement: str
    flag: Literal["", "last", "break"] = ""
    _compiled: re.Pattern[bytes] = attrs.field(init=False, repr=False, eq=False)
    _path: _Template = attrs.field(init=False, repr=False, eq=False)
    _query: tuple[tuple[_Template, _Template | None], ...] = attrs.field(
        init=False, repr=False, eq=False
    )
    _keep_query: bool = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        try:
            # A decoded newline ends no line: `(.*)` takes the rest of the path.
            compiled = re.compile(_literal(self.regex), re.DOTALL)
        except (re.error, OverflowError, RecursionError) as why:
            raise ValueError(f"the regex does not compile: {why}") from None
        path, mark, query = self.replacement.partition("?")
        if path.startswith(("http://", "https://", "$scheme")):
            raise ValueError("a replacement is a path: redirects are not made here")
        template = _template(path, compiled.groups)
        if template and isinstance(template[0], bytes) and not template[0].startswith(b"/"):
            raise ValueError("a replacement begins with /")
        keep = not mark or not (query == "" or query.endswith("?"))
        set_field = object.__setattr__
        set_field(self, "_compiled", compiled)
        set_field(self, "_path", template)
        set_field(self, "_query", _query_templates(query.removesuffix("?"), compiled.groups))
        set_field(self, "_keep_query", keep)

    @classmethod
    def parse(cls, text: str) -> Rewrite:
        """Read `REGEX REPLACEMENT [last|break]`.

        Raises ValueError, for people, when there are more or fewer parts, the regex does
        not compile, or the replacement names a group that the regex does not have.
        """
        words = text.split()
        if len(words) not in (2, 3):
            raise ValueError("a rewrite looks like REGEX REPLACEMENT [last|break]")
        flag = words[2] if len(words) == 3 else ""
        if flag in ("redirect", "permanent"):
            raise ValueError(f"{flag}: redirects are not made here; last and break are the flags")
        if flag not in ("", "last", "break"):
            raise ValueError(f"the flags of a rewrite are last and break, not {flag!r}")
        return cls(words[0], words[1], flag)  # type: ignore[arg-type]  # tested just above

    def apply(self, path: bytes) -> Rewritten | None:
        """Return what becomes of a decoded path, or None when the regex does not match.

        As nginx: the regex is searched for, a match replaces the whole path, `?` in the
        replacement begins parameters, and one at its end drops the client's. Raises
        BadTargetError when the new path does not begin with `/`.
        """
        match = self._compiled.search(path)
        if match is None:
            return None
        new = _expand(self._path, match)
        if not new.startswith(b"/"):
            raise BadTargetError("the rewritten path is not absolute")
        query = tuple(
            [
                (_expand(name, match), None if value is None else _expand(value, match))
                for name, value in self._query
            ]
        )
        return Rewritten(new, query, self._keep_query, changed=True)

    def __str__(self) -> str:
        """As in the configuration."""
        return f"{self.regex} {self.replacement} {self.flag}".rstrip()


def _query_templates(text: str, groups: int) -> tuple[tuple[_Template, _Template | None], ...]:
    """Compile the parameters of a replacement: their escapes are decoded now, not `$1`'s."""
    try:
        pairs = parse_query(_literal(text))
    except BadTargetError as why:
        raise ValueError(f"the replacement's query: {why}") from None
    return tuple(
        (
            _template(name.decode("utf-8", "surrogateescape"), groups),
            None if value is None else _template(value.decode("utf-8", "surrogateescape"), groups),
        )
        for name, value in pairs
    )


def rewrite(path: bytes, lines: Sequence[Rewrite]) -> Rewritten:
    """Apply `lines` in order to a decoded path, each to what the one before it made.

    The last one that sets parameters decides about them. Raises BadTargetError as `apply`.
    """
    result = Rewritten(path)
    for line in lines:
        done = line.apply(result.path)
        if done is None:
            continue
        if not done.query and done.keep_query:
            done = attrs.evolve(done, query=result.query, keep_query=result.keep_query)
        result = done
        if line.flag:
            break
    return result

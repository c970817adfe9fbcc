"""Rewrites made of what other servers say otherwise, and PCRE's spelling made Python's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["by_number", "one_word", "prefix_rewrite", "python_regex", "quote_regex", "uncaptured"]

_GROUP: Final = re.compile(r"\(\?<([A-Za-z_]\w*)>")
_SPECIAL: Final = re.compile(r"([.^$*+?{}\[\]\\|()])")


def python_regex(text: str) -> str:
    """Return a regex with named groups as Python writes them."""
    return _GROUP.sub(r"(?P<\1>", text)


def uncaptured(text: str) -> str:
    """Return a regex that matches the same and has no groups of its own."""
    done, at, inside = "", 0, False
    while at < len(text):
        piece = text[at]
        if piece == "\\":
            piece = text[at : at + 2]
        elif inside:
            inside = piece != "]"
        elif piece == "[":
            inside = True
            # A bracket that comes first is one of the class.
            piece = next(mark for mark in ("[^]", "[]", "[^", "[") if text.startswith(mark, at))
        elif piece == "(":
            named = re.compile(r"\(\?P?<[A-Za-z_]\w*>").match(text, at)
            plain = not text.startswith("(?", at)
            at += len(named[0]) if named else 1
            done += "(?:" if named or plain else "("
            continue
        done += piece
        at += len(piece)
    return done


def one_word(text: str) -> str:
    """Return a regex without white space that matches what `text` matches."""
    return re.sub(r"\s", r"\\s", text)


def quote_regex(text: str) -> str:
    """Return a regex without white space that matches just `text`."""
    return one_word(_SPECIAL.sub(r"\\\1", text))


def by_number(regex: str, text: str) -> str:
    """Return `text` with `$name` of the regex's groups as `$1` and so on."""
    try:
        groups: Mapping[str, int] = re.compile(regex).groupindex
    except (re.error, OverflowError, RecursionError):
        return text
    for name in sorted(groups, key=len, reverse=True):
        text = re.sub(rf"\$(?:\{{{name}\}}|{name}\b)", f"${groups[name]}", text)
    return text


def prefix_rewrite(prefix: str, path: str, *, exact: bool = False) -> str | None:
    """Return the `rewrite` that puts `path` where `prefix` was; None when none is needed.

    nginx's proxy_pass with a path, Apache's ProxyPass. exact: nothing follows the prefix.
    """
    if prefix == path:
        return None
    new = path.replace("$", "$$")
    if exact:
        return f"^{quote_regex(prefix)}$ {new} break"
    return f"^{quote_regex(prefix)}(.*)$ {new}$1 break"

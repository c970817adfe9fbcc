"""JSON from strangers, read so that everybody who reads it reads the same.

RFC 8259 leaves open what a name that is there twice means, and `json` takes NaN, which is
no JSON. A reader of security tokens must not guess (RFC 7515 section 4, RFC 7519 section 4).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final, NoReturn

__all__ = ["parse_object"]

_MARKS: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_LONGEST_NUMBER: Final = 400
"""Digits; a token has no use for more, and Python refuses thousands in words of its own."""
_DEEPEST: Final = 16
"""Brackets within brackets; what is deeper is meant to break a reader."""


def parse_object(data: bytes) -> dict[str, Any]:
    """Return the JSON object that `data` is, UTF-8 without a byte order mark.

    Raises ValueError, with a sentence that quotes nothing: names that are there twice at
    any depth, NaN, infinite numbers, more than 16 brackets deep, no object.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    _check_depth(text)
    try:
        found = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
        )
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - what callers catch
    return found


def _check_depth(text: str) -> None:
    """Refuse depth before the recursive reader meets it."""
    depth = 0
    for match in _MARKS.finditer(text):
        mark = match[0]
        if mark in ("[", "{"):
            depth += 1
            if depth > _DEEPEST:
                raise ValueError("its brackets are nested too deeply")
        elif mark in ("]", "}"):
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _constant(_name: str) -> NoReturn:
    raise ValueError("a number is none")


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number is too large")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number

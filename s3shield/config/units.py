"""nginx's times and sizes, and the other kinds of value, read and written.

Times: https://nginx.org/en/docs/syntax.html. Every `parse_*` raises BadValueError.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from .errors import BadValueError, nearest

__all__ = [
    "format_seconds",
    "format_size",
    "parse_choice",
    "parse_count",
    "parse_flag",
    "parse_header_name",
    "parse_millis",
    "parse_seconds",
    "parse_size",
]

_TIME: Final = re.compile(r"([0-9]+)(ms|[smhdwMy]?)\s*")
# In milliseconds; a month has 30 days and a year 365, as in nginx.
_UNITS: Final = {
    "y": 365 * 86_400_000,
    "M": 30 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "": 1000,
    "ms": 1,
}
_RANK: Final = {unit: rank for rank, unit in enumerate(_UNITS)}
_MOST_SECONDS: Final = 100 * 365 * 86_400
_SIZE: Final = re.compile(r"([0-9]{1,18})([kKmMgGtT]?)")
_SHIFTS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def parse_millis(text: str) -> int:
    """Read a time such as `30s`, `1h30m`, `1d 12h`, `500ms`; a bare number is seconds.

    Returns milliseconds. Units descend, and each stands once.
    """
    stripped = text.strip()
    total, end, rank = 0, 0, -1
    while end < len(stripped):
        found = _TIME.match(stripped, end)
        if found is None or len(found[1]) > 12:
            raise BadValueError("a time looks like 30s, 5m, 1h30m or 7d", text)
        unit = found[2]
        this = _RANK[unit or "s"]
        if this <= rank:
            raise BadValueError("the units of a time go from large to small", text)
        if not unit and found.end() < len(stripped):
            if stripped[found.end()].isdigit():
                raise BadValueError("a number without a unit is the last of a time", text)
            raise BadValueError("a time looks like 30s, 5m, 1h30m or 7d", text)
        total, end, rank = total + int(found[1]) * _UNITS[unit], found.end(), this
    if not stripped:
        raise BadValueError("a time looks like 30s, 5m, 1h30m or 7d", text)
    if total > _MOST_SECONDS * 1000:
        raise BadValueError("a time is a hundred years at most", text)
    return total


def parse_seconds(text: str) -> int:
    """Read a time in whole seconds."""
    if "ms" in text:
        parse_millis(text)
        raise BadValueError("this time is in seconds, without ms", text)
    return parse_millis(text) // 1000


def parse_size(text: str) -> int:
    """Read a size such as `64k`, `10m`, `10g`; a bare number is bytes."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise BadValueError("a size looks like 512, 64k, 10m or 10g", text)
    size = int(found[1]) << _SHIFTS[found[2].lower()]
    if size >= 1 << 63:
        raise BadValueError("no disk is so large", text)
    return size


def parse_flag(text: str) -> bool:
    """Read `on` or `off`."""
    if text not in ("on", "off"):
        raise BadValueError("it is on or off", text, nearest(text, ("on", "off")))
    return text == "on"


def parse_choice(text: str, known: Iterable[str]) -> str:
    """Return `text` if it is one of `known`."""
    names = tuple(known)
    if text not in names:
        listed = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        raise BadValueError(f"it is {listed}, not", text, nearest(text, names))
    return text


def parse_count(text: str, least: int, most: int) -> int:
    """Read a whole number from `least` to `most`."""
    if not re.fullmatch(r"[0-9]{1,18}", text) or not least <= int(text) <= most:
        raise BadValueError(f"it is a number from {least} to {most}", text)
    return int(text)


def parse_header_name(text: str) -> str:
    """Return `text` if it can be the name of a header field (RFC 9110 section 5.1)."""
    if not _TOKEN.fullmatch(text):
        raise BadValueError("this cannot be the name of a header", text)
    return text


def format_seconds(seconds: float) -> str:
    """Write a time; whole seconds in the largest unit that divides them."""
    if seconds != int(seconds):
        return f"{round(seconds * 1000)}ms"
    whole = int(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def format_size(size: int) -> str:
    """Write a size in the largest unit that divides it."""
    for unit, shift in (("g", 30), ("m", 20), ("k", 10)):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{unit}"
    return str(size)

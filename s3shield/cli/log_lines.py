"""Lines of the access log, read back: which have what somebody looks for. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from s3shield.ops import COMBINED

__all__ = ["Wanted", "fields_of", "line_reader", "statuses"]

Fields = Mapping[str, str]
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
_STATUS: Final = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def line_reader(form: str) -> Callable[[str], Fields | None]:
    """Return what reads a line of a format: variables by nginx's names; None: it is no such line.

    form: `combined`, `json` or a format string, as `access_log` takes it.
    """
    form = form.strip()
    if form == "json":
        return _json_line
    template = COMBINED if form in ("", "combined") else form
    pattern, at = [], 0
    for number, found in enumerate(_VARIABLE.finditer(template)):
        pattern.append(re.escape(template[at : found.start()]))
        pattern.append(f"(?P<v{number}>.*?)")
        at = found.end()
    pattern.append(re.escape(template[at:]))
    matcher = re.compile("".join(pattern))
    names = [found[1] or found[2] for found in _VARIABLE.finditer(template)]

    def read(line: str) -> Fields | None:
        found = matcher.fullmatch(line)
        if found is None:
            return None
        values: dict[str, str] = {}
        for name, value in zip(names, found.groups(), strict=True):
            values.setdefault(name, value)
        return values

    return read


def _json_line(line: str) -> Fields | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {name: "-" if value is None else str(value) for name, value in found.items()}


def fields_of(form: str) -> frozenset[str] | None:
    """Return the variables that a format has; None: all that are asked for."""
    form = form.strip()
    if form == "json":
        return None
    template = COMBINED if form in ("", "combined") else form
    return frozenset(found[1] or found[2] for found in _VARIABLE.finditer(template))


def statuses(text: str) -> Callable[[int], bool]:
    """Read `404`, `5xx`, `500-599`, or several with commas. Raises ValueError."""
    ranges = []
    for word in text.split(","):
        found = re.fullmatch(
            r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", word.strip().lower()
        )
        if found is None:
            raise ValueError(f"a status is like 404, 5xx or 500-599, not {word.strip()!r}")
        low = int(found[1]) * 100 if found[1] else int(found[2])
        ranges.append((low, low + 99 if found[1] else int(found[3] or found[2])))
    return lambda status: any(low <= status <= high for low, high in ranges)


@attrs.frozen
class Wanted:
    """What a line must have. slow: seconds at least. cache: words of X-Cache-Status."""

    status: Callable[[int], bool] | None = None
    location: str | None = None
    slow: float | None = None
    cache: frozenset[str] = frozenset()

    @property
    def needs(self) -> dict[str, str]:
        """Option -> the variable that it looks at, of those that are given."""
        given = {
            "--status": ("status", self.status is not None),
            "--location": ("location", self.location is not None),
            "--slow": ("request_time", self.slow is not None),
            "--cache": ("upstream_cache_status", bool(self.cache)),
        }
        return {option: name for option, (name, there) in given.items() if there}

    def takes(self, fields: Fields) -> bool:
        """Tell whether a line with these fields is wanted."""
        if self.status is not None:
            status = fields.get("status", "")
            if not (status.isdigit() and self.status(int(status))):
                return False
        if self.location is not None and fields.get("location") != self.location:
            return False
        if self.cache and fields.get("upstream_cache_status", "").upper() not in self.cache:
            return False
        if self.slow is not None:
            try:
                return float(fields.get("request_time", "")) >= self.slow
            except ValueError:
                return False
        return True

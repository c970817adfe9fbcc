"""Every option, where it may stand, what holds without it: what `option_table` shows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from s3shield.config.options import ALLOWED
from s3shield.config.spec import Spec
from s3shield.config.units import format_size

UNKNOWN: Final = ""
"""Shown of a default that is not one value: the reference says what it depends on."""
_UNITS: Final = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_LONG: Final = 100
"""Longer lists are for the reference, too."""


def rows() -> Iterator[tuple[str, str, str]]:
    """Yield (name, sections, default) of each option, in order of names."""
    kinds: dict[str, list[str]] = {}
    specs: dict[str, Spec] = {}
    for kind, options in ALLOWED.items():
        for name, spec in options.items():
            kinds.setdefault(name, []).append(kind)
            specs.setdefault(name, spec)
    for name in sorted(kinds):
        yield name, " ".join(kinds[name]), shown(specs[name])


def shown(spec: Spec) -> str:
    """Return a default as it would be written: what is read back is the default itself."""
    for text in _guesses(spec.default):
        try:
            read = (spec.read(text),) if spec.many else spec.read(text)
        except ValueError:
            continue
        if 0 < len(text) <= _LONG and read == spec.default:
            return text
    return UNKNOWN


def _guesses(value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        yield "on" if value else "off"
    elif isinstance(value, int | float):
        yield "auto"
        yield "off"
        if value and value % 1024 == 0:
            yield format_size(int(value))
        for unit, seconds in _UNITS.items():
            if value and value % seconds == 0:
                yield f"{value / seconds:.0f}{unit}"
        yield str(value)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode()
    elif isinstance(value, frozenset | tuple | list):
        words = [each.decode() if isinstance(each, bytes) else str(each) for each in value]
        yield " ".join(sorted(words))
        yield " ".join(sorted(words, reverse=True))
        yield "off"
    elif value is None:
        yield "off"
    elif hasattr(value, "value"):
        yield str(value.value)

"""nginx's `gzip`, and the modules for Brotli and zstd, as `compress`.

nginx has a switch and a list for each coding, s3shield one of all; so what a block says of
one coding is added to what holds for the others around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .draft import Draft, Section
from .source import Directive

__all__ = ["COMPRESSION", "add_compression"]

_SWITCHES: Final = {"brotli": "br", "zstd": "zstd", "gzip": "gzip"}
"""Directives and codings, in the order of preference."""
_TYPES: Final = frozenset({"gzip_types", "brotli_types", "zstd_types"})
_LENGTHS: Final = frozenset({"gzip_min_length", "brotli_min_length", "zstd_min_length"})
_LEVELS: Final = frozenset({"gzip_comp_level", "brotli_comp_level", "zstd_comp_level"})
COMPRESSION: Final = frozenset({*_SWITCHES, *_TYPES, *_LENGTHS, *_LEVELS})
"""Directives that `add_compression` takes."""


def add_compression(draft: Draft, section: Section, directives: Sequence[Directive]) -> None:
    """Put what one block says of compression into a section."""
    codings = _inherited(draft, section)
    switches = [each for each in directives if each.name in _SWITCHES]
    for each in switches:
        coding = _SWITCHES[each.name]
        if each.first == "on":
            codings.add(coding)
        elif each.first == "off":
            codings.discard(coding)
        else:
            draft.ledger.lost(each, "it is on or off")
    value = " ".join(coding for coding in _SWITCHES.values() if coding in codings)
    for each in switches:
        if not draft.ledger.knows(each):
            draft.put(section, "compress", value or "off", each)
    types = ["text/html"]  # nginx always compresses it
    for each in directives:
        if each.name in _TYPES:
            types += [name for name in each.args if name not in types]
            draft.put(section, "compress_types", " ".join(types), each)
        elif each.name in _LENGTHS:
            draft.put(section, "compress_min_length", each.first, each)
        elif each.name in _LEVELS:
            draft.put(section, each.name, each.first, each)


def _inherited(draft: Draft, section: Section) -> set[str]:
    """Return the codings that hold around a section."""
    outer = [each for each in draft.sections if each.kind == "s3shield"]
    if section.kind == "location":
        servers = [x for x in draft.sections if x.kind == "server" and x.name == section.server]
        outer = [*servers, *outer]
    for each in [section, *outer]:
        value = each.get("compress")
        if value is not None:
            return set(value.split()) - {"off"}
    return set()

"""The options about compressing: how they are read, and what they make together.

nginx has `gzip`, and modules of others `brotli` and `zstd`, each with lists of its own;
here one option names the codings, and the lists are the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, Final

from s3shield.policy import Compression

from .errors import BadValueError, nearest
from .spec import Spec
from .units import format_size, parse_count, parse_size

__all__ = ["COMPRESSION", "build_compression", "dump_compression"]

_LIBRARIES: Final = {"br": "brotli", "zstd": "zstandard"}
_WORDS: Final = ("gzip", "br", "zstd")
_ALIASES: Final = {"brotli": "br"}
_TYPE: Final = re.compile(r"[!#$&^_.+a-z0-9-]+/(?:\*|[!#$&^_.+a-z0-9-]+)")
_TYPES: Final = (
    *("text/html", "text/plain", "text/css", "text/csv", "text/xml", "text/javascript"),
    *("text/markdown", "text/vtt", "text/calendar", "application/javascript"),
    *("application/x-javascript", "application/json", "application/ld+json"),
    *("application/manifest+json", "application/geo+json", "application/xml"),
    *("application/xhtml+xml", "application/rss+xml", "application/atom+xml"),
    *("application/wasm", "application/vnd.ms-fontobject", "font/ttf", "font/otf"),
    *("image/svg+xml", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon"),
)


def _codings(value: str) -> tuple[bytes, ...]:
    """`off`, or codings in the order of preference."""
    if value == "off":
        return ()
    found: dict[bytes, None] = {}
    for word in value.split():
        name = _ALIASES.get(word, word)
        if name not in _WORDS:
            near = nearest(word, (*_WORDS, "off"))
            raise BadValueError("it is off, or some of gzip, br and zstd", word, near)
        library = _LIBRARIES.get(name)
        if library is not None and find_spec(library) is None:
            raise BadValueError(
                f"{library} is not installed: pip install 's3shield[compress]'", word
            )
        found[name.encode("ascii")] = None
    return tuple(found)


def _types(value: str) -> frozenset[bytes]:
    """Media types, `text/*`, `*`."""
    names = value.lower().split()
    for name in names:
        if name != "*" and not _TYPE.fullmatch(name):
            raise BadValueError("it is a media type, text/html, or text/*, or *", name)
    return frozenset(name.encode("ascii") for name in names)


def _level(least: int, most: int) -> Callable[[str], int]:
    return lambda value: parse_count(value, least, most)


_DEFAULT: Final = Compression(codings=(), types=frozenset(name.encode("ascii") for name in _TYPES))

COMPRESSION: Final[Mapping[str, Spec]] = {
    "compress": Spec(_codings, ()),
    "compress_types": Spec(_types, _DEFAULT.types),
    "compress_min_length": Spec(parse_size, _DEFAULT.min_length),
    "gzip_comp_level": Spec(_level(1, 9), _DEFAULT.gzip_level),
    "brotli_comp_level": Spec(_level(0, 11), _DEFAULT.brotli_level),
    "zstd_comp_level": Spec(_level(1, 19), _DEFAULT.zstd_level),
}


def build_compression(get: Callable[[str], Any]) -> Compression:
    """Return what a location's options say. get: an option's value by its name."""
    return Compression(
        codings=get("compress"),
        types=get("compress_types"),
        min_length=get("compress_min_length"),
        gzip_level=get("gzip_comp_level"),
        brotli_level=get("brotli_comp_level"),
        zstd_level=get("zstd_comp_level"),
    )


def dump_compression(compression: Compression) -> Iterator[tuple[str, str | None]]:
    """Yield the options again."""
    yield "compress", b" ".join(compression.codings).decode("ascii") or "off"
    yield "compress_types", b" ".join(sorted(compression.types)).decode("ascii")
    yield "compress_min_length", format_size(compression.min_length)
    yield "gzip_comp_level", str(compression.gzip_level)
    yield "brotli_comp_level", str(compression.brotli_level)
    yield "zstd_comp_level", str(compression.zstd_level)

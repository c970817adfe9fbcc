"""The options `cors_*`: whose scripts may read what a location serves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from s3shield.access import Cors, OriginRule

from .errors import BadValueError
from .spec import Spec
from .units import format_seconds, parse_flag, parse_header_name, parse_seconds

__all__ = ["CORS", "cors", "dump_cors"]

_METHOD: Final = re.compile(r"[A-Z]{1,20}")
_FORBIDDEN: Final = frozenset({"CONNECT", "TRACE"})
_HEADERS: Final = (
    *(b"Range", b"If-Range", b"If-Match", b"If-None-Match"),
    *(b"If-Modified-Since", b"If-Unmodified-Since"),
)


def _origins(value: str) -> tuple[OriginRule, ...] | str:
    """`*` as it is, else the origins."""
    names = value.split()
    if "*" in names:
        if len(names) > 1:
            raise BadValueError("* is every origin: it stands alone", value)
        return "*"
    rules = []
    for name in names:
        try:
            rules.append(OriginRule.parse(name))
        except ValueError as why:
            raise BadValueError(str(why), name) from None
    return tuple(dict.fromkeys(rules))


def _methods(value: str) -> tuple[bytes, ...]:
    for name in value.split():
        if not _METHOD.fullmatch(name) or name in _FORBIDDEN:
            raise BadValueError("this is no method that scripts can use", name)
    return tuple(name.encode("ascii") for name in dict.fromkeys(value.split()))


def _names(value: str) -> tuple[bytes, ...]:
    """Names of fields, or `*` alone."""
    names = list(dict.fromkeys(value.split()))
    if "*" in names and len(names) > 1:
        raise BadValueError("* stands alone", value)
    return tuple(parse_header_name(name).encode("ascii") for name in names)


CORS: Final[Mapping[str, Spec]] = {
    "cors_origin": Spec(_origins, (), empty=True),
    "cors_methods": Spec(_methods, (b"GET", b"HEAD")),
    "cors_headers": Spec(_names, _HEADERS, empty=True),
    "cors_expose_headers": Spec(_names, (), empty=True),
    "cors_credentials": Spec(parse_flag, False),
    "cors_max_age": Spec(parse_seconds),
}


def cors(get: Callable[[str], Any]) -> Cors | None:
    """Return what a location says; None: nothing. Raises ValueError.

    get: an option's value.
    """
    origins = get("cors_origin")
    if not origins:
        return None
    found = Cors(
        origins=() if origins == "*" else origins,
        methods=get("cors_methods"),
        headers=get("cors_headers"),
        expose=get("cors_expose_headers"),
        credentials=get("cors_credentials"),
        max_age=get("cors_max_age"),
    )
    if found.credentials and not found.origins:
        raise ValueError("with * nobody's credentials count: name the origins")
    if found.credentials and b"*" in found.expose:
        raise ValueError("with cors_credentials the fields have to be named, not *")
    return found


def dump_cors(found: Cors | None) -> Iterator[tuple[str, str | None]]:
    """Yield the options that say this."""

    def words(names: tuple[bytes, ...]) -> str:
        return b" ".join(names).decode("ascii")

    if found is None:
        yield "cors_origin", ""
        return
    yield "cors_origin", " ".join(map(str, found.origins)) or "*"
    yield "cors_methods", words(found.methods)
    yield "cors_headers", words(found.headers)
    yield "cors_expose_headers", words(found.expose)
    yield "cors_credentials", "on" if found.credentials else "off"
    if found.max_age is not None:
        yield "cors_max_age", format_seconds(found.max_age)

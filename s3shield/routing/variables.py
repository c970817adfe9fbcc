"""Texts with nginx's variables in them, and conditions made of such texts."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import attrs

from s3shield.policy import Request

from .target import BadTargetError, parse_target, unescape

__all__ = ["VARIABLES", "Template", "any_true"]

_Reader = Callable[[Request], bytes]

_VARIABLE: Final = re.compile(r"\$(?:\{([a-z0-9_]+)\}|([a-z0-9_]+))?", re.IGNORECASE)
_PREFIXES: Final = ("http_", "arg_", "cookie_")


def _uri(request: Request) -> bytes:
    path = request.path
    try:
        if not path.startswith(b"/"):
            path = parse_target(request.target).path  # of the absolute form, RFC 9112 3.2.2
        return unescape(path)
    except BadTargetError:
        return request.path


_READERS: Final[dict[str, _Reader]] = {
    "args": lambda request: request.query or b"",
    "query_string": lambda request: request.query or b"",
    "is_args": lambda request: b"?" if request.query else b"",
    "host": lambda request: request.host,
    "uri": _uri,
    "request_uri": lambda request: request.target,
    "request_method": lambda request: request.method,
    "remote_addr": lambda request: request.peer,
    "binary_remote_addr": lambda request: request.peer,  # nothing here needs it to be short
    "scheme": lambda request: request.scheme,
}
VARIABLES: Final = (*sorted(_READERS), "http_NAME", "arg_NAME", "cookie_NAME")
"""The variables there are, as they are written in the documentation."""
_OF_THE_TARGET: Final = {"args", "query_string", "is_args", "host", "uri", "request_uri"}


def _header(name: str) -> _Reader:
    key = name.lower().replace("_", "-").encode("ascii")
    return lambda request: request.headers.get(key, b"")


def _argument(name: str) -> _Reader:
    wanted = name.lower().encode("ascii")

    def read(request: Request) -> bytes:
        for piece in (request.query or b"").split(b"&"):
            key, _, value = piece.partition(b"=")
            if key.lower() == wanted:
                return value
        return b""

    return read


def _cookie(name: str) -> _Reader:
    wanted = name.encode("ascii")

    def read(request: Request) -> bytes:
        for piece in request.headers.get(b"cookie", b"").split(b";"):
            key, _, value = piece.strip(b" \t").partition(b"=")
            if key == wanted:
                return value
        return b""

    return read


def _reader(name: str) -> tuple[_Reader, bool]:
    """Return what reads variable `name`, and whether host and target alone decide it."""
    lower = name.lower()
    if lower in _READERS:
        return _READERS[lower], lower in _OF_THE_TARGET
    for prefix, make in zip(_PREFIXES, (_header, _argument, _cookie), strict=True):
        if lower.startswith(prefix) and len(name) > len(prefix):
            return make(name[len(prefix) :]), prefix == "arg_"
    raise ValueError(f"there is no variable ${name}: there are {', '.join(VARIABLES)}")


@attrs.frozen
class Template:
    """A text with variables, as `$name` or `${name}`.

    text: as written. by_target: whether requests of one host and one target all make the
    same of it.
    """

    text: str
    by_target: bool = attrs.field(eq=False, repr=False)
    _parts: tuple[bytes | _Reader, ...] = attrs.field(eq=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Read a text. Raises ValueError for an unknown variable and a `$` without name."""
        parts: list[bytes | _Reader] = []
        by_target, at = True, 0
        for match in _VARIABLE.finditer(text):
            name = match[1] or match[2]
            if name is None:
                raise ValueError("a $ begins the name of a variable")
            reader, alone = _reader(name)
            by_target = by_target and alone
            if match.start() > at:
                parts.append(text[at : match.start()].encode("utf-8"))
            parts.append(reader)
            at = match.end()
        if at < len(text):
            parts.append(text[at:].encode("utf-8"))
        return cls(text, by_target, tuple(parts))

    def value(self, request: Request) -> bytes:
        """Return the text with each variable's value in its place; a missing one is empty."""
        return b"".join(
            [part if isinstance(part, bytes) else part(request) for part in self._parts]
        )

    def __str__(self) -> str:
        """As in the configuration."""
        return self.text


def any_true(templates: Sequence[Template], request: Request) -> bool:
    """Tell whether any is neither empty nor `0` (nginx: proxy_cache_bypass, proxy_no_cache)."""
    return any(template.value(request) not in (b"", b"0") for template in templates)

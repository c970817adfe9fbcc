"""How the text of each option becomes its value. All raise ValueError, in words.

BadValueError where the wrong part may be shown; a secret is never in a message.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from s3shield.policy import ANY, ANY_METHOD, DEFAULT_TTL_CODES, USE_STALE_TOKENS, TTLRow
from s3shield.routing import QueryPolicy, Template
from s3shield.signing import Endpoint

from .errors import BadValueError, nearest
from .listen import Listen
from .units import (
    parse_choice,
    parse_count,
    parse_header_name,
    parse_millis,
    parse_seconds,
    parse_size,
)
from .values import AUTO

__all__: list[str] = []  # for `options` alone, by the module's name

LISTEN_LATER: Final = {
    "endpoint": "endpoint strings are known, but this version does not take them yet",
}
"""Kinds of Listen that are not served yet, and what is said about them."""
METHODS: Final = ("POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_IGNORABLE: Final = (
    *("Cache-Control", "Expires", "Set-Cookie", "Vary"),
    *("X-Accel-Expires", "X-Accel-Redirect", "X-Accel-Limit-Rate"),
    *("X-Accel-Buffering", "X-Accel-Charset"),
)
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive"})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def text(value: str) -> str:
    """Anything on one line."""
    if _CONTROL.search(value):
        raise BadValueError("there is a control character or a line break in it")
    return value


def word(value: str) -> str:
    """One word."""
    if len(text(value).split()) != 1:
        raise BadValueError("it is one word", value)
    return value


def choice(*names: str) -> Callable[[str], str]:
    """One of `names`."""
    return lambda value: parse_choice(value, names)


def count(least: int, most: int) -> Callable[[str], int]:
    """A whole number."""
    return lambda value: parse_count(value, least, most)


def timeout(value: str) -> float:
    """A time over zero, to the millisecond."""
    millis = parse_millis(value)
    if not millis:
        raise BadValueError("a timeout is more than zero", value)
    return millis / 1000


def limit(value: str) -> int | None:
    """A size, or `off` for none."""
    return None if value == "off" else parse_size(value)


def timeout_or_off(value: str) -> float | None:
    """A time over zero, or `off` for no limit."""
    return None if value == "off" else timeout(value)


def workers(value: str) -> int:
    """`auto` or a number."""
    if value == "auto":
        return AUTO
    if not value.isdigit():
        raise BadValueError("it is auto or a number", value, nearest(value, ("auto",)))
    return parse_count(value, 0, 1024)


def listen(value: str) -> Listen:
    """One `listen` line."""
    found = Listen.parse(value)
    if found.kind in LISTEN_LATER:
        raise BadValueError(LISTEN_LATER[found.kind])
    return found


def server_names(value: str) -> tuple[str, ...]:
    """Host names, `*.names` and `_`, lower-case."""
    names = tuple(value.lower().split())
    for name in names:
        if not (name == "_" or _is_host(name.removeprefix("*."))):
            raise BadValueError("a server name looks like www.example.com or *.example.com", name)
    if len(set(names)) < len(names):
        raise BadValueError("a name is there twice", max(names, key=names.count))
    return names


def _is_host(name: str) -> bool:
    if name.startswith("["):
        try:
            ipaddress.IPv6Address(name[1:-1])
        except ValueError:
            return False
        return name.endswith("]")
    labels = name.removesuffix(".").split(".")
    return all(_LABEL.fullmatch(label) for label in labels)


# Caches


def block_size(value: str) -> int:
    """A power of two."""
    size = parse_size(value)
    if size & (size - 1) or not 64 << 10 <= size <= 64 << 20:
        raise BadValueError("it is a power of two from 64k to 64m", value)
    return size


def map_size(value: str) -> int:
    """The index's address space to begin with; it grows by itself."""
    size = parse_size(value)
    if not 1 << 20 <= size <= 1 << 44:
        raise BadValueError("it is from 1m to 16t", value)
    return size


# Locations


def plain_origin(value: str) -> Endpoint:
    """The URL of a plain HTTP origin."""
    if not value.startswith(("http://", "https://")):
        # Not quoted: there may be a password in it.
        raise BadValueError("an origin begins with http:// or https://")
    return Endpoint.parse(value, "", "path")


def query(value: str) -> QueryPolicy | None:
    """`drop`, `pass`, `allow NAME...`, or `auto`: None."""
    kind, *names = value.split()
    if kind == "auto" and not names:
        return None
    parse_choice(kind, ("drop", "pass", "allow", "auto"))
    if kind == "allow" and names:
        return QueryPolicy("allow", frozenset(name.encode("utf-8") for name in names))
    if kind == "drop" and not names:
        return QueryPolicy("drop")
    if kind == "pass" and not names:
        return QueryPolicy("pass")
    raise BadValueError("write drop, pass, or allow NAME...", value)


def methods(value: str) -> frozenset[bytes]:
    """What a location accepts: names, or `any`."""
    if value == "any":
        return frozenset({ANY_METHOD})
    known = ("GET", "HEAD", *METHODS)
    return frozenset([parse_choice(name, known).encode("ascii") for name in value.split()])


def cache_methods(value: str) -> frozenset[bytes]:
    """GET and HEAD, so far."""
    names = value.split()
    for name in names:
        if name in METHODS:
            raise BadValueError("known, but this version does not do it yet", name)
        parse_choice(name, ("GET", "HEAD"))
    return frozenset(name.encode("ascii") for name in names)


def token(value: str) -> bytes:
    """A name as RFC 9211 wants it."""
    if not re.fullmatch(r"[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*", value):
        raise BadValueError("it is one word that begins with a letter", value)
    return value.encode("ascii")


def template(value: str) -> Template:
    """A text with variables, perhaps in double quotes."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    try:
        return Template.parse(value)
    except ValueError as error:
        raise BadValueError(str(error), value) from None


def cache_key(value: str) -> Template:
    """A text with variables."""
    return template(text(value))


def conditions(value: str) -> tuple[Template, ...]:
    """Words with variables, true when one is neither empty nor 0."""
    return tuple([template(each) for each in text(value).split()])


def ttl_row(value: str) -> TTLRow:
    """`[CODES...] TIME` or `any TIME`."""
    *codes, time = value.split()
    seconds = parse_seconds(time)
    if not codes:
        return TTLRow(DEFAULT_TTL_CODES, seconds)
    if codes == ["any"]:
        return TTLRow(ANY, seconds)
    for code in codes:
        if not re.fullmatch(r"[1-5][0-9][0-9]", code):
            raise BadValueError("a status is from 100 to 599, or any alone", code)
    return TTLRow(frozenset(map(int, codes)), seconds)


def use_stale(value: str) -> frozenset[str]:
    """`off`, or when a stale entry may answer."""
    if value == "off":
        return frozenset()
    tokens = value.split()
    for token in tokens:
        if token not in USE_STALE_TOKENS:
            known = sorted(USE_STALE_TOKENS)
            raise BadValueError(f"it is off, or {', '.join(known)}", token, nearest(token, known))
    return frozenset(tokens)


def header_names(value: str) -> frozenset[bytes]:
    """Names of header fields, lower-case."""
    return frozenset(parse_header_name(name).lower().encode("ascii") for name in value.split())


def targets(value: str) -> tuple[bytes, ...]:
    """Names of RFC 9213 fields in order, lower-case."""
    names = [parse_header_name(name).lower().encode("ascii") for name in value.split()]
    return tuple(dict.fromkeys(names))


def ignored_headers(value: str) -> frozenset[bytes]:
    """What nginx's proxy_ignore_headers takes, and targeted fields."""
    known = {name.lower() for name in _IGNORABLE}
    for name in value.split():
        lower = name.lower()
        targeted = lower.endswith("-cache-control") or lower == "surrogate-control"
        if lower not in known and not targeted:
            raise BadValueError("this field cannot be ignored", name, nearest(name, _IGNORABLE))
    return header_names(value)


def amz_headers(value: str) -> frozenset[bytes]:
    """`x-amz-*` names, perhaps with a `*` at the end, or `*` alone."""
    names = value.split()
    for name in names:
        parse_header_name(name)
        star = name.find("*")
        if star not in (-1, len(name) - 1):
            raise BadValueError("a * stands at the end", name)
        if name != "*" and not name.lower().startswith("x-amz-"):
            raise BadValueError("it is a name that begins with x-amz-, or *", name)
    return frozenset(name.lower().encode("ascii") for name in names)


def header(value: str) -> tuple[bytes, bytes, bool]:
    """`NAME VALUE [always]`, the value perhaps in double quotes; `""`: nothing, as nginx.

    Returns name, value, whether it is added whatever the status.
    """
    name, _, written = text(value).partition(" ")
    written = written.strip()
    always = written.endswith((" always", "\talways"))
    content = written = written.removesuffix("always").rstrip() if always else written
    if len(content) > 1 and content[0] == content[-1] == '"':
        content = content[1:-1]
    if not written:
        raise BadValueError("a header is written NAME VALUE")
    if parse_header_name(name).lower() in _OURS:
        raise BadValueError("this header is not yours to add: it frames the message", name)
    if "$" in content:
        raise BadValueError("variables are known, but this version does not do them here yet")
    return name.encode("ascii"), content.encode("utf-8"), always


def header_or_off(value: str) -> bytes:
    """A header's name; empty or `off` for none."""
    return b"" if value in ("", "off") else parse_header_name(value).encode("ascii")


def via(value: str) -> bytes:
    """What Via says; empty or `off` for nothing."""
    if value in ("", "off"):
        return b""
    if not re.fullmatch(r"1\.1 [!-~]+( \([ -~]*\))?", value):
        raise BadValueError("it looks like 1.1 NAME", value)
    return value.encode("ascii")


def missing_403(value: str) -> int | None:
    """`off`, or the status shown instead."""
    return None if value == "off" else int(parse_choice(value, ("off", "404", "410")))

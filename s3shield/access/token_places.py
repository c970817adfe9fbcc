"""Where a request has its token (RFC 6750 section 2, and cookies)."""

from __future__ import annotations

import re
from typing import Final, Literal

import attrs

from s3shield.policy import Consumed, Request, argument_name, cookie_pairs

__all__ = ["TokenPlace", "find_token", "kept_from_others"]

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME: Final = b"bearer"


@attrs.frozen
class TokenPlace:
    """`header`, `cookie:NAME` or `arg:NAME`. name: bytes, empty for the header."""

    kind: Literal["header", "cookie", "arg"]
    name: bytes = b""

    @classmethod
    def parse(cls, text: str) -> TokenPlace:
        """Read one. Raises ValueError."""
        if text == "header":
            return cls("header")
        kind, _, name = text.partition(":")
        if kind not in ("cookie", "arg") or not _NAME.fullmatch(name):
            raise ValueError("it is header, cookie:NAME or arg:NAME")
        # nginx: the names of $cookie_NAME are taken as they are, those of $arg_NAME in any case.
        if kind == "arg":
            return cls("arg", name.lower().encode("ascii"))
        return cls("cookie", name.encode("ascii"))

    def __str__(self) -> str:
        """As in the configuration."""
        return f"{self.kind}:{self.name.decode()}" if self.name else self.kind

    def find(self, request: Request) -> bytes | None:
        """Return what is there for a token, or None. Where there are several: no token."""
        if self.kind == "header":
            value = request.headers.get(b"authorization")
            if value is None:
                return None
            scheme, _, token = value.partition(b" ")
            return token.strip(b" ") if scheme.lower() == _SCHEME else None
        if self.kind == "cookie":
            value = request.headers.get(b"cookie")
            if value is None:
                return None
            return next((text for name, text in cookie_pairs(value) if name == self.name), None)
        if request.query is None:
            return None
        pieces = [each for each in request.query.split(b"&") if argument_name(each) == self.name]
        if not pieces:
            return None
        return pieces[0].partition(b"=")[2] if len(pieces) == 1 else b""


def find_token(places: tuple[TokenPlace, ...], request: Request) -> bytes | None:
    """Return the token at the first place that has one; None without any."""
    for place in places:
        token = place.find(request)
        if token is not None:
            return token
    return None


def kept_from_others(places: tuple[TokenPlace, ...]) -> Consumed:
    """Return what of a request is a token and goes no further."""
    return Consumed(
        schemes=frozenset({_SCHEME} if any(x.kind == "header" for x in places) else ()),
        cookies=frozenset(x.name for x in places if x.kind == "cookie"),
        arguments=frozenset(x.name for x in places if x.kind == "arg"),
    )

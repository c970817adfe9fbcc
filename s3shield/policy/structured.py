"""Structured-field dictionaries (RFC 9651 3.2 and 4.2.2), as targeted fields need them."""

from __future__ import annotations

import re
from typing import Final

import attrs

__all__ = ["Boolean", "Integer", "Member", "Opaque", "String", "Token", "parse_dictionary"]


@attrs.frozen
class Integer:
    """A member whose value is a whole number of at most 15 digits."""

    value: int


@attrs.frozen
class Boolean:
    """A member without a value, or with `?1` or `?0`."""

    value: bool


@attrs.frozen
class Token:
    """A member whose value is a bare word."""

    value: bytes


@attrs.frozen
class String:
    """A member whose value was quoted; the value is without quotes and escapes."""

    value: bytes


@attrs.frozen
class Opaque:
    """A well-formed member of a type no cache directive has."""


Member = Integer | Boolean | Token | String | Opaque

_OPAQUE: Final = Opaque()
_TRUE: Final = Boolean(value=True)
_FALSE: Final = Boolean(value=False)

# Every piece is possessive: one way to match, so the time is linear in the input.
_KEY: Final = rb"[a-z*][a-z0-9_\-.*]*+"
_STRING: Final = rb'"(?:[ !#-\[\]-~]|\\["\\])*+"'
_TOKEN: Final = rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+"
_OTHER: Final = (
    rb"-?\d{1,12}+\.\d{1,3}+"
    rb"|:[A-Za-z0-9+/=]*+:"
    rb"|@-?\d{1,15}+"
    rb'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*+"'
)
_BARE: Final = rb"(?:%b|-?\d{1,15}+|%b|%b|\?[01])" % (_OTHER, _STRING, _TOKEN)
_PARAMETERS: Final = rb"(?:; *+%b(?:=%b)?+)*+" % (_KEY, _BARE)
_INNER_LIST: Final = rb"\( *+(?:%b%b(?: ++|(?=\))))*+\)" % (_BARE, _PARAMETERS)
_MEMBER: Final = re.compile(
    rb"(?P<key>%b)(?:=(?:(?P<opaque>%b|%b)|(?P<integer>-?\d{1,15}+)|(?P<string>%b)"
    rb"|(?P<token>%b)|\?(?P<boolean>[01])))?+%b"
    % (_KEY, _OTHER, _INNER_LIST, _STRING, _TOKEN, _PARAMETERS)
)
_COMMA: Final = re.compile(rb"[ \t]*+,[ \t]*+")
_ESCAPE: Final = re.compile(rb'\\(["\\])')


def _value(member: re.Match[bytes]) -> Member:
    if member["integer"] is not None:
        return Integer(int(member["integer"]))
    if member["string"] is not None:
        return String(_ESCAPE.sub(rb"\1", member["string"][1:-1]))
    if member["token"] is not None:
        return Token(member["token"])
    if member["boolean"] is not None:
        return _TRUE if member["boolean"] == b"1" else _FALSE
    return _OPAQUE if member["opaque"] is not None else _TRUE


def parse_dictionary(value: bytes) -> dict[bytes, Member] | None:
    """Return a dictionary's members by key, or None when it does not parse.

    value: the field's lines joined with `, `. The last of a repeated key counts; keys
    are lower-case by grammar; parameters are dropped (RFC 9213 2.1). An empty field
    is an empty dictionary. Never raises.
    """
    value = value.strip(b" ")
    members: dict[bytes, Member] = {}
    if not value:
        return members
    position = 0
    while True:
        member = _MEMBER.match(value, position)
        if member is None:
            return None
        members.pop(member["key"], None)
        members[member["key"]] = _value(member)
        position = member.end()
        if position == len(value):
            return members
        comma = _COMMA.match(value, position)
        if comma is None:
            # Whitespace at the end is allowed, anything else is not.
            return members if not value[position:].strip(b" \t") else None
        position = comma.end()

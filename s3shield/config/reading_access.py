"""How the options about who may come in are read; as in `reading`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from s3shield.access import AddressRule, HashedLink
from s3shield.routing import Template

from .errors import BadValueError
from .reading import template
from .reading import text as plain_text
from .spec import Spec
from .units import parse_choice

__all__ = ["ACCESS"]

_SHORTEST_KEY: Final = 16


def _rules(value: str, *, allow: bool) -> tuple[AddressRule, ...]:
    """Addresses, networks, `unix:`, `all`."""
    found = []
    for word in value.split():
        try:
            found.append(AddressRule.parse(word, allow=allow))
        except ValueError as why:
            problem = f"it is an address, a network, unix: or all: {why}"
            raise BadValueError(problem, word) from None
    return tuple(found)


def _realm(value: str) -> str:
    """A text, perhaps in double quotes; "" for off."""
    if value == "off":
        return ""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if "$" in value:
        raise BadValueError("variables are known, but this version does not do them here yet")
    if not value:
        raise BadValueError('it is a text, "members only", or off')
    return plain_text(value)


def _link(value: str) -> Template | None:
    """What gives a hash and perhaps an end, or `off`."""
    return None if value == "off" else template(plain_text(value))


def _hashed(value: str) -> str:
    """What is hashed, perhaps in double quotes: a secret is in it."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    try:
        return HashedLink.parse(Template.parse(""), value).text
    except ValueError as why:
        raise BadValueError(str(why)) from None


def _link_key(value: str) -> bytes:
    """A secret, long enough not to be tried out."""
    key = plain_text(value).encode("utf-8")
    if len(key) < _SHORTEST_KEY:
        raise BadValueError(f"it has {_SHORTEST_KEY} characters at least: openssl rand -base64 32")
    return key


def _satisfy(value: str) -> str:
    return parse_choice(value, ("all", "any"))


ACCESS: Final[Mapping[str, Spec]] = {
    "satisfy": Spec(_satisfy, "all"),
    "allow": Spec(partial(_rules, allow=True), (), many=True),
    "deny": Spec(partial(_rules, allow=False), (), many=True),
    "auth_basic": Spec(_realm, ""),
    "auth_basic_user_file": Spec(plain_text),
    "secure_link": Spec(_link),
    "secure_link_md5": Spec(_hashed, secret=True),
    "signed_link_key": Spec(_link_key, (), many=True, empty=True, secret=True),
}

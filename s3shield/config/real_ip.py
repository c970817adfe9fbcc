"""Whose word counts about clients' addresses, as nginx's realip module has it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .errors import BadValueError, nearest
from .spec import Spec
from .units import parse_flag

__all__ = ["PROXY_PROTOCOL", "REAL_IP", "RealIpConfig"]

PROXY_PROTOCOL: Final = "proxy_protocol"
"""`real_ip_header`: the address in the PROXY header."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _trusted(value: str) -> tuple[Network | None, ...]:
    """Addresses, networks, and `unix:` as None."""
    found: list[Network | None] = []
    for name in value.split():
        if name == "unix:":
            found.append(None)
            continue
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError as why:
            raise BadValueError(f"it is no address or network: {why}", name) from None
    return tuple(found)


def _field(value: str) -> str:
    """The name of a field, lower-case; or proxy_protocol."""
    if not re.fullmatch(r"[A-Za-z0-9_-]+", value):
        raise BadValueError("it is X-Real-IP, X-Forwarded-For or proxy_protocol", value)
    lower = value.lower()
    if lower != PROXY_PROTOCOL and "_" in lower:
        known = ("X-Real-IP", "X-Forwarded-For", PROXY_PROTOCOL)
        raise BadValueError("this cannot be a field's name", value, nearest(value, known))
    return lower


REAL_IP: Final[Mapping[str, Spec]] = {
    "set_real_ip_from": Spec(_trusted, (), many=True),
    "real_ip_header": Spec(_field),
    "real_ip_recursive": Spec(parse_flag, False),
}


@attrs.frozen(kw_only=True)
class RealIpConfig:
    """The options set_real_ip_from and real_ip_*.

    networks, unix: who is trusted: addresses, clients of unix sockets. header: lower-case
    name of the field, or PROXY_PROTOCOL; None, left out: X-Real-IP, and behind a PROXY header
    the address in that.
    """

    networks: tuple[Network, ...] = ()
    unix: bool = False
    header: str | None = None
    recursive: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> RealIpConfig:
        """Make it of the options' values by name."""
        trusted = [each for line in values.get("set_real_ip_from", ()) for each in line]
        return cls(
            networks=tuple(dict.fromkeys(each for each in trusted if each is not None)),
            unix=None in trusted,
            header=values.get("real_ip_header"),
            recursive=values.get("real_ip_recursive", False),
        )

    @property
    def trusts(self) -> bool:
        """Whether anybody's word counts."""
        return bool(self.networks) or self.unix

    def from_proxy(self) -> bool:
        """Tell whether the address in a PROXY header is the client's from then on."""
        return self.header in (None, PROXY_PROTOCOL)

    def field(self, *, proxy_protocol: bool) -> str | None:
        """Return the field that says whose a request is; None where none does.

        proxy_protocol: whether it comes in where PROXY headers stand before all else.
        """
        if not self.trusts or self.header == PROXY_PROTOCOL:
            return None
        return None if self.header is None and proxy_protocol else self.header or "x-real-ip"

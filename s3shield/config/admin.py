"""How the options about administration are read; as in `reading`."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .errors import BadValueError
from .listen import Listen
from .spec import Spec
from .units import parse_flag

__all__ = ["ADMIN", "AdminConfig", "admin_listen", "networks"]

ADMIN: Final[Mapping[str, Spec]] = {
    "metrics": Spec(parse_flag, True),
}
"""What there is besides `admin_listen`."""


@attrs.frozen(kw_only=True)
class AdminConfig:
    """How the admin listener serves. metrics: whether numbers are collected for it."""

    metrics: bool = True

    @classmethod
    def take(cls, values: dict[str, Any]) -> AdminConfig:
        """Make it of the options' values by name; they are taken out."""
        return cls(**{name: values.pop(name) for name in ADMIN if name in values})


def admin_listen(value: str) -> Listen:
    """`127.0.0.1:9180` or `unix:/path`: nobody else may reach it, it asks for no password."""
    found = Listen.parse(value)
    if found.tls:
        raise BadValueError("the admin listener has no tls: it is for this machine alone")
    if found.proxy_protocol:
        raise BadValueError("nobody is passed on to the admin listener", "proxy_protocol")
    if found.kind == "unix" or (found.kind == "tcp" and _is_loopback(found.host)):
        return found
    raise BadValueError("it is a loopback address, 127.0.0.1:9180, or unix:/path", value)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def networks(value: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Addresses and networks, `10.0.0.0/8`."""
    found = []
    for name in value.split():
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError as why:
            raise BadValueError(f"it is no address or network: {why}", name) from None
    return tuple(dict.fromkeys(found))

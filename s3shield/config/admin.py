"""How the options about administration are read; as in `reading`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from .errors import BadValueError
from .listen import Listen
from .spec import Spec
from .units import parse_flag, parse_seconds

__all__ = ["ADMIN", "AdminConfig", "admin_listen", "networks", "within_reach"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_TOKEN: Final = re.compile(r"[!-~]{16,512}")


def _token(value: str) -> str:
    if not _TOKEN.fullmatch(value):
        raise BadValueError("a token has 16 characters at least, of ASCII, without blanks")
    return value


def networks(value: str) -> tuple[Network, ...]:
    """Addresses and networks, `10.0.0.0/8`."""
    found = []
    for name in value.split():
        try:
            found.append(ipaddress.ip_network(name))
        except ValueError as why:
            raise BadValueError(f"it is no address or network: {why}", name) from None
    return tuple(dict.fromkeys(found))


ADMIN: Final[Mapping[str, Spec]] = {
    "metrics": Spec(parse_flag, True),
    "admin_allow": Spec(networks, ()),
    "admin_token": Spec(_token, secret=True),
    "ready_valid_for": Spec(parse_seconds, 300),
}
"""What there is besides `admin_listen`."""


@attrs.frozen(kw_only=True)
class AdminConfig:
    """How the admin listener serves.

    metrics: whether numbers are collected for it. admin_allow: who may connect; empty: whoever
    can. admin_token: what they must know, or None. ready_valid_for: seconds for which keys must be
    good.
    """

    metrics: bool = True
    admin_allow: tuple[Network, ...] = ()
    admin_token: str | None = attrs.field(default=None, repr=False)
    ready_valid_for: int = 300

    @property
    def guarded(self) -> bool:
        """Whether not everybody who can connect is let in."""
        return bool(self.admin_allow) or self.admin_token is not None

    @classmethod
    def take(cls, values: dict[str, Any]) -> AdminConfig:
        """Make it of the options' values by name; they are taken out."""
        return cls(**{name: values.pop(name) for name in ADMIN if name in values})


def admin_listen(value: str) -> Listen:
    """`127.0.0.1:9180` or `unix:/path`; others: see `within_reach`."""
    found = Listen.parse(value)
    if found.tls:
        raise BadValueError("the admin listener has no tls: it is for this machine alone")
    if found.proxy_protocol:
        raise BadValueError("nobody is passed on to the admin listener", "proxy_protocol")
    if found.kind in ("unix", "tcp"):
        return found
    raise BadValueError("it is a loopback address, 127.0.0.1:9180, or unix:/path", value)


def within_reach(listen: Listen, admin: AdminConfig) -> str | None:
    """Return what is wrong with where it listens, None when nothing is."""
    if listen.kind == "unix" or _is_loopback(listen.host) or admin.guarded:
        return None
    near = "it is a loopback address, 127.0.0.1:9180, or unix:/path"
    return f"{near}; {listen.text} needs admin_token or admin_allow"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

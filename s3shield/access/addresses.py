"""`allow` and `deny`: who may come in by his address. nginx: ngx_http_access_module."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Final

import attrs

from .verdict import GRANTED, Refused, Verdict

__all__ = ["AddressRule", "Addresses"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_FORBIDDEN: Final = Refused(403)


@attrs.frozen
class AddressRule:
    """One line. allow: else it denies. whom: a network, `unix:` or `all`."""

    allow: bool
    whom: Network | str

    @classmethod
    def parse(cls, text: str, *, allow: bool) -> AddressRule:
        """Read an address, a network, `unix:` or `all`. Raises ValueError."""
        if text in ("all", "unix:"):
            return cls(allow, text)
        return cls(allow, ipaddress.ip_network(text))

    def __str__(self) -> str:
        """As in the configuration."""
        return str(self.whom)


class Addresses:
    """The lines of a location in their order: the first that matches decides."""

    def __init__(self, rules: Iterable[AddressRule]) -> None:
        self._rules = tuple(rules)
        self._version4 = any(
            rule.whom == "all" or isinstance(rule.whom, ipaddress.IPv4Network)
            for rule in self._rules
        )

    def verdict(self, peer: bytes) -> Verdict:
        """Judge a client by its address as text, or `unix:`; None where no line matches."""
        try:
            address = ipaddress.ip_address(peer.decode("ascii"))
        except ValueError:
            address = None  # of a unix socket, or nothing that a network has in it
        if isinstance(address, ipaddress.IPv6Address) and self._version4:
            address = address.ipv4_mapped or address
        for rule in self._rules:
            if self._matches(rule.whom, peer, address):
                return GRANTED if rule.allow else _FORBIDDEN
        return None

    def _matches(
        self,
        whom: Network | str,
        peer: bytes,
        address: ipaddress.IPv4Address | ipaddress.IPv6Address | None,
    ) -> bool:
        if isinstance(whom, str):
            return whom == "all" or peer == b"unix:"
        return address is not None and address in whom

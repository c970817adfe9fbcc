"""nginx's realip: whose request it is, where trusted proxies say so.

A proxy in front names its client in a field. It counts when the connection is from an
address that is trusted, and no further than the first address, from the end, that is not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any, Final

from s3shield.policy import Request
from s3shield.wire.client_certificate import TlsPeer
from s3shield.wire.downstream import Downstream, Site

__all__ = ["RealIp", "Trusted", "real_address"]

_KNOWN: Final = 4096
"""Addresses remembered, trusted ones or not."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Trusted:
    """Tells whether an address is one of `set_real_ip_from`.

    networks: trusted. unix: whether clients of unix sockets are.
    """

    def __init__(self, networks: Iterable[Network], *, unix: bool) -> None:
        self._networks = tuple(networks)
        self._known: dict[bytes, bool] = {b"unix:": unix}
        self._unix = unix

    def __call__(self, peer: bytes) -> bool:
        """Say it of an address as `Request.peer` has it."""
        known = self._known.get(peer)
        if known is None:
            if len(self._known) >= _KNOWN:
                self._known = {b"unix:": self._unix}
            known = self._known[peer] = self._is_in(peer)
        return known

    def _is_in(self, peer: bytes) -> bool:
        address = _parse(peer)
        if address is None:
            return False
        return any(address in each for each in self._networks)


def real_address(
    peer: bytes, value: bytes, trusts: Callable[[bytes], bool], *, recursive: bool
) -> bytes:
    """Return the client's address; `peer`, where a field's `value` says no better.

    value: addresses with commas or spaces between, perhaps with ports; several lines joined.
    The last one counts; when recursive, the last that is not trusted itself, or the first of
    all. What is no address ends the search (nginx, ngx_http_get_forwarded_addr).
    """
    for word in reversed(value.replace(b",", b" ").split()):
        if not trusts(peer):
            break
        address = _parse(word)
        if address is None:
            break
        peer = str(address).encode("ascii")
        if not recursive:
            break
    return peer


def _parse(word: bytes) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`."""
    try:
        text = word.decode("ascii")
    except UnicodeDecodeError:
        return None
    port = ""
    if text.startswith("["):
        text, close, port = text[1:].partition("]")
        if not close or ":" not in text or (port and port[0] != ":"):
            return None
        port = port[1:] if port else "0"
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
    if port and not (port.isdecimal() and int(port) <= 65535):
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


class RealIp:
    """A `Site` before another one: gives requests the address of the client they are of.

    field: lower-case name of the field that says it. trusts, recursive: see `real_address`.
    """

    def __init__(
        self, site: Site, field: bytes, trusts: Callable[[bytes], bool], *, recursive: bool
    ) -> None:
        self._site = site
        self._field = field
        self._trusts = trusts
        self._recursive = recursive
        self.body_plan: Any = getattr(site, "body_plan", None)

    def __call__(self, request: Request, downstream: Downstream) -> None:
        """Answer `request`, or see to it that it will be answered."""
        value = request.headers.get(self._field)
        if value is not None:
            peer = request.peer
            found = real_address(peer, value, self._trusts, recursive=self._recursive)
            if isinstance(peer, TlsPeer):
                found = peer.at(found)
            request.peer = found
        self._site(request, downstream)

"""Who may use the admin listener: the options `admin_allow` and `admin_token`. Pure.

Clients of a unix socket have been let in by its file's mode, 0660: for them the token alone
counts. A token comes as `Authorization: Bearer TOKEN` (RFC 6750), or as the password of any
user (RFC 7617), which a browser asks its user for. It is compared in a time that says nothing of
how much of it was right.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
from collections.abc import Sequence
from typing import Final

import attrs

__all__ = ["Gate", "Refusal"]

_CHALLENGE: Final = b'Basic realm="s3shield", charset="UTF-8"'


@attrs.frozen
class Refusal:
    """Why somebody does not come in. challenge: of WWW-Authenticate, or None."""

    status: int
    reason: str
    challenge: bytes | None = None


@attrs.frozen
class Gate:
    """networks: who may connect; empty: whoever can. token: None: none is asked for."""

    networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    token: str | None = attrs.field(default=None, repr=False)

    def address(self, host: str | None) -> Refusal | None:
        """Return why a client at `host` may not come in, None when it may.

        host: its address as text; None: of a unix socket.
        """
        if host is None or not self.networks:
            return None
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return Refusal(403, "admin_allow does not let this address in")
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if any(address in network for network in self.networks):
            return None
        return Refusal(403, f"admin_allow does not let {address} in")

    def credentials(self, field: bytes | None) -> Refusal | None:
        """Return why what stands in Authorization is not enough, None when it is."""
        if self.token is None:
            return None
        if field is None:
            return Refusal(401, "this takes the token of admin_token", _CHALLENGE)
        if hmac.compare_digest(_given(field), self.token.encode("utf-8")):
            return None
        return Refusal(401, "this is not the token of admin_token", _CHALLENGE)


def _given(field: bytes) -> bytes:
    """Return the token in an Authorization field, or nothing."""
    scheme, _, rest = field.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() == b"basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""

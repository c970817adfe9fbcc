"""Clients that have shown a certificate, as the handshake has verified it."""

from __future__ import annotations

from typing import Any

from s3shield.wire.transport import UvTransport, peer_text

__all__ = ["VerifiedPeer", "peer_of"]


class VerifiedPeer(bytes):
    """`Request.peer` of a client with a certificate: its address, and who has signed that.

    client_ca: path of `tls_client_ca`. A kind of bytes, so that only those who ask for
    certificates pay anything for it.
    """

    client_ca: str

    @classmethod
    def of(cls, address: bytes, client_ca: str) -> VerifiedPeer:
        """Make one."""
        made = cls(address)
        made.client_ca = client_ca
        return made


def peer_of(transport: Any, client_ca: str | None) -> bytes:
    """Return `Request.peer` for the requests that come by `transport`, shaken hands on.

    client_ca: what the listener verifies certificates with, if it asks for any.
    """
    address = peer_text(transport.getPeer())
    if client_ca is None:
        return address
    if isinstance(transport, UvTransport):
        shown = transport.peer_certificate()
    else:
        shown = transport.getPeerCertificate()
    return VerifiedPeer.of(address, client_ca) if shown else address

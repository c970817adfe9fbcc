"""What a TLS handshake has told of a client: its certificate, and what was agreed on."""

from __future__ import annotations

from typing import Any, Self

import attrs
from cryptography import x509
from twisted.internet.interfaces import ISSLTransport

from s3shield.wire.transport import UvTransport, peer_text

__all__ = ["TlsFacts", "TlsPeer", "VerifiedPeer", "peer_of"]


@attrs.frozen
class TlsFacts:
    """What the access log may want to know of a connection.

    protocol: `TLSv1.3`. cipher: OpenSSL's name. server_name: as the client said it, None where it
    said none. reused: whether an earlier session went on; None where that cannot be known.
    client: the subject of a verified certificate (RFC 4514), None where there is none.
    """

    protocol: str
    cipher: str
    server_name: str | None
    reused: bool | None
    client: str | None


class TlsPeer(bytes):
    """`Request.peer` of a client of which more is known than its address.

    tls: facts, or None. A kind of bytes, so that only those who ask for more pay anything for it.
    """

    tls: TlsFacts | None = None

    def at(self, address: bytes) -> Self:
        """Return the same client at another address."""
        made = type(self)(address)
        made.__dict__.update(self.__dict__)
        return made


class VerifiedPeer(TlsPeer):
    """A client with a certificate. client_ca: path of `tls_client_ca`: who has signed that."""

    client_ca: str

    @classmethod
    def of(cls, address: bytes, client_ca: str) -> VerifiedPeer:
        """Make one."""
        made = cls(address)
        made.client_ca = client_ca
        return made


def peer_of(transport: Any, client_ca: str | None, *, told: bool = False) -> bytes:
    """Return `Request.peer` for the requests that come by `transport`, shaken hands on.

    client_ca: what the listener verifies certificates with, if it asks for any. told: whether
    the access log wants to know of TLS.
    """
    address = peer_text(transport.getPeer())
    if client_ca is None and not told:
        return address
    shown: Any
    if isinstance(transport, UvTransport):
        shown = transport.peer_certificate()
    elif ISSLTransport.providedBy(transport):
        shown = transport.getPeerCertificate()
    else:
        return address
    peer = TlsPeer(address)
    if client_ca is not None and shown:
        peer = VerifiedPeer.of(address, client_ca)
    elif not told:
        return address
    if told:
        if shown is not None and not isinstance(shown, bytes):
            certificate = shown.to_cryptography()
        else:
            certificate = x509.load_der_x509_certificate(shown) if shown else None
        client = None if certificate is None else certificate.subject.rfc4514_string()
        peer.tls = _facts(transport, client)
        if peer.tls is None:
            return address
    return peer


def _facts(transport: Any, client: str | None) -> TlsFacts | None:
    if not isinstance(transport, UvTransport):
        connection = transport.getHandle()
        name = connection.get_servername()
        return TlsFacts(
            connection.get_protocol_version_name(),
            connection.get_cipher_name() or "",
            None if name is None else name.decode("ascii", "backslashreplace"),
            None,  # pyOpenSSL has no word for it
            client,
        )
    tls = transport.tls()
    if tls is None:
        return None
    cipher = tls.cipher()
    return TlsFacts(
        tls.version() or "",
        "" if cipher is None else cipher[0],
        getattr(tls, "wanted_name", None),  # `ServerTls` leaves it there
        tls.session_reused,
        client,
    )

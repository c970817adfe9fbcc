"""TLS to the origin: who is believed, and a clear word when nobody is.

`optionsForClientTLS` makes the connections (SNI, ciphers, versions). The certificate
check is ours on top of its: Twisted's says only "certificate verify failed" for a wrong
chain and lets a certificate without any subjectAltName pass, with a log line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, Protocol, cast

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocolFactory,
)
from twisted.internet.ssl import (
    Certificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

__all__ = ["OriginTLS", "tls_failure_text"]

_PEM: Final = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----.+?-----END (?:TRUSTED )?CERTIFICATE-----", re.DOTALL
)

_UNKNOWN: Final = "unknown authority: no trusted certificate signs the origin's"

# X509_V_ERR_*, openssl-verification-options(1).
_CHAIN_ERRORS: Final = {
    2: _UNKNOWN,
    9: "certificate is not valid yet",
    10: "certificate has expired",
    18: "unknown authority: the certificate is self-signed",
    19: "unknown authority: a self-signed certificate ends the chain",
    20: _UNKNOWN,
    21: _UNKNOWN,
    22: "certificate chain is too long",
    23: "certificate is revoked",
    24: "a certificate in the chain is no authority",
    26: "certificate is not for servers",
    66: "certificate's key is too small",
    68: "certificate's signature algorithm is too weak",
}


class _Secured(Protocol):
    refusal: str


class _ImmediateTLSFactory(TLSMemoryBIOFactory):
    # A request is written in one go: gathering small writes would only delay it.
    protocol = TLSMemoryBIOProtocol


@implementer(IOpenSSLClientConnectionCreator)
class OriginTLS:
    """Makes the TLS connections of one pool and remembers their session.

    server_name: str, the host name or address literal for SNI and verification. verify:
    bool, False takes any certificate. ca_file: str or None, a PEM bundle that is the only
    trust root; None is the platform's. Raises OSError when the bundle cannot be read,
    ValueError when it has no certificate.
    """

    def __init__(self, server_name: str, *, verify: bool, ca_file: str | None) -> None:
        self._verify = verify
        self._server_name = server_name
        literal = isIPAddress(server_name) or isIPv6Address(server_name)
        self._identity = IPAddress_ID(server_name) if literal else DNS_ID(server_name)
        trust = _platform_trust() if ca_file is None else _trust_root(ca_file)
        self._options = optionsForClientTLS(
            server_name,
            trustRoot=trust,
            extraCertificateOptions={"enableSessions": True, "enableSessionTickets": True},
        )
        self._session: SSL.Session | None = None

    def wrap(self, reactor: object, factory: IProtocolFactory) -> IProtocolFactory:
        """Return a factory that puts TLS under the protocols of `factory`."""
        wrapped: IProtocolFactory = _ImmediateTLSFactory(self, True, factory, clock=reactor)  # type: ignore[arg-type]  # a reactor is a clock
        return wrapped

    def remember(self, connection: object) -> None:
        """Keep the session of a verified `OpenSSL.SSL.Connection` for the next one.

        With TLS 1.3 it comes after the handshake: call this after the first answer.
        """
        if isinstance(connection, SSL.Connection):
            self._session = connection.get_session()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return a connection that checks as told, resuming the last session if it can."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        secured = cast("_Secured", tlsProtocol.wrappedProtocol)
        if self._verify:

            def check(
                _connection: SSL.Connection, cert: crypto.X509, error: int, depth: int, ok: int
            ) -> bool:
                # An exception here would be OpenSSL's to lose.
                try:
                    secured.refusal = refusal = self._refusal(cert, error, depth, ok)
                except Exception as problem:
                    secured.refusal = refusal = f"certificate cannot be checked: {problem}"
                return not refusal

            connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, check)
        else:
            connection.set_verify(SSL.VERIFY_NONE, lambda *_: True)
        if self._session is not None:
            connection.set_session(self._session)
        return connection

    def _refusal(self, cert: crypto.X509, error: int, depth: int, ok: int) -> str:
        """Return why this certificate of the chain is refused, or an empty string."""
        if not ok:
            return _CHAIN_ERRORS.get(error, f"certificate chain error {error}")
        if depth == 0:
            try:
                verify_service_identity(extract_patterns(cert), [self._identity], [])
            except (VerificationError, CertificateError):
                return f"certificate is for {_names(cert)}, not {self._server_name}"
        return ""


def tls_failure_text(refusal: str, reason: BaseException | None) -> str:
    """Return why a handshake failed: our refusal, else what OpenSSL says."""
    if refusal:
        return refusal
    if isinstance(reason, SSL.Error):
        texts = [part[-1] for part in (reason.args[0] if reason.args else ()) if part[-1]]
        text = ", ".join(dict.fromkeys(texts)) or "no reason given"
        hint = " (plain http?)" if "wrong version number" in text else ""
        return f"TLS handshake failed: {text}{hint}"
    return "connection closed during the TLS handshake"


def _names(cert: crypto.X509) -> str:
    """Return whom `cert` is for, as people read it."""
    try:
        names = cert.to_cryptography().extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return "no name"
    found = [str(each.value) for each in names.value]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return (", ".join(found[:5]) or "no name") + more


def _platform_trust() -> Any:
    return platformTrust()  # type: ignore[no-untyped-call]  # Twisted's


def _trust_root(ca_file: str) -> Any:
    """Return the trust root made of the certificates in the PEM file `ca_file`."""
    found = _PEM.findall(Path(ca_file).read_bytes())
    if not found:
        raise ValueError(f"{ca_file}: no PEM certificate in it")
    try:
        certificates = [Certificate.loadPEM(each) for each in found]
    except crypto.Error as problem:
        raise ValueError(f"{ca_file}: a certificate in it cannot be read") from problem
    return trustRootFromCertificates(certificates)  # type: ignore[no-untyped-call]  # Twisted's

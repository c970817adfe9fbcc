"""The certificates of TLS listeners: chosen by name, replaced while they listen.

A listener has one context for its whole life, whose tickets and sessions therefore outlive
a change of certificates. It has no certificate of its own: when a client has said which name
it wants, the handshake goes on in the context of that name's `Certificate`, whichever is in
use at that moment. Both kinds of TLS do this alike: `ssl` for uvloop, pyOpenSSL for Twisted.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from s3shield.routing import ServerMatcher

__all__ = ["Certificate", "CertificateError", "LoadedCertificate", "ServerTls", "TwistedTls"]

_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and AEAD; those of TLS 1.3 are good as they are."""
_LARGEST: Final = 1 << 20
"""Bytes of a file with certificates or a key."""
_MISMATCH: Final = frozenset(
    {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
)
"""What OpenSSL says of a key that is another certificate's."""


class CertificateError(Exception):
    """A certificate cannot be used. Its text is for the operator and names the file."""


Marks = tuple[tuple[int, int, int, int], ...]
"""What changes when files do: of each inode, size, times of change in nanoseconds."""


@attrs.frozen
class LoadedCertificate:
    """Contexts made of what was in the files at one moment. ends: of the first, `YYYY-MM-DD`."""

    uv: ssl.SSLContext
    twisted: SSL.Context
    marks: Marks
    ends: str


class Certificate:
    """What a server shows to clients, and by what it knows them; replaced as a whole.

    pairs: paths of PEM files, (the server's certificate first, then its chain; its private
    key), one for each kind of key, such as RSA and ECDSA. client_ca: path of PEM
    certificates that clients' own ones are verified with. http2: whether HTTP/2 is offered
    by ALPN, above HTTP/1.1; the factory, a `ChannelFactory`, is then asked for the channel.
    """

    def __init__(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        client_ca: str | None = None,
        http2: bool = False,
    ) -> None:
        self.pairs = tuple(pairs)
        self.client_ca = client_ca
        self.http2 = http2
        self.current: LoadedCertificate | None = None

    @property
    def protocols(self) -> list[str]:
        """What is offered by ALPN (RFC 7301), what we like best first."""
        return ["h2", "http/1.1"] if self.http2 else ["http/1.1"]

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of all that it is made of."""
        more = () if self.client_ca is None else (self.client_ca,)
        return (*[path for pair in self.pairs for path in pair], *more)

    @property
    def path(self) -> str:
        """Path of the first certificate, which it is called by."""
        return self.pairs[0][0]

    def changed(self) -> bool:
        """Tell whether a file is another one than the one that was loaded. Blocks."""
        try:
            return self.current is None or _marks(self.files) != self.current.marks
        except OSError:
            return True

    def load(self) -> LoadedCertificate:
        """Read the files; return what `take` takes. Blocks; raises `CertificateError`."""
        data = [_read(path) for path in self.files]
        marks = tuple(mark for _, mark in data)
        for at, (path, (text, _)) in enumerate(zip(self.files, data, strict=True)):
            if at % 2 and at < 2 * len(self.pairs):
                _check(path, text, b"PRIVATE KEY-----", "no private key")
            else:
                _check(path, text, b"-----BEGIN CERTIFICATE-----", "no certificate")
        uv, twisted = _uv_context(self.protocols), _twisted_context(self.protocols)
        for certificate, key in self.pairs:
            _load_pair(uv, twisted, certificate, key)
        if self.client_ca is not None:
            try:
                uv.load_verify_locations(self.client_ca)
                twisted.load_verify_locations(self.client_ca)
                twisted.load_client_ca(self.client_ca.encode())
            except (OSError, SSL.Error) as error:
                raise CertificateError(f"{self.client_ca}: {_reason(error)}") from None
        first = crypto.load_certificate(crypto.FILETYPE_PEM, data[0][0])
        end = (first.get_notAfter() or b"").decode("ascii")
        try:
            if _marks(self.files) != marks:
                raise CertificateError(f"{self.path}: it is being written just now")
        except OSError as error:
            raise CertificateError(f"{self.path}: {error.strerror}") from None
        return LoadedCertificate(uv, twisted, marks, f"{end[:4]}-{end[4:6]}-{end[6:8]}")

    def take(self, loaded: LoadedCertificate) -> None:
        """Show what was loaded from the next handshake on."""
        self.current = loaded

    def loaded(self) -> LoadedCertificate:
        """Return what is shown now; the first time it is loaded: blocks, and may raise."""
        if self.current is None:
            self.current = self.load()
        return self.current


class ServerTls:
    """TLS on a listening socket.

    hosts: (names as in `server_name`, the certificate for them), in order. A name that is
    nobody's, and a client that says none, gets what routing gives it: the first that takes
    every name, else the first of all. handshake_timeout: seconds. TLS 1.2 and 1.3.
    Clients are asked for a certificate when the first host has a client_ca; one that is
    shown and not good ends the handshake, none at all does not. told: whether the access log
    wants to know of TLS; may be set before there are connections.
    """

    def __init__(
        self,
        hosts: Sequence[tuple[Sequence[str], Certificate]],
        *,
        handshake_timeout: float = 60.0,
    ) -> None:
        self.handshake_timeout = handshake_timeout
        self.certificates = [certificate for _, certificate in hosts]
        self._names = ServerMatcher((names, at) for at, (names, _) in enumerate(hosts))
        self.client_ca = self.certificates[0].client_ca
        self.told = False

    @property
    def http2(self) -> bool:
        """Whether a client may get HTTP/2."""
        return any(certificate.http2 for certificate in self.certificates)

    def named(self, name: bytes) -> Certificate:
        """Return the certificate for a name that a client gave, empty for none."""
        return self.certificates[self._names.find(name.lower()) or 0]

    def load(self) -> None:
        """Load what is not loaded yet. Raises `CertificateError`."""
        for certificate in self.certificates:
            certificate.loaded()

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context for uvloop that chooses. Raises `CertificateError`."""
        self.load()
        context = _uv_context(self.certificates[0].protocols)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_OPTIONAL

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            wanted = (name or "").encode("ascii", "replace")
            connection.context = self.named(wanted).loaded().uv
            if self.told and name is not None:
                # Nobody else keeps it on a server's side.
                connection.wanted_name = name  # type: ignore[attr-defined]

        context.sni_callback = choose
        return context


@implementer(IOpenSSLServerConnectionCreator)
class TwistedTls:
    """Makes connections for Twisted that choose as `tls` says. Raises `CertificateError`."""

    def __init__(self, tls: ServerTls) -> None:
        tls.load()
        self._context = _twisted_context(tls.certificates[0].protocols)
        if tls.client_ca is not None:
            self._context.set_verify(SSL.VERIFY_PEER, lambda *found: bool(found[-1]))

        def choose(connection: SSL.Connection) -> None:
            name = connection.get_servername() or b""
            connection.set_context(tls.named(name).loaded().twisted)

        self._context.set_tlsext_servername_callback(choose)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """See `IOpenSSLServerConnectionCreator`."""
        return SSL.Connection(self._context, None)


def _uv_context(protocols: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(list(protocols))
    return context


def _twisted_context(protocols: Sequence[str]) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS.encode("ascii"))
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    # A session is only taken up again where this is said.
    context.set_session_id(b"s3shield")
    ours = [each.encode("ascii") for each in protocols]

    def choose(_: SSL.Connection, offered: list[bytes]) -> Any:
        return next((each for each in ours if each in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    context.set_alpn_select_callback(choose)
    return context


def _mark(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _marks(paths: Iterable[str]) -> Marks:
    return tuple(_mark(Path(path).stat()) for path in paths)


def _read(path: str) -> tuple[bytes, tuple[int, int, int, int]]:
    """Return what is in a file, and its mark."""
    try:
        # Not blocking: the open of a FIFO would wait for a writer.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            mark = _mark(os.fstat(file.fileno()))
            data = file.read(_LARGEST + 1) or b""
    except OSError as error:
        raise CertificateError(f"{path}: it cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise CertificateError(f"{path}: it is far too large")
    return data, mark


def _check(path: str, data: bytes, mark: bytes, lacks: str) -> None:
    if mark not in data:
        raise CertificateError(f"{path}: there is {lacks} in it (PEM)")
    if b"ENCRYPTED PRIVATE" in data or b"4,ENCRYPTED" in data:
        raise CertificateError(f"{path}: the key has a passphrase; take it off (openssl pkey)")


def _load_pair(uv: ssl.SSLContext, twisted: SSL.Context, certificate: str, key: str) -> None:
    try:
        # Without this the one who starts the daemon would be asked for a passphrase.
        uv.load_cert_chain(certificate, key, password=str)
        twisted.use_certificate_chain_file(certificate)
        twisted.use_privatekey_file(key)
        twisted.check_privatekey()
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            text = f"{key}: this is not the key of the certificate in {certificate}"
            raise CertificateError(text) from None
        text = f"{certificate} with {key}: {_reason(error)}"
        raise CertificateError(text) from None
    except (OSError, SSL.Error) as error:
        raise CertificateError(f"{certificate} with {key}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return why a file was not taken, in OpenSSL's or the system's words."""
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or error.strerror or "no reason given").lower().replace("_", " ")
        return f"it is damaged or not complete (OpenSSL: {reason})"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return "it is damaged or not complete"

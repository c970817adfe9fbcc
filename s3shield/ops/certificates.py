"""The certificates of a configuration: what listeners show, and whether it can be loaded."""

from __future__ import annotations

from s3shield.config import Config, Listen, TlsConfig
from s3shield.wire import Certificate, CertificateError, ServerTls

__all__ = ["Certificates"]


class Certificates:
    """Every certificate that a listener of `config` shows, each once, however many do."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[tuple[object, ...], Certificate] = {}
        self._where: dict[tuple[object, ...], str] = {}
        self._listeners = {
            listen.text: self._listener(listen) for listen in config.listens if listen.tls
        }

    @property
    def all(self) -> tuple[Certificate, ...]:
        """In the order of the listeners."""
        return tuple(self._known.values())

    def of(self, listen: Listen) -> ServerTls | None:
        """Return what a listener needs; None where there is no TLS."""
        return self._listeners.get(listen.text) if listen.tls else None

    def problems(self) -> list[str]:
        """Load all; return what is wrong, one line each."""
        found = []
        for facts, certificate in self._known.items():
            try:
                certificate.loaded()
            except CertificateError as error:
                found.append(f"{self._where[facts]}: tls_certificate: {error}")
        return found

    def _listener(self, listen: Listen) -> ServerTls:
        return ServerTls(
            [(names, self._shown(tls)) for names, tls in self._config.tls_hosts(listen)],
            handshake_timeout=self._config.daemon.client_header_timeout,
        )

    def _shown(self, tls: TlsConfig) -> Certificate:
        facts = (tls.pairs, tls.client_ca)
        if facts not in self._known:
            self._where[facts] = tls.where
            http2 = self._config.daemon.http2
            self._known[facts] = Certificate(tls.pairs, client_ca=tls.client_ca, http2=http2)
        return self._known[facts]

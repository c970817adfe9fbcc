"""What sections say about the connections that a location's requests come by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from .given import Given, Sources, find
from .secure import SecureConfig

__all__ = ["build_secure"]

_HTTPS: Final = 443


def build_secure(chain: Sequence[Given], server: Given | None, sources: Sources) -> SecureConfig:
    """Return what `chain`, a location's sections, says; complain about what cannot be."""
    outer = [chain[-1]] if server is None else [server, chain[-1]]
    client_ca = _good(outer, "tls_client_ca")
    if _good(outer, "tls_verify_client") not in (None, "on"):
        client_ca = None
    if not _good(chain, "https_redirect"):
        return SecureConfig(client_ca=client_ca)
    listed = () if server is None else _good([server], "server_name") or ()
    names = tuple(name for name in listed if name != "_")
    if not names:
        at = find(chain, "https_redirect")
        assert at is not None
        # A name that the client writes itself may be anybody's.
        sources.complain(at, "there is no server_name here that could be redirected to")
    listens = [listen for given in outer for listen in _good([given], "listen") or ()]
    ports = [listen.port for listen in listens if listen.tls and listen.kind == "tcp"]
    port = _HTTPS if _HTTPS in ports or not ports else ports[0]
    return SecureConfig(redirect=True, names=names, port=port, client_ca=client_ca)


def _good(chain: Sequence[Given], name: str) -> Any:
    found = find(chain, name)
    return None if found is None or found.broken else found.value

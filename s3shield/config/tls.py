"""TLS options: certificates by the names of servers, and whom clients' own are asked for.

A server shows its certificates for its names wherever it is reached with TLS, at its own
addresses and at the daemon's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

import attrs

from .listen import Listen

if TYPE_CHECKING:
    from .values import ServerConfig

__all__ = ["TlsConfig", "hosts_at"]


@attrs.frozen(kw_only=True)
class TlsConfig:
    """The options `tls_*` of a server, or of the daemon, inherited ones filled in.

    pairs: paths, (tls_certificate, tls_certificate_key), in order. client_ca: path of
    tls_client_ca, None for no question to clients. verify_client: nginx's
    ssl_verify_client; off without client_ca. where: of tls_certificate.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    client_ca: str | None = None
    verify_client: Literal["on", "optional", "off"] = "off"
    where: str = attrs.field(default="", eq=False)


def hosts_at(
    listen: Listen,
    daemon_listens: Iterable[Listen],
    daemon_tls: TlsConfig,
    servers: Sequence[ServerConfig],
) -> list[tuple[tuple[str, ...], TlsConfig]]:
    """Return (names, what is shown for them) of all that is reached at an address, in order."""
    everywhere = listen.text in [each.text for each in daemon_listens]
    found = [
        (server.server_name, server.tls)
        for server in servers
        if server.tls.pairs
        and (
            everywhere or not server.listen or listen.text in [each.text for each in server.listen]
        )
    ]
    if not found and daemon_tls.pairs:
        return [((), daemon_tls)]
    return found

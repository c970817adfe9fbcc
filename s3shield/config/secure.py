"""What a location wants of the connection: TLS (`https_redirect`), a client's certificate."""

from __future__ import annotations

import attrs

__all__ = ["SecureConfig"]


@attrs.frozen(kw_only=True)
class SecureConfig:
    """What a location wants of the connection that a request comes by.

    redirect: `https_redirect`, to names and port of its server, those as in `server_name`.
    client_ca: path of the `tls_client_ca` by which clients must have shown a certificate
    (`tls_verify_client = on`), None for no demand.
    """

    redirect: bool = False
    names: tuple[str, ...] = ()
    port: int = 443
    client_ca: str | None = None

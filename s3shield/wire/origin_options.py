"""The values an origin pool is made of, and the counts it gives."""

from __future__ import annotations

from typing import Literal

import attrs

from .origin_dial import join_host_port

__all__ = ["OriginAddress", "OriginOptions", "OriginStats"]


@attrs.frozen
class OriginAddress:
    """Where an origin is.

    scheme: "http" or "https". host: str, a name or an address literal (IPv6 without
    brackets); ValueError for one that cannot be looked up. port: int.
    """

    scheme: Literal["http", "https"]
    host: str = attrs.field()
    port: int

    @host.validator
    def _can_be_looked_up(self, _attribute: object, value: str) -> None:
        try:
            if not value:
                raise UnicodeError
            value.encode("idna")
        except UnicodeError as problem:
            raise ValueError(f"not a host name: {value!r}") from problem

    def __str__(self) -> str:
        return f"{self.scheme}://{join_host_port(self.host, self.port)}"


@attrs.frozen(kw_only=True)
class OriginOptions:
    """How to talk to an origin; nginx's directive in brackets.

    connect_timeout: float seconds for name lookup, TCP and TLS, and for waiting in the
    queue [proxy_connect_timeout]. read_timeout: float seconds between two bytes of an
    answer, and before its first [proxy_read_timeout]. idle_timeout: float seconds an
    unused connection is kept [keepalive_timeout]. max_connections: int, at once
    [max_conns]. max_age: float seconds after which a connection carries no new request,
    so that a changed DNS record is noticed [keepalive_time]. verify: bool
    [proxy_ssl_verify]. ca_file: str or None, a PEM bundle
    [proxy_ssl_trusted_certificate]. server_name: str for SNI and verification; empty is
    the address's host [proxy_ssl_name].
    """

    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    idle_timeout: float = 60.0
    max_connections: int = attrs.field(default=256, validator=attrs.validators.ge(1))
    max_age: float = 3600.0
    verify: bool = True
    ca_file: str | None = None
    server_name: str = ""


@attrs.frozen
class OriginStats:
    """Counts of a pool.

    idle, busy, connecting: connections now. queued: calls that wait for one. opened:
    connections since the start. retried: calls since the start that were sent again
    because their keep-alive connection was dead.
    """

    idle: int
    busy: int
    connecting: int
    queued: int
    opened: int
    retried: int

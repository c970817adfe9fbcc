"""What stands between a listener and its site: who the client is, what is noted of its answer."""

from __future__ import annotations

from collections.abc import Callable

from s3shield.config import Listen, RealIpConfig
from s3shield.policy import Request
from s3shield.wire import Downstream, Observing, RealIp, Trusted

__all__ = ["doorstep"]

Site = Callable[[Request, Downstream], None]


def doorstep(
    site: Site, listen: Listen, real_ip: RealIpConfig, trusted: Trusted, *, observed: bool
) -> Site:
    """Return what requests of a listener come to. observed: the access log wants notes."""
    if observed:
        site = Observing(site)
    field = real_ip.field(proxy_protocol=listen.proxy_protocol)
    if field is None:
        return site
    return RealIp(site, field.encode("ascii"), trusted, recursive=real_ip.recursive)

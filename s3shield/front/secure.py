"""What comes by an unsafe connection: sent to https, or refused for want of a certificate.

`https_redirect` leads nobody astray: it goes to a name of the server that the request is of,
to the one in `Host` if that is one of them, to the first that is whole otherwise.
"""

from __future__ import annotations

from s3shield.config import SecureConfig
from s3shield.policy import Request
from s3shield.routing import Route, ServerMatcher
from s3shield.wire import Downstream, VerifiedPeer

from .phase import Ground, Serve

__all__ = ["secure"]


def secure(ground: Ground, serve: Serve) -> Serve:
    """Return what lets pass what comes as the location wants it; see `Phase`."""
    wanted = ground.config.secure
    if wanted.client_ca is not None:
        serve = _verified(ground, serve, wanted.client_ca)
    if wanted.redirect:
        serve = _redirected(ground, serve, wanted)
    return serve


def _verified(ground: Ground, serve: Serve, client_ca: str) -> Serve:
    """As nginx's `ssl_verify_client on`, and on plain connections, too: 400, or 421."""

    def verified(request: Request, route: Route, downstream: Downstream) -> None:
        peer = request.peer
        if not isinstance(peer, VerifiedPeer):
            ground.refuse(request, route, downstream, 400)
        elif peer.client_ca != client_ca:
            # It came by an address where others verify (RFC 9110 section 15.5.20).
            ground.refuse(request, route, downstream, 421)
        else:
            serve(request, route, downstream)

    return verified


def _redirected(ground: Ground, serve: Serve, wanted: SecureConfig) -> Serve:
    matcher = ServerMatcher([((), 0), (wanted.names, 1)])
    whole = [name for name in wanted.names if not name.startswith("*.")]
    first = whole[0].encode("ascii") if whole else None
    port = b"" if wanted.port == 443 else b":%d" % wanted.port

    def redirected(request: Request, route: Route, downstream: Downstream) -> None:
        if request.scheme == b"https":
            serve(request, route, downstream)
            return
        host = request.host if matcher.find(request.host) else first
        if host is None:
            ground.refuse(request, route, downstream, 400)
            return
        query = b"" if request.query is None else b"?" + request.query
        place = b"https://%b%b%b%b" % (host, port, request.path, query)
        # 308: the method and the body stay what they are (RFC 9110 section 15.4.9).
        status = 301 if request.method in (b"GET", b"HEAD") else 308
        ground.refuse(request, route, downstream, status, ((b"Location", place),))

    return redirected

"""Paths that end in a slash, and those that should: `index`, `slash_redirect`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from s3shield.policy import InnerRequest, Request
from s3shield.routing import decode_path
from s3shield.signing import encode_key

from .inner import MISSING, READS, Caught, Intercept, give_back, lead, path_of, with_path

if TYPE_CHECKING:
    from s3shield.exchange import Serve
    from s3shield.routing import Route
    from s3shield.wire import Downstream

    from .phase import Ground

__all__ = ["index", "is_directory", "look", "redirect", "slash_redirect"]

_UNSAFE: Final = re.compile(rb"[^!-~]|[\"<>\\^`{|}]")


def is_directory(request: Request, route: Route) -> bool:
    """Tell whether the path ends in a slash, as asked for and as it is of the bucket."""
    return route.key.endswith(b"/") and path_of(request)[0][-3:].endswith((b"/", b"%2F", b"%2f"))


def index(ground: Ground, serve: Serve) -> Serve:
    """Ask for index documents in place of a path that ends in a slash, nginx's `index`.

    Each name is asked for as any client could: the rules of its location hold.
    """
    site = ground.config.site
    names = [_name(name) for name in site.index]
    if not names:
        return serve

    def serve_index(request: Request, route: Route, downstream: Downstream) -> None:
        if request.method not in READS or not is_directory(request, route):
            serve(request, route, downstream)
        else:
            _try_names(ground, serve, names, request, route, downstream)

    return serve_index


def _try_names(
    ground: Ground,
    serve: Serve,
    names: list[bytes],
    request: Request,
    route: Route,
    downstream: Downstream,
    _missing: Caught | None = None,
) -> None:
    """Ask for the first of `names`, and for the others if it is missing."""
    if not names:
        serve(request, route, downstream)  # a listing, then
        return
    path, query = path_of(request)
    name, *others = names
    inner = InnerRequest(request, with_path(name if name[:1] == b"/" else path + name, query))
    if not others and not ground.config.site.autoindex:
        lead(ground, inner, route, downstream)
        return
    inner.probe = True
    Intercept(
        inner,
        downstream,
        MISSING.__contains__,
        partial(_try_names, ground, serve, others, request, route, downstream),
        ground.location.around.call_soon,
    ).ask(lambda to: lead(ground, inner, route, to))


def _name(name: str) -> bytes:
    return encode_key(name.encode("utf-8"))


def slash_redirect(ground: Ground, serve: Serve) -> Serve:
    """Lead `/docs`, which is not there, to `/docs/`, which is: as nginx does for directories."""
    if not ground.config.site.slash_redirect:
        return serve

    def serve_or_redirect(request: Request, route: Route, downstream: Downstream) -> None:
        probe = isinstance(request, InnerRequest) and request.probe
        if probe or request.method not in READS or not may_be_directory(request, route):
            serve(request, route, downstream)
            return

        def missing(caught: Caught) -> None:
            look(
                ground,
                request,
                route,
                downstream,
                lambda: redirect(ground, request, route, downstream),
                lambda: give_back(ground, route, caught, downstream),
            )

        inner = InnerRequest(request)
        Intercept(
            inner,
            downstream,
            MISSING.__contains__,
            missing,
            ground.location.around.call_soon,
        ).ask(lambda to: serve(inner, route, to))

    return serve_or_redirect


def may_be_directory(request: Request, route: Route) -> bool:
    """Tell whether a slash may be added to the path.

    Not to one that begins with two: a Location of it would name another host.
    """
    path, _ = path_of(request)
    return not (
        route.key.endswith(b"/")
        or path.endswith((b"/", b"%2F", b"%2f"))
        or decode_path(path).startswith(b"//")
    )


def look(
    ground: Ground,
    request: Request,
    route: Route,
    downstream: Downstream,
    there: Callable[[], None],
    missing: Callable[[], None],
) -> None:
    """See whether the path with a slash added is there: an index document, or a listing.

    It is asked for with GET: that its 404 is remembered counts more than the body of the other.
    """
    path, _ = path_of(request)
    inner = InnerRequest(request, path + b"/", _unconditional(request))
    inner.method, inner.probe = b"GET", True
    Intercept(
        inner,
        downstream,
        lambda _: True,
        lambda caught: there() if caught.status < 400 else missing(),
        ground.location.around.call_soon,
    ).ask(lambda to: lead(ground, inner, route, to))


def _unconditional(request: Request) -> dict[bytes, bytes]:
    return {
        name: value
        for name, value in request.headers.items()
        if not name.startswith(b"if-") and name != b"range"
    }


def redirect(ground: Ground, request: Request, route: Route, downstream: Downstream) -> None:
    """Answer 301 with a slash added.

    The Location is a path: scheme, host and port stay those that the client used
    (RFC 9110 section 10.2.2). It is encoded anew, so that nothing in it, such as a backslash, is
    taken for the beginning of a host.
    """
    path, query = path_of(request)
    location = encode_key(decode_path(path)) + b"/"
    if query is not None:
        location += b"?" + _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], query)
    ground.refuse(request, route, downstream, 301, ((b"Location", location),))

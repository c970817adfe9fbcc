"""`try_files`: what is there of several, and what is given when none is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from s3shield.policy import InnerRequest, Request
from s3shield.routing import decode_path
from s3shield.signing import encode_key

from .directory import is_directory, look, may_be_directory, redirect
from .inner import MISSING, READS, Caught, Intercept, lead, path_of, with_path

if TYPE_CHECKING:
    from s3shield.exchange import Serve
    from s3shield.routing import Route
    from s3shield.wire import Downstream

    from .phase import Ground

__all__ = ["try_files"]

_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def try_files(ground: Ground, serve: Serve) -> Serve:
    """Try several paths in order, nginx's `try_files`, where the location has it.

    There is what is not answered 404 (or 410); each is asked for by way of the cache. It is done
    once for a request in a location: what the last one leads to is not tried again there.
    """
    files = ground.config.site.try_files
    if not files:
        return serve

    def serve_tried(request: Request, route: Route, downstream: Downstream) -> None:
        again = isinstance(request, InnerRequest) and (
            request.probe or route.number in request.tried
        )
        if again or request.method not in READS:
            serve(request, route, downstream)
        else:
            _Trial(ground, serve, request, route, downstream).go_on()

    return serve_tried


class _Trial:
    """One request on its way through the files."""

    __slots__ = ("_at", "_downstream", "_ground", "_request", "_route", "_serve")

    def __init__(
        self, ground: Ground, serve: Serve, request: Request, route: Route, downstream: Downstream
    ) -> None:
        self._ground = ground
        self._serve = serve
        self._request = request
        self._route = route
        self._downstream = downstream
        self._at = 0

    def go_on(self, _caught: Caught | None = None) -> None:
        """Try the next one."""
        ground, request, route, to = self._ground, self._request, self._route, self._downstream
        files = ground.config.site.try_files
        file = files[self._at]
        self._at += 1
        directory = is_directory(request, route)
        if self._at == len(files):
            self._end(file)
        elif file in ("$uri", "${uri}"):
            # A name with a slash at its end is no file's.
            if directory:
                self.go_on()
            else:
                self._here()
        elif file in ("$uri/", "${uri}/"):
            if directory:
                self._here()
            elif may_be_directory(request, route):
                look(
                    ground,
                    request,
                    route,
                    to,
                    lambda: redirect(ground, request, route, to),
                    self.go_on,
                )
            else:
                self.go_on()
        else:
            inner = self._inner(self._target(file, keep=True))
            self._intercept(inner).ask(lambda down: lead(ground, inner, route, down))

    def _here(self) -> None:
        """See whether what was asked for is there."""
        inner = self._inner(None)
        self._intercept(inner).ask(lambda down: self._serve(inner, self._route, down))

    def _inner(self, target: bytes | None) -> InnerRequest:
        inner = InnerRequest(self._request, target)
        inner.probe = True
        return inner

    def _intercept(self, inner: InnerRequest) -> Intercept:
        soon = self._ground.location.around.call_soon
        return Intercept(inner, self._downstream, MISSING.__contains__, self.go_on, soon)

    def _end(self, file: str) -> None:
        ground, request, route, to = self._ground, self._request, self._route, self._downstream
        if file.startswith("="):
            ground.refuse(request, route, to, int(file[1:]))
            return
        inner = InnerRequest(request, self._target(file, keep=False))
        inner.tried |= {route.number}
        lead(ground, inner, route, to)

    def _target(self, file: str, *, keep: bool) -> bytes:
        """Return what a text stands for. keep: the client's parameters, if it has none."""
        path, query = path_of(self._request)
        uri = encode_key(decode_path(path))

        def value(found: re.Match[str]) -> bytes:
            name = found[1] or found[2]
            if name == "uri":
                return uri
            if name == "is_args":
                return b"?" if query else b""
            return query or b""

        # What stands between the variables is text of the configuration, not yet encoded.
        target, end = b"", 0
        for found in _VARIABLE.finditer(file):
            target = _with_text(target, file[end : found.start()]) + value(found)
            end = found.end()
        target = _with_text(target, file[end:])
        return with_path(target, query) if keep and b"?" not in target else target


def _with_text(target: bytes, text: str) -> bytes:
    if b"?" in target:
        return target + text.encode("utf-8")
    path, mark, query = text.partition("?")
    return target + encode_key(path.encode("utf-8")) + (mark + query).encode("utf-8")

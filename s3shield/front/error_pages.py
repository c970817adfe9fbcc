"""`error_page`: an object of the site in the place of an answer that is an error."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from s3shield.exchange import reason_phrase
from s3shield.policy import InnerRequest, Request

from .inner import READS, Caught, Intercept, give_back, lead

if TYPE_CHECKING:
    from s3shield.config import ErrorPage
    from s3shield.exchange import Serve
    from s3shield.routing import Route
    from s3shield.wire import Downstream

    from .phase import Ground

__all__ = ["error_pages"]

_SELECTIVE: Final = frozenset(
    {
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)
"""Fields that are about what was asked for, not about the page."""
_OF_THE_ERROR: Final = re.compile(
    rb"^(?:allow|retry-after|www-authenticate):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
_OF_THE_PAGE: Final = re.compile(
    rb"^(?:accept-ranges|etag|last-modified):[^\n]*\n", re.IGNORECASE | re.MULTILINE
)
"""It is no representation of what was asked for."""


def error_pages(ground: Ground, serve: Serve) -> Serve:
    """Show pages in place of errors, nginx's `error_page`, where the location has any.

    For GET and HEAD, whoever made the answer: the origin (proxy_intercept_errors) or one of us. A
    page's own errors have no page; what can be had no page for is answered as it was.
    """
    pages: dict[int, ErrorPage] = {}
    for page in ground.config.site.error_pages:
        for status in page.statuses:
            pages.setdefault(status, page)
    if not pages:
        return serve
    wanted = pages.__contains__
    call_soon = ground.location.around.call_soon

    def serve_with_pages(request: Request, route: Route, downstream: Downstream) -> None:
        if request.method not in READS or (
            isinstance(request, InnerRequest) and (request.page or request.probe)
        ):
            serve(request, route, downstream)
            return
        first = InnerRequest(request)
        intercept = Intercept(
            first,
            downstream,
            wanted,
            lambda caught: _show(ground, route, downstream, caught, pages[caught.status]),
            call_soon,
        )
        first.left = intercept.disarm
        intercept.ask(lambda to: serve(first, route, to))

    return serve_with_pages


def _show(
    ground: Ground, route: Route, downstream: Downstream, error: Caught, page: ErrorPage
) -> None:
    headers = {
        name: value for name, value in error.request.headers.items() if name not in _SELECTIVE
    }
    request = InnerRequest(error.request, page.target, headers)
    request.parent = error.request.parent
    request.page, request.left, request.tried = True, None, frozenset()
    if page.answer is None:
        lead(ground, request, route, downstream)
        return
    request.status = status = page.answer or error.status
    kept = b"".join(_OF_THE_ERROR.findall(error.head))

    def changed(head: bytes) -> bytes:
        rest = head[head.index(b"\r\n") + 2 :]
        if status >= 300:
            rest = _OF_THE_PAGE.sub(b"", rest)
        return b"HTTP/1.1 %d %b\r\n%b%b" % (status, reason_phrase(status), rest, kept)

    Intercept(
        request,
        downstream,
        lambda got: got != 200,
        lambda _: give_back(ground, route, error, downstream),
        ground.location.around.call_soon,
        changed,
    ).ask(lambda to: lead(ground, request, route, to))

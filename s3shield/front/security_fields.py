"""`security_headers`: what tells browsers to be careful with what they get.

Added to every answer of the location, whoever made it, where no field of that name is there:
what the origin says of its own object, or `add_header`, is meant for it. Not to a 304: a browser
would take it in the place of the field that it has stored. Strict-Transport-Security is told
over TLS alone (RFC 6797 section 7.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer

from s3shield.policy import Fields, Request
from s3shield.wire import Downstream, Octets

from .passing import Passing

if TYPE_CHECKING:
    from s3shield.exchange import Serve
    from s3shield.routing import Route

    from .phase import Ground

__all__ = ["PRESETS", "security_fields"]

_HSTS: Final = b"Strict-Transport-Security"

PRESETS: Final[dict[str, Fields]] = {
    "basic": (
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
        (b"X-Frame-Options", b"SAMEORIGIN"),
        (b"Content-Security-Policy", b"frame-ancestors 'self'"),
        (_HSTS, b"max-age=15552000"),
    ),
    "strict": (
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"no-referrer"),
        (b"X-Frame-Options", b"DENY"),
        (
            b"Content-Security-Policy",
            (
                b"default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
                b"frame-ancestors 'none'"
            ),
        ),
        (b"Permissions-Policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        (b"Cross-Origin-Opener-Policy", b"same-origin"),
        (_HSTS, b"max-age=31536000; includeSubDomains"),
    ),
}
"""The fields of each word of the option."""

_Lines = tuple[tuple[bytes, bytes], ...]
"""What a field that is there looks like in a head in lower case; the line to add."""


def security_fields(ground: Ground, serve: Serve) -> Serve:
    """Add the fields of the location's preset, if it has one."""
    fields = PRESETS.get(ground.config.site.security_headers)
    if fields is None:
        return serve
    secure: _Lines = tuple(
        [(b"\r\n%b:" % name.lower(), b"%b: %b\r\n" % (name, value)) for name, value in fields]
    )
    plain: _Lines = tuple([line for line in secure if not line[1].startswith(_HSTS)])

    def serve_with_fields(request: Request, route: Route, downstream: Downstream) -> None:
        lines = secure if request.scheme == b"https" else plain
        serve(request, route, _Careful(downstream, lines))

    return serve_with_fields


class _Careful(Passing):
    """Adds to a head the lines that it lacks."""

    __slots__ = ("_lines",)

    def __init__(self, inner: Downstream, lines: _Lines) -> None:
        super().__init__(inner)
        self._lines = lines

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        self.inner.reply(self._with_lines(head), body)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self.inner.start(self._with_lines(head), length, producer)

    def _with_lines(self, head: bytes) -> bytes:
        if head[9:12] == b"304":
            return head
        lower = head.lower()
        return head + b"".join([line for mark, line in self._lines if mark not in lower])

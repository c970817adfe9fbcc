"""`cors_*`: scripts of other origins may read what a location serves, refusals too.

What the origin says of CORS is taken out: who may read is said here, in one place. A
browser's question (a preflight) is answered here, before anybody is asked who he is: it
comes without credentials.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IPushProducer

from s3shield.access import Cors
from s3shield.policy import Request
from s3shield.wire import Downstream, Octets

from .passing import Passing
from .phase import Ground, Serve

if TYPE_CHECKING:
    from s3shield.routing import Route

__all__ = ["cross_origin", "with_cors"]

_THEIRS: Final = re.compile(rb"(?im)^access-control-[^\n]*\n")
_VARY: Final = re.compile(rb"(?im)^vary:([^\r\n]*)")


def cross_origin(ground: Ground, serve: Serve) -> Serve:
    """The phase."""
    cors = ground.config.cors
    if cors is None:
        return serve
    around = ground.location.around

    def shared(request: Request, route: Route, downstream: Downstream) -> None:
        if cors.is_preflight(request):
            head = b"HTTP/1.1 204 No Content\r\nServer: s3shield\r\nDate: %b\r\n" % formatdate(
                around.clock(), usegmt=True
            ).encode("ascii")
            downstream.reply(head + _lines(cors.preflight(request)), b"")
            ground.location.transaction(request, route, downstream).log(204, 0)
            return
        serve(request, route, _Shared(downstream, _lines(cors.answer(request)), cors))

    return shared


def _lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])


def with_cors(head: bytes, lines: bytes, *, varies: bool) -> bytes:
    """Return an answer's head with our fields in the place of the origin's.

    head: status line and fields, each with its CRLF. varies: whether Vary names Origin.
    """
    if b"access-control-" in head.lower():
        head = _THEIRS.sub(b"", head)
    if varies:
        names = b",".join(_VARY.findall(head)).lower().split(b",")
        if not {b"origin", b"*"}.intersection([name.strip() for name in names]):
            lines += b"Vary: Origin\r\n"
    return head + lines


class _Shared(Passing):
    """An answer that scripts of other origins may read, or not."""

    __slots__ = ("_lines", "_varies")

    def __init__(self, inner: Downstream, lines: bytes, cors: Cors) -> None:
        super().__init__(inner)
        self._lines = lines
        self._varies = cors.varies

    def reply(self, head: bytes, body: Octets) -> None:
        """See `Downstream.reply`."""
        self.inner.reply(with_cors(head, self._lines, varies=self._varies), body)

    def start(self, head: bytes, length: int | None, producer: IPushProducer) -> None:
        """See `Downstream.start`."""
        self.inner.start(with_cors(head, self._lines, varies=self._varies), length, producer)

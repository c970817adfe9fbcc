"""What a location is given of a body that was held back until its client was let in.

Theory of operation. Where a gate has a say, a request is served as soon as its head is there,
and nothing of its body is read, nor a client told to go on, before somebody begins to. Once
the client is in, what the location wants is done here as the wire does it elsewhere: a short
body gathered and then served, a longer one served as it comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from s3shield.policy import Request, RequestWithBody
from s3shield.wire import StreamedRequest

from .phase import Ground, Serve

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.wire import BodyPlan, Downstream, Upload, UploadSink

__all__ = ["serve_upload"]


class _Rest:
    """An `Upload` whose beginning was gathered: what is longer than that goes on as it comes."""

    def __init__(self, upload: Upload, first: bytes) -> None:
        self._upload = upload
        self._first = first
        self._sink: UploadSink | None = None
        self._paused = self._ended = False
        self.length = upload.length

    @property
    def whole(self) -> bool:
        """See `Upload`."""
        return self._upload.whole and not self._first

    @property
    def refused(self) -> Callable[[int], None] | None:
        """See `Upload`."""
        return self._upload.refused

    @refused.setter
    def refused(self, told: Callable[[int], None] | None) -> None:
        self._upload.refused = told

    def begin(self, sink: UploadSink) -> None:
        """See `Upload`."""
        self._sink = sink
        first, self._first = self._first, b""
        sink.upload_data(first)
        if self._ended:
            sink.upload_end()
        elif not self._paused:
            self._upload.resume()

    def pause(self) -> None:
        """See `Upload`."""
        self._paused = True
        self._upload.pause()

    def resume(self) -> None:
        """See `Upload`."""
        self._paused = False
        self._upload.resume()

    # What the gathering one hands on

    def upload_data(self, data: bytes) -> None:
        """See `UploadSink`."""
        if self._sink is None:
            self._first += data
        else:
            self._sink.upload_data(data)

    def upload_end(self) -> None:
        """See `UploadSink`."""
        self._ended = True
        if self._sink is not None:
            self._sink.upload_end()


class _Gathered:
    """A body that is served when it is whole, or has grown too long. A `wire.UploadSink`."""

    def __init__(
        self,
        ground: Ground,
        serve: Serve,
        request: StreamedRequest,
        route: Route,
        downstream: Downstream,
        plan: BodyPlan,
    ) -> None:
        self._serve = serve
        self._request = request
        self._route = route
        self._downstream = downstream
        self._plan = plan
        self._soon = ground.location.around.call_soon
        self._bytes = bytearray()
        self._over = False
        self._rest: _Rest | None = None
        self._transaction = ground.location.transaction(request, route, downstream)

    def begin(self) -> None:
        """Read it, in another turn: only then is there an answer to wait for."""
        self._request.upload.refused = self._refuse
        self._transaction.watch(self._left)
        self._soon(self._read)

    def _read(self) -> None:
        if not self._over:
            self._request.upload.begin(self)

    def upload_data(self, data: bytes) -> None:
        """See `UploadSink`."""
        if self._rest is not None:
            self._rest.upload_data(data)
            return
        self._bytes += data
        if self._over or len(self._bytes) <= self._plan.gather:
            return
        self._request.upload.pause()
        if self._plan.beyond:
            self._refuse(self._plan.beyond)
            return
        rest = self._rest = _Rest(self._request.upload, bytes(self._bytes))
        self._soon(lambda: self._go(StreamedRequest(self._request, rest)))

    def upload_end(self) -> None:
        """Serve it in another turn: whoever reads bodies is not to be answered meanwhile."""
        if self._rest is not None:
            self._rest.upload_end()
        else:
            self._soon(lambda: self._go(RequestWithBody(self._request, bytes(self._bytes))))

    def _go(self, request: Request) -> None:
        if not self._over:
            self._over = True
            self._request.upload.refused = None
            self._serve(request, self._route, self._downstream)

    def _refuse(self, status: int) -> None:
        if not self._over:
            self._over = True
            self._transaction.refuse(status)

    def _left(self) -> bool:
        before, self._over = self._over, True
        return not before


def serve_upload(
    ground: Ground, serve: Serve, request: StreamedRequest, route: Route, downstream: Downstream
) -> None:
    """Serve a request of which nothing of the body was read, and whose client may come in."""
    length = request.upload.length
    plan = ground.location.bodies.wanted(request, route)
    if plan is None or (plan.streams(length) and not plan.beyond):
        serve(request, route, downstream)
    elif plan.streams(length):
        ground.refuse(request, route, downstream, plan.beyond)
    else:
        _Gathered(ground, serve, request, route, downstream, plan).begin()

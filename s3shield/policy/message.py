"""The two HTTP heads that every decision is about: a request's and a response's.

Pure values; the wire makes them, `policy` reads them. RFC 9110 sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

__all__ = [
    "Fields",
    "InnerRequest",
    "Request",
    "RequestNotes",
    "RequestWithBody",
    "ResponseHead",
    "notes_of",
]

Fields = tuple[tuple[bytes, bytes], ...]
"""Field lines in the order received: (name in its original case, value)."""

_EMPTY: Final[dict[bytes, bytes]] = {}


class RequestNotes:
    """What is noted of a request besides, where somebody wants to know.

    head: of its answer, in wire form, without what the connection adds; empty before there is
    one. sent: bytes that the client was sent. trace: what it is called in a trace, or None.
    """

    __slots__ = ("head", "sent", "trace")

    def __init__(self) -> None:
        self.head = b""
        self.sent = 0
        self.trace: Any = None


class _Noted:
    # Not among the fields of a request, which are set in each: this is not, in most.
    __slots__ = ("notes",)

    notes: RequestNotes


def notes_of(request: Request) -> RequestNotes | None:
    """Return what is noted of a request besides; None for most."""
    return getattr(request, "notes", None)


class Request(_Noted):
    """A request as it was received. Built once per request by the wire, read by all.

    Not an attrs value: its construction is on the hit path.

    method: bytes, as sent (case-sensitive). target: bytes, the request target as
    sent. path: bytes, the target up to `?`, undecoded; query: bytes after it, or None
    when there was no `?`. version: (1, 1) or (1, 0). headers: lower-case name ->
    value, repeated lines joined with `, ` (`; ` for Cookie) in order of arrival
    (RFC 9110 section 5.3). host: bytes, lower-case, without the port; empty when none.
    peer: bytes, the client's address as text. scheme: b"http" or b"https".
    started: float, the monotonic second at which the head was complete. body: bytes, of a
    RequestWithBody.
    """

    __slots__ = (
        "headers",
        "host",
        "method",
        "path",
        "peer",
        "query",
        "scheme",
        "started",
        "target",
        "version",
    )

    body: bytes = b""  # not a slot: most requests have none, and do not pay for it

    def __init__(
        self,
        method: bytes = b"GET",
        target: bytes = b"/",
        headers: dict[bytes, bytes] | None = None,
        *,
        version: tuple[int, int] = (1, 1),
        host: bytes = b"",
        peer: bytes = b"",
        scheme: bytes = b"http",
        started: float = 0.0,
    ) -> None:
        self.method = method
        self.target = target
        path, mark, query = target.partition(b"?")
        self.path = path
        self.query: bytes | None = query if mark else None
        self.headers = _EMPTY if headers is None else headers
        self.version = version
        self.host = host
        self.peer = peer
        self.scheme = scheme
        self.started = started


class RequestWithBody(Request):
    """A request together with its body, which has arrived."""

    __slots__ = ("body",)

    def __init__(self, request: Request, body: bytes) -> None:
        for name in Request.__slots__:
            setattr(self, name, getattr(request, name))
        self.body = body


class InnerRequest(Request):
    """A request that we make in the place of a client's: nginx's internal redirect.

    outer: the client's own, which the access log shows. hops: redirects so far. tried:
    numbers of the locations whose `try_files` were. probe: it is only asked whether there
    is something: no page of an error is wanted, no `try_files`. page: it is for the page of
    an error, and not for another error's. status: what the client is told in place of an
    answer's 200, 0 for that. quiet: the client does not get this answer, so the log's
    record of it, or of one made in its place, is kept in `record`. parent: the inner request
    in whose place it was made. counted: limits were asked about one of these. left: called
    when it is led to another location, whose pages of errors hold from then on.
    """

    __slots__ = (
        *("counted", "hops", "left", "outer", "page", "parent", "probe"),
        *("quiet", "record", "status", "tried"),
    )

    def __init__(
        self,
        request: Request,
        target: bytes | None = None,
        headers: dict[bytes, bytes] | None = None,
    ) -> None:
        """Take all but `target` and `headers` from `request`, itself an inner one or not."""
        super().__init__(
            request.method,
            request.target if target is None else target,
            request.headers if headers is None else headers,
            version=request.version,
            host=request.host,
            peer=request.peer,
            scheme=request.scheme,
            started=request.started,
        )
        if target is None:
            self.path, self.query = request.path, request.query
        inner = request if isinstance(request, InnerRequest) else None
        self.parent = inner
        self.outer: Request = request if inner is None else inner.outer
        self.counted: bool = inner is not None and inner.counted
        self.hops: int = 0 if inner is None else inner.hops
        self.tried: frozenset[int] = frozenset() if inner is None else inner.tried
        self.probe: bool = inner is not None and inner.probe
        self.page: bool = inner is not None and inner.page
        self.status: int = 0 if inner is None else inner.status
        self.left: Callable[[], None] | None = None if inner is None else inner.left
        self.quiet: bool = False
        self.record: Any = None

    @property
    def notes(self) -> RequestNotes:  # type: ignore[override]  # nobody gives it others
        """Those of the client's own request. Raises AttributeError, as without."""
        return self.outer.notes


@attrs.frozen
class ResponseHead:
    """A final response's status and fields, as the origin sent them.

    status: int. reason: bytes, may be empty. fields: as received, hop-by-hop and all.
    """

    status: int
    reason: bytes
    fields: Fields

    def get(self, name: bytes) -> bytes | None:
        """Return the lines of lower-case `name` joined with `, `, or None."""
        values = self.get_all(name)
        return b", ".join(values) if values else None

    def get_all(self, name: bytes) -> list[bytes]:
        """Return each line's value of lower-case `name`, in order received."""
        return [value for key, value in self.fields if key.lower() == name]

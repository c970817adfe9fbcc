"""The two HTTP heads that every decision is about: a request's and a response's.

Pure values; the wire makes them, `policy` reads them. RFC 9110 sections 5 and 6.
"""

from __future__ import annotations

from typing import Final

import attrs

__all__ = ["Fields", "Request", "RequestWithBody", "ResponseHead"]

Fields = tuple[tuple[bytes, bytes], ...]
"""Field lines in the order received: (name in its original case, value)."""

_EMPTY: Final[dict[bytes, bytes]] = {}


class Request:
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

"""What of a request is meant for us alone: credentials that are checked here.

They go no further: not to an origin, not into a cache key or a variant's, not into a log. So
an answer that needs one is stored once for all who have one, and no origin, and nobody who
reads a log, can use what a client showed us.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from .message import Request, notes_of

__all__ = ["NOTHING_CONSUMED", "Consumed", "argument_name", "cookie_pairs"]

_MASK: Final = b"***"


@attrs.frozen
class Consumed:
    """What a location keeps to itself.

    schemes: lower-case, of Authorization (b"bearer"). cookies: names. arguments: names of
    query parameters, decoded and lower-case, as nginx's `$arg_NAME` takes them.
    """

    schemes: frozenset[bytes] = frozenset()
    cookies: frozenset[bytes] = frozenset()
    arguments: frozenset[bytes] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything."""
        return bool(self.schemes or self.cookies or self.arguments)

    def __or__(self, other: Consumed) -> Consumed:
        """Return both together."""
        return Consumed(
            schemes=self.schemes | other.schemes,
            cookies=self.cookies | other.cookies,
            arguments=self.arguments | other.arguments,
        )

    def headers(self, headers: dict[bytes, bytes]) -> dict[bytes, bytes]:
        """Return the fields that others may see; the same dictionary where all may be."""
        if not self:
            return headers
        found = dict(headers)
        value = headers.get(b"authorization")
        if value is not None and value.partition(b" ")[0].lower() in self.schemes:
            del found[b"authorization"]
        value = headers.get(b"cookie")
        if value is not None and self.cookies:
            kept = [each for each in value.split(b";") if _cookie(each)[0] not in self.cookies]
            if len(kept) < value.count(b";") + 1:
                found[b"cookie"] = b";".join(kept).strip(b" \t")
            if not kept:
                del found[b"cookie"]
        value = headers.get(b"referer")
        if value is not None and self.arguments:
            found[b"referer"] = self._cut(value)
        return found

    def query(self, query: bytes | None) -> bytes | None:
        """Return a raw query without the arguments; None where nothing is left of it."""
        if query is None or not self.arguments:
            return query
        pieces = query.split(b"&")
        kept = [piece for piece in pieces if argument_name(piece) not in self.arguments]
        if len(kept) == len(pieces):
            return query
        return b"&".join(kept) if kept else None

    def request(self, request: Request) -> Request:
        """Return the request as others may see it; itself where all may be seen."""
        headers = self.headers(request.headers)
        query = self.query(request.query)
        if query is request.query and headers is request.headers:
            return request
        return self._copy(request, self._cut(request.target), headers)

    def masked(self, request: Request) -> Request:
        """Return the request as a log may show it: names of arguments, no values.

        Authorization is there: a log tells the user's name, and nothing else of it.
        """
        headers = request.headers
        referer = headers.get(b"referer", b"")
        cookie = bool(self.cookies) and b"cookie" in headers
        if request.query is None and b"?" not in referer and not cookie:
            return request
        if cookie:
            headers = Consumed(cookies=self.cookies).headers(headers)
        if b"?" in referer:
            headers = {**headers, b"referer": self._hidden(referer)}
        return self._copy(request, self._hidden(request.target), headers)

    def _cut(self, url: bytes) -> bytes:
        path, mark, query = url.partition(b"?")
        kept = self.query(query) if mark else None
        return path if kept is None else b"%b?%b" % (path, kept)

    def _hidden(self, url: bytes) -> bytes:
        path, mark, query = url.partition(b"?")
        pieces = [
            b"%b=%b" % (piece.partition(b"=")[0], _MASK)
            if argument_name(piece) in self.arguments
            else piece
            for piece in query.split(b"&")
        ]
        return path + mark + b"&".join(pieces)

    def _copy(self, request: Request, target: bytes, headers: dict[bytes, bytes]) -> Request:
        made = Request(
            request.method,
            target,
            headers,
            version=request.version,
            host=request.host,
            peer=request.peer,
            scheme=request.scheme,
            started=request.started,
        )
        notes = notes_of(request)
        if notes is not None:
            made.notes = notes
        return made


NOTHING_CONSUMED: Final = Consumed()


def argument_name(piece: bytes) -> bytes:
    """Return the name of one `name=value` of a query, decoded and lower-case."""
    return unquote_to_bytes(piece.partition(b"=")[0].replace(b"+", b" ")).lower()


def cookie_pairs(value: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names and values of a Cookie field (RFC 6265 section 4.2.1), in order."""
    return [_cookie(each) for each in value.split(b";")]


def _cookie(text: bytes) -> tuple[bytes, bytes]:
    name, _, value = text.partition(b"=")
    return name.strip(b" \t"), value.strip(b" \t")

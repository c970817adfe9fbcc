"""One request head: from the bytes of a whole head to a `Request`, or a refusal.

llhttp judges the syntax; what it lets through and RFC 9112 does not is refused here.
The channel cuts the stream at the blank line, so a parser never sees bytes behind
the head it is at, and a head means the same however it was cut into packets.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from httptools import (
    HttpParserError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from s3shield.policy import Request

__all__ = [
    "CLOSE",
    "FIELDS_LIMIT",
    "HEAD_LIMIT",
    "LINE_LIMIT",
    "Framing",
    "HeadReader",
    "Refused",
    "host_name",
    "without_named",
]

LINE_LIMIT: Final = 8 * 1024
"""Bytes of the request line, without its CRLF."""
HEAD_LIMIT: Final = 32 * 1024
"""Bytes of all field lines together."""
FIELDS_LIMIT: Final = 100
"""Field lines of one head."""
BODY_LIMIT: Final = 64 * 1024
"""Bytes of a body nobody wants that are read to keep the connection."""

END: Final = b"\r\n"
CLOSE: Final = b"Connection: close\r\n\r\n"
KEEP: Final = b"Connection: keep-alive\r\n\r\n"

UNKNOWN_LENGTH: Final = -1

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(rb"HTTP/[0-9]+(\.[0-9]+)?")
# uri-host [":" port] of RFC 3986: a name or IPv4 address, or a bracketed literal.
_HOST = re.compile(
    rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+?)\.?(?::[0-9]{0,5})?",
)
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)

_OURS_TO_READ: Final = frozenset({b"connection", b"content-length", b"host", b"transfer-encoding"})

_HOSTS_LIMIT: Final = 4096
_hosts: dict[bytes, bytes] = {}
_new: Final = Request.__new__


class Refused(Exception):  # noqa: N818 - it is what happened to the request
    """The request will not be served: `status` says why to the client."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Framing(NamedTuple):
    """What is unusual about where the request and its response end.

    tail: what ends the response's head, instead of a bare CRLF. close: whether the
    response is this connection's last. body: bytes of body that follow the head, -1
    when not known. old: the client speaks HTTP/1.0 and knows no chunks.
    """

    tail: bytes
    close: bool
    body: int
    old: bool


def host_name(value: bytes) -> bytes | None:
    """Return the lower-case name of a Host field, without port and final dot.

    IPv6 literals keep their brackets. None for what is no host (RFC 9110 section 7.2).
    """
    known = _hosts.get(value)
    if known is not None:
        return known
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    name = match[1].lower()
    if len(_hosts) >= _HOSTS_LIMIT:
        _hosts.clear()  # names are the client's to invent
    _hosts[value] = name
    return name


def without_named(fields: dict[bytes, bytes]) -> None:
    """Remove what Connection names from lower-case `fields` (RFC 9110 section 7.6.1).

    Nobody behind us sees it, so it must not decide anything here: which variant, above
    all. Host and what says where the body ends stay.
    """
    named = fields.get(b"connection")
    if named is not None:
        for option in named.lower().split(b","):
            name = option.strip()
            if name not in _OURS_TO_READ:
                fields.pop(name, None)


class _Silent:
    """What a parser calls back when only its judgement is wanted."""


class HeadReader:
    """Reads the heads of one connection, one after the other.

    peer: the client's address as text, scheme: b"http" or b"https", for the requests
    made. special: after `read`, the framing where it is not that of a bodiless
    HTTP/1.1 request that keeps the connection.
    """

    __slots__ = (
        "_feed",
        "_fields",
        "_probe",
        "_refused",
        "_repeats",
        "_scheme",
        "peer",
        "special",
    )

    def __init__(self, peer: bytes, scheme: bytes) -> None:
        self.peer = peer
        self._scheme = scheme
        self._fields: dict[bytes, bytes] = {}
        self._repeats = 0
        self._refused: Refused | None = None
        self._probe: HttpRequestParser | None = None
        self._feed: Callable[[bytes], None] = HttpRequestParser(self).feed_data
        self.special: Framing | None = None

    def close(self) -> None:
        """Part from the parser, which knows this object: no cycle is left behind."""
        self._feed = _no_more
        self._probe = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser with each field line."""
        name = name.lower()
        fields = self._fields
        if name in fields:
            self._repeat(name, value.rstrip())
        else:
            # llhttp leaves trailing whitespace, which is not part of the value.
            fields[name] = value.rstrip()

    def _repeat(self, name: bytes, value: bytes) -> None:
        self._repeats += 1
        if name == b"host":
            self._refused = Refused(400, "several Host fields")
            raise self._refused
        if self._repeats > FIELDS_LIMIT:
            self._refused = Refused(431, "too many fields")
            raise self._refused
        between = b"; " if name == b"cookie" else b", "
        self._fields[name] = between.join((self._fields[name], value))

    def read(self, head: bytes, now: float) -> Request:
        """Return the request that `head` is.

        head: one whole head with its blank line, within the size limits. now: the
        monotonic second. Raises `Refused`; the reader is of no more use then.
        """
        fields: dict[bytes, bytes] = {}
        self._fields = fields
        try:
            self._feed(head)
            method, target, rest = head.split(b" ", 2)
            host = _hosts[fields[b"host"]]
        except KeyError:  # no Host, or one not seen before
            return self._judge(method, target, rest.partition(b"\r")[0], now)
        except (HttpParserError, HttpParserUpgrade, ValueError) as error:
            return self._read_unusual(head, now, error)
        if (
            rest[:10] != b"HTTP/1.1\r\n"
            or (method != b"GET" and method not in _PASSES_PARSER)
            or target[:1] != b"/"
            or b"#" in target
            or (b"connection" in fields and fields[b"connection"] != b"keep-alive")
            or b"content-length" in fields
            or b"transfer-encoding" in fields
            or len(fields) > FIELDS_LIMIT
            or self._repeats
        ):
            return self._judge(method, target, rest.partition(b"\r")[0], now)
        self.special = None
        request = _new(Request)  # its __init__ costs three times as much
        request.method = method
        request.target = target
        if b"?" in target:
            request.path, _, request.query = target.partition(b"?")
        else:
            request.path = target
            request.query = None
        request.headers = fields
        request.version = (1, 1)
        request.host = host
        request.peer = self.peer
        request.scheme = self._scheme
        request.started = now
        return request

    def foresee(self, piece: bytes, so_far: bytes | bytearray) -> None:
        """Judge a head that is not complete: raise `Refused` if it cannot become one.

        piece: the bytes that came last. so_far: all of them, `piece` included.
        """
        line = so_far.find(END)
        if line < 0:
            if len(so_far) > LINE_LIMIT + 1:
                raise Refused(414, "request line too long")
        elif len(so_far) - line - 2 > HEAD_LIMIT + 2:
            raise Refused(431, "fields too long")
        if len(piece) == len(so_far):
            self._probe = None
        if self._probe is None:
            method, space, _ = so_far.partition(b" ")
            if _TOKEN.fullmatch(method) is None:
                raise Refused(400, "no method")
            if not space:
                return
            known = bytes(method) in _PASSES_PARSER or method == b"PRI"
            piece = bytes(so_far) if known else b"GET" + so_far[len(method) :]
            self._probe = HttpRequestParser(_Silent())
        try:
            self._probe.feed_data(piece)
        except (HttpParserError, HttpParserUpgrade):
            raise self._reason(so_far) from None

    def check_size(self, head: bytes) -> None:
        """Raise `Refused` if a whole head is over one of the limits."""
        line = head.find(END)
        if line > LINE_LIMIT:
            raise Refused(414, "request line too long")
        if len(head) - line - 4 > HEAD_LIMIT:
            raise Refused(431, "fields too long")
        if head.count(b"\n") - 2 > FIELDS_LIMIT:
            raise Refused(431, "too many fields")

    def renew(self) -> None:
        """Forget the head that was read last, whatever became of it."""
        self._feed = HttpRequestParser(self).feed_data
        self._fields = {}
        self._repeats = 0
        self._refused = None

    def _read_unusual(self, head: bytes, now: float, error: Exception) -> Request:
        """Read what llhttp stopped at, or say why it is refused."""
        if self._refused is not None:
            raise self._refused from None
        parts = head[: head.find(b"\r")].split(b" ")
        if len(parts) != 3 or isinstance(error, ValueError):
            raise self._reason(head) from None
        method, target, version = parts
        if isinstance(error, HttpParserUpgrade):
            # The offer to change protocols is declined by answering as usual.
            return self._judge(method, target, version, now)
        if method in _PASSES_PARSER or _TOKEN.fullmatch(method) is None or method == b"PRI":
            raise self._reason(head) from None
        # llhttp knows a list of methods, HTTP does not: what is allowed is the site's
        # to say. The rest of the head is judged as if the method were GET.
        self.renew()
        with suppress(HttpParserUpgrade):  # declined as above
            try:
                self._feed(b"GET" + head[len(method) :])
            except HttpParserError:
                raise (self._refused or self._reason(head)) from None
        return self._judge(method, target, version, now)

    def _reason(self, head: bytes | bytearray) -> Refused:
        """Say what is wrong with a head, or part of one, that llhttp refused."""
        line, whole, _ = bytes(head).partition(b"\r")
        parts = line.split(b" ")
        if len(parts) == 3 and parts[0] != b"PRI":
            version = parts[2]
            ours = version in (b"HTTP/1.1", b"HTTP/1.0") or (not whole and version == b"HTTP/1")
            if _VERSION.fullmatch(version) and not ours:
                return Refused(505, "HTTP version not supported")
        return Refused(400, "malformed")

    def _judge(self, method: bytes, target: bytes, version: bytes, now: float) -> Request:
        """Make the request of a head that llhttp let through, all rules applied."""
        fields = self._fields
        if len(fields) + self._repeats > FIELDS_LIMIT:
            raise Refused(431, "too many fields")
        if method == b"PRI" or _TOKEN.fullmatch(method) is None:
            raise Refused(400, "no method")
        if version not in (b"HTTP/1.1", b"HTTP/1.0"):
            if _VERSION.fullmatch(version):
                raise Refused(505, "HTTP version not supported")
            raise Refused(400, "no HTTP version")
        old = version == b"HTTP/1.0"
        if method == b"CONNECT":
            raise Refused(405, "CONNECT")
        authority = fields.get(b"host")
        if authority is None:
            if not old:
                raise Refused(400, "no Host")
            host = b""
        else:
            host = host_name(authority) or b""
            if not host:
                raise Refused(400, "invalid Host")
        request = Request(
            method,
            target,
            fields,
            version=(1, 0) if old else (1, 1),
            peer=self.peer,
            scheme=self._scheme,
            started=now,
        )
        if b"#" in target:
            raise Refused(400, "fragment in the target")
        if target == b"*":
            if method != b"OPTIONS":
                raise Refused(400, "* without OPTIONS")
        elif not target.startswith(b"/"):
            host = self._absolute(request, target)
        request.host = host
        self.special = self._framing(fields, old=old)
        self.renew()
        without_named(fields)
        request.headers = fields
        return request

    def _absolute(self, request: Request, target: bytes) -> bytes:
        """Take path and query out of an absolute-form target; return its host.

        RFC 9112 section 3.2.2: it stands above the Host field.
        """
        match = _ABSOLUTE.fullmatch(target)
        host = host_name(match[1]) if match else None
        if match is None or host is None:
            raise Refused(400, "invalid target")
        path, mark, query = match[2].partition(b"?")
        request.path = path or b"/"
        request.query = query if mark else None
        return host

    def _framing(self, fields: dict[bytes, bytes], *, old: bool) -> Framing | None:
        """RFC 9112 sections 6 and 9.3; llhttp has refused contradictions."""
        options = {option.strip() for option in fields.get(b"connection", b"").lower().split(b",")}
        close = b"close" in options or (old and b"keep-alive" not in options)
        body = 0
        if b"transfer-encoding" in fields:
            if old or b"content-length" in fields:
                raise Refused(400, "Transfer-Encoding where none may be")
            body = UNKNOWN_LENGTH
        elif b"content-length" in fields:
            body = int(fields[b"content-length"])
        if not (close or body or old):
            return None
        if body < 0 or body > BODY_LIMIT or (body and b"expect" in fields):
            # Reading on to the end would cost more than a new connection does; and
            # after `Expect` nobody knows whether a body comes at all.
            close = True
        return Framing(CLOSE if close else KEEP if old else END, close, body, old)


# What llhttp reads as HTTP methods; the rest of its list is RTSP's.
_PASSES_PARSER: Final = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND "
    b"PROPPATCH SEARCH UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE "
    b"M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK UNLINK QUERY".split(),
)


def _no_more(data: bytes) -> None:
    """Stand in for the parser of a connection that has ended."""

r"""The variables of access log formats: nginx's, as values of a record.

What a client sent is written as nginx writes it by default (ngx_http_log_module,
`escape=default`): bytes below 0x20, above 0x7e, `"` and `\` as `\xHH`, so that no request
can forge or break a line. Secrets of a presigned URL are masked.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import re
import socket
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from s3shield.ops.log_noted import ORIGIN_TIMES, TLS, bytes_sent, seconds, sent_header
from s3shield.ops.log_record import (
    BODY_BYTES,
    CACHE_STATUS,
    CACHED_BYTES,
    DURATION,
    KEY,
    LOCATION,
    ORIGIN_STATUS,
    ORIGIN_TIME,
    PEER,
    REASON,
    REQUEST,
    STATUS,
    WALL,
    LogRecord,
    Value,
)
from s3shield.policy import (
    OriginStatus,
    Request,
    cookie_pairs,
)

__all__ = [
    "BODY_BYTES",
    "CACHED_BYTES",
    "CACHE_STATUS",
    "CLEAN",
    "DURATION",
    "KEY",
    "LOCATION",
    "ORIGIN_STATUS",
    "ORIGIN_TIME",
    "PEER",
    "REASON",
    "REQUEST",
    "STATUS",
    "VARIABLES",
    "WALL",
    "LogRecord",
    "Value",
    "bucket",
    "each_second",
    "escape",
    "mask",
    "protocol",
    "reason_text",
    "remote_user",
    "request_line",
    "target",
    "time_iso8601",
    "time_local",
    "variable",
]

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy_authorization", "x_amz_security_token"})

# --- escaping ---------------------------------------------------------------------------

_BAD: Final = frozenset(b'"\\') | frozenset(range(0x20)) | frozenset(range(0x7F, 0x100))
# Maps every byte that must be escaped to another one, all else to itself: bytes.translate
# gives back the very same object when it changed nothing, which is the quickest check.
CLEAN: Final = bytes((b ^ 1) if b in _BAD else b for b in range(256))
_ESCAPED: Final = tuple(b"\\x%02X" % b if b in _BAD else bytes((b,)) for b in range(256))


def escape(value: bytes) -> bytes:
    """Return `value` with every byte that could forge a line as backslash, x and hex."""
    if value.translate(CLEAN) is value:
        return value
    return b"".join(map(_ESCAPED.__getitem__, value))


# A presigned URL's signature and session token are the client's secrets (SigV2 and SigV4).
_SECRET_QUERY: Final = re.compile(
    rb"([?&|](?:X-Amz-Signature|X-Amz-Security-Token|Signature|link_signature)=)[^&\s]*",
    re.IGNORECASE,
)


def mask(text: bytes) -> bytes:
    """Return a target or cache key with the secrets of a presigned URL as `***`."""
    return _SECRET_QUERY.sub(rb"\1***", text)


def target(request: Request) -> bytes:
    """Return the request target, masked."""
    return request.target if request.query is None else mask(request.target)


# --- times ------------------------------------------------------------------------------


def _zone(local: time.struct_time, separator: str) -> str:
    minutes = local.tm_gmtoff // 60
    hours, minutes = divmod(abs(minutes), 60)
    return f"{'-' if local.tm_gmtoff < 0 else '+'}{hours:02d}{separator}{minutes:02d}"


def time_local(second: int) -> bytes:
    """Return nginx's `$time_local`, as in `24/Nov/2026:06:00:00 +0000`."""
    t = time.localtime(second)
    return (
        f"{t.tm_mday:02d}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year}:"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {_zone(t, '')}"
    ).encode()


def time_iso8601(second: int) -> bytes:
    """Return nginx's `$time_iso8601`, as in `2026-11-24T06:00:00+00:00`."""
    t = time.localtime(second)
    return (
        f"{t.tm_year}-{t.tm_mon:02d}-{t.tm_mday:02d}T"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}{_zone(t, ':')}"
    ).encode()


def each_second(text: Callable[[int], bytes]) -> Callable[[LogRecord], bytes]:
    """Return a value that makes a time's text once for all records of one second."""
    begin = end = 0
    stamp = b""

    def value(record: LogRecord) -> bytes:
        nonlocal begin, end, stamp
        if not begin <= record[WALL] < end:
            begin = int(record[WALL])
            end = begin + 1
            stamp = text(begin)
        return stamp

    return value


# --- values -----------------------------------------------------------------------------


def protocol(request: Request) -> bytes:
    """Return the protocol's name; empty when the wire refused the request."""
    major, minor = request.version
    if major == 0:
        return b""
    return b"HTTP/%d.%d" % (major, minor)


def request_line(request: Request) -> bytes:
    """Return the request line; what came in its place when the wire refused it."""
    if not request.method:
        return target(request)
    return b"%b %b %b" % (request.method, target(request), protocol(request))


def remote_user(request: Request) -> bytes | None:
    """Return the user name of HTTP basic authentication (RFC 7617), never the password."""
    credentials = request.headers.get(b"authorization")
    if credentials is None:
        return None
    scheme, _, token = credentials.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, _ = base64.b64decode(token.strip(), validate=True).partition(b":")
    except binascii.Error:
        return None
    return user or None if colon else None


def _status_text(record: LogRecord) -> bytes:
    return b"%03d" % record[STATUS]


def reason_text(record: LogRecord) -> bytes | None:
    """Return the name of why the response was not stored."""
    reason = record[REASON]
    return None if reason is None else reason.value


def bucket(record: LogRecord) -> bytes | None:
    """Return which of several buckets answered; None where there is only one."""
    status = record[ORIGIN_STATUS]
    return status.bucket.encode() or None if isinstance(status, OriginStatus) else None


def _query(record: LogRecord) -> bytes | None:
    query = record[REQUEST].query
    return None if query is None else mask(b"?" + query)[1:]


VARIABLES: Final[dict[str, Value]] = {
    "remote_addr": lambda r: r[PEER] or b"unix:",
    "remote_user": lambda r: remote_user(r[REQUEST]),
    "msec": lambda r: b"%.3f" % r[WALL],
    "request": lambda r: request_line(r[REQUEST]),
    "request_method": lambda r: r[REQUEST].method or None,
    "request_uri": lambda r: target(r[REQUEST]),
    "uri": lambda r: unquote_to_bytes(r[REQUEST].path),
    "document_uri": lambda r: unquote_to_bytes(r[REQUEST].path),
    "is_args": lambda r: b"?" if r[REQUEST].query else b"",
    "https": lambda r: b"on" if r[REQUEST].scheme == b"https" else b"",
    "args": _query,
    "query_string": _query,
    "server_protocol": lambda r: protocol(r[REQUEST]) or None,
    "status": _status_text,
    "body_bytes_sent": lambda r: b"%d" % r[BODY_BYTES],
    "bytes_sent": bytes_sent,
    "http2": lambda r: b"h2" if r[REQUEST].version[0] == 2 else b"",
    "request_time": lambda r: seconds(r[DURATION]),
    "host": lambda r: r[REQUEST].host or None,
    "scheme": lambda r: r[REQUEST].scheme,
    "upstream_cache_status": lambda r: r[CACHE_STATUS].value or None,
    "upstream_status": lambda r: b"%03d" % r[ORIGIN_STATUS] if r[ORIGIN_STATUS] else None,
    "upstream_bucket": bucket,
    "upstream_response_time": lambda r: seconds(r[ORIGIN_TIME]),
    "cache_reason": reason_text,
    "cache_key": lambda r: mask(r[KEY]) or None,
    "location": lambda r: r[LOCATION].encode() or None,
    "cached_bytes": lambda r: b"%d" % r[CACHED_BYTES],
    "uncached_bytes": lambda r: b"%d" % (r[BODY_BYTES] - r[CACHED_BYTES]),
    **TLS,
    **ORIGIN_TIMES,
}
"""What a format string may name, besides times, the process's and those with a NAME."""

_TIMES: Final = {"time_local": time_local, "time_iso8601": time_iso8601}


def _header(name: str) -> Value:
    name = name.lower()
    if not name:
        msg = "$http_ names no header"
        raise ValueError(msg)
    if name in _SECRET_HEADERS:
        msg = f"$http_{name} would write a secret into the log"
        raise ValueError(msg)
    field = name.replace("_", "-").encode()
    return lambda record: record[REQUEST].headers.get(field)


def _argument(name: str) -> Value:
    wanted = name.lower().encode()

    def value(record: LogRecord) -> bytes | None:
        for piece in (_query(record) or b"").split(b"&"):
            found, equals, text = piece.partition(b"=")
            if equals and found.lower() == wanted:
                return text
        return None

    return value


def _cookie(name: str) -> Value:
    wanted = name.encode()

    def value(record: LogRecord) -> bytes | None:
        pairs = cookie_pairs(record[REQUEST].headers.get(b"cookie", b""))
        return next((text for found, text in pairs if found == wanted), None)

    return value


def _fixed(text: bytes) -> Value:
    return lambda _record: text


def variable(name: str, pid: int) -> Value:
    """Return the value of the variable `name`. Raises ValueError as compile_format does."""
    if name.startswith("http_"):
        return _header(name.removeprefix("http_"))
    if name.startswith("sent_http_"):
        return sent_header(name.removeprefix("sent_http_"))
    if name in _TIMES:
        return each_second(_TIMES[name])
    for prefix, made in (("arg_", _argument), ("cookie_", _cookie)):
        if name.startswith(prefix) and name != prefix:
            return made(name.removeprefix(prefix))
    if name == "pid":
        return _fixed(b"%d" % pid)
    if name == "hostname":
        return _fixed(socket.gethostname().encode())
    value = VARIABLES.get(name)
    if value is None:
        known = [*VARIABLES, *_TIMES, "pid", "hostname", "http_referer", "http_user_agent"]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean ${near[0]}?" if near else ""
        msg = f"unknown variable ${name}{hint}"
        raise ValueError(msg)
    return value

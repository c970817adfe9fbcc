r"""Access log formats: nginx's variables compiled to one function, record -> line.

Pure: no clock, no files. What a client sent is written as nginx writes it by default
(ngx_http_log_module, `escape=default`): bytes below 0x20, above 0x7e, `"` and `\` as
`\xHH`, so that no request can forge or break a line.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import json
import re
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from s3shield.policy.message import Request
from s3shield.policy.status import CacheStatus, NoStoreReason

__all__ = [
    "BODY_BYTES",
    "CACHED_BYTES",
    "CACHE_STATUS",
    "COMBINED",
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
    "Format",
    "LogRecord",
    "compile_format",
]

LogRecord = tuple[
    bytes,  # PEER: the client's address as text; empty for a Unix socket
    float,  # WALL: epoch seconds when the response ended
    Request,  # REQUEST
    int,  # STATUS: as sent to the client
    int,  # BODY_BYTES: of the body, sent to the client
    CacheStatus,  # CACHE_STATUS
    NoStoreReason | None,  # REASON
    float,  # DURATION: seconds from the request's head to the response's end
    float | None,  # ORIGIN_TIME: seconds spent on the origin; None: not asked
    int,  # ORIGIN_STATUS: 0: none
    str,  # LOCATION: its name in the configuration
    bytes,  # KEY: the cache key's text
    int,  # CACHED_BYTES: of BODY_BYTES, those that came from the cache
]
"""One finished request. A plain tuple because it is made once per hit."""

PEER: Final = 0
WALL: Final = 1
REQUEST: Final = 2
STATUS: Final = 3
BODY_BYTES: Final = 4
CACHE_STATUS: Final = 5
REASON: Final = 6
DURATION: Final = 7
ORIGIN_TIME: Final = 8
ORIGIN_STATUS: Final = 9
LOCATION: Final = 10
KEY: Final = 11
CACHED_BYTES: Final = 12

Format = Callable[[LogRecord], bytes]
"""Makes a record's line, newline included."""
_Value = Callable[[LogRecord], bytes | None]

COMBINED: Final = (
    "$remote_addr - $remote_user [$time_local] "
    '"$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's predefined format `combined`."""

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy_authorization", "x_amz_security_token"})

# --- escaping ---------------------------------------------------------------------------

_BAD: Final = frozenset(b'"\\') | frozenset(range(0x20)) | frozenset(range(0x7F, 0x100))
# Maps every byte that must be escaped to another one, all else to itself: bytes.translate
# gives back the very same object when it changed nothing, which is the quickest check.
_CLEAN: Final = bytes((b ^ 1) if b in _BAD else b for b in range(256))
_ESCAPED: Final = tuple(b"\\x%02X" % b if b in _BAD else bytes((b,)) for b in range(256))


def _escape(value: bytes) -> bytes:
    if value.translate(_CLEAN) is value:
        return value
    return b"".join(map(_ESCAPED.__getitem__, value))


# A presigned URL's signature and session token are the client's secrets (SigV2 and SigV4).
_SECRET_QUERY: Final = re.compile(
    rb"([?&|](?:X-Amz-Signature|X-Amz-Security-Token|Signature)=)[^&\s]*",
    re.IGNORECASE,
)


def _masked(target: bytes) -> bytes:
    return _SECRET_QUERY.sub(rb"\1***", target)


def _target(request: Request) -> bytes:
    return request.target if request.query is None else _masked(request.target)


# --- times ------------------------------------------------------------------------------


def _zone(local: time.struct_time, separator: str) -> str:
    minutes = local.tm_gmtoff // 60
    hours, minutes = divmod(abs(minutes), 60)
    return f"{'-' if local.tm_gmtoff < 0 else '+'}{hours:02d}{separator}{minutes:02d}"


def _time_local(second: int) -> bytes:
    """Return nginx's `$time_local`, as in `24/Nov/2026:06:00:00 +0000`."""
    t = time.localtime(second)
    return (
        f"{t.tm_mday:02d}/{_MONTHS[t.tm_mon - 1]}/{t.tm_year}:"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d} {_zone(t, '')}"
    ).encode()


def _time_iso8601(second: int) -> bytes:
    t = time.localtime(second)
    return (
        f"{t.tm_year}-{t.tm_mon:02d}-{t.tm_mday:02d}T"
        f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}{_zone(t, ':')}"
    ).encode()


def _each_second(text: Callable[[int], bytes]) -> Callable[[LogRecord], bytes]:
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


def _protocol(request: Request) -> bytes:
    major, minor = request.version
    if major == 0:
        return b""
    return b"HTTP/%d.%d" % (major, minor)


def _request_line(request: Request) -> bytes:
    """Return the request line; what came in its place when the wire refused it."""
    target = request.target if request.query is None else _target(request)
    if not request.method:
        return target
    return b"%b %b %b" % (request.method, target, _protocol(request))


def _remote_user(request: Request) -> bytes | None:
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


def _seconds(value: float | None) -> bytes | None:
    return None if value is None else b"%.3f" % value


def _status_text(record: LogRecord) -> bytes:
    return b"%03d" % record[STATUS]


def _reason(record: LogRecord) -> bytes | None:
    reason = record[REASON]
    return None if reason is None else reason.value


def _query(record: LogRecord) -> bytes | None:
    query = record[REQUEST].query
    return None if query is None else _masked(b"?" + query)[1:]


VARIABLES: Final[dict[str, _Value]] = {
    "remote_addr": lambda r: r[PEER] or b"unix:",
    "remote_user": lambda r: _remote_user(r[REQUEST]),
    "msec": lambda r: b"%.3f" % r[WALL],
    "request": lambda r: _request_line(r[REQUEST]),
    "request_method": lambda r: r[REQUEST].method or None,
    "request_uri": lambda r: _target(r[REQUEST]),
    "uri": lambda r: unquote_to_bytes(r[REQUEST].path),
    "args": _query,
    "query_string": _query,
    "server_protocol": lambda r: _protocol(r[REQUEST]) or None,
    "status": _status_text,
    "body_bytes_sent": lambda r: b"%d" % r[BODY_BYTES],
    "request_time": lambda r: _seconds(r[DURATION]),
    "host": lambda r: r[REQUEST].host or None,
    "scheme": lambda r: r[REQUEST].scheme,
    "upstream_cache_status": lambda r: r[CACHE_STATUS].value or None,
    "upstream_status": lambda r: b"%03d" % r[ORIGIN_STATUS] if r[ORIGIN_STATUS] else None,
    "upstream_response_time": lambda r: _seconds(r[ORIGIN_TIME]),
    "cache_reason": _reason,
    "cache_key": lambda r: _masked(r[KEY]) or None,
    "location": lambda r: r[LOCATION].encode() or None,
    "cached_bytes": lambda r: b"%d" % r[CACHED_BYTES],
}
"""What a format string may name, besides `$time_local`, `$time_iso8601`, `$pid`, `$http_NAME`."""

_TIMES: Final = {"time_local": _time_local, "time_iso8601": _time_iso8601}


def _header(name: str) -> _Value:
    name = name.lower()
    if not name:
        msg = "$http_ names no header"
        raise ValueError(msg)
    if name in _SECRET_HEADERS:
        msg = f"$http_{name} would write a secret into the log"
        raise ValueError(msg)
    field = name.replace("_", "-").encode()
    return lambda record: record[REQUEST].headers.get(field)


def _value(name: str, pid: int) -> _Value:
    if name.startswith("http_"):
        return _header(name.removeprefix("http_"))
    if name in _TIMES:
        return _each_second(_TIMES[name])
    if name == "pid":
        text = b"%d" % pid
        return lambda _record: text
    value = VARIABLES.get(name)
    if value is None:
        known = [*VARIABLES, *_TIMES, "pid", "http_referer", "http_user_agent"]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean ${near[0]}?" if near else ""
        msg = f"unknown variable ${name}{hint}"
        raise ValueError(msg)
    return value


# --- formats ----------------------------------------------------------------------------


def _combined() -> Format:
    """Return nginx's `combined`, written out by hand: it is on the way of every hit."""
    clean = _CLEAN
    begin = end = 0
    stamp = b""

    def line(record: LogRecord) -> bytes:
        nonlocal begin, end, stamp
        peer, wall, request, status, size, _, _, _, _, _, _, _, _ = record
        if not begin <= wall < end:
            begin = int(wall)
            end = begin + 1
            stamp = _time_local(begin)
        headers = request.headers
        if request.version == (1, 1) and request.query is None and request.method:
            asked = b"%b %b HTTP/1.1" % (request.method, request.target)
        else:
            asked = _request_line(request)
        if asked.translate(clean) is not asked:
            asked = _escape(asked)
        referer = headers.get(b"referer", b"-")
        if referer.translate(clean) is not referer:
            referer = _escape(referer)
        agent = headers.get(b"user-agent", b"-")
        if agent.translate(clean) is not agent:
            agent = _escape(agent)
        user = b"-"
        if b"authorization" in headers:
            user = _escape(_remote_user(request) or b"-")
        return b'%b - %b [%b] "%b" %d %d "%b" "%b"\n' % (
            peer or b"unix:",
            user,
            stamp,
            asked,
            status,
            size,
            referer,
            agent,
        )

    return line


_quote: Final[Callable[[str], str]] = json.encoder.encode_basestring_ascii


def _json_text(value: bytes | None) -> str:
    """Return a JSON string; bytes that are not UTF-8 stand in it as a backslash escape."""
    return _quote(value.decode("utf-8", "backslashreplace")) if value else "null"


def _json(pid: int) -> Format:
    """Return one object a line; its names are the variables' names, null: there is none."""
    iso = _each_second(_time_iso8601)
    text = _json_text
    fates = {fate: text(fate.value) for fate in CacheStatus}
    reasons: dict[NoStoreReason | None, str] = {why: text(why.value) for why in NoStoreReason}
    reasons[None] = "null"

    def line(record: LogRecord) -> bytes:
        request = record[REQUEST]
        headers = request.headers
        get = headers.get
        user = _remote_user(request) if b"authorization" in headers else None
        origin_time = record[ORIGIN_TIME]
        return (
            f'{{"time_iso8601":"{iso(record).decode()}","msec":{record[WALL]:.3f},'
            f'"remote_addr":{text(record[PEER] or b"unix:")},"remote_user":{text(user)},'
            f'"scheme":{text(request.scheme)},"host":{text(request.host)},'
            f'"request_method":{text(request.method)},"request_uri":{text(_target(request))},'
            f'"server_protocol":{text(_protocol(request))},"status":{record[STATUS]},'
            f'"body_bytes_sent":{record[BODY_BYTES]},"cached_bytes":{record[CACHED_BYTES]},'
            f'"request_time":{record[DURATION]:.6f},"http_referer":{text(get(b"referer"))},'
            f'"http_user_agent":{text(get(b"user-agent"))},"http_range":{text(get(b"range"))},'
            f'"upstream_cache_status":{fates[record[CACHE_STATUS]]},'
            f'"cache_reason":{reasons[record[REASON]]},'
            f'"upstream_status":{record[ORIGIN_STATUS] or "null"},"upstream_response_time":'
            f"{'null' if origin_time is None else f'{origin_time:.6f}'},"
            f'"location":{text(record[LOCATION].encode())},'
            f'"cache_key":{text(_masked(record[KEY]))},"pid":{pid}}}\n'
        ).encode("ascii")

    return line


_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def _text(template: str, pid: int) -> Format:
    """Compile a format string: literal pieces and values, joined for each record."""
    pieces: list[bytes] = []
    values: list[_Value] = []
    at = 0
    for found in _VARIABLE.finditer(template):
        pieces.append(template[at : found.start()].encode())
        values.append(_value(found[1] or found[2], pid))
        at = found.end()
    pieces.append(template[at:].encode() + b"\n")
    if any("$" in piece.decode() for piece in pieces):
        msg = "a $ that names no variable"
        raise ValueError(msg)
    if not values:
        msg = (
            "no variable in it: every line would be the same; combined and json are the named ones"
        )
        raise ValueError(msg)
    first = pieces[0]
    pairs = tuple(zip(values, pieces[1:], strict=True))

    def line(record: LogRecord) -> bytes:
        parts = [first]
        add = parts.append
        for value, piece in pairs:
            text = value(record)
            add(b"-" if text is None else _escape(text))
            add(piece)
        return b"".join(parts)

    return line


def compile_format(text: str, *, pid: int = 0) -> Format:
    """Return the function that makes a record's line in `text`'s format.

    text: `combined`, `json`, or a format string with variables in nginx's style
    (`$status`, `${status}`), as nginx's log_format. A value that there is none of is
    written as `-`. pid: what `$pid` shows. Signatures and tokens of presigned URLs are
    written as `***` in every format.

    Raises ValueError, one sentence, for an unknown variable (with the nearest known
    name), for one that would write a secret, and for control characters.
    """
    text = text.strip()
    if text in ("", "combined", COMBINED):
        return _combined()
    if text == "json":
        return _json(pid)
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        msg = "a control character in the format"
        raise ValueError(msg)
    return _text(text, pid)

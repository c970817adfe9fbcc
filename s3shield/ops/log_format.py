"""Access log formats: nginx's `combined`, `json`, or a format string with nginx's variables.

Each is compiled to one function, record -> line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from s3shield.ops.log_variables import (
    BODY_BYTES,
    CACHE_STATUS,
    CACHED_BYTES,
    CLEAN,
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
    bucket,
    each_second,
    escape,
    mask,
    protocol,
    remote_user,
    request_line,
    target,
    time_iso8601,
    time_local,
    variable,
)
from s3shield.policy import CacheStatus, Consumed, NoStoreReason

__all__ = ["COMBINED", "Format", "compile_format", "variables_of", "with_fields", "without"]

Format = Callable[[LogRecord], bytes]
"""Makes a record's line, newline included."""

COMBINED: Final = (
    "$remote_addr - $remote_user [$time_local] "
    '"$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
)
"""nginx's predefined format `combined`."""


def _combined() -> Format:
    """Return nginx's `combined`, written out by hand: it is on the way of every hit."""
    clean = CLEAN
    begin = end = 0.0
    stamp = b""

    def line(record: LogRecord) -> bytes:
        nonlocal begin, end, stamp
        peer, wall, request, status, size, _, _, _, _, _, _, _, _ = record
        if not begin <= wall < end:
            second = int(wall)
            begin = float(second)
            end = begin + 1.0
            stamp = time_local(second)
        headers = request.headers
        referer = headers.get(b"referer", b"-")
        agent = headers.get(b"user-agent", b"-")
        if agent.translate(clean) is not agent:
            agent = escape(agent)
        if referer.translate(clean) is not referer:
            referer = escape(referer)
        asked = request.target
        if (
            request.method == b"GET"
            and request.version == (1, 1)
            and request.query is None
            and b"authorization" not in headers
            and asked.translate(clean) is asked
        ):
            # Nearly all of them: nothing to be looked into.
            values = (peer or b"unix:", stamp, asked, status, size, referer, agent)
            return b'%b - - [%b] "GET %b HTTP/1.1" %d %d "%b" "%b"\n' % values
        return b'%b - %b [%b] "%b" %d %d "%b" "%b"\n' % (
            peer or b"unix:",
            escape(remote_user(request) or b"-"),
            stamp,
            escape(request_line(request)),
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
    iso = each_second(time_iso8601)
    text = _json_text
    fates = {fate: text(fate.value) for fate in CacheStatus}
    reasons: dict[NoStoreReason | None, str] = {why: text(why.value) for why in NoStoreReason}
    reasons[None] = "null"

    def line(record: LogRecord) -> bytes:
        request = record[REQUEST]
        headers = request.headers
        get = headers.get
        user = remote_user(request) if b"authorization" in headers else None
        origin_time = record[ORIGIN_TIME]
        return (
            f'{{"time_iso8601":"{iso(record).decode()}","msec":{record[WALL]:.3f},'
            f'"remote_addr":{text(record[PEER] or b"unix:")},"remote_user":{text(user)},'
            f'"scheme":{text(request.scheme)},"host":{text(request.host)},'
            f'"request_method":{text(request.method)},"request_uri":{text(target(request))},'
            f'"server_protocol":{text(protocol(request))},"status":{record[STATUS]},'
            f'"body_bytes_sent":{record[BODY_BYTES]},"cached_bytes":{record[CACHED_BYTES]},'
            f'"request_time":{record[DURATION]:.6f},"http_referer":{text(get(b"referer"))},'
            f'"http_user_agent":{text(get(b"user-agent"))},"http_range":{text(get(b"range"))},'
            f'"upstream_cache_status":{fates[record[CACHE_STATUS]]},'
            f'"cache_reason":{reasons[record[REASON]]},'
            f'"upstream_status":{record[ORIGIN_STATUS] or "null"},'
            f'"upstream_bucket":{text(bucket(record))},"upstream_response_time":'
            f"{'null' if origin_time is None else f'{origin_time:.6f}'},"
            f'"location":{text(record[LOCATION].encode())},'
            f'"cache_key":{text(mask(record[KEY]))},"pid":{pid}}}\n'
        ).encode("ascii")

    return line


_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)


def _text(template: str, pid: int) -> Format:
    """Compile a format string: literal pieces and values, joined for each record."""
    pieces: list[bytes] = []
    values: list[Value] = []
    at = 0
    for found in _VARIABLE.finditer(template):
        pieces.append(template[at : found.start()].encode())
        values.append(variable(found[1] or found[2], pid))
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
            add(b"-" if text is None else escape(text))
            add(piece)
        return b"".join(parts)

    return line


_FIELDS: Final = (
    *("remote_addr", "host", "request_method", "request_uri", "status", "body_bytes_sent"),
    *("request_time", "upstream_cache_status", "upstream_status", "cache_reason", "location"),
)
"""What the journal gets as fields, besides the line."""


def with_fields(line: Format) -> Format:
    """Return `line` with fields for `JournalTarget.write`: S3SHIELD_STATUS=200 and so on."""
    values = [(b"S3SHIELD_%b=" % name.upper().encode(), variable(name, 0)) for name in _FIELDS]

    def dressed(record: LogRecord) -> bytes:
        pieces = [line(record)]
        for name, value in values:
            text = value(record)
            if text is not None:
                pieces.append(b"%b%b\n" % (name, escape(text)))
        return b"".join(pieces)

    return dressed


def without(consumed: Consumed, line: Format) -> Format:
    """Return `line` for records whose requests do not show what others must not see."""
    if not consumed.arguments and not consumed.cookies:
        return line

    def masked(record: LogRecord) -> bytes:
        request = consumed.masked(record[REQUEST])
        if request is record[REQUEST]:
            return line(record)
        return line((*record[:2], request, *record[3:]))

    return masked


def variables_of(text: str) -> frozenset[str]:
    """Return what a format string names, for who must see to it that it is noted.

    `$sent_http_NAME` is `sent_http`. Those of `combined` and `json` are there anyway.
    """
    found = {one or other for one, other in _VARIABLE.findall(text)}
    return frozenset({"sent_http" if name.startswith("sent_http_") else name for name in found})


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

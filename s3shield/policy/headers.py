"""Heads on their way: to the store and the client, and to the origin.

What is stored is what is sent: `stored_head` writes it once, in wire form, and a hit
only adds Age and the framing. RFC 9110 7.6, RFC 9111 3.1, nginx's proxy_hide_header and
add_header.
"""

from __future__ import annotations

import http
import re
from collections.abc import Iterable
from typing import Final

from .dates import format_date, parse_date
from .fields import list_members
from .message import Fields, Request, ResponseHead
from .options import CachePolicy

__all__ = [
    "HOP_BY_HOP",
    "added_fields",
    "connection_names",
    "content_length",
    "end_to_end",
    "forwarded_fields",
    "interim_head",
    "outward_fields",
    "parse_stored_head",
    "reduced_accept_encoding",
    "serialize_head",
    "stored_head",
]

HOP_BY_HOP: Final = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Never stored or passed on (RFC 9110 7.6.1, RFC 9111 3.1; Trailer: trailers are cut)."""

_FOR_US: Final = frozenset(
    {
        b"x-accel-buffering",
        b"x-accel-charset",
        b"x-accel-expires",
        b"x-accel-limit-rate",
        b"x-accel-redirect",
    }
)
_CONDITIONAL: Final = frozenset(
    {
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"range",
    }
)
# Of an unsafe request to a bucket: what describes the content, and S3's conditions.
_BUCKET_CONTENT: Final = frozenset(
    {
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-md5",
        b"content-type",
        b"expires",
        b"if-match",
        b"if-none-match",
    }
)
_BUCKET_PREFIXES: Final = (b"x-amz-checksum-", b"x-amz-meta-")
"""And these: what the client says of the content, for S3 to compare or to keep."""
# nginx `add_header` without `always`.
_ADDED_TO: Final = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
_SAFE_METHODS: Final = frozenset({b"GET", b"HEAD"})
_CODINGS: Final = (b"zstd", b"br", b"gzip")
_REASONS: Final = {status.value: status.phrase.encode() for status in http.HTTPStatus}
_FIELD_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BREAKS: Final = re.compile(rb"[\r\n\0]")


def connection_names(fields: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Return the lower-case field names that Connection lines name (RFC 9110 7.6.1)."""
    return {
        option.lower()
        for name, value in fields
        if name.lower() == b"connection"
        for option in list_members(value)
    }


def end_to_end(fields: Fields) -> list[tuple[bytes, bytes]]:
    """Return the fields that go on: without hop-by-hop ones and those Connection names."""
    dropped = HOP_BY_HOP | connection_names(fields)
    return [field for field in fields if field[0].lower() not in dropped]


def content_length(head: ResponseHead) -> int | None:
    """Return Content-Length; None when absent, not a number or contradictory."""
    values = set(list_members(head.get(b"content-length") or b""))
    value = values.pop() if len(values) == 1 else b""
    return int(value) if value.isdigit() and len(value) < 20 else None


def _passes_amz(name: bytes, policy: CachePolicy) -> bool:
    if name in policy.pass_amz_headers:
        return True
    return any(
        pattern.endswith(b"*") and name.startswith(pattern[:-1])
        for pattern in policy.pass_amz_headers
    )


def outward_fields(fields: Fields, policy: CachePolicy) -> list[tuple[bytes, bytes]]:
    """Return what a client may see of an origin's fields; framing fields are gone.

    Without hop-by-hop fields, Content-Length, what the operator hides, X-Accel-*, the
    field that is ours to say what the cache did and, of a bucket, x-amz-* unless passed.
    A field that could not be written is left out.
    """
    kept = []
    ours = policy.cache_status_header.lower()
    for name, value in end_to_end(fields):
        lower = name.lower()
        if lower in {b"content-length", ours} or lower in policy.hide_headers or lower in _FOR_US:
            continue
        if policy.is_bucket and lower.startswith(b"x-amz-") and not _passes_amz(lower, policy):
            continue
        if _FIELD_NAME.fullmatch(name) and not _BREAKS.search(value):
            kept.append((name, value.strip(b" \t")))
    return kept


def _with_date(fields: list[tuple[bytes, bytes]], now: float) -> list[tuple[bytes, bytes]]:
    """Keep the first Date that is one; else append the time of receipt (RFC 9110 6.6.1)."""
    dates = [field for field in fields if field[0].lower() == b"date"]
    valid = next((field for field in dates if parse_date(field[1], now) is not None), None)
    if len(dates) == 1 and valid is not None:
        return fields
    others = [field for field in fields if field[0].lower() != b"date"]
    return [*others, valid or (b"Date", format_date(int(now)))]


def serialize_head(head: ResponseHead) -> bytes:
    """Return a head in wire form: status line and fields, each with CRLF, no blank line."""
    reason = head.reason or _REASONS.get(head.status, b"")
    if _BREAKS.search(reason):
        reason = b""
    lines = [b"HTTP/1.1 %d %b\r\n" % (head.status, reason)]
    lines += [b"%b: %b\r\n" % field for field in head.fields]
    return b"".join(lines)


def added_fields(status: int, policy: CachePolicy) -> list[tuple[bytes, bytes]]:
    """Return what `add_header` adds to an answer with this status, whoever made it."""
    found = [field for field in policy.add_headers if field[1]] if status in _ADDED_TO else []
    return found + [field for field in policy.always_headers if field[1]]


def stored_head(
    head: ResponseHead,
    policy: CachePolicy,
    *,
    length: int | None,
    now: float,
    withheld: frozenset[bytes] = frozenset(),
    keep_age: bool = False,
) -> bytes:
    """Return the wire form of an origin's head, to be stored and sent.

    length: body size in bytes; then Content-Length is written, else not. now: epoch
    seconds of receipt, for a missing or invalid Date. withheld: names left out of what
    is stored (`Store.withheld`), not of what is sent at once. keep_age: keep the origin's
    Age, for a response that is passed on and not taken from the store. Via and the
    operator's add_headers are appended. No CR, LF or NUL inside a value survives.
    """
    fields = [
        field
        for field in outward_fields(head.fields, policy)
        if (keep_age or field[0].lower() != b"age") and field[0].lower() not in withheld
    ]
    fields = _with_date(fields, now)
    if length is not None and head.status >= 200 and head.status != 204:
        fields.append((b"Content-Length", b"%d" % length))
    if policy.via:
        fields.append((b"Via", policy.via))
    fields += added_fields(head.status, policy)
    return serialize_head(ResponseHead(head.status, head.reason, tuple(fields)))


def interim_head(head: ResponseHead, policy: CachePolicy) -> bytes:
    """Return the wire form of an interim response (1xx) that is passed on: without Date."""
    via = ((b"Via", policy.via),) if policy.via else ()
    fields = (*outward_fields(head.fields, policy), *via)
    return serialize_head(ResponseHead(head.status, head.reason, fields))


def parse_stored_head(wire: bytes) -> ResponseHead:
    """Return the head that `stored_head` or `serialize_head` wrote."""
    first, *lines = wire.split(b"\r\n")
    _, _, rest = first.partition(b" ")
    status, _, reason = rest.partition(b" ")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name, value.strip(b" \t")))
    return ResponseHead(int(status), reason, tuple(fields))


def reduced_accept_encoding(value: bytes | None) -> bytes:
    """Return the codings of `value` that matter, in one order; b"identity" for none.

    For `normalize_accept_encoding`: both what is sent on and what selects a variant.
    """
    wanted = set()
    for member in list_members((value or b"").lower()):
        coding, *parameters = (part.strip(b" \t") for part in member.split(b";"))
        refused = any(
            re.fullmatch(rb"q[ \t]*=[ \t]*0(?:\.0*)?", parameter) for parameter in parameters
        )
        if not refused:
            wanted.add(b"gzip" if coding == b"x-gzip" else coding)
    return b", ".join(coding for coding in _CODINGS if coding in wanted) or b"identity"


def _via(request: Request, policy: CachePolicy) -> bytes:
    via = policy.via
    if request.version == (1, 0) and via.startswith(b"1.1 "):
        return b"1.0" + via[3:]
    return via


def forwarded_fields(request: Request, policy: CachePolicy, *, cacheable: bool = True) -> Fields:
    """Return the fields of `request` that the origin is sent, names lower-case.

    Not among them: Host and the framing fields (the wire's), hop-by-hop fields and those
    Connection names, and what was consumed. cacheable: the answer may be stored, so the
    client's conditions and Range stay here, where they are answered from what is stored;
    False passes them on. X-Forwarded-For and Via get this hop appended. A bucket is sent
    nothing on GET and HEAD, and with other methods what describes the content.
    """
    headers = policy.consumed.headers(request.headers)
    if policy.is_bucket:
        if request.method in _SAFE_METHODS:
            return ()
        return tuple(
            field
            for field in headers.items()
            if field[0] in _BUCKET_CONTENT or field[0].startswith(_BUCKET_PREFIXES)
        )
    dropped = HOP_BY_HOP | {b"host", b"content-length", b"expect", b"x-forwarded-for", b"via"}
    dropped |= connection_names(headers.items())
    if cacheable:
        dropped |= _CONDITIONAL
    normalise = policy.normalize_accept_encoding
    if normalise:
        dropped |= {b"accept-encoding"}
    fields = [field for field in headers.items() if field[0] not in dropped]
    if normalise:
        reduced = reduced_accept_encoding(headers.get(b"accept-encoding"))
        fields.append((b"accept-encoding", reduced))
    for name, ours in ((b"x-forwarded-for", request.peer), (b"via", _via(request, policy))):
        parts = [part for part in (headers.get(name), ours) if part]
        if parts:
            fields.append((name, b", ".join(parts)))
    return tuple(fields)

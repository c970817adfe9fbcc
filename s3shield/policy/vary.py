"""Which variant a request selects (RFC 9111 4.1).

Two requests select the same variant when each selecting field is absent from both, or
equal after the normalisation that the field's own definition allows: whitespace around
list members, repeated lines (already joined by the wire), letter case and order where
they mean nothing, and weights written differently.
"""

from __future__ import annotations

import re
from typing import Final

from .fields import list_members
from .headers import reduced_accept_encoding
from .message import Request, ResponseHead
from .options import CachePolicy

__all__ = ["VARY_STAR", "normalised", "same_variant", "selecting_names", "variant_key"]

VARY_STAR: Final = (b"*",)
"""`selecting_names` of a response that no later request can select."""

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_WEIGHT: Final = re.compile(rb"[01](?:\.[0-9]{0,3})?")
_UNORDERED: Final = frozenset(
    {b"accept", b"accept-charset", b"accept-encoding", b"accept-language"}
)
# Whitespace in these is not list syntax: compared as they are.
_VERBATIM: Final = frozenset(
    {
        b"authorization",
        b"cookie",
        b"date",
        b"host",
        b"if-modified-since",
        b"if-unmodified-since",
        b"origin",
        b"referer",
        b"user-agent",
    }
)


def selecting_names(head: ResponseHead, policy: CachePolicy) -> tuple[bytes, ...]:
    """Return the lower-case names that select `head`, sorted; VARY_STAR for `*`.

    Empty when Vary is absent, ignored, or names only fields that never reach the origin
    (a bucket is sent none of the client's): then every request is the same to it. A
    member that is no field name can never be matched, as `*`.
    """
    value = head.get(b"vary")
    if value is None or b"vary" in policy.ignore_headers:
        return ()
    names = {member.lower() for member in list_members(value)}
    if b"*" in names or not all(_NAME.fullmatch(name) for name in names):
        return VARY_STAR
    return () if policy.is_bucket else tuple(sorted(names))


def _weighted(member: bytes, *, name: bytes) -> bytes:
    """Return one list member with its case, spacing and weight made uniform."""
    stripped = (part.strip(b" \t") for part in member.split(b";"))
    first, *rest = [part for part in stripped if part] or [b""]
    first = first.lower()
    if name == b"accept-encoding" and first.startswith(b"x-"):
        first = {b"x-gzip": b"gzip", b"x-compress": b"compress"}.get(first, first)
    parts = [first]
    for parameter in rest:
        key, equals, value = parameter.partition(b"=")
        key, value = key.rstrip(b" \t").lower(), value.lstrip(b" \t")
        if key == b"q" and _WEIGHT.fullmatch(value):
            value = value.rstrip(b"0").rstrip(b".") if b"." in value else value
            if value == b"1":
                continue
        parts.append(key + equals + value)
    return b";".join(parts)


def normalised(name: bytes, value: bytes) -> bytes:
    """Return a field's value in a form equal for values that mean the same.

    name: lower-case. value: the field's lines joined. RFC 9110 12.5 for the Accept
    fields, where order says nothing and weights do; else whitespace around list members
    only.
    """
    if name in _VERBATIM:
        return value.strip(b" \t")
    members = list_members(value)
    if name in _UNORDERED and b'"' not in value:  # quoted strings are left as they stand
        weighted = (_weighted(member, name=name) for member in members)
        members = sorted(member for member in weighted if member)
    return b",".join(members)


def variant_key(request: Request, names: tuple[bytes, ...], policy: CachePolicy) -> bytes:
    """Return what tells `request`'s variant from others with the same cache key.

    names: as `selecting_names` returned them. Two requests have equal keys just when
    the variant stored for one may answer the other; absent and empty differ. Empty
    bytes when nothing selects.
    """
    parts = []
    headers = policy.consumed.headers(request.headers) if names else {}
    for name in names:
        value = headers.get(name)
        if name == b"accept-encoding" and policy.normalize_accept_encoding:
            value = reduced_accept_encoding(value)
        if value is None:
            parts.append(b"%b-" % name)
        else:
            value = normalised(name, value)
            parts.append(b"%b=%d:%b" % (name, len(value), value))
    return b"\n".join(parts)


def same_variant(
    one: Request, other: Request, names: tuple[bytes, ...], policy: CachePolicy
) -> bool:
    """Tell whether what is stored for one of two requests may answer the other.

    names: as `selecting_names` returned them; with `*` only the very same request may.
    """
    if one is other or names == VARY_STAR:
        return one is other
    return variant_key(one, names, policy) == variant_key(other, names, policy)

"""Request targets: one decoding, dot segments, and which query goes on. Pure.

RFC 9112 section 3.2 (forms of a target), RFC 3986 section 2.1 (percent-encoding).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import attrs

from s3shield.signing import Query, without_presign

__all__ = ["BadTargetError", "QueryPolicy", "decode_path", "parse_query", "split_absolute"]

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL: Final = re.compile(rb"[\x00-\x20\x7f]")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#@]*)([/?].*)?", re.IGNORECASE | re.DOTALL)


class BadTargetError(ValueError):
    """The request target is not one that can be answered: 400."""


def split_absolute(target: bytes) -> tuple[bytes | None, bytes]:
    """Return (authority, origin-form) of an absolute-form target; (None, target) of others.

    The authority replaces Host (RFC 9112 section 3.2.2).
    """
    if target.startswith(b"/"):
        return None, target
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise BadTargetError("the target is neither a path nor a URL")
    rest = found[2] or b"/"
    return found[1], rest if rest.startswith(b"/") else b"/" + rest


def decode_path(path: bytes, *, literal_dots: bool) -> bytes:
    """Return `path` with its percent-escapes decoded once; `//` stays `//`.

    literal_dots: dot segments are part of the key (a bucket's), as long as they do not
    climb above the root; False: they are refused, since what a plain origin makes of
    them is not known. Raises BadTargetError for these, for a bad escape and for NUL.
    """
    if not path.startswith(b"/"):
        raise BadTargetError("the path does not begin with a slash")
    if b"%" in path:
        if _BAD_ESCAPE.search(path):
            raise BadTargetError("a percent sign is not followed by two hex digits")
        decoded = unquote_to_bytes(path)
    else:
        decoded = path
    if b"\0" in decoded:
        raise BadTargetError("the path holds a NUL")
    if b"/." in decoded:
        _check_dots(decoded, literal_dots=literal_dots)
    return decoded


def _check_dots(path: bytes, *, literal_dots: bool) -> None:
    depth = 0
    for segment in path[1:].split(b"/"):
        if segment == b"..":
            depth -= 1
        elif segment != b".":
            depth += 1
            continue
        if not literal_dots:
            raise BadTargetError("the path holds a dot segment")
        if depth < 0:
            raise BadTargetError("the path climbs above the root")


def parse_query(query: bytes) -> Query:
    """Return the decoded (name, value or None) pairs of a query; `+` stays a plus."""
    if _BAD_ESCAPE.search(query):
        raise BadTargetError("a percent sign is not followed by two hex digits")
    if _CONTROL.search(unquote_to_bytes(query).replace(b" ", b"")):
        raise BadTargetError("the query holds a control character")
    pairs: list[tuple[bytes, bytes | None]] = []
    for part in query.split(b"&"):
        if part:
            name, equals, value = part.partition(b"=")
            decoded = unquote_to_bytes(value) if equals else None
            pairs.append((unquote_to_bytes(name), decoded))
    return tuple(pairs)


@attrs.frozen
class QueryPolicy:
    """`query = drop | pass | allow NAME...`: what of a query is sent on, and in the key.

    allowed: None passes everything; else the names that pass, none of them for `drop`.
    """

    allowed: frozenset[bytes] | None = frozenset()

    def pairs(self, query: bytes | None) -> Query:
        """Return what a bucket is sent: decoded pairs, presign parameters removed."""
        if not query or self.allowed == frozenset():
            return ()
        pairs = without_presign(parse_query(query))
        if self.allowed is None:
            return pairs
        return tuple(pair for pair in pairs if pair[0] in self.allowed)

    def raw(self, query: bytes | None) -> bytes | None:
        """Return what a plain origin is sent: the query as received, or what is allowed."""
        if query is None or self.allowed is None:
            return query
        parts = [
            part
            for part in query.split(b"&")
            if unquote_to_bytes(part.partition(b"=")[0]) in self.allowed
        ]
        return b"&".join(parts) or None

"""Request targets: from what a client sent to decoded paths, once (RFC 9112 section 3.2)."""

from __future__ import annotations

import re
from typing import Final

import attrs

__all__ = ["BadTargetError", "Target", "decode_path", "has_dot_segments", "parse_target"]

_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
# Controls, space, DEL and `#` cannot stand in a target; bytes over 0x7f are let through.
_UNFIT: Final = re.compile(rb"[\x00-\x20\x7f#]")
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)([^#]*)")
_AUTHORITY: Final = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::[0-9]*)?")
_BYTES: Final = {b"%02X" % i: bytes((i,)) for i in range(256)}


class BadTargetError(ValueError):
    """A request target that must not be forwarded; its text is safe to send back."""


@attrs.frozen
class Target:
    """The parts of a request target.

    host: bytes, lower-case without port, of an absolute-form target, else None. path:
    bytes, undecoded, begins with `/`, or `*`. query: bytes after `?`, or None.
    """

    host: bytes | None
    path: bytes
    query: bytes | None


def parse_target(target: bytes) -> Target:
    """Take an origin-form, absolute-form or asterisk-form target apart.

    Raises BadTargetError for authority-form, user information, and what is none of these.
    """
    host = None
    if target == b"*":
        return Target(None, target, None)
    if not target.startswith(b"/"):
        found = _ABSOLUTE.fullmatch(target)
        authority = _AUTHORITY.fullmatch(found[1]) if found else None
        if found is None or authority is None:
            raise BadTargetError("the target is neither a path nor an http URL")
        host = authority[1].lower()
        target = found[2]
        if not target.startswith(b"/"):
            target = b"/" + target
    path, mark, query = target.partition(b"?")
    return Target(host, path, query if mark else None)


def unescape(text: bytes) -> bytes:
    """Decode percent-escapes. Raises BadTargetError for a bad one and for NUL."""
    if b"%" in text:
        if _BAD_ESCAPE.search(text):
            raise BadTargetError("bad percent-escape")
        text = _ESCAPE.sub(lambda match: _BYTES[match[1].upper()], text)
    if b"\0" in text:
        raise BadTargetError("NUL in the target")
    return text


def decode_path(path: bytes, *, dot_segments: bool = True) -> bytes:
    """Decode an undecoded absolute path, once; nothing is merged or normalised.

    dot_segments: let `.` and `..` be literal parts of the path (keys of a bucket).
    Raises BadTargetError for a path that is not absolute, a bad escape, NUL, a character
    that cannot stand in a target, and `..` that climbs above the root (also encoded);
    with dot_segments False for any dot segment.
    """
    if not path.startswith(b"/"):
        raise BadTargetError("the path is not absolute")
    if _UNFIT.search(path):
        raise BadTargetError("a character that cannot stand in a target")
    decoded = unescape(path)
    check_dots(decoded, allowed=dot_segments)
    return decoded


def check_dots(path: bytes, *, allowed: bool) -> None:
    """Raise BadTargetError when a decoded `path` climbs above the root, or has dots at all."""
    if b"/." not in path or not has_dot_segments(path):
        return
    if not allowed:
        raise BadTargetError("dot segments in the path")
    depth = 0
    for segment in path.split(b"/")[1:]:
        if segment == b"..":
            depth -= 1
            if depth < 0:
                raise BadTargetError("the path climbs above the root")
        elif segment not in (b"", b"."):
            # An empty segment gives no depth: whoever merges slashes must not climb either.
            depth += 1


def has_dot_segments(path: bytes) -> bool:
    """Tell whether a decoded path has a `.` or `..` segment (RFC 3986 section 3.3)."""
    return any(segment in (b".", b"..") for segment in path.split(b"/"))

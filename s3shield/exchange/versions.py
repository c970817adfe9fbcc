"""What one bucket may be asked about an answer of another one's. Pure.

Two buckets may have two versions of an object with one date, and count their weak ETags
each for itself. A strong ETag is the same for the same bytes only (RFC 9110 section 8.8.1):
where a bucket has replicas nothing else is relied upon.
"""

from __future__ import annotations

from typing import Final

from s3shield.policy import Fields, listed_tags, strong_match

__all__ = ["bound", "strongly"]

_DATED: Final = frozenset({b"if-modified-since"})


def _strong(tag: bytes) -> bool:
    return tag == b"*" or strong_match(tag, tag)


def strongly(extra: Fields) -> Fields:
    """Return the conditions that hold for every bucket: those by strong ETag.

    Without the others the whole is answered, which is right and only longer. extra: fields
    of ours for a request.
    """
    there = {name.lower(): value for name, value in extra}
    bad = set(_DATED)
    if b"if-none-match" in there and not all(map(_strong, listed_tags(there[b"if-none-match"]))):
        bad.add(b"if-none-match")
    if b"if-range" in there and not _strong(there[b"if-range"].strip(b" \t")):
        bad |= {b"if-range", b"range"}
    return tuple([field for field in extra if field[0].lower() not in bad])


def bound(extra: Fields) -> bool:
    """Tell whether a request asks for more of what only a date identifies.

    Such a part must be had where the rest came from: of a replica it may be of another
    version.
    """
    names = {name.lower() for name, _ in extra}
    return b"if-unmodified-since" in names and b"if-match" not in names

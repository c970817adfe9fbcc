"""Which query parameters go to the origin, and into the cache key."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

import attrs

from s3shield.signing import Query

from .target import BadTargetError, unescape

__all__ = ["QueryPolicy", "parse_query"]

_UNFIT: Final = re.compile(rb"[\x00-\x20\x7f#]")


def parse_query(query: bytes | None) -> Query:
    """Decode a raw query into pairs, in its order; `+` is a space, as S3 reads it.

    Empty pieces between `&` are left out. Raises BadTargetError for a bad escape or NUL.
    """
    if not query:
        return ()
    if _UNFIT.search(query):
        raise BadTargetError("a character that cannot stand in a query")
    pairs = []
    for piece in query.split(b"&"):
        if piece:
            name, mark, value = piece.replace(b"+", b" ").partition(b"=")
            pairs.append((unescape(name), unescape(value) if mark else None))
    return tuple(pairs)


def _presign_names(names: list[bytes]) -> set[bytes]:
    """Return those of `names` that are parameters of a presigned URL."""
    found = {name for name in names if name[:6].lower() == b"x-amz-"}
    version2 = {b"AWSAccessKeyId", b"Signature"}.intersection(names)
    if version2:
        found |= version2 | {b"Expires"}
    return found


def _name(piece: bytes) -> bytes:
    return unquote_to_bytes(piece.partition(b"=")[0].replace(b"+", b" "))


@attrs.frozen
class QueryPolicy:
    """The option `query = drop | pass | allow NAME...`.

    kind: drop, pass or allow. names: frozenset of the decoded, case-sensitive names that
    `allow` lets through. A client's presign parameters (X-Amz-*, AWSAccessKeyId,
    Signature, and Expires beside one of these two) are removed whatever the kind.
    """

    kind: Literal["drop", "pass", "allow"] = "drop"
    names: frozenset[bytes] = frozenset()

    def apply(self, query: bytes | None) -> Query:
        """Return the decoded pairs of a raw query that go on.

        Raises BadTargetError for a bad escape or NUL in a query that is not dropped.
        """
        if not query or self.kind == "drop":
            return ()
        pairs = parse_query(query)
        dropped = _presign_names([name for name, _ in pairs])
        return tuple(
            [
                (name, value)
                for name, value in pairs
                if name not in dropped and (self.kind == "pass" or name in self.names)
            ]
        )

    def apply_raw(self, query: bytes | None) -> bytes | None:
        """Return what goes on of a raw query, its bytes as they were sent.

        None when there is none, and when all of it was removed. Raises BadTargetError for a
        character that cannot stand in a query.
        """
        if query is None or self.kind == "drop":
            return None
        if _UNFIT.search(query):
            raise BadTargetError("a character that cannot stand in a query")
        pieces = query.split(b"&")
        names = [_name(piece) for piece in pieces]
        dropped = _presign_names(names)
        if self.kind == "pass" and not dropped:
            return query
        kept = [
            piece
            for name, piece in zip(names, pieces, strict=True)
            if name not in dropped and (self.kind == "pass" or name in self.names)
        ]
        return b"&".join(kept) if kept else None

    def __str__(self) -> str:
        """As in the configuration."""
        names = sorted(name.decode("utf-8", "surrogateescape") for name in self.names)
        return " ".join([self.kind, *names])

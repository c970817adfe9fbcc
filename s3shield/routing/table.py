"""From a request to a location and a cache key: one pure function of the configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs

from s3shield.policy import Request
from s3shield.signing import Query, encode_key, encode_query

from .match import LocationMatcher, Pattern, Rewrite, ServerMatcher
from .target import QueryPolicy, decode_path, split_absolute

__all__ = ["Place", "Route", "RoutingTable"]


@attrs.frozen(kw_only=True)
class Place:
    """What routing knows of a location.

    pattern, server: of the configuration; server None: every server. origin: str, the
    bucket's name or the plain origin's URL, the first part of the cache key. bucket:
    whether it is a bucket (keys are decoded) or a plain origin (targets are passed on).
    """

    pattern: Pattern
    server: str | None
    origin: str
    bucket: bool
    rewrites: tuple[Rewrite, ...] = ()
    query: QueryPolicy = attrs.field(factory=QueryPolicy)


@attrs.frozen
class Route:
    """Where a request goes.

    number: of the location. key: bytes, the decoded and rewritten path with its leading
    slash. query: decoded pairs for a bucket. target: bytes, what a plain origin is asked
    for. key_text: bytes, the cache key, `origin|/encoded/path|query`. digest: bytes, 16.
    """

    number: int
    key: bytes
    query: Query
    target: bytes
    key_text: bytes
    digest: bytes


class RoutingTable:
    """All locations of all servers.

    servers: (name, its server_names) in order; the first one without names, or else the
    first, takes the other names. places: the locations in order of appearance.
    """

    def __init__(
        self, servers: Sequence[tuple[str, Sequence[str]]], places: Sequence[Place]
    ) -> None:
        self._places = places
        default = None
        if servers:
            nameless = [number for number, (_, names) in enumerate(servers) if not names]
            default = nameless[0] if nameless else 0
        self._servers = ServerMatcher(
            [(name, number) for number, (_, names) in enumerate(servers) for name in names],
            default,
        )
        names: list[str | None] = [name for name, _ in servers] or [None]
        self._matchers = [
            LocationMatcher(
                (place.pattern, number)
                for number, place in enumerate(places)
                if place.server in (None, server)
            )
            for server in names
        ]

    def route(self, request: Request) -> Route | None:
        """Return where `request` goes, or None when no location takes it (404).

        Raises BadTargetError (400).
        """
        path, query, host = request.path, request.query, request.host
        if not path.startswith(b"/"):
            authority, rest = split_absolute(request.target)
            path, mark, after = rest.partition(b"?")
            query = after if mark else None
            host = (authority or b"").rpartition(b":")[0] or authority or b""
        server = self._servers.find(host.lower())
        decoded = decode_path(path, literal_dots=True)
        number = self._matchers[server or 0].find(decoded)
        if number is None:
            return None
        place = self._places[number]
        if not place.bucket:
            decode_path(path, literal_dots=False)
        rewritten = self._rewrite(place, decoded)
        key = decoded
        if rewritten is not None:
            key, mark, after = rewritten.partition(b"?")
            if not key.startswith(b"/"):
                key = b"/" + key
            if mark:
                query = after
            decode_path(encode_key(key), literal_dots=place.bucket)
        if place.bucket:
            pairs = place.query.pairs(query)
            path = encode_key(key)
            asked = encode_query(pairs) if pairs else b""
        else:
            pairs = ()
            path = path if rewritten is None else encode_key(key)
            asked = place.query.raw(query) or b""
        target = b"%b?%b" % (path, asked) if asked else path
        key_text = b"%b|%b|%b" % (place.origin.encode("utf-8"), path, asked)
        digest = hashlib.blake2b(key_text, digest_size=16).digest()
        return Route(number, key, pairs, target, key_text, digest)

    @staticmethod
    def _rewrite(place: Place, path: bytes) -> bytes | None:
        result: bytes | None = None
        for rewrite in place.rewrites:
            made = rewrite.apply(path if result is None else result)
            if made is not None:
                result = made
                if rewrite.stops:
                    break
        return result

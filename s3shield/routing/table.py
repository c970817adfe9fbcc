"""From a request to its location, its key at the origin and its key in the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs

from s3shield.policy import NOTHING_CONSUMED, Consumed, Request
from s3shield.signing import Query, encode_key, encode_query

from .match import LocationMatcher, Pattern, ServerMatcher
from .query import QueryPolicy
from .rewrite import Rewrite, rewrite
from .target import BadTargetError, check_dots, decode_path, parse_target
from .variables import Template

__all__ = ["Place", "Route", "RoutingTable"]


@attrs.frozen(kw_only=True)
class Place:
    """What routing knows of a location.

    pattern, server: of the configuration; server None: every server. origin: str, the
    bucket's name or the plain origin's URL, the first part of the cache key. bucket:
    whether it is a bucket (keys are decoded) or a plain origin (targets are passed on).
    cache_key: `proxy_cache_key`, what stands in the cache key after the origin and a `=`,
    which keeps it apart from the keys of other locations: those go on with a path.
    consumed: what of a request counts as not there, but for the choice of a location.
    """

    pattern: Pattern
    server: str | None
    origin: str
    bucket: bool
    rewrites: tuple[Rewrite, ...] = ()
    query: QueryPolicy = attrs.field(factory=QueryPolicy)
    cache_key: Template | None = None
    consumed: Consumed = NOTHING_CONSUMED


@attrs.frozen
class Route:
    """Where a request goes.

    number: of the location. key: bytes, the decoded and rewritten path with its leading
    slash. query: decoded pairs that go to a bucket; empty for a plain origin. target:
    bytes, what a plain origin is asked for: as received unless a rewrite applied or
    parameters were removed (a bucket's is the signer's to make). key_text: bytes, what
    the cache entry is called, `origin|/encoded/path|query`. digest: 16 bytes, BLAKE2b of
    key_text.
    """

    number: int
    key: bytes
    query: Query
    target: bytes
    key_text: bytes
    digest: bytes


class RoutingTable:
    """All locations of the servers of one listening socket.

    servers: (name, its server_names) in order; the first without names, or with `_`
    among them, or else the first, takes all other names; none at all is one server that
    takes every name. places: the locations in order of appearance. A location of one
    server goes before an equal one of all servers.
    """

    def __init__(
        self, servers: Sequence[tuple[str, Sequence[str]]], places: Sequence[Place]
    ) -> None:
        self._places = tuple(places)
        self._names = tuple([name for name, _ in servers])
        self._origins = tuple([place.origin.encode("utf-8") + b"|" for place in places])
        self._servers = ServerMatcher((names, at) for at, (_, names) in enumerate(servers))
        self._matchers = tuple([self._matcher(name) for name, _ in servers])
        self._only = None if servers else self._matcher(None)

    def _matcher(self, server: str | None) -> LocationMatcher:
        mine = [
            (at, place)
            for at, place in enumerate(self._places)
            if place.server is None or place.server == server
        ]
        special = {place.pattern.same for _, place in mine if place.server is not None}
        return LocationMatcher(
            (place.pattern, at)
            for at, place in mine
            if place.server is not None or place.pattern.same not in special
        )

    def server(self, host: bytes) -> int | None:
        """Return the index of the server that takes a lower-case host, None without any."""
        return self._servers.find(host)

    def route(self, request: Request) -> Route | None:
        """Return where `request` goes, or None when no location takes it (404).

        Raises BadTargetError (400).
        """
        if request.path.startswith(b"/"):
            route = self.find(request.host, request.path, request.query)
        else:
            target = parse_target(request.target)
            host = request.host if target.host is None else target.host
            route = self.find(host, target.path, target.query)
        if route is None or (template := self._places[route.number].cache_key) is None:
            return route
        shown = self._places[route.number].consumed.request(request)
        key_text = b"%b=%b" % (self._origins[route.number], template.value(shown))
        digest = hashlib.blake2b(key_text, digest_size=16).digest()
        return attrs.evolve(route, key_text=key_text, digest=digest)

    def by_target(self, number: int) -> bool:
        """Tell whether host and target alone decide on the routes of a location."""
        template = self._places[number].cache_key
        return template is None or template.by_target

    def find(self, host: bytes, path: bytes, query: bytes | None) -> Route | None:
        """Route a host without port, an undecoded path and a raw query.

        None when no location takes it; `*` is nobody's. Raises BadTargetError.
        """
        if path == b"*":
            return None
        decoded = decode_path(path)
        index = self._servers.find(host.lower())
        matcher = self._only if index is None else self._matchers[index]
        assert matcher is not None  # without servers there is the one for all names
        number = matcher.find(decoded)
        if number is None:
            return None
        place = self._places[number]
        check_dots(decoded, allowed=place.bucket)
        done = rewrite(decoded, place.rewrites)
        if done.changed:
            # A prefix may have gone that kept the dots below the root.
            check_dots(done.path, allowed=place.bucket)
            if b"\0" in done.path:
                raise BadTargetError("NUL in the target")
        raw = place.consumed.query(query) if done.keep_query else None
        if place.bucket:
            pairs = done.query + place.query.apply(raw)
            target = encoded = encode_key(done.path)
            key_query = encode_query(pairs)
            if key_query:
                target = b"%b?%b" % (encoded, key_query)
        else:
            pairs = ()
            encoded = encode_key(done.path) if done.changed else path
            sent = _joined(encode_query(done.query), place.query.apply_raw(raw))
            target = encoded if sent is None else b"%b?%b" % (encoded, sent)
            # `%%` stands in no target: a bar stays apart from `%7C`, and from the one below.
            encoded = encoded.replace(b"|", b"%%7C")
            key_query = b"" if sent is None else sent
            if sent is not None and sent[:1] in (b"", b"?"):
                key_query = b"?" + sent  # `/a?` is another resource than `/a`
        key_text = b"%b%b|%b" % (self._origins[number], encoded, key_query)
        digest = hashlib.blake2b(key_text, digest_size=16).digest()
        return Route(number, done.path, pairs, target, key_text, digest)

    def under(self, host: bytes, path: bytes) -> list[tuple[int, bytes]]:
        """Return (location, beginning of key texts) of all that is below an undecoded path.

        The location that takes the path, those further down, and every regular
        expression, which may take anything. host as for `find`. A `proxy_cache_key` has to
        end in the path for this. Raises BadTargetError.
        """
        decoded = decode_path(path)
        index = self._servers.find(host.lower())
        server = None if index is None else self._names[index]
        mine = [
            (at, place)
            for at, place in enumerate(self._places)
            if place.server is None or place.server == server
        ]
        own = [
            place.pattern.encoded
            for _, place in mine
            if not place.pattern.is_regex and decoded.startswith(place.pattern.encoded)
        ]
        longest = max(own, key=len, default=None)
        found = []
        for at, place in mine:
            text = place.pattern.encoded
            if place.pattern.is_regex or text == longest:
                start, raw = decoded, path
            elif text.startswith(decoded):
                start, raw = text, encode_key(text)
            else:
                continue
            if place.cache_key is not None:
                raw = place.cache_key.value(Request(b"GET", raw, {b"host": host}, host=host))
                raw = b"=" + raw
            else:
                done = rewrite(start, place.rewrites)
                if place.bucket or done.changed:
                    raw = encode_key(done.path)
                raw = raw.replace(b"|", b"%%7C")
            found.append((at, self._origins[at] + raw))
        return found


def _joined(ours: bytes, theirs: bytes | None) -> bytes | None:
    """Put the parameters that a rewrite set before the client's."""
    if not ours:
        return theirs
    return b"%b&%b" % (ours, theirs) if theirs else ours

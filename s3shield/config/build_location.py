"""Locations: where each one's requests go, and what the options of caching make of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import attrs

from s3shield.access import Cors
from s3shield.policy import ANY_METHOD, CachePolicy, TTLTable
from s3shield.routing import Pattern, QueryPolicy
from s3shield.signing import Endpoint

from .build_access import read_access
from .build_bucket import build_bucket, build_connection
from .build_secure import build_secure
from .compression import build_compression
from .cors import cors
from .errors import nearest
from .given import Given, Sources, Value, find
from .jwt import consumed_by, read_jwt
from .limits import LimitsConfig, limits, repeated
from .options import BUCKET, LOCATION
from .site import SiteConfig, read_site, unlistable
from .values import BucketConfig, LocationConfig

__all__ = ["Locations"]


# Options that are fields of LocationConfig as they are.
_PLAIN: Final = (
    *("fetch_on_abort", "client_max_body_size", "range_connections", "read_ahead"),
    *("proxy_cache_key", "proxy_cache_bypass", "proxy_no_cache"),
    *("proxy_cache_lock", "proxy_cache_lock_timeout", "proxy_cache_lock_age"),
)


@attrs.define
class Locations:
    """Builds locations, and the buckets that they use.

    top: `[s3shield]`. buckets, caches: sections by name. built: the buckets so far, by
    name; None for one that cannot be built.
    """

    sources: Sources
    top: Given
    buckets: Mapping[str, Given]
    caches: Mapping[str, Given]
    built: dict[str, BucketConfig | None] = attrs.field(factory=dict)
    overridden: set[str] = attrs.field(factory=set)

    def base_bucket(self, name: str) -> BucketConfig | None:
        """Return `[bucket:name]` as it is, built once."""
        if name not in self.built:
            given = self.buckets[name]
            self.built[name] = build_bucket([given, self.top], name, given, self.sources)
        return self.built[name]

    def unused_buckets(self) -> None:
        """Build the buckets that no location uses: replicas, and the others for their mistakes."""
        replicas = {
            given.values["replica"].value
            for given in self.buckets.values()
            if "replica" in given.values
        }
        for name in self.buckets:
            if name in replicas or name not in self.overridden:
                self.base_bucket(name)

    def build(self, location: Given, server: Given | None, pattern: Pattern) -> LocationConfig:
        """Return the location in one server; what is wrong has been complained about."""
        inner = [location] if server is None else [location, server]
        chain = [*inner, self.top]
        bucket, origin, base = self._source(location, inner, server, pattern)
        cache = self._cache(chain)
        is_bucket = bucket is not None
        query = _get(chain, "query")
        if query is None:
            query = QueryPolicy("drop" if is_bucket else "pass")
        access = read_access(chain, self.sources)
        jwt = read_jwt(chain, self.sources)
        policy = _policy(chain, enabled=cache is not None, is_bucket=is_bucket)
        return LocationConfig(
            pattern=pattern,
            server=None if server is None else server.name,
            bucket=bucket,
            origin=origin,
            rewrites=_get(chain, "rewrite"),
            query=query,
            cache=cache,
            policy=attrs.evolve(policy, consumed=consumed_by(jwt) | access.consumed),
            connection=build_connection(
                [*inner, self.top] if base is None else [*inner, base, self.top]
            ),
            purge_allow=_get(chain, "purge_allow"),
            access=access,
            secure=build_secure(chain, server, self.sources),
            jwt=jwt,
            compression=build_compression(lambda name: _get(chain, name)),
            limits=self._limits(chain, server),
            cors=self._cors(chain),
            site=self._site(chain, pattern, bucket, origin),
            **{name: _get(chain, name) for name in _PLAIN},
            where=self.sources.where(location),
        )

    def _site(
        self, chain: Sequence[Given], pattern: Pattern, bucket: str | None, origin: Endpoint | None
    ) -> SiteConfig:
        site = read_site(lambda name: _get(chain, name))
        at = find(chain, "autoindex")
        if site.autoindex and at is not None and (bucket is not None or origin is not None):
            why = unlistable(pattern, _get(chain, "rewrite"), is_bucket=bucket is not None)
            if why is not None:
                self.sources.complain(at, why)
        return site

    def _cache(self, chain: Sequence[Given]) -> str | None:
        found = find(chain, "proxy_cache")
        if found is None or found.broken or found.value == "off":
            return None
        return self._reference(found, "cache", self.caches)

    def _limits(self, chain: Sequence[Given], server: Given | None) -> LimitsConfig:
        name = ""
        if server is not None:
            names = server.values.get("server_name")
            name = server.name if names is None or not names.value else names.value[0]
        found = limits(partial(_get, chain), name)
        twice = repeated(found)
        at = None if twice is None else find(chain, twice)
        if at is not None:
            self.sources.complain(at, "two lines would count the same: give one a zone=NAME")
        return found

    def _cors(self, chain: Sequence[Given]) -> Cors | None:
        try:
            return cors(partial(_get, chain))
        except ValueError as why:
            at = find(chain, "cors_credentials")
            assert at is not None  # it was given: it is off by itself
            self.sources.complain(at, str(why))
            return None

    def _reference(self, at: Value, kind: str, known: Mapping[str, Given]) -> str | None:
        name: str = at.value
        if name in known:
            return name
        self.sources.complain(at, f"there is no [{kind}:{name}]", suggestion=nearest(name, known))
        return None

    def _source(
        self, location: Given, inner: Sequence[Given], server: Given | None, pattern: Pattern
    ) -> tuple[str | None, Endpoint | None, Given | None]:
        """Return the bucket's name or the plain origin, and the `[bucket:]` behind it."""
        chain = [*inner, self.top]
        for given in chain:
            bucket, origin = given.values.get("bucket"), given.values.get("origin")
            if bucket is not None and origin is not None:
                self.sources.complain(origin, "give bucket or origin, not both")
                return None, None, None
            if origin is not None:
                for name in BUCKET:
                    if name in location.values:
                        self.sources.complain(
                            location.values[name], "a plain origin is not signed: give a bucket"
                        )
                return None, (None if origin.broken else origin.value), None
            if bucket is not None:
                return self._bucket(bucket, location, inner, server, pattern)
            if "aws_s3_bucket" in given.values:
                return self._derive(None, location, chain, server, pattern), None, None
        self.sources.complain(
            location, "it is missing: where requests go (or origin)", option="bucket"
        )
        return None, None, None

    def _bucket(
        self,
        reference: Value,
        location: Given,
        inner: Sequence[Given],
        server: Given | None,
        pattern: Pattern,
    ) -> tuple[str | None, None, Given | None]:
        name = None if reference.broken else self._reference(reference, "bucket", self.buckets)
        if name is None:
            return None, None, None
        base = self.buckets[name]
        if not any(option in given.values for given in inner for option in BUCKET):
            self.base_bucket(name)
            return name, None, base
        self.overridden.add(name)
        return (
            self._derive(base, location, [*inner, base, self.top], server, pattern),
            None,
            base,
        )

    def _derive(
        self,
        base: Given | None,
        location: Given,
        chain: Sequence[Given],
        server: Given | None,
        pattern: Pattern,
    ) -> str | None:
        """Make a bucket for one location; return its name."""
        draft = build_bucket(chain, "", location, self.sources)
        if draft is None:
            return None
        # The name begins cache keys: it stays while the place and the objects do, whatever
        # becomes of the keys, and changes with the bucket behind it.
        facts = (
            "" if server is None else server.name,
            str(pattern),
            draft.endpoint.scheme,
            draft.endpoint.authority.decode("ascii"),
            draft.endpoint.bucket,
        )
        digest = hashlib.blake2b("\0".join(facts).encode("utf-8"), digest_size=4).hexdigest()
        name = f"{'own' if base is None else base.name}+{digest}"
        self.built[name] = attrs.evolve(draft, name=name)
        return name


def _get(chain: Sequence[Given], name: str) -> Any:
    found = find(chain, name)
    return LOCATION[name].default if found is None or found.broken else found.value


def _policy(chain: Sequence[Given], *, enabled: bool, is_bucket: bool) -> CachePolicy:
    def get(name: str) -> Any:
        return _get(chain, name)

    methods = get("methods")
    if methods is None:
        # A bucket is read; a plain origin is passed what comes, as by nginx's proxy_pass.
        methods = CachePolicy().methods if is_bucket else frozenset({ANY_METHOD})
    added = get("add_header")
    return CachePolicy(
        enabled=enabled,
        valid=TTLTable(get("proxy_cache_valid")),
        valid_force=get("proxy_cache_valid_force"),
        ignore_headers=get("proxy_ignore_headers"),
        ignore_authorization=get("ignore_authorization"),
        heuristic=get("proxy_cache_heuristic"),
        targets=get("cache_targets"),
        cache_methods=get("proxy_cache_methods"),
        max_object_size=get("max_object_size"),
        min_uses=get("proxy_cache_min_uses"),
        use_stale=get("proxy_cache_use_stale"),
        background_update=get("proxy_cache_background_update"),
        revalidate=get("proxy_cache_revalidate"),
        verify_checksums=get("verify_checksums"),
        hit_for_miss=get("hit_for_miss"),
        max_variants=get("max_variants"),
        client_revalidate=get("client_revalidate"),
        methods=methods,
        is_bucket=is_bucket,
        missing_403=get("missing_403"),
        max_range_offset=get("proxy_cache_max_range_offset"),
        max_ranges=get("max_ranges"),
        normalize_accept_encoding=get("normalize_accept_encoding"),
        pass_amz_headers=get("pass_amz_headers"),
        hide_headers=get("proxy_hide_header"),
        add_headers=tuple([(name, value) for name, value, always in added if not always]),
        always_headers=tuple([(name, value) for name, value, always in added if always]),
        via=get("via"),
        cache_status_header=get("cache_status_header"),
        cache_status=get("cache_status"),
        cache_status_name=get("cache_status_name"),
        error_pass=get("error_pass"),
    )

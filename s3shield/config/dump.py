"""The configuration in force, written out as a file that says all of it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator

from s3shield.policy import ANY, CachePolicy, TTLRow
from s3shield.signing import Endpoint

from .access import access_pairs
from .admin import AdminConfig
from .compression import dump_compression
from .cors import dump_cors
from .jwt import jwt_pairs
from .limits import dump_limits
from .listen import Listen
from .prices import price_pairs
from .reading_keys import MASK
from .real_ip import RealIpConfig
from .site import dump_site
from .text import escape
from .tls import TlsConfig
from .units import format_seconds, format_size
from .values import (
    AUTO,
    BucketConfig,
    CacheConfig,
    Config,
    DaemonConfig,
    LocationConfig,
    OriginConfig,
    ServerConfig,
)

__all__ = ["dump", "render"]

Pairs = Iterator[tuple[str, str | None]]
"""Options of a section; those that are None are not there."""


def dump(config: Config) -> str:
    """Return the effective configuration as ini text, secrets masked as `***`.

    Each location says all its options, and stands once for each of its servers. With the
    secrets put back it loads as an equal Config.
    """
    return render(config, lambda _secret: MASK)


def render(config: Config, show: Callable[[str], str]) -> str:
    """Return what `dump` does. show: what is written for a secret."""
    sections: list[tuple[str, Pairs]] = [("s3shield", _daemon(config.daemon, show))]
    sections += [(f"cache:{each.name}", _cache(each)) for each in config.caches.values()]
    sections += [(f"bucket:{each.name}", _bucket(each, show)) for each in config.buckets.values()]
    sections += [(f"server:{each.name}", _server(each)) for each in config.servers]
    sections += [(f"location:{each.pattern}", _location(each, show)) for each in config.locations]
    return "\n".join(
        f"[{escape(title)}]\n"
        + "".join(
            f"{name} = {escape(value)}".rstrip() + "\n"
            for name, value in pairs
            if value is not None
        )
        for title, pairs in sections
    )


def _flag(value: bool) -> str:
    return "on" if value else "off"


def _limit(size: int | None) -> str:
    return "off" if size is None else format_size(size)


def _timeout(seconds: float | None) -> str:
    return "off" if seconds is None else format_seconds(seconds)


def _words(names: Iterable[bytes]) -> str:
    return b" ".join(names).decode("ascii")


def _url(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{endpoint.scheme}://{host}:{endpoint.port}"


def _daemon(daemon: DaemonConfig, show: Callable[[str], str]) -> Pairs:
    yield from _listens(daemon.listen, daemon.tls)
    yield from _real_ip(daemon.real_ip)
    yield "admin_listen", None if daemon.admin_listen is None else str(daemon.admin_listen)
    yield from _admin(daemon.admin, show)
    yield from price_pairs(daemon.prices)
    yield "workers", "auto" if daemon.workers == AUTO else str(daemon.workers)
    yield "access_log", f"{daemon.access_log.target} {daemon.access_log.format}"
    yield "access_log_sample", f"{daemon.access_log_sample:.6g}"
    if daemon.error_log is not None:
        yield "error_log", f"{daemon.error_log.target} {daemon.error_log.level}"
    yield "pid_file", daemon.pid_file
    yield "user", daemon.user
    yield "group", daemon.group
    yield "shutdown_timeout", format_seconds(daemon.shutdown_timeout)
    yield "worker_shutdown_timeout", _timeout(daemon.worker_shutdown_timeout)
    yield "keepalive_timeout", format_seconds(daemon.keepalive_timeout)
    yield "client_header_timeout", format_seconds(daemon.client_header_timeout)
    yield "send_timeout", format_seconds(daemon.send_timeout)
    yield "http2", _flag(daemon.http2)
    yield "stall_log", _timeout(daemon.stall_log)


def _admin(admin: AdminConfig, show: Callable[[str], str]) -> Pairs:
    yield "metrics", _flag(admin.metrics)
    yield "admin_allow", " ".join(map(str, admin.admin_allow)) or None
    yield "admin_token", None if admin.admin_token is None else show(admin.admin_token)
    yield "ready_valid_for", format_seconds(admin.ready_valid_for)


def _listens(listens: Iterable[Listen], tls: TlsConfig) -> Pairs:
    for listen in listens:
        yield "listen", str(listen)
    for certificate, key in tls.pairs:
        yield "tls_certificate", certificate
        yield "tls_certificate_key", key
    if tls.client_ca is not None:
        yield "tls_client_ca", tls.client_ca
        yield "tls_verify_client", tls.verify_client


def _real_ip(real_ip: RealIpConfig) -> Pairs:
    if real_ip.trusts:
        trusted = [*map(str, real_ip.networks), *(["unix:"] if real_ip.unix else [])]
        yield "set_real_ip_from", " ".join(trusted)
        yield "real_ip_header", real_ip.header
        yield "real_ip_recursive", _flag(real_ip.recursive)


def _cache(cache: CacheConfig) -> Pairs:
    yield "path", cache.path
    yield "max_size", _limit(cache.max_size)
    yield "min_free", format_size(cache.min_free)
    yield "inactive", format_seconds(cache.inactive)
    yield "block_size", format_size(cache.block_size)
    yield "inline_limit", format_size(cache.inline_limit)
    yield "map_size", None if cache.map_size is None else format_size(cache.map_size)


def _bucket(bucket: BucketConfig, show: Callable[[str], str]) -> Pairs:
    yield "aws_s3_bucket", bucket.endpoint.bucket
    yield "aws_endpoint", _url(bucket.endpoint)
    yield "aws_addressing", bucket.addressing
    yield "aws_region", bucket.region
    yield "aws_sign", bucket.sign.value
    source = bucket.source
    if source is not None:
        kind = source.kind if source.profile is None else f"profile:{source.profile}"
        yield "aws_credentials", kind
        yield "aws_role_arn", source.role
        yield "aws_role_session_name", source.session if source.role is not None else None
    keys = bucket.credentials if source is None else source.base
    if keys is not None:
        yield "aws_access_key", keys.access_key
        if keys.secret_key is not None:
            yield "aws_secret_key", show(keys.secret_key)
        if keys.signing_key is not None:
            yield "aws_signing_key", show(b64encode(keys.signing_key).decode("ascii"))
            yield "aws_key_scope", str(keys.scope)
        yield "aws_signing_key_file", bucket.key_file
        if keys.session_token is not None:
            yield "aws_session_token", show(keys.session_token)
    yield "aws_presign_lifetime", format_seconds(bucket.lifetime)
    if bucket.replica is not None:
        yield "replica", bucket.replica
        words = " ".join(f"http_{status}" for status in sorted(bucket.replica_on))
        yield "replica_on", words or "off"
        yield "replica_timeout", format_seconds(bucket.replica_timeout)
    if bucket.health is not None:
        yield "health", f"{bucket.health.path} {format_seconds(bucket.health.every)}"
    yield from _connection(bucket.connection)


def _connection(connection: OriginConfig) -> Pairs:
    yield "origin_connect_timeout", format_seconds(connection.origin_connect_timeout)
    yield "origin_read_timeout", format_seconds(connection.origin_read_timeout)
    yield "origin_idle_timeout", format_seconds(connection.origin_idle_timeout)
    yield "origin_connections", str(connection.origin_connections)
    yield "origin_verify", _flag(connection.origin_verify)
    yield "origin_ca", connection.origin_ca


def _server(server: ServerConfig) -> Pairs:
    if server.server_name:
        yield "server_name", " ".join(server.server_name)
    yield from _listens(server.listen, server.tls)


def _location(location: LocationConfig, show: Callable[[str], str]) -> Pairs:
    yield "server", location.server
    yield "bucket", location.bucket
    yield "origin", None if location.origin is None else _url(location.origin)
    for line in location.rewrites:
        yield "rewrite", str(line)
    yield "query", str(location.query)
    yield "proxy_cache", location.cache or "off"
    yield from _policy(location.policy)
    yield from access_pairs(location.access, show)
    yield from jwt_pairs(location.jwt)
    yield "https_redirect", _flag(location.secure.redirect)
    yield "purge_allow", " ".join(map(str, location.purge_allow))
    yield "fetch_on_abort", location.fetch_on_abort
    if location.proxy_cache_key is not None:
        yield "proxy_cache_key", f'"{location.proxy_cache_key}"'
    yield "proxy_cache_bypass", " ".join(map(str, location.proxy_cache_bypass))
    yield "proxy_no_cache", " ".join(map(str, location.proxy_no_cache))
    yield "client_max_body_size", format_size(location.client_max_body_size)
    yield "proxy_cache_lock", _flag(location.proxy_cache_lock)
    yield "proxy_cache_lock_timeout", _timeout(location.proxy_cache_lock_timeout)
    yield "proxy_cache_lock_age", _timeout(location.proxy_cache_lock_age)
    yield "range_connections", str(location.range_connections)
    yield "read_ahead", _limit(location.read_ahead)
    yield from dump_site(location.site)
    yield from dump_compression(location.compression)
    yield from dump_limits(location.limits)
    yield from dump_cors(location.cors)
    yield from _connection(location.connection)


def _row(row: TTLRow) -> str:
    codes = "any" if row.codes is ANY else " ".join(str(code) for code in sorted(row.codes))
    return f"{codes} {format_seconds(row.seconds)}"


def _policy(policy: CachePolicy) -> Pairs:
    for row in policy.valid.rows:
        yield "proxy_cache_valid", _row(row)
    yield "proxy_cache_valid_force", _flag(policy.valid_force)
    yield "proxy_cache_methods", _words(sorted(policy.cache_methods))
    yield "proxy_cache_use_stale", " ".join(sorted(policy.use_stale)) or "off"
    yield "proxy_cache_background_update", _flag(policy.background_update)
    yield "proxy_cache_revalidate", _flag(policy.revalidate)
    yield "verify_checksums", _flag(policy.verify_checksums)
    yield "max_variants", str(policy.max_variants)
    yield "hit_for_miss", format_seconds(policy.hit_for_miss)
    yield "proxy_cache_heuristic", _flag(policy.heuristic)
    yield "proxy_cache_max_range_offset", _limit(policy.max_range_offset)
    yield "proxy_ignore_headers", _words(sorted(policy.ignore_headers))
    yield "ignore_authorization", _flag(policy.ignore_authorization)
    yield "cache_targets", _words(policy.targets)

    yield "proxy_cache_min_uses", str(policy.min_uses)
    yield "cache_status", _flag(policy.cache_status)
    yield "cache_status_name", policy.cache_status_name.decode("ascii")
    yield "client_revalidate", _flag(policy.client_revalidate)
    yield "normalize_accept_encoding", _flag(policy.normalize_accept_encoding)
    yield "max_object_size", _limit(policy.max_object_size)
    yield "max_ranges", str(policy.max_ranges)
    yield "methods", _words(sorted(policy.methods))
    yield "missing_403", "off" if policy.missing_403 is None else str(policy.missing_403)
    yield "error_pass", _flag(policy.error_pass)
    yield "proxy_hide_header", _words(sorted(policy.hide_headers))
    yield "pass_amz_headers", _words(sorted(policy.pass_amz_headers))
    for name, value in policy.add_headers:
        yield "add_header", f'{name.decode("ascii")} "{value.decode("utf-8")}"'
    for name, value in policy.always_headers:
        yield "add_header", f'{name.decode("ascii")} "{value.decode("utf-8")}" always'
    yield "cache_status_header", policy.cache_status_header.decode("ascii") or "off"
    yield "via", policy.via.decode("ascii") or "off"

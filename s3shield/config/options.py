"""Every option there is: where it may stand, how it is read, what holds without it.

The one truth: reading, `check --dump`, suggestions and the reference page follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from s3shield.policy import CachePolicy
from s3shield.routing import Rewrite
from s3shield.signing import SignMode

from . import logs, replicas
from . import reading as read
from . import reading_keys as keys
from .admin import ADMIN, admin_listen, networks
from .compression import COMPRESSION
from .cors import CORS
from .jwt import JWT
from .limits import LIMITS
from .prices import PRICES
from .reading_access import ACCESS
from .real_ip import REAL_IP
from .site import SITE
from .spec import Spec
from .units import parse_flag, parse_seconds, parse_size

__all__ = [
    "ALLOWED",
    "BUCKET",
    "CACHE",
    "DAEMON",
    "KEYS",
    "LATER",
    "LOCATION",
    "ORIGIN",
    "REPLICA",
    "SERVER",
    "STATIC",
    "TLS",
    "Spec",
]


DAEMON: Final[Mapping[str, Spec]] = {
    "listen": Spec(read.listen, (), many=True),
    "admin_listen": Spec(admin_listen),
    **ADMIN,
    **PRICES,
    "workers": Spec(read.workers, -1),
    "access_log": Spec(logs.access_log),
    "access_log_sample": Spec(logs.access_log_sample, 1.0),
    "error_log": Spec(logs.error_log),
    "pid_file": Spec(read.text),
    "user": Spec(read.word),
    "group": Spec(read.word),
    "shutdown_timeout": Spec(read.timeout, 30.0),
    "worker_shutdown_timeout": Spec(read.timeout_or_off),
    "keepalive_timeout": Spec(read.timeout, 75.0),
    "client_header_timeout": Spec(read.timeout, 60.0),
    "send_timeout": Spec(read.timeout, 60.0),
    "http2": Spec(parse_flag, True),
    "stall_log": Spec(read.timeout_or_off),
}

TLS: Final[Mapping[str, Spec]] = {
    "tls_certificate": Spec(read.text, (), many=True),
    "tls_certificate_key": Spec(read.text, (), many=True),
    "tls_client_ca": Spec(read.text),
    "tls_verify_client": Spec(read.choice("on", "optional", "off"), "on"),
}

CACHE: Final[Mapping[str, Spec]] = {
    "path": Spec(read.text),
    "max_size": Spec(read.limit, 10 << 30),
    "min_free": Spec(parse_size, 1 << 30),
    "inactive": Spec(parse_seconds, 7 * 86_400),
    "block_size": Spec(read.block_size, 1 << 20),
    "inline_limit": Spec(parse_size, 32 << 10),
    "map_size": Spec(read.map_size),
}

BUCKET: Final[Mapping[str, Spec]] = {
    "aws_s3_bucket": Spec(read.word),
    "aws_endpoint": Spec(read.word),
    "aws_addressing": Spec(read.choice("auto", "virtual", "path"), "auto"),
    "aws_region": Spec(keys.region),
    "aws_sign": Spec(keys.sign_mode, SignMode.V4),
    "aws_access_key": Spec(keys.access_key),
    "aws_secret_key": Spec(keys.secret_key, secret=True),
    "aws_signing_key": Spec(keys.signing_key, secret=True),
    "aws_key_scope": Spec(keys.key_scope),
    "aws_signing_key_file": Spec(read.text),
    "aws_session_token": Spec(keys.session_token, secret=True),
    "aws_credentials": Spec(keys.credentials_source, "static"),
    "aws_role_arn": Spec(keys.role_arn),
    "aws_role_session_name": Spec(keys.role_session_name, "s3shield"),
    "aws_presign_lifetime": Spec(keys.lifetime, 900),
}

REPLICA: Final[Mapping[str, Spec]] = {
    "replica": Spec(read.word),
    "replica_on": Spec(replicas.replica_on, frozenset()),
    "replica_timeout": Spec(read.timeout, 5.0),
    "health": Spec(replicas.health),
}
"""About one `[bucket:]` and no other: nothing of it is inherited from `[s3shield]`."""

STATIC: Final = (
    "aws_secret_key",
    "aws_signing_key",
    "aws_key_scope",
    "aws_signing_key_file",
    "aws_session_token",
)
"""Keys themselves; the id, aws_access_key, may come from another section."""

KEYS: Final = ("aws_credentials", *STATIC, "aws_role_arn", "aws_role_session_name")
"""Options that are one: where a section has any of them, no other section's count."""

ORIGIN: Final[Mapping[str, Spec]] = {
    "origin_connect_timeout": Spec(read.timeout, 5.0),
    "origin_read_timeout": Spec(read.timeout, 30.0),
    "origin_idle_timeout": Spec(read.timeout, 60.0),
    "origin_connections": Spec(read.count(1, 65_535), 256),
    "origin_verify": Spec(parse_flag, True),
    "origin_ca": Spec(read.text),
}

SERVER: Final[Mapping[str, Spec]] = {
    "server_name": Spec(read.server_names, ()),
    "listen": Spec(read.listen, (), many=True),
}

_POLICY: Final = CachePolicy()

LOCATION: Final[Mapping[str, Spec]] = {
    **ACCESS,
    **JWT,
    "bucket": Spec(read.word),
    "origin": Spec(read.plain_origin),
    "rewrite": Spec(Rewrite.parse, (), many=True, empty=True),
    "query": Spec(read.query),
    "methods": Spec(read.methods),
    "client_max_body_size": Spec(parse_size, 1 << 20),
    "proxy_cache": Spec(read.word, "off"),
    "proxy_cache_valid": Spec(read.ttl_row, (), many=True, empty=True),
    "proxy_cache_valid_force": Spec(parse_flag, _POLICY.valid_force),
    "proxy_cache_methods": Spec(read.cache_methods, _POLICY.cache_methods),
    "proxy_cache_key": Spec(read.cache_key),
    "proxy_cache_bypass": Spec(read.conditions, (), empty=True),
    "proxy_no_cache": Spec(read.conditions, (), empty=True),
    "proxy_cache_min_uses": Spec(read.count(1, 1_000_000), _POLICY.min_uses),
    "proxy_cache_lock": Spec(parse_flag, True),
    "proxy_cache_lock_timeout": Spec(read.timeout_or_off),
    "proxy_cache_lock_age": Spec(read.timeout_or_off),
    "proxy_cache_use_stale": Spec(read.use_stale, _POLICY.use_stale),
    "proxy_cache_background_update": Spec(parse_flag, _POLICY.background_update),
    "proxy_cache_revalidate": Spec(parse_flag, _POLICY.revalidate),
    "verify_checksums": Spec(parse_flag, _POLICY.verify_checksums),
    "max_variants": Spec(read.count(1, 10_000), _POLICY.max_variants),
    "hit_for_miss": Spec(parse_seconds, _POLICY.hit_for_miss),
    "proxy_cache_heuristic": Spec(parse_flag, _POLICY.heuristic),
    "proxy_cache_max_range_offset": Spec(read.limit, _POLICY.max_range_offset),
    "proxy_ignore_headers": Spec(read.ignored_headers, _POLICY.ignore_headers, empty=True),
    "proxy_hide_header": Spec(read.header_names, _POLICY.hide_headers, empty=True),
    "add_header": Spec(read.header, (), many=True, empty=True),
    "pass_amz_headers": Spec(read.amz_headers, _POLICY.pass_amz_headers, empty=True),
    "cache_targets": Spec(read.targets, _POLICY.targets, empty=True),
    "cache_status_header": Spec(read.header_or_off, _POLICY.cache_status_header, empty=True),
    "cache_status": Spec(parse_flag, _POLICY.cache_status),
    "cache_status_name": Spec(read.token, _POLICY.cache_status_name),
    "client_revalidate": Spec(parse_flag, _POLICY.client_revalidate),
    "normalize_accept_encoding": Spec(parse_flag, _POLICY.normalize_accept_encoding),
    "ignore_authorization": Spec(parse_flag, _POLICY.ignore_authorization),
    "max_object_size": Spec(read.limit, _POLICY.max_object_size),
    "range_connections": Spec(read.count(1, 64), 1),
    "read_ahead": Spec(read.limit),
    "max_ranges": Spec(read.count(0, 1000), _POLICY.max_ranges),
    "missing_403": Spec(read.missing_403, _POLICY.missing_403),
    "error_pass": Spec(parse_flag, _POLICY.error_pass),
    "via": Spec(read.via, _POLICY.via, empty=True),
    "https_redirect": Spec(parse_flag, False),
    "purge_allow": Spec(networks, (), empty=True),
    "fetch_on_abort": Spec(read.choice("keep", "cancel"), "keep"),
    **SITE,
    **COMPRESSION,
    **LIMITS,
    **CORS,
}

ALLOWED: Final[Mapping[str, Mapping[str, Spec]]] = {
    "s3shield": {**DAEMON, **REAL_IP, **TLS, **LOCATION, **BUCKET, **ORIGIN},
    "cache": CACHE,
    "bucket": {**BUCKET, **REPLICA, **ORIGIN},
    "server": {**SERVER, **TLS, **LOCATION, **BUCKET, **ORIGIN},
    "location": {"server": Spec(read.word), **LOCATION, **BUCKET, **ORIGIN},
}
"""By kind of section. What stands in an outer one is a default of the inner ones."""

_NOT_YET: Final = "known, but this version does not do it yet"
LATER: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("proxy_cache_purge",),
        _NOT_YET,
    ),
}
"""Options of later versions and why they are refused: never accepted and ignored."""

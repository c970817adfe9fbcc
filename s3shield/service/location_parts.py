"""What a location is made of, from its configuration."""

from __future__ import annotations

from typing import Final

from s3shield.config import Config, LocationConfig
from s3shield.exchange import Bodies, Rules, must_hash

__all__ = ["bodies_of", "rules_of"]

_UNLIMITED: Final = 1 << 60
"""Bytes: what `client_max_body_size = 0` says."""


def rules_of(config: Config, location: LocationConfig) -> Rules:
    """Return when it asks, stores and waits."""
    return Rules(
        bypass=location.proxy_cache_bypass,
        no_cache=location.proxy_no_cache,
        lock=location.proxy_cache_lock,
        lock_timeout=location.proxy_cache_lock_timeout,
        lock_age=location.proxy_cache_lock_age,
        range_connections=location.range_connections,
        read_ahead=location.read_ahead or 0,
        strong_only=location.bucket is not None
        and config.buckets[location.bucket].replica is not None,
    )


def bodies_of(config: Config, location: LocationConfig) -> Bodies:
    """Return what it takes of requests' bodies."""
    limit = (location.client_max_body_size or _UNLIMITED) if location.takes_bodies else 0
    if location.bucket is None:
        return Bodies(limit, gated=location.gated)
    signer = config.buckets[location.bucket].signer()
    hashed = must_hash(signer)
    return Bodies(limit, bucket=True, hashed=hashed, gated=location.gated)

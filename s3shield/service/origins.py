"""Whom the locations ask: buckets and plain origins, their connections, keys and replicas."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from s3shield.config import BucketConfig, Config, LocationConfig, OriginConfig
from s3shield.exchange import (
    ALONE,
    REPLACED,
    Breaker,
    Bucket,
    BucketOrigin,
    BucketRequests,
    Health,
    Member,
    Origin,
    PlainOrigin,
    PlainRequests,
    ReplicatedOrigin,
    new_breaker,
)
from s3shield.policy import CachePolicy
from s3shield.signing import Credentials, Endpoint, Signer
from s3shield.wire import OriginAddress, OriginOptions, OriginPool

from .errors import ServiceError
from .measured_pool import MeasuredPool

__all__ = ["Origins"]


class Origins:
    """What the locations of one process share of them: each bucket, each pool is there once.

    reactor, clock, monotonic: as for `Serving`. buckets: those that are used, by name.
    noted: see `MeasuredPool`.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        noted: bool = False,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._clock = clock
        self._monotonic = monotonic
        self._noted = noted
        self._pools: dict[tuple[OriginAddress, OriginOptions], MeasuredPool] = {}
        self._buckets: dict[str, Bucket] = {}
        self._breakers: dict[str, Breaker] = {}
        self._signers: dict[str, list[Signer]] = {}

    @property
    def buckets(self) -> Mapping[str, Bucket]:
        """Those that are used, by name."""
        return self._buckets

    def of(self, location: LocationConfig) -> Origin:
        """Return whom a location asks. Raises ServiceError."""
        name, policy = location.origin_name, location.policy

        def pool_at(endpoint: Endpoint) -> OriginPool:
            return self._pool(endpoint, location.connection)

        try:
            if location.bucket is None:
                assert location.origin is not None
                plain = PlainRequests(location.origin.authority, policy)
                return PlainOrigin(name, plain, pool_at(location.origin))
            config = self._config.buckets[location.bucket]
            first = self._bucket_origin(config, location.connection, policy)
            replicas = self._config.replicas(config.name)
            if not replicas:
                return first
            others = [self._bucket_origin(each, each.connection, policy) for each in replicas]
            pairs = zip((config, *replicas), (first, *others), strict=True)
            return ReplicatedOrigin([self._member(each, asked) for each, asked in pairs])
        except (OSError, ValueError) as error:
            raise ServiceError(f"{location.where}: {error}") from None

    def health(self) -> list[Health]:
        """Return what watches each bucket that has a health object. Raises ServiceError."""
        return [
            self._health_of(each)
            for each in self._config.buckets.values()
            if each.health is not None and each.name in self._buckets
        ]

    def renew(self, bucket: str, credentials: Credentials) -> None:
        """Sign with these from now on."""
        for signer in self._signers.get(bucket, ()):
            signer.renew(credentials)

    @property
    def pools(self) -> Iterable[MeasuredPool]:
        """All connections there are; several to one address where options differ."""
        return self._pools.values()

    @property
    def breakers(self) -> Mapping[str, Breaker]:
        """Of the buckets that have one, by name."""
        return self._breakers

    async def close(self) -> None:
        """Ask nobody any more."""
        for bucket in self._buckets.values():
            bucket.close()
        for pool in self._pools.values():
            await pool.close()

    # Parts

    def _bucket_origin(
        self, config: BucketConfig, connection: OriginConfig, policy: CachePolicy
    ) -> BucketOrigin:
        """Return the bucket as it is asked; raise OSError or ValueError."""

        def pool_at(endpoint: Endpoint) -> OriginPool:
            return self._pool(endpoint, connection)

        bucket = self._bucket(config)
        signer = config.signer()
        self._signers.setdefault(config.name, []).append(signer)
        requests = BucketRequests(signer, policy.via, policy, bucket)
        patience = ALONE if config.replica is None else REPLACED
        pool = pool_at(config.endpoint)
        return BucketOrigin(config.name, requests, pool, bucket, pool_at, patience)

    def _health_of(self, config: BucketConfig) -> Health:
        assert config.health is not None
        feeds = config.name in self._breakers  # one of several that a location may ask
        policy = CachePolicy(is_bucket=True)
        try:
            asked = self._bucket_origin(config, config.connection, policy)
        except (OSError, ValueError) as error:
            raise ServiceError(f"{config.where}: {error}") from None
        member, path = self._member(config, asked), config.health.path.encode()
        return Health(member, path, config.health.every, feeds=feeds, random=random.random)

    def _member(self, config: BucketConfig, asked: BucketOrigin) -> Member:
        breaker = self._breakers.get(config.name)
        if breaker is None:
            breaker = new_breaker(random=random.random, probing=config.health is None)
            self._breakers[config.name] = breaker
        return Member(asked, breaker, config.replica_on, config.replica_timeout)

    def _bucket(self, config: BucketConfig) -> Bucket:
        bucket = self._buckets.get(config.name)
        if bucket is None:
            bucket = self._buckets[config.name] = Bucket(
                config.name,
                config.endpoint,
                clock=self._clock,
                monotonic=self._monotonic,
                call_later=self._reactor.callLater,
                random=random.random,
            )
        return bucket

    def _pool(self, endpoint: Endpoint, connection: OriginConfig) -> OriginPool:
        """Return the connections to `endpoint`; raise OSError or ValueError."""
        options = OriginOptions(
            connect_timeout=connection.origin_connect_timeout,
            read_timeout=connection.origin_read_timeout,
            idle_timeout=connection.origin_idle_timeout,
            max_connections=connection.origin_connections,
            verify=connection.origin_verify,
            ca_file=connection.origin_ca,
        )
        secure = endpoint.scheme == "https"
        address = OriginAddress("https" if secure else "http", endpoint.connect_host, endpoint.port)
        pool = self._pools.get((address, options))
        if pool is None:
            pool = self._pools[address, options] = MeasuredPool(self._reactor, address, options)
            pool.noted = self._noted
        return pool

"""Composition: everything one process needs to serve, built from a configuration."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from s3shield.config import (
    CacheConfig,
    Config,
    Listen,
    LocationConfig,
)
from s3shield.exchange import (
    Claiming,
    Health,
    Invalidation,
    Location,
    PurgeMethod,
    Purger,
    Site,
    Surroundings,
    Turns,
    Zone,
)
from s3shield.front import Front, Process
from s3shield.ops import (
    ORIGIN_TIMES,
    SENT,
    TLS,
    AccessLog,
    Certificates,
    CertificateWatch,
    CredentialWatch,
    KeyWatch,
    run_aside,
)
from s3shield.policy import Request
from s3shield.store import Evictor, Limits, Store, StoreError
from s3shield.wire import (
    ChannelFactory,
    Downstream,
    ProxyRules,
    Trusted,
    listen_proxied,
    listen_socket,
)

from .administration import Administration
from .compression import Compression
from .doorstep import doorstep
from .errors import ServiceError
from .location_parts import bodies_of, rules_of
from .origins import Origins

__all__ = ["Serving"]

_DISK_THREADS: Final = 8
"""Threads that read cold bodies and write new ones."""


class Serving:
    """One process's share of the service: stores, origin pools, locations, listeners.

    reactor: the running one. shared: whether other processes have the same caches.
    access_log: where requests are noted. Raises ServiceError, with nothing left open.
    clock: wall time, seconds since the epoch; monotonic: for durations. keys: the scoped
    keys in use, and until when. credentials: those that come from sources. memory: descriptor
    of what all worker processes share, board: of what keeps the numbers of all, also through
    reloads; None in a process without others.
    """

    def __init__(
        self,
        reactor: Any,
        config: Config,
        *,
        shared: bool,
        access_log: AccessLog,
        log: Logger,
        memory: int | None = None,
        board: int | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reactor = reactor
        self._config = config
        self._access_log = access_log
        access_log.hide(config.consumed)
        self._log = log
        self._clock = clock
        self._monotonic = monotonic
        wanted = access_log.wanted
        noted = not wanted.isdisjoint(ORIGIN_TIMES)
        self._origins = Origins(reactor, config, clock=clock, monotonic=monotonic, noted=noted)
        process = Process(reactor, clock, monotonic, memory)
        self._front = Front((), (), process)  # until there are locations
        self._health: list[Health] = []
        self._ports: list[IListeningPort] = []
        self._factories: list[ChannelFactory] = []
        self._evictors: list[Evictor] = []
        self._limit: IDelayedCall | None = None
        self._stopped: list[Deferred[None]] = []
        self._zones: dict[str, Zone] = {}
        # Before anybody has the log's `append`.
        self._admin = Administration(
            reactor,
            config,
            access_log,
            board,
            clock=clock,
            origins=self._origins,
            zones=self._zones,
        )
        # All of them now: who starts a thread waits for it, and later that would be the loop.
        self._threads = ThreadPool(_DISK_THREADS, _DISK_THREADS, "s3shield-disk")
        self._threads.start()
        self._compression = Compression(reactor, config.locations)
        try:
            for cache in config.caches.values():
                self._zones[cache.name] = self._zone(cache, shared=shared)
            turns = Turns(lambda function: reactor.callLater(0, function), monotonic)
            around = Surroundings(
                clock=clock,
                monotonic=monotonic,
                call_soon=turns.later,
                over=turns.over,
                call_later=reactor.callLater,
                log=access_log.append,
            )
            self._locations = [self._location(each, around) for each in config.locations]
            self._front = Front(config.locations, self._locations, process)
            self._admin.health = self._health = self._origins.health()
            if any(location.takes_bodies for location in config.locations):
                invalidation = Invalidation(config.routing(), self._locations)
                for location in self._locations:
                    location.invalidation = invalidation
        except BaseException:
            self._close()
            raise
        self._around = around
        # It tells nothing: the parent does, once for all processes.
        self.keys = KeyWatch(
            config.buckets.values(),
            reactor=reactor,
            in_thread=partial(deferToThreadPool, reactor, self._threads),
            clock=clock,
            renew=self._origins.renew,
        )
        self._certificates = Certificates(config)
        self.certificates = CertificateWatch(
            self._certificates.all,
            reactor=reactor,
            in_thread=partial(deferToThreadPool, reactor, self._threads),
        )
        self.credentials = CredentialWatch(
            config.buckets.values(),
            reactor=reactor,
            in_thread=partial(run_aside, reactor),
            clock=clock,
            random=random.random,
            take=self._origins.renew,
            log=log,
        )
        for name, bucket in self._origins.buckets.items():
            if config.buckets[name].source is not None:
                bucket.renew = partial(self.credentials.renew, name)
                bucket.lacks = partial(self.credentials.lacks, name)

    def start(self, sockets: Sequence[tuple[Listen, Any]]) -> Deferred[None]:
        """Serve on bound and listening sockets; fires when all of them are served.

        Raises ServiceError for a certificate that cannot be used.
        """
        problems = self._certificates.problems()
        if problems:
            raise ServiceError("\n".join(problems))
        starting = []
        daemon = self._config.daemon
        for listen, sock in sockets:
            if listen is daemon.admin_listen:
                ends = self.keys.expires, self.credentials.expires
                site = self._admin.site(*ends, lambda: bool(self._stopped))
                starting.append(listen_socket(self._reactor, sock, site))
                continue
            starting.append(self._listen(listen, sock))
        for evictor in self._evictors:
            evictor.start()
        for health in self._health:
            health.start()
        self.keys.start()
        self.certificates.start()
        self.credentials.start()
        self._front.start()
        self._admin.start(
            self.keys.expires,
            self.credentials.expires,
            lambda: sum(factory.connections for factory in self._factories),
        )
        return gatherResults(starting, consumeErrors=True).addCallback(self._ports.extend)

    def _listen(self, listen: Listen, sock: Any) -> Deferred[IListeningPort]:
        daemon = self._config.daemon
        site: Callable[[Request, Downstream], None] = Site(
            self._config.routing(listen), self._locations, self._around, self._front.lead
        )
        real_ip, wanted = daemon.real_ip, self._access_log.wanted
        trusted = Trusted(real_ip.networks, unix=real_ip.unix)
        site = doorstep(site, listen, real_ip, trusted, observed=not wanted.isdisjoint(SENT))
        tls = self._certificates.of(listen)
        told = tls is not None and not wanted.isdisjoint(TLS)
        if tls is not None:
            tls.told = told
        factory = ChannelFactory(
            site,
            self._reactor,
            monotonic=self._monotonic,
            keepalive_timeout=daemon.keepalive_timeout,
            client_header_timeout=daemon.client_header_timeout,
            send_timeout=daemon.send_timeout,
            rejected=self._access_log.refused,
            client_ca=None if tls is None else tls.client_ca,
            told=told,
        )
        self._factories.append(factory)
        if not listen.proxy_protocol:
            return listen_socket(self._reactor, sock, factory, tls)
        rules = ProxyRules(trusted, daemon.client_header_timeout, replaces=real_ip.from_proxy())
        return maybeDeferred(listen_proxied, self._reactor, sock, factory, rules, tls)

    def stop(self, timeout: float | None, grace: float = 0.0) -> Deferred[None]:
        """Accept no more, let requests under way end for `timeout` seconds, let go of all.

        timeout: None: for as long as they take. grace: seconds for which a client's connection
        must be idle to be closed, see `ChannelFactory.drain`. May be called again, with another
        timeout. Fires when all is done.
        """
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        self._limit = None
        if timeout is not None:
            self._limit = self._reactor.callLater(timeout, self._cut)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        if len(self._stopped) == 1:
            Deferred.fromCoroutine(self._stop(grace)).addBoth(self._tell_stopped)
        return stopped

    def _tell_stopped(self, result: Failure | None) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        for stopped in self._stopped:
            stopped.callback(result)

    def share(self) -> None:
        """Let other processes use the caches, from now on. Blocks. Raises ServiceError."""
        for name, zone in self._zones.items():
            try:
                zone.store.share()
            except StoreError as error:
                cache = self._config.caches[name]
                raise ServiceError(f"{cache.where}: [cache:{name}] path: {error}") from None
            if zone.claiming is None:
                zone.claiming = self._claiming(zone.store)

    def flights(self) -> int:
        """Return how many origin requests are under way that others may join."""
        return sum(
            len(zone.flights) + sum(len(sparse.gaps) for sparse in zone.sparse.values())
            for zone in self._zones.values()
        )

    async def _stop(self, grace: float) -> None:
        self.keys.stop()
        self.certificates.stop()
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        draining = [factory.drain(grace) for factory in self._factories]
        if grace and any(listen.tls for listen in self._config.listens):
            # A connection counts from the end of its handshake on.
            draining.append(deferLater(self._reactor, grace, lambda: None))
        await gatherResults(draining)
        self.credentials.stop()
        for health in self._health:
            health.stop()
        await self._origins.close()
        self._compression.stop()
        for zone in self._zones.values():
            await zone.settled()
        self._admin.stop()
        self._close()

    def _cut(self) -> None:
        for factory in self._factories:
            factory.abort()

    def _close(self) -> None:
        for evictor in self._evictors:
            evictor.stop()
        self._front.stop()
        self._threads.stop()
        self._compression.close()
        for zone in self._zones.values():
            if zone.claiming is not None:
                zone.claiming.close()
            zone.store.close()

    # Parts

    def _purger(self) -> Purger:
        return self._admin.purger()

    def _zone(self, cache: CacheConfig, *, shared: bool) -> Zone:
        options = {} if cache.map_size is None else {"map_size": cache.map_size}
        try:
            store = Store(
                cache.path,
                reactor=self._reactor,
                pool=self._threads,
                clock=self._clock,
                shared=shared,
                on_trouble=lambda reason: self._log.warn(
                    "cache {name}: {reason}", name=cache.name, reason=reason
                ),
                block_shift=cache.block_size.bit_length() - 1,
                **options,
            )
        except StoreError as error:
            raise ServiceError(f"{cache.where}: [cache:{cache.name}] path: {error}") from None
        limits = Limits(
            max_size=cache.max_size, min_free=cache.min_free, inactive=float(cache.inactive)
        )
        self._evictors.append(Evictor(store, self._reactor, limits))
        largest = cache.max_size if cache.max_size is not None else 1 << 62
        claiming = self._claiming(store) if shared else None
        return Zone(store, inline_limit=cache.inline_limit, largest=largest, claiming=claiming)

    def _claiming(self, store: Store) -> Claiming:
        return Claiming(store.claims, call_later=self._reactor.callLater, clock=self._clock)

    def _location(self, location: LocationConfig, around: Surroundings) -> Location:
        rules = rules_of(self._config, location)
        zone = None if location.cache is None else self._zones[location.cache]
        kind = self._compression.kind(location, careful=rules.need_care(location.policy))
        made = kind(
            str(location.pattern),
            location.policy,
            zone,
            self._origins.of(location),
            around,
            keep_filling=location.fetch_on_abort == "keep",
            rules=rules,
            bodies=bodies_of(self._config, location),
        )
        self._compression.equip(location, made, around)
        if location.purge_allow:
            made.purge_method = PurgeMethod(location.purge_allow, zone, self._clock)
        return made

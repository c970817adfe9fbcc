"""A configuration as frozen values. Field names are the options' names.

Durations are seconds, sizes bytes, `where` is `file:line` of what a value came from, for
complaints that only the file system or the network can cause; it never counts in `==`.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

import attrs

from s3shield.access import Cors
from s3shield.policy import NOTHING_CONSUMED, CachePolicy, Compression, Consumed
from s3shield.routing import Pattern, Place, QueryPolicy, Rewrite, RoutingTable, Template
from s3shield.signing import Addressing, Credentials, Endpoint, Signer, SignMode

from .access import AccessConfig
from .admin import AdminConfig
from .jwt import JwtConfig
from .limits import LimitsConfig
from .listen import Listen
from .prices import Prices
from .real_ip import RealIpConfig
from .secure import SecureConfig
from .site import SiteConfig
from .tls import TlsConfig, hosts_at

__all__ = [
    "AUTO",
    "AccessLogConfig",
    "BucketConfig",
    "CacheConfig",
    "Config",
    "CredentialSource",
    "DaemonConfig",
    "ErrorLogConfig",
    "HealthConfig",
    "LocationConfig",
    "OriginConfig",
    "ServerConfig",
]

AUTO = -1
"""`workers = auto`: one for each core; the caller knows how many."""


def _where() -> str:
    return attrs.field(default="", eq=False)


@attrs.frozen(kw_only=True)
class AccessLogConfig:
    """`access_log`.

    target: a path, stdout, stderr, syslog, `syslog:server=...`, journald or off. format:
    combined, json or a format.
    """

    target: str = "off"
    format: str = "combined"
    where: str = _where()


@attrs.frozen(kw_only=True)
class ErrorLogConfig:
    """`error_log`. target: as of the access log, never off. level: nginx's word."""

    target: str = "stderr"
    level: str = "info"
    where: str = _where()


@attrs.frozen(kw_only=True)
class DaemonConfig:
    """`[s3shield]`, what is about the daemon.

    listen: its own lines (see Config.listens for all). admin_listen: for operators; None:
    nowhere. admin: how it serves them. prices: S3's, for it. workers: AUTO, 0 to serve in this
    process, or a number. access_log_sample: part of the requests whose lines are written.
    error_log: None when left out. worker_shutdown_timeout: for requests
    under way at a reload; None: no limit. keepalive_timeout,
    client_header_timeout, send_timeout: nginx's, about clients. http2: whether listeners with
    TLS offer it. stall_log: what holds the
    event loop for more seconds is told; None: nothing is watched. tls: where no server has
    certificates of its own.
    """

    listen: tuple[Listen, ...] = ()
    admin_listen: Listen | None = None
    admin: AdminConfig = attrs.field(factory=AdminConfig)
    prices: Prices = attrs.field(factory=Prices)
    workers: int = AUTO
    access_log: AccessLogConfig = attrs.field(factory=AccessLogConfig)
    access_log_sample: float = 1.0
    error_log: ErrorLogConfig | None = None
    pid_file: str | None = None
    user: str | None = None
    group: str | None = None
    shutdown_timeout: float = 30.0
    worker_shutdown_timeout: float | None = None
    keepalive_timeout: float = 75.0
    client_header_timeout: float = 60.0
    send_timeout: float = 60.0
    http2: bool = True
    stall_log: float | None = None
    tls: TlsConfig = attrs.field(factory=TlsConfig)
    real_ip: RealIpConfig = attrs.field(factory=RealIpConfig)
    where: str = _where()


@attrs.frozen(kw_only=True)
class CacheConfig:
    """`[cache:NAME]`.

    max_size: None for no limit. block_size: a power of two. map_size: of the index to begin
    with; None lets the store choose.
    """

    name: str
    path: str
    max_size: int | None = 10 << 30
    min_free: int = 1 << 30
    inactive: int = 7 * 86_400
    block_size: int = 1 << 20
    inline_limit: int = 32 << 10
    map_size: int | None = None
    where: str = _where()


@attrs.frozen(kw_only=True)
class OriginConfig:
    """How an origin is talked to: the options `origin_*`.

    origin_connections: most at once, for each origin and worker. origin_ca: path of a PEM
    bundle that alone is trusted, None for the system's.
    """

    origin_connect_timeout: float = 5.0
    origin_read_timeout: float = 30.0
    origin_idle_timeout: float = 60.0
    origin_connections: int = 256
    origin_verify: bool = True
    origin_ca: str | None = None


@attrs.frozen
class HealthConfig:
    """`health`: what is asked for, and how often. path: str, with its slash. every: seconds."""

    path: str
    every: float


@attrs.frozen(kw_only=True)
class CredentialSource:
    """Where credentials come from while the daemon runs.

    kind: `aws_credentials`, profile:NAME as profile; static where they are here, for a
    role. profile: its name. base: those of kind static. role: ARN of what is assumed with
    them, or None. session: the name that the role is assumed by.
    """

    kind: str
    profile: str | None = None
    base: Credentials | None = None
    role: str | None = None
    session: str = "s3shield"


@attrs.frozen(kw_only=True)
class BucketConfig:
    """`[bucket:NAME]`, or one that a location made of it with aws_* options of its own.

    credentials: None when sign is OFF, or when they come from `source`. region: None when
    none is needed. lifetime: `aws_presign_lifetime`. connection: its own origin_* options; a
    location's may differ (LocationConfig.connection). key_file: path of
    `aws_signing_key_file`, None without one; the keys that were in it are in the credentials.
    source: None where the credentials are here. replica: name of
    the bucket that is asked when this one fails, None without one. replica_on: statuses of an
    answer for which it is asked too. replica_timeout: seconds that this one has to begin its
    answer.
    """

    name: str
    endpoint: Endpoint
    sign: SignMode
    credentials: Credentials | None = None
    region: str | None = None
    lifetime: int = 900
    addressing: Addressing = "auto"
    connection: OriginConfig = attrs.field(factory=OriginConfig)
    key_file: str | None = None
    source: CredentialSource | None = None
    replica: str | None = None
    replica_on: frozenset[int] = frozenset()
    replica_timeout: float = 5.0
    health: HealthConfig | None = None
    where: str = _where()

    def signer(self) -> Signer:
        """Return a new signer of requests to this bucket; with a source it has no keys yet."""
        return Signer(
            self.endpoint,
            self.sign,
            self.credentials,
            self.region,
            lifetime=self.lifetime,
            pending=self.source is not None,
        )


@attrs.frozen(kw_only=True)
class ServerConfig:
    """`[server:NAME]`.

    server_name: lower-case names and `*.wildcards`; empty takes every name. listen: its
    own lines; it is reached at these and at the daemon's, without any at all there are. tls:
    shown for its names.
    """

    name: str
    server_name: tuple[str, ...] = ()
    listen: tuple[Listen, ...] = ()
    tls: TlsConfig = attrs.field(factory=TlsConfig)
    where: str = _where()


@attrs.frozen(kw_only=True)
class LocationConfig:
    """`[location:PATTERN]` in one server, everything inherited filled in.

    server: name of its ServerConfig, None just when there are no servers (a location of
    all servers stands once for each). bucket: name in Config.buckets, or origin: of a
    plain HTTP origin; the other is None. cache: name in Config.caches, None for
    `proxy_cache = off`. policy: what decides about storing and reuse; methods, headers,
    missing_403 and such are in it. connection: origin_* options. proxy_cache_lock_timeout,
    proxy_cache_lock_age: None for no limit. range_connections: how many fetch one body.
    read_ahead: bytes, None for off. purge_allow: who may use the method PURGE.
    access: who may come in. jwt: whose tokens; None: none are asked for. limits: `limit_*`.
    cors: `cors_*`, None where no script of other origins may read.
    """

    pattern: Pattern
    server: str | None
    bucket: str | None = None
    origin: Endpoint | None = None
    rewrites: tuple[Rewrite, ...] = ()
    query: QueryPolicy = attrs.field(factory=QueryPolicy)
    cache: str | None = None
    policy: CachePolicy = attrs.field(factory=CachePolicy)
    connection: OriginConfig = attrs.field(factory=OriginConfig)
    purge_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    limits: LimitsConfig = attrs.field(factory=LimitsConfig)
    cors: Cors | None = None
    fetch_on_abort: Literal["keep", "cancel"] = "keep"
    proxy_cache_key: Template | None = None
    proxy_cache_bypass: tuple[Template, ...] = ()
    proxy_no_cache: tuple[Template, ...] = ()
    proxy_cache_lock: bool = True
    proxy_cache_lock_timeout: float | None = None
    proxy_cache_lock_age: float | None = None
    range_connections: int = 1
    read_ahead: int | None = None
    client_max_body_size: int = 1 << 20
    access: AccessConfig = attrs.field(factory=AccessConfig)
    jwt: JwtConfig | None = None
    site: SiteConfig = attrs.field(factory=SiteConfig)
    compression: Compression = attrs.field(factory=Compression)
    secure: SecureConfig = attrs.field(factory=SecureConfig)
    where: str = _where()

    @property
    def origin_name(self) -> str:
        """The first part of its cache keys: the bucket's name, or the origin's URL."""
        if self.bucket is not None:
            return self.bucket
        assert self.origin is not None  # one of the two is there
        return f"{self.origin.scheme}://{self.origin.authority.decode('ascii')}"

    @property
    def takes_bodies(self) -> bool:
        """Whether it accepts more than GET and HEAD."""
        return bool(self.policy.methods - {b"GET", b"HEAD"})

    @property
    def gated(self) -> bool:
        """Whether a request may be refused before the location itself is asked."""
        return self.asks or self.limits.counts

    @property
    def asks(self) -> bool:
        """Whether it asks who somebody is before it answers."""
        return self.jwt is not None or self.access.asks

    def place(self) -> Place:
        """Return what routing needs of it."""
        return Place(
            pattern=self.pattern,
            server=self.server,
            origin=self.origin_name,
            bucket=self.bucket is not None,
            rewrites=self.rewrites,
            query=self.query,
            cache_key=self.proxy_cache_key,
            consumed=self.policy.consumed,
        )


@attrs.frozen(kw_only=True)
class Config:
    """A whole configuration.

    caches, buckets: by name. locations: in order; a Route's number is an index into
    them. warnings: sentences for the operator.
    """

    file: str = attrs.field(default="", eq=False)
    daemon: DaemonConfig
    caches: Mapping[str, CacheConfig]
    buckets: Mapping[str, BucketConfig]
    servers: tuple[ServerConfig, ...]
    locations: tuple[LocationConfig, ...]
    warnings: tuple[str, ...] = attrs.field(default=(), eq=False)

    def replicas(self, bucket: str) -> tuple[BucketConfig, ...]:
        """Return the buckets that are asked when `bucket` fails, in order."""
        found: list[BucketConfig] = []
        name = self.buckets[bucket].replica
        while name is not None:
            found.append(self.buckets[name])
            name = found[-1].replica
        return tuple(found)

    @property
    def consumed(self) -> Consumed:
        """What of requests to any location is for us alone."""
        found = NOTHING_CONSUMED
        for location in self.locations:
            found |= location.policy.consumed
        return found

    @property
    def listens(self) -> tuple[Listen, ...]:
        """Every place to bind, each once: the daemon's and the servers'."""
        found: dict[str, Listen] = {}
        anonymous = []
        for listen in (*self.daemon.listen, *[x for s in self.servers for x in s.listen]):
            if listen.kind == "tcp" and not listen.port:
                anonymous.append(listen)  # the system chooses a port for each
            else:
                found.setdefault(listen.text, listen)
        return (*found.values(), *anonymous)

    def tls_hosts(self, listen: Listen) -> list[tuple[tuple[str, ...], TlsConfig]]:
        """Return (server names, certificates) in order of a TLS listener; one at least."""
        return hosts_at(listen, self.daemon.listen, self.daemon.tls, self.servers)

    def routing(self, listen: Listen | None = None) -> RoutingTable:
        """Return the routing of requests that arrive at `listen`; None: at any.

        A route's number is an index into `locations`.
        """
        everywhere = listen is None or listen.text in [each.text for each in self.daemon.listen]
        servers = [
            (server.name, server.server_name)
            for server in self.servers
            if everywhere
            or not server.listen
            or (listen is not None and listen.text in [each.text for each in server.listen])
        ]
        return RoutingTable(servers, [location.place() for location in self.locations])

"""A configuration file read: every mistake at once, or a Config."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs

from s3shield.routing import Pattern

from .admin import AdminConfig, within_reach
from .build_location import Locations
from .build_tls import build_real_ip, build_tls, check_places
from .errors import Complaints, ConfigError, ConfigErrors, nearest
from .given import Given, ModeOf, ReadFile, Sources, Value, take
from .jwt import check_key_files
from .listen import Listen
from .options import CACHE, DAEMON
from .prices import Prices
from .text import KINDS, Section, read_ini
from .tls import TlsConfig
from .values import (
    AccessLogConfig,
    CacheConfig,
    Config,
    DaemonConfig,
    LocationConfig,
    ServerConfig,
)

__all__ = ["load", "loads"]

_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]+")
_DEFAULT_LISTEN: Final = "127.0.0.1:8080"


def _read_file(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _mode_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_mode & 0o777
    except OSError:
        return None


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def load(
    path: str,
    *,
    environ: Mapping[str, str] | None = None,
    read_file: ReadFile = _read_file,
    mode_of: ModeOf = _mode_of,
    installed: Callable[[str], bool] = _installed,
) -> Config:
    """Return the configuration in the file at `path`.

    environ: for `env:NAME` values; left out: the process's. read_file: path -> text, for
    the file itself and `file:/path` values. mode_of: path -> permission bits or None, for
    the warning about secrets that others can read. installed: whether there is a module.
    Raises ConfigErrors with every mistake there is, an unreadable file included.
    """
    try:
        text = read_file(path)
    except OSError as why:
        reason = f"it cannot be read: {why.strerror or 'no reason given'}"
        raise ConfigErrors([ConfigError(path, 0, "", "", reason)]) from None
    except UnicodeDecodeError as why:
        line = why.object.count(b"\n", 0, why.start) + 1
        raise ConfigErrors([ConfigError(path, line, "", "", "it is not UTF-8 text")]) from None
    return loads(
        text, path, environ=environ, read_file=read_file, mode_of=mode_of, installed=installed
    )


def loads(
    text: str,
    file: str = "<text>",
    *,
    environ: Mapping[str, str] | None = None,
    read_file: ReadFile = _read_file,
    mode_of: ModeOf = _mode_of,
    installed: Callable[[str], bool] = _installed,
) -> Config:
    """Return the configuration that `text` is. file: its name, for messages. See `load`."""
    complaints = Complaints()
    env = os.environ if environ is None else environ
    sources = Sources(file, env, read_file, mode_of, installed, complaints)
    return _Loader(sources).load(read_ini(file, text, complaints))


@attrs.define
class _Loader:
    sources: Sources
    given: dict[str, list[Given]] = attrs.field(factory=lambda: {kind: [] for kind in KINDS})
    patterns: dict[int, Pattern] = attrs.field(factory=dict)

    def load(self, sections: Sequence[Section]) -> Config:
        for section in sections:
            self.sort(section)
        tops = self.given["s3shield"]
        top = tops[0] if tops else Given("s3shield", "", "s3shield", 1)
        caches = {given.name: given for given in self.given["cache"]}
        buckets = {given.name: given for given in self.given["bucket"]}
        servers = self.given["server"]
        locations = Locations(self.sources, top, buckets, caches)
        cache_configs = self.caches()
        daemon_listen = self.listens(top)
        server_configs = tuple([self.server(given, top) for given in servers])
        built = self.locations(locations, servers)
        locations.unused_buckets()
        check_key_files([each.jwt for each in built], self.sources)
        self.check_replicas(buckets)
        self.check_servers(server_configs)
        enough = any(server.tls.pairs for server in server_configs)
        tls = build_tls([top], daemon_listen, self.sources, enough=enough)
        check_places(top, servers, server_configs, daemon_listen, tls, self.sources)
        if not daemon_listen and not any(server.listen for server in server_configs):
            daemon_listen = (Listen.parse(_DEFAULT_LISTEN, where=self.sources.where(top)),)
        daemon = self.daemon(top, daemon_listen, tls)
        admin = daemon.admin_listen
        places = [daemon_listen, *[server.listen for server in server_configs]]
        if admin is not None and any(
            admin.text == each.text and (admin.port or admin.path)
            for listens in places
            for each in listens
        ):
            problem = f"{admin.text} is a listen address too: requests or administration, not both"
            self.sources.complain(top.values["admin_listen"], problem)
        if admin is not None and (why := within_reach(admin, daemon.admin)) is not None:
            self.sources.complain(top.values["admin_listen"], why)
        self.sources.complaints.raise_if_any()
        return Config(
            file=self.sources.file,
            daemon=daemon,
            caches=cache_configs,
            buckets={name: each for name, each in locations.built.items() if each is not None},
            servers=server_configs,
            locations=built,
            warnings=tuple(self.sources.complaints.warnings),
        )

    def sort(self, section: Section) -> None:
        """Put a section with its kind; complain about one that cannot be."""
        about = Given(section.kind, section.name, section.title, section.number)
        if section.kind not in KINDS:
            self.sources.complain(
                about, "there is no such section", suggestion=nearest(section.kind, KINDS)
            )
            return
        if section.kind == "s3shield":
            if section.name:
                self.sources.complain(about, "this section has no name: [s3shield]")
                return
        elif not section.name:
            self.sources.complain(about, f"it needs a name: [{section.kind}:NAME]")
            return
        elif section.kind == "location":
            try:
                self.patterns[section.number] = Pattern.parse(section.name)
            except ValueError as why:
                self.sources.complain(about, str(why))
        elif not _NAME.fullmatch(section.name):
            self.sources.complain(about, "a name has letters, digits and _ . + - only")
            return
        given = take(section, self.sources)
        same = [each for each in self.given[section.kind] if self.same(each, given)]
        if same:
            self.sources.complain(
                about, f"this section is there twice (first: line {same[0].line})"
            )
            return
        self.given[section.kind].append(given)

    def same(self, one: Given, other: Given) -> bool:
        if one.kind != "location":
            return one.name == other.name
        first, second = self.patterns.get(one.line), self.patterns.get(other.line)
        if first is None or second is None or first.same != second.same:
            return False
        servers = [each.values.get("server") for each in (one, other)]
        first_name, second_name = (each.value if each else None for each in servers)
        return bool(first_name == second_name)

    def caches(self) -> dict[str, CacheConfig]:
        found: dict[str, CacheConfig] = {}
        paths: dict[str, int] = {}
        for given in self.given["cache"]:
            path = given.values.get("path")
            if path is None:
                self.sources.complain(given, "it is missing: the directory", option="path")
                continue
            if path.broken:
                continue
            tidy = str(Path(path.value))
            if tidy in paths:
                self.sources.complain(
                    path, f"another cache has the same directory (line {paths[tidy]})"
                )
            paths[tidy] = path.line
            values = {
                name: value.value
                for name, value in given.values.items()
                if name in CACHE and not value.broken
            }
            found[given.name] = CacheConfig(
                name=given.name, where=self.sources.where(path), **values
            )
        return found

    def listens(self, given: Given) -> tuple[Listen, ...]:
        """Return a section's own `listen` lines."""
        value = given.values.get("listen")
        if value is None:
            return ()
        found: dict[str, Listen] = {}
        for listen in value.value:
            if listen.text in found and listen.port:
                self.sources.complain(value, f"{listen.text} is there twice")
                continue
            each = attrs.evolve(listen, where=self.sources.where(value))
            found[f"{listen.text} {len(found)}" if not listen.port else listen.text] = each
        return tuple(found.values())

    def server(self, given: Given, top: Given) -> ServerConfig:
        names = given.values.get("server_name")
        listens = self.listens(given)
        return ServerConfig(
            name=given.name,
            server_name=() if names is None or names.broken else names.value,
            listen=listens,
            tls=build_tls([given, top], listens, self.sources),
            where=self.sources.where(given),
        )

    def check_servers(self, servers: Sequence[ServerConfig]) -> None:
        """Complain about names that two servers cannot both have."""
        names: dict[tuple[str, str], int] = {}
        for given, server in zip(self.given["server"], servers, strict=True):
            at = given.values.get(
                "server_name", Value(None, given.title, "server_name", given.line)
            )
            where = [each.text for each in server.listen] or [""]
            for name in server.server_name or ("_",):
                for place in where:
                    if (name, place) in names:
                        what = "takes every name" if name == "_" else f"has the name {name!r}"
                        self.sources.complain(
                            at, f"another server {what} too (line {names[name, place]})"
                        )
                    names[name, place] = at.line

    def check_replicas(self, buckets: Mapping[str, Given]) -> None:
        """Complain about replicas that are not there, or lead back to where they began."""
        next_of: dict[str, str] = {}
        for name, given in buckets.items():
            at = given.values.get("replica")
            if at is None:
                for option in ("replica_on", "replica_timeout"):
                    if option in given.values:
                        self.sources.complain(given.values[option], "it goes with replica")
                continue
            if at.broken:
                continue
            if at.value not in buckets:
                near = nearest(at.value, [other for other in buckets if other != name])
                self.sources.complain(at, f"there is no [bucket:{at.value}]", suggestion=near)
                continue
            next_of[name] = at.value
        told: set[str] = set()
        for name in next_of:
            path = [name]
            while path[-1] in next_of and next_of[path[-1]] not in path:
                path.append(next_of[path[-1]])
            back = next_of.get(path[-1])
            # Those that only lead into a circle are not part of it.
            if back == name and name not in told:
                told.update(path)
                circle = " -> ".join((*path, name))
                self.sources.complain(
                    buckets[name].values["replica"], f"the replicas go in a circle: {circle}"
                )

    def locations(
        self, locations: Locations, servers: Sequence[Given]
    ) -> tuple[LocationConfig, ...]:
        built = []
        by_name = {given.name: given for given in servers}
        if not self.given["location"] and not self.patterns:
            self.sources.complain(
                Given("", "", "", 1), "there is no [location:...]: nothing would be served"
            )
        for given in self.given["location"]:
            pattern = self.patterns.get(given.line, Pattern.parse("/"))
            named = given.values.get("server")
            homes: Sequence[Given | None] = list(servers) or [None]
            if named is not None:
                if named.broken:
                    continue
                if named.value not in by_name:
                    self.sources.complain(
                        named,
                        f"there is no [server:{named.value}]",
                        suggestion=nearest(named.value, by_name),
                    )
                homes = [by_name.get(named.value)]
            elif servers:
                special = {
                    each.values["server"].value
                    for each in self.given["location"]
                    if "server" in each.values
                    and self.patterns.get(each.line, pattern).same == pattern.same
                }
                homes = [server for server in servers if server.name not in special]
            built += [locations.build(given, server, pattern) for server in homes]
        return tuple(built)

    def daemon(self, top: Given, listen: tuple[Listen, ...], tls: TlsConfig) -> DaemonConfig:
        values: dict[str, Any] = {
            name: value.value
            for name, value in top.values.items()
            if name in DAEMON and not value.broken
        }
        for name in ("access_log", "error_log"):
            if name in values:
                where = self.sources.where(top.values[name])
                values[name] = attrs.evolve(values[name], where=where)
        if "admin_listen" in values:
            where = self.sources.where(top.values["admin_listen"])
            values["admin_listen"] = attrs.evolve(values["admin_listen"], where=where)
        values.setdefault("access_log", AccessLogConfig())
        values.update(admin=AdminConfig.take(values), prices=Prices.take(values))
        values.update(listen=listen, tls=tls, real_ip=build_real_ip(top, self.sources))
        return DaemonConfig(where=self.sources.where(top), **values)

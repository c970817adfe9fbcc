"""The way into a running daemon, as its clients go: one address, and nobody else is ever asked."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

import attrs

from s3shield.config import Config, Listen

from .command import typed_url

__all__ = ["Asked", "Door", "ForeignError", "Goal", "door_of"]

_TIMEOUT = 120.0


class ForeignError(ValueError):
    """A URL is not the daemon's to answer."""


@attrs.frozen
class Goal:
    """What is to be asked for. host: for the Host field. target: path and query, encoded."""

    host: str
    target: str

    def __str__(self) -> str:
        return f"http://{self.host}{self.target}"


@attrs.define
class Asked:
    """An answer whose body has yet to be read."""

    response: http.client.HTTPResponse

    @property
    def status(self) -> int:
        """Of HTTP."""
        return self.response.status

    @property
    def cache(self) -> str:
        """What the daemon says of its cache, HIT for instance; empty: nothing."""
        return str(self.response.headers.get("X-Cache-Status", "")).upper()

    @property
    def length(self) -> int | None:
        """Bytes of the body, where they are known."""
        return self.response.length


@attrs.frozen
class Door:
    """Where the daemon is reached. tls: an SSL context, None: plain. path: of a unix socket.

    names: hosts that it answers for, lower-case, also `*.wildcards`. own: the Host of what is
    only a path.
    """

    host: str
    port: int
    path: str = ""
    tls: ssl.SSLContext | None = None
    own: str = ""
    names: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    def goal(self, text: str, base: Goal | None = None) -> Goal:
        """Return what a URL or a path names. base: of what it stood in.

        Raises ForeignError, ValueError for what is no URL.
        """
        text = typed_url(text)
        if base is not None:
            text = urljoin(str(base), text)
        if text.startswith("/") and not text.startswith("//"):
            host, target = self.own, text
        else:
            parts = urlsplit(text)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("it is no URL: http://, https:// or a path from /")
            host = parts.netloc.rpartition("@")[2]
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            if not self._answers(host):
                name = parts.hostname
                raise ForeignError(f"{name} is not a host of this daemon's (--host {name} says so)")
        return Goal(host, target.partition("#")[0])

    def _answers(self, host: str) -> bool:
        name = re.sub(r":[0-9]*\Z", "", host).lower()
        if host.lower() in self.names or name in self.names:
            return True
        return any(each[:2] == "*." and name.endswith(each[1:]) for each in self.names)

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection. Raises OSError."""
        connection = _Connection(self)
        connection.connect()
        return connection

    def ask(self, connection: http.client.HTTPConnection, goal: Goal) -> Asked:
        """Send a GET. Raises OSError, HTTPException."""
        connection.putrequest("GET", goal.target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", goal.host)
        connection.putheader("User-Agent", "s3shield-warm")
        connection.endheaders()
        return Asked(connection.getresponse())

    def read(self, goal: Goal, most: int) -> bytes:
        """Return a whole body, of `most` bytes at the most. Raises ValueError, OSError."""
        connection = self.connect()
        try:
            asked = self.ask(connection, goal)
            if asked.status != http.HTTPStatus.OK:
                raise ValueError(f"{goal}: the daemon answered {asked.status}")
            body = asked.response.read(most + 1)
        except http.client.HTTPException as why:
            raise ValueError(f"{goal}: {why or type(why).__name__}") from None
        finally:
            connection.close()
        if len(body) > most:
            raise ValueError(f"{goal}: it is longer than {most} bytes")
        return body


class _Connection(http.client.HTTPConnection):
    """HTTP to the door, whatever the URL says."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.host or "localhost", door.port or 80, timeout=_TIMEOUT)
        self._door = door

    def connect(self) -> None:
        """Connect to the door."""
        door = self._door
        if door.path:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(_TIMEOUT)
            self.sock.connect(door.path)
            return
        self.sock = socket.create_connection((door.host, door.port), _TIMEOUT)
        if door.tls is not None:
            name = re.sub(r":[0-9]*\Z", "", door.own)
            self.sock = door.tls.wrap_socket(self.sock, server_hostname=name)


def door_of(via: str | None, hosts: Iterable[str], config: Config | None) -> Door:
    """Return the door. via: a URL without a path, None: the configuration's first address.

    hosts: further names that the daemon answers for; the first is that of bare paths. Raises
    ValueError.
    """
    named = [host.lower() for host in hosts]
    names = {*named, *_names(config)}
    if via is None:
        assert config is not None  # one of the two is given
        return _first(config, named, names)
    parts = urlsplit(via)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"--via {via}: that is no port") from None
    rest = parts.path not in ("", "/") or parts.query
    if parts.scheme not in ("http", "https") or not parts.hostname or rest:
        raise ValueError("--via is like http://127.0.0.1:8080, without a path")
    authority = parts.netloc.rpartition("@")[2]
    own = named[0] if named else authority
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    port = port or (443 if tls is not None else 80)
    names |= {authority.lower(), parts.hostname}
    return Door(parts.hostname, port, "", tls, own, frozenset(names))


def _names(config: Config | None) -> set[str]:
    servers = () if config is None else config.servers
    return {name for server in servers for name in server.server_name if name != "_"}


def _first(config: Config, named: list[str], names: set[str]) -> Door:
    """Return the door at the first address of a configuration that is for any client."""
    listen = next((each for each in config.listens if _usable(each)), None)
    if listen is None:
        raise ValueError("the configuration has no plain TCP or unix listen: say --via http://...")
    if listen.kind == "unix":
        own = named[0] if named else "localhost"
        return Door("", 0, listen.path, None, own, frozenset({*names, own}))
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)
    authority = f"[{host}]:{listen.port}" if ":" in host else f"{host}:{listen.port}"
    own = named[0] if named else authority
    return Door(host, listen.port, "", None, own, frozenset({*names, authority, own}))


def _usable(listen: Listen) -> bool:
    return listen.kind in ("tcp", "unix") and not listen.tls and not listen.proxy_protocol

"""`listen` lines: where clients connect."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

import attrs

from .errors import BadValueError

__all__ = ["Listen"]

Kind = Literal["tcp", "unix", "systemd", "endpoint"]

_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_ENDPOINT: Final = re.compile(r"(tcp6?|ssl|tls|unix|fd|haproxy|txsni|le|onion):")
_FLAGS: Final = ("tls", "proxy_protocol")
"""Words after an address, each a field."""


@attrs.frozen
class Listen:
    """One place where clients connect; make it with `parse`.

    kind: tcp, unix, systemd (an inherited socket) or endpoint (a Twisted endpoint string).
    text: as `s3shield.wire.bind` takes it, without `tls`; also what two of the same are
    known by. host: str, `0.0.0.0` for every IPv4 address, IPv6 without brackets; port:
    int, for systemd the socket's index. path: of a unix socket. tls, proxy_protocol: bool,
    the words after the address. where: `file:line`.
    """

    kind: Kind
    text: str
    host: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False
    proxy_protocol: bool = False
    where: str = attrs.field(default="", eq=False)

    @classmethod
    def parse(cls, line: str, where: str = "") -> Listen:
        """Read an address, perhaps followed by `tls` and `proxy_protocol`. Raises BadValueError.

        `host:port`, `port`, `*:port`, `[v6]:port`, `unix:/path`, `systemd:0`, or a Twisted
        endpoint string.
        """
        words = line.split()
        if not words:
            raise BadValueError("a listen line looks like 127.0.0.1:8080")
        text, *flags = words
        for flag in flags:
            if flag == "ssl":
                raise BadValueError("the word after an address is tls", "ssl", "tls")
            if flag not in _FLAGS or flags.count(flag) > 1:
                known = " and ".join(f"`{each}`" for each in _FLAGS)
                raise BadValueError(f"after an address only {known} can follow", " ".join(flags))
        found = cls._address(text, tls="tls" in flags, where=where)
        return attrs.evolve(found, proxy_protocol="proxy_protocol" in flags)

    @classmethod
    def _address(cls, text: str, *, tls: bool, where: str) -> Listen:
        if text.startswith("systemd:"):
            index = text.removeprefix("systemd:")
            if not re.fullmatch(r"[0-9]{1,4}", index):
                raise BadValueError("an inherited socket looks like systemd:0", text)
            return cls("systemd", text, port=int(index), tls=tls, where=where)
        if text.startswith("unix:/"):
            return cls("unix", text, path=text.removeprefix("unix:"), tls=tls, where=where)
        if text.startswith("unix:") and "=" not in text:
            raise BadValueError("a unix socket is named by its whole path, unix:/path", text)
        if _ENDPOINT.match(text):
            if tls:
                raise BadValueError("an endpoint string says itself that it is tls (ssl:...)")
            return cls("endpoint", text, where=where)
        host, port = _address(text)
        shown = f"[{host}]" if ":" in host else host
        return cls("tcp", f"{shown}:{port}", host, port, tls=tls, where=where)

    def __str__(self) -> str:
        """As in the configuration."""
        words = [word for word in _FLAGS if getattr(self, word)]
        return " ".join([self.text, *words])


def _address(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, close, tail = text[1:].partition("]")
        colon, port = tail[:1], tail[1:]
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            raise BadValueError("an IPv6 address looks like [::1]:8080", text) from None
        if not close or colon != ":":
            raise BadValueError("a port follows the address, [::1]:8080", text)
    elif text.count(":") > 1:
        raise BadValueError("an IPv6 address stands in brackets, [::1]:8080", text)
    else:
        host, colon, port = text.rpartition(":")
        if (colon and not host) or host == "*" or (not colon and port.isdigit()):
            host = "0.0.0.0"
        elif not colon:
            raise BadValueError("a port follows the address, 127.0.0.1:8080", text)
        elif not _HOST.fullmatch(host) or not _dotted_quad_fits(host):
            raise BadValueError("this is no address or host name", text)
    if not (re.fullmatch(r"[0-9]{1,5}", port) and int(port) < 65536):
        raise BadValueError("a port is a number up to 65535", text)
    return host.lower(), int(port)


def _dotted_quad_fits(host: str) -> bool:
    if not re.fullmatch(r"[0-9.]+", host):
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True

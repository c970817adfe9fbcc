"""The header of the PROXY protocol, versions 1 and 2, that stands before all else.

A balancer that passes on connections says in it whose they are (haproxy.org,
proxy-protocol.txt). Read as it comes, piece by piece, never past its end.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

import attrs

__all__ = ["BadProxyHeaderError", "ProxyHeader", "read_proxy_header"]

_V1: Final = b"PROXY "
_V1_LONGEST: Final = 107
"""Bytes with the line's end (section 2.1)."""
_V1_LINE: Final = re.compile(
    rb"PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})"
)
_V2: Final = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED: Final = 16
_V2_LONGEST: Final = 4096
"""Bytes with what is added to the addresses; nginx's limit."""


class BadProxyHeaderError(ValueError):
    """What came is no PROXY header. The text says why, without what was sent."""


@attrs.frozen
class ProxyHeader:
    """A whole header. length: in bytes. source: (address, port), None: the sender itself."""

    length: int
    source: tuple[str, int] | None


def read_proxy_header(data: bytes) -> ProxyHeader | None:
    """Return the header that `data` begins with; None when more of it has to come.

    As long as it is None all of `data` belongs to the header. Raises `BadProxyHeaderError`.
    A source is None for a connection of the balancer's own (`UNKNOWN`, `LOCAL`: health
    checks), and for one that is not TCP over IP.
    """
    if data[: len(_V1)] == _V1[: len(data)]:
        return _read_line(data)
    if data[: len(_V2)] == _V2[: len(data)]:
        return _read_binary(data)
    raise BadProxyHeaderError("what comes is no PROXY header")


def _read_line(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST:
            raise BadProxyHeaderError("the line of version 1 is too long")
        return None
    line = data[:end]
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader(end + 2, None)
    match = _V1_LINE.fullmatch(line)
    if match is None:
        raise BadProxyHeaderError("the line of version 1 has not the right words")
    kind, *hosts, port, other_port = [word.decode("ascii") for word in match.groups()]
    if int(port) > 65535 or int(other_port) > 65535:
        raise BadProxyHeaderError("a port is over 65535")
    parse = ipaddress.IPv4Address if kind == "4" else ipaddress.IPv6Address
    try:
        source, _ = [str(parse(host)) for host in hosts]
    except ValueError:
        raise BadProxyHeaderError(f"an address is none of IPv{kind}") from None
    return ProxyHeader(end + 2, (source, int(port)))


def _read_binary(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_FIXED:
        return None
    version, command, kind = data[12] >> 4, data[12] & 15, data[13]
    if version != 2 or command > 1:
        raise BadProxyHeaderError("its version or command is not known")
    length = _V2_FIXED + int.from_bytes(data[14:16], "big")
    if length > _V2_LONGEST:
        raise BadProxyHeaderError(f"it is longer than {_V2_LONGEST} bytes")
    # TCP over IPv4, over IPv6: twice an address, twice a port.
    size = {0x11: 4, 0x21: 16}.get(kind) if command else None
    if size is not None and length < _V2_FIXED + 2 * size + 4:
        raise BadProxyHeaderError("it is too short for its addresses")
    if len(data) < length:
        return None
    if size is None:
        return ProxyHeader(length, None)
    at = _V2_FIXED + 2 * size
    source = ipaddress.ip_address(data[_V2_FIXED : _V2_FIXED + size])
    return ProxyHeader(length, (str(source), int.from_bytes(data[at : at + 2], "big")))

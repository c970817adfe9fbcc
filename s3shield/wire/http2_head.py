"""Heads on HTTP/2: a request's fields to a `Request`, a response's head to fields.

What is HTTP/2's own is judged here (RFC 9113 sections 8.2 and 8.3). Then the fields become
the head that HTTP/1.1 would have had, and that door's reader judges it: what is refused
there is refused here, by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from hpack import NeverIndexedHeaderTuple

from s3shield.policy import Request
from s3shield.wire.request_head import HeadReader, Refused

__all__ = ["Malformed", "check_trailers", "fields_of", "request_of", "shown"]

Field = tuple[bytes, bytes]

_PSEUDO: Final = frozenset({b":method", b":scheme", b":authority", b":path"})
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE: Final = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z")
_NO_TARGET: Final = re.compile(rb"[\0-\x20\x7f]")
_SCHEMES: Final = frozenset({b"http", b"https"})

_CONNECTION: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""Fields about one connection: none of HTTP/2's (RFC 9113 section 8.2.2)."""


class Malformed(Exception):  # noqa: N818 - it is what is the matter with the request
    """No request of HTTP/2's: the stream is reset with PROTOCOL_ERROR (RFC 9113 8.1.1)."""


def request_of(fields: Iterable[Field], reader: HeadReader, now: float) -> Request:
    """Return the request that decoded `fields` are.

    reader: the connection's, in a state to read. now: the monotonic second. Raises
    Malformed, and Refused for what HTTP/1.1 refuses; the reader wants `renew` then.
    """
    pseudo: dict[bytes, bytes] = {}
    lines: list[Field] = []
    hosts: list[bytes] = []
    crumbs: list[bytes] = []
    for name, value in fields:
        if _NO_VALUE.search(value):
            raise Malformed("a value with what may not be in one")
        if name.startswith(b":"):
            if lines or hosts or crumbs or name in pseudo or name not in _PSEUDO:
                raise Malformed("pseudo-fields")
            pseudo[name] = value
            continue
        _check_name(name, value)
        if name == b"host":
            hosts.append(value)
        elif name == b"cookie":
            crumbs.append(value)
        else:
            lines.append((name, value))
    method, target = _request_line(pseudo)
    authority = pseudo.get(b":authority")
    if authority is not None:
        if any(host.lower() != authority.lower() for host in hosts):
            raise Refused(400, ":authority and Host differ")
        hosts = hosts or [authority]
    lines.extend((b"host", host) for host in hosts)
    if crumbs:
        lines.append((b"cookie", b"; ".join(crumbs)))  # RFC 9113 section 8.2.3
    head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
        method,
        target,
        b"".join([b"%b: %b\r\n" % line for line in lines]),
    )
    reader.check_size(head)
    request = reader.read(head, now)
    request.version = (2, 0)
    return request


def _request_line(pseudo: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return method and target. Raises Malformed or Refused."""
    method = pseudo.get(b":method")
    if method is None or _TOKEN.fullmatch(method) is None:
        raise Malformed("no :method")
    if method == b"CONNECT":
        raise Refused(405, "CONNECT")
    target, scheme = pseudo.get(b":path"), pseudo.get(b":scheme")
    if target is None or scheme is None:
        raise Malformed("no :path or no :scheme")
    if scheme.lower() not in _SCHEMES:
        raise Refused(400, "a scheme that is not ours")
    # HTTP/1.1's absolute form has no place here.
    if _NO_TARGET.search(target) or not (target.startswith(b"/") or target == b"*"):
        raise Refused(400, "invalid target")
    return method, target


def _check_name(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise Malformed("a name with what may not be in one")
    if name in _CONNECTION or (name == b"te" and value.lower() != b"trailers"):
        raise Malformed("a field about the connection")


def check_trailers(fields: Iterable[Field]) -> None:
    """Raise Malformed where decoded `fields` are no trailers; nobody reads what they say."""
    for name, value in fields:
        _check_name(name, value)
        if _NO_VALUE.search(value):
            raise Malformed("a value with what may not be in one")


def shown(fields: Iterable[Field]) -> bytes:
    """Return what the access log shows of a request that is none: method and path."""
    found = dict(reversed([field for field in fields if field[0] in _PSEUDO]))
    return b"%b %b HTTP/2.0" % (found.get(b":method", b"-"), found.get(b":path", b"-"))


def fields_of(head: bytes) -> list[Field]:
    """Return the fields of a response's head as `Downstream.reply` takes it."""
    status, *lines = head.split(b"\r\n")
    fields: list[Field] = [(b":status", status.split(b" ", 2)[1])]
    for line in lines:
        name, mark, value = line.partition(b":")
        name = name.lower()
        if not mark or name in _CONNECTION:
            continue
        if name == b"set-cookie":  # a secret, which compression would betray
            fields.append(NeverIndexedHeaderTuple(name, value.strip()))
        else:
            fields.append((name, value.strip()))
    return fields

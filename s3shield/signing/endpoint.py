"""Where a bucket is: scheme, host, port, and whether its name is in the host or the path."""

from __future__ import annotations

import ipaddress
import re
from typing import Final, Literal

import attrs

__all__ = ["Addressing", "Endpoint"]

Addressing = Literal["auto", "virtual", "path"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# "Bucket naming rules": what can be a host label, or several.
_DNS_BUCKET: Final = re.compile(
    r"(?=.{3,63}\Z)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
_DOTTED_QUAD: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
_BUCKET: Final = re.compile(r"[!-.0-~]+")
_AMAZON: Final = (".amazonaws.com", ".amazonaws.com.cn")


@attrs.frozen
class Endpoint:
    """One bucket at one S3 endpoint; make it with `parse`.

    scheme: "http" or "https". host: lower-case name or address, IPv6 without brackets,
    never with the bucket. port: int. bucket: str; empty for the endpoint's own root.
    virtual_host: the bucket's name is in the Host header rather than in the path.
    """

    scheme: str
    host: str
    port: int
    bucket: str
    virtual_host: bool

    @classmethod
    def parse(cls, url: str, bucket: str, addressing: Addressing = "auto") -> Endpoint:
        """Read `https://s3.eu-central-1.amazonaws.com`, `host:9000`, `http://[::1]:9000`.

        The scheme is https when left out, the port the scheme's. addressing "auto" is
        virtual for DNS-compatible bucket names at AWS, but not for names with a dot over
        https (no certificate covers them), and path elsewhere.
        Raises ValueError with a sentence for people.
        """
        scheme, host, port = _split(url)
        if bucket and not _BUCKET.fullmatch(bucket):
            raise ValueError(f"{bucket!r} cannot be the name of a bucket")
        if (
            bucket
            and host.endswith(_AMAZON)
            and host.startswith((f"{bucket}.s3.", f"{bucket}.s3-"))
        ):
            raise ValueError(
                f"the endpoint begins with the bucket's name; give {host[len(bucket) + 1 :]!r}"
            )
        dns_name = bool(_DNS_BUCKET.fullmatch(bucket)) and not _DOTTED_QUAD.fullmatch(bucket)
        if addressing == "auto":
            covered = scheme == "http" or "." not in bucket
            virtual = dns_name and covered and host.endswith(_AMAZON)
        elif addressing == "virtual":
            if not dns_name:
                raise ValueError(f"bucket {bucket!r} cannot be part of a host name: use path")
            if ":" in host or _DOTTED_QUAD.fullmatch(host):
                raise ValueError(f"no bucket name can precede the address {host}: use path")
            virtual = True
        elif addressing == "path":
            virtual = False
        else:
            raise ValueError(f"addressing is auto, virtual or path, not {addressing!r}")
        return cls(scheme, host, port, bucket, virtual)

    @property
    def authority(self) -> bytes:
        """The Host header: bucket in front when virtual, port when not the scheme's own."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        if self.virtual_host:
            name = f"{self.bucket}.{name}"
        if self.port != _DEFAULT_PORTS[self.scheme]:
            name = f"{name}:{self.port}"
        return name.encode("ascii")

    @property
    def connect_host(self) -> str:
        """The name or address to connect to, and to verify in the certificate.

        A name under `localhost` is this machine (RFC 6761 section 6.3), which not every
        resolver knows.
        """
        if self.host.endswith(".localhost"):
            return "localhost"
        return f"{self.bucket}.{self.host}" if self.virtual_host else self.host


def _split(url: str) -> tuple[str, str, int]:
    scheme, mark, rest = url.strip().partition("://")
    if not mark:
        scheme, rest = "https", url.strip()
    scheme = scheme.lower()
    if scheme not in _DEFAULT_PORTS:
        raise ValueError(f"an endpoint is http:// or https://, not {scheme!r}")
    rest = rest.removesuffix("/")
    # Not quoted back: what precedes an @ is a password.
    if "@" in rest:
        raise ValueError("an endpoint has no user name or password in it")
    if any(mark in rest for mark in "/?#"):
        raise ValueError(f"an endpoint is a host and perhaps a port, no path: {url.strip()!r}")
    if rest.startswith("["):
        host, close, tail = rest[1:].partition("]")
        try:
            host = str(ipaddress.IPv6Address(host))
        except ValueError:
            close = ""
        if not close or (tail and not tail.startswith(":")):
            raise ValueError(f"an IPv6 endpoint looks like [::1]:9000: {rest!r}")
        port = tail[1:] if tail else None
    else:
        if rest.count(":") > 1:
            raise ValueError(f"an IPv6 address stands in brackets, [::1]:9000: {rest!r}")
        host, colon, digits = rest.lower().partition(":")
        host = host.removesuffix(".")
        port = digits if colon else None
        if not _HOST.fullmatch(host):
            raise ValueError(f"no host name: {rest!r}")
    if port is None:
        return scheme, host, _DEFAULT_PORTS[scheme]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise ValueError(f"a port is a number from 1 to 65535: {port!r}")
    return scheme, host, int(port)

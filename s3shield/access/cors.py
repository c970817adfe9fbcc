"""Whose scripts may read what is served: CORS, as the Fetch standard has it.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from s3shield.policy import Request

__all__ = ["Cors", "OriginRule"]

_RULE: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(\*\.)?((?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?"
)
_USUAL: Final = {"http": "80", "https": "443"}
_LABELS: Final = re.compile(rb"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAMES: Final = re.compile(rf"{_NAME}([ \t]*,[ \t]*{_NAME})*".encode("ascii"))
_LONGEST: Final = 1024
"""Bytes of names of fields that are allowed because they were asked for."""


@attrs.frozen
class OriginRule:
    """One origin that is let in, or all below a domain.

    text: as browsers write it, `https://*.b.example` with the star. head, tail: what an
    origin under it begins and ends with; without a star the whole is the head.
    """

    text: str
    head: bytes = attrs.field(eq=False, repr=False)
    tail: bytes | None = attrs.field(eq=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> OriginRule:
        """Read one. Raises ValueError."""
        found = _RULE.fullmatch(text.lower())
        if found is None:
            raise ValueError(
                "an origin looks like https://www.example.com, https://*.example.com or "
                "http://localhost:3000, without a path"
            )
        scheme, star, host, port = found.groups()
        rest = host if port in (None, _USUAL.get(scheme)) else f"{host}:{port}"
        if not star:
            plain = f"{scheme}://{rest}"
            return cls(plain, plain.encode("ascii"), None)
        head, tail = f"{scheme}://", f".{rest}"
        return cls(f"{head}*{tail}", head.encode("ascii"), tail.encode("ascii"))

    def matches(self, origin: bytes) -> bool:
        """Tell whether `origin`, as a browser sent it, is meant."""
        if self.tail is None:
            return origin == self.head
        return (
            origin.startswith(self.head)
            and origin.endswith(self.tail)
            and _LABELS.fullmatch(origin, len(self.head), len(origin) - len(self.tail)) is not None
        )

    def __str__(self) -> str:
        """As in the configuration."""
        return self.text


@attrs.frozen(kw_only=True)
class Cors:
    """What a location says to scripts of other origins.

    origins: empty: every origin (`*`), and then no credentials. methods, headers, expose:
    names; headers may be `*`: whatever is asked for. max_age: seconds that a browser may
    remember a preflight, None: its own time.
    """

    origins: tuple[OriginRule, ...]
    methods: tuple[bytes, ...] = (b"GET", b"HEAD")
    headers: tuple[bytes, ...] = ()
    expose: tuple[bytes, ...] = ()
    credentials: bool = False
    max_age: int | None = None

    @property
    def varies(self) -> bool:
        """Whether answers depend on the request's Origin."""
        return bool(self.origins)

    def allowed(self, origin: bytes | None) -> bytes:
        """Return what Access-Control-Allow-Origin says; empty: it is not there."""
        if not self.origins:
            return b"*"
        if origin is not None and any(rule.matches(origin) for rule in self.origins):
            return origin
        return b""

    def is_preflight(self, request: Request) -> bool:
        """Tell whether a browser asks if it may ask."""
        return (
            request.method == b"OPTIONS"
            and b"access-control-request-method" in request.headers
            and b"origin" in request.headers
        )

    def answer(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Return the fields of an answer to `request`, without Vary."""
        origin = self.allowed(request.headers.get(b"origin"))
        if not origin:
            return []
        fields = [(b"Access-Control-Allow-Origin", origin)]
        if self.credentials:
            fields.append((b"Access-Control-Allow-Credentials", b"true"))
        if self.expose:
            fields.append((b"Access-Control-Expose-Headers", b", ".join(self.expose)))
        return fields

    def preflight(self, request: Request) -> list[tuple[bytes, bytes]]:
        """Return the fields of the answer to a preflight, Vary among them."""
        fields: list[tuple[bytes, bytes]] = []
        origin = self.allowed(request.headers.get(b"origin"))
        if origin:
            fields.append((b"Access-Control-Allow-Origin", origin))
            if self.credentials:
                fields.append((b"Access-Control-Allow-Credentials", b"true"))
            if self.methods:
                fields.append((b"Access-Control-Allow-Methods", b", ".join(self.methods)))
            headers = self._headers(request)
            if headers:
                fields.append((b"Access-Control-Allow-Headers", headers))
            if self.max_age is not None:
                fields.append((b"Access-Control-Max-Age", b"%d" % self.max_age))
        vary = [b"Origin"] if self.varies else []
        if b"*" in self.headers:
            vary.append(b"Access-Control-Request-Headers")
        if vary:
            fields.append((b"Vary", b", ".join(vary)))
        return fields

    def _headers(self, request: Request) -> bytes:
        if b"*" not in self.headers:
            return b", ".join(self.headers)
        # A star itself would not stand for Authorization, and for nothing with credentials.
        asked = request.headers.get(b"access-control-request-headers", b"")
        return asked if len(asked) <= _LONGEST and _NAMES.fullmatch(asked) else b""

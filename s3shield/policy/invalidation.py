"""What an unsafe request makes invalid (RFC 9111 4.4)."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from .message import Request, ResponseHead

__all__ = ["SAFE_METHODS", "invalidation_targets", "is_unsafe"]

SAFE_METHODS: Final = frozenset(
    {b"GET", b"HEAD", b"OPTIONS", b"PROPFIND", b"QUERY", b"REPORT", b"SEARCH", b"TRACE"}
)
"""Methods registered as safe; any other invalidates, unknown ones too."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_unsafe(method: bytes) -> bool:
    """Tell whether a request with this method may change the resource."""
    return method not in SAFE_METHODS


def _origin(parts: SplitResult) -> tuple[str, str, int] | None:
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    return parts.scheme, (parts.hostname or "").lower(), port


def _split(url: str, base: str) -> SplitResult | None:
    try:
        return urlsplit(urljoin(base, url))
    except ValueError:
        return None


def invalidation_targets(
    request: Request, head: ResponseHead, origins: tuple[bytes, ...] = ()
) -> tuple[bytes, ...]:
    """Return the request targets (path and query) whose stored responses must go.

    Empty unless the method is unsafe and the response 2xx or 3xx. The request's own target
    comes first, then those of Location and Content-Location that have the same origin as
    the request. origins: further origins that are the same server, as the bytes of a
    URL (b"http://127.0.0.1:9000"): a plain origin may name itself. Never raises.
    """
    if not is_unsafe(request.method) or not 200 <= head.status < 400:
        return ()
    authority = request.headers.get(b"host", request.host)
    target = request.target
    if target.startswith(b"/"):
        target = request.scheme + b"://" + authority + target
    base = target.decode("latin-1")
    targets = {request.target: None}
    ours = set()
    for url in (base, *(origin.decode("latin-1") for origin in origins)):
        parts = _split(url, url)
        ours.add(_origin(parts) if parts is not None else None)
    for name in (b"location", b"content-location"):
        for value in head.get_all(name):
            parts = _split(value.strip(b" \t").decode("latin-1"), base)
            origin = _origin(parts) if parts is not None else None
            if parts is None or origin is None or origin not in ours:
                continue
            found = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            targets[found.encode("latin-1")] = None
    return tuple(targets)

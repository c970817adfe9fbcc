"""The status page, and who of what a browser sends is let through to the admin listener.

Any page on the web can make a browser send requests to 127.0.0.1, and with a name of its own
that points there (DNS rebinding) read the answers. Browsers say where a request comes from:
`Origin` in whatever is not a plain GET, `Sec-Fetch-Site` where they trust the address (Fetch
Metadata, W3C). What comes from our own page is let in, and asked for by an address, not by a
name that somebody else could have given out. Programs send neither.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from base64 import b64encode
from importlib.resources import files
from typing import Any, Final

from twisted.web.resource import Resource

__all__ = ["StatusPage", "foreign"]

_NAME: Final = re.compile(rb"\[([0-9a-f:.]+)\](?::\d+)?|([^\[\]:]+)(?::\d+)?", re.IGNORECASE)
_OURS: Final = (b"same-origin", b"none")
"""Values of Sec-Fetch-Site: our own page, or the address bar."""


def foreign(request: Any, *, secret: bool) -> str | None:
    """Return why a request is not to be answered, for who made a browser send it, or None.

    secret: whether a token has been asked for, and was right.
    """
    headers = request.requestHeaders
    host = request.getHeader(b"host") or b""
    origins = headers.getRawHeaders(b"origin", [])
    sites = headers.getRawHeaders(b"sec-fetch-site", [])
    page = bool(origins or sites)
    if any(site not in _OURS for site in sites):
        return "not from another web page"
    if any(origin not in (b"http://" + host, b"https://" + host) for origin in origins):
        return "not from another web page"
    # The token that a browser knows for our name it does not send to another.
    if not secret and (page or _is_loopback(request.getHost())) and not _is_address(host):
        return "ask for it by its address or as localhost: another name could be anybody's"
    if page and request.method not in (b"GET", b"HEAD"):
        kind = (request.getHeader(b"content-type") or b"").partition(b";")[0].strip().lower()
        # The address bar posts nothing; other sites' forms cannot have this type.
        if kind != b"application/json" or not origins:
            return "a page sends application/json, and its own origin"
    return None


def _is_loopback(address: Any) -> bool:
    """Whether a connection was made to a loopback address; False for a unix socket."""
    try:
        return ipaddress.ip_address(getattr(address, "host", "")).is_loopback
    except ValueError:
        return False


def _is_address(host: bytes) -> bool:
    """Whether a Host field is an address or localhost. HTTP/1.0 has none: no browser's."""
    if not host:
        return True
    found = _NAME.fullmatch(host)
    if found is None:
        return False
    name = (found[1] or found[2]).decode("latin-1").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


class StatusPage(Resource):
    """`GET /` and `/status`: one file that asks for `/status.json` by itself.

    There is nothing of the daemon in it, so it is shown to whoever comes by a link.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's
        self._text = files("s3shield.ops").joinpath("status.html").read_bytes()
        self._policy = _policy(self._text)

    def render(self, request: Any) -> bytes:
        """Answer."""
        request.setHeader(b"server", b"s3shield")
        if request.method not in (b"GET", b"HEAD"):
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET, HEAD")
            return b""
        for name, value in (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", self._policy),
            (b"cache-control", b"no-store"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
        ):
            request.setHeader(name, value)
        return self._text


def _policy(text: bytes) -> bytes:
    """Return the Content-Security-Policy: what stands in the page by its hash, and no more."""

    def hashes(tag: bytes) -> str:
        inside = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), text, re.DOTALL)
        sums = [b64encode(hashlib.sha256(each).digest()).decode("ascii") for each in inside]
        return " ".join(f"'sha256-{each}'" for each in sums)

    return (
        f"default-src 'none'; script-src {hashes(b'script')}; style-src {hashes(b'style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    ).encode("ascii")

"""`s3shield explain --live`: what a running daemon says about a URL."""

from __future__ import annotations

import http.client
from typing import TextIO
from urllib.parse import urlsplit

__all__ = ["ask"]

_SHOWN = ("x-cache-status", "cache-status", "age", "cache-control", "etag", "via")
_TIMEOUT = 60.0


def ask(url: str, method: str, *, stdout: TextIO, stderr: TextIO) -> int:
    """Send one request and print what the answer says of the cache; return the exit status.

    url: absolute, http or https. The body of a GET is not read: the connection is closed.
    """
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    kind = kinds.get(parts.scheme)
    if kind is None or not parts.hostname:
        print("s3shield explain: --live takes a whole http or https URL", file=stderr)
        return 2
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = kind(parts.hostname, parts.port, timeout=_TIMEOUT)
        try:
            connection.request(method, target, headers={"Connection": "close"})
            response = connection.getresponse()
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        print(f"s3shield explain: {url}: {error or type(error).__name__}", file=stderr)
        return 1
    print(f"{method} {url}\n{response.status} {response.reason}", file=stdout)
    for name in _SHOWN:
        for value in response.headers.get_all(name, ()):
            print(f"{name}: {value}", file=stdout)
    if "cache-status" not in response.headers:
        print("(the reason is said with cache_status = on)", file=stdout)
    return 0

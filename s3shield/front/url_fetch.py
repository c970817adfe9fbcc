"""A small document fetched from an address that may be down, slow or hostile.

`wire.OriginPool` does it, not treq: it bounds heads, follows no redirect, decodes nothing and
keeps no cookies, so that all that is left to bound here is the body and the time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from s3shield.policy import OriginFailure, ResponseHead
from s3shield.wire import OriginAddress, OriginCall, OriginOptions, OriginPool

from .process import Process

__all__ = ["FETCH_TIME", "Fetch", "fetch"]

FETCH_TIME: Final = 10.0
"""Seconds for all of it."""
_SHOWN: Final = 200
"""Bytes of what others sent that a log line may show."""

Done = Callable[[bytes | None, str], None]
"""Called with the document, or None and what went wrong, a sentence."""


class Fetch:
    """One fetch on its way; a `wire.Receiver`. Made by `fetch`."""

    def __init__(self, url: str, process: Process, largest: int, done: Done) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host = parts.hostname or ""
        port = parts.port or (443 if secure else 80)
        options = OriginOptions(connect_timeout=FETCH_TIME, read_timeout=FETCH_TIME)
        self._pool = OriginPool(
            process.reactor,
            OriginAddress("https" if secure else "http", host, port),
            options,
        )
        self._largest = largest
        self._done = done
        self._pieces: list[bytes] = []
        self._size = 0
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = (
            f"GET {target} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Accept: application/jwk-set+json, application/json",
            "Accept-Encoding: identity",
            "Connection: close",
        )
        head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
        self._timer: IDelayedCall | None = process.reactor.callLater(FETCH_TIME, self._too_long)
        self._call: OriginCall | None = self._pool.fetch(b"GET", head.encode("ascii"), self)

    def stop(self) -> Deferred[None]:
        """Drop it; `done` is not called. Fires when nothing of it is left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        return self._pool.close()

    def _over(self, data: bytes | None, problem: str) -> None:
        self.stop()
        self._done(data, problem)

    def _too_long(self) -> None:
        self._timer = None
        self._over(None, f"it took longer than {FETCH_TIME:g} s")

    # wire.Receiver

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Refuse all but a 200 that is small enough and as it is."""
        problem = ""
        if 300 <= head.status < 400:
            place = repr((head.get(b"location") or b"")[:_SHOWN])[1:]
            problem = f"it redirects to {place}, which is not followed: name that address"
        elif head.status != 200:
            problem = f"it answered {head.status}"
        elif (head.get(b"content-encoding") or b"identity").lower() != b"identity":
            problem = "its answer is compressed, which was not asked for"
        elif length is not None and length > self._largest:
            problem = self._too_large()
        if problem:
            self._over(None, problem)

    def origin_data(self, data: bytes) -> None:
        """Take the next bytes."""
        self._size += len(data)
        if self._size > self._largest:
            self._over(None, self._too_large())
        else:
            self._pieces.append(data)

    def origin_end(self) -> None:
        """It is whole."""
        self._call = None
        self._over(b"".join(self._pieces), "")

    def origin_failed(self, failure: OriginFailure) -> None:
        """There will be no more."""
        self._call = None
        self._over(None, f"{failure.kind.name.lower()}: {failure.detail}")

    def _too_large(self) -> str:
        return f"it is larger than {self._largest // 1024} KiB"


def fetch(url: str, process: Process, largest: int, done: Done) -> Fetch:
    """Fetch the document at `url`, https or http, of at most `largest` bytes.

    done: called once, never before this returns.
    """
    return Fetch(url, process, largest, done)

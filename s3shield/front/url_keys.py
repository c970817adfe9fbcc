"""`auth_jwt_key_request`: a JWK set at an address, fetched again ahead of its end.

Theory of operation. The set is fetched at the start, and again when four fifths of
`auth_jwt_key_ttl` are over. A fetch that fails changes nothing: the keys go on, however old,
fetches are repeated in ever longer pauses and the operator is told. A token that names a key
which is not there may have one fetch begun, but not for a while after the last: so new keys
come in when they are first used, and a flood of invented names costs the issuer nothing.
All who wait, wait for the one fetch that is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.access import LARGEST_KEY_SET, KeySet, KeySetError, TokenKey, parse_keys
from s3shield.ops import run_aside

from .key_source import Waiting
from .process import Process
from .url_fetch import Fetch, fetch

__all__ = ["PAUSE", "UrlKeys"]

PAUSE: Final = 10.0
"""Seconds after a fetch before a token may have another one begun."""
_FIRST_RETRY: Final = 5.0
_LAST_RETRY: Final = 300.0
_TELL_AGAIN: Final = 300.0
"""Seconds until what is still wrong is told again."""


class UrlKeys:
    """A `KeySource`; see the module's text. ttl: seconds for which a set is fresh."""

    log = Logger()

    def __init__(self, url: str, ttl: float, process: Process) -> None:
        self.keys: tuple[TokenKey, ...] | None = None
        self.changed: list[Callable[[], None]] = []
        self._url = url
        self._ttl = ttl
        self._process = process
        self._seconds = process.reactor.seconds
        self._data = b""
        self._ignored: tuple[str, ...] = ()
        self._fetch: Fetch | None = None
        self._busy = False
        self._stopped = False
        self._ended: float | None = None
        self._failures = 0
        self._told: float | None = None
        self._waiting = Waiting(process.reactor)
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Fetch now, and from time to time."""
        if self._busy or self._stopped:
            return
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._busy = True
        self._fetch = fetch(self._url, self._process, LARGEST_KEY_SET, self._fetched)

    def stop(self) -> None:
        """Fetch no more."""
        self._stopped = True
        self._waiting.forget()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._fetch is not None:
            self._fetch.stop()
            self._fetch = None

    def more(self) -> Deferred[None] | None:
        """Join the fetch under way, or begin one; None: there has just been one."""
        if self._stopped:
            return None
        if not self._busy:
            if self._ended is not None and self._seconds() - self._ended < PAUSE:
                return None
            self.start()
        return self._waiting.one()

    # A fetch

    def _fetched(self, data: bytes | None, problem: str) -> None:
        self._fetch = None
        if data is None:
            self._over(problem)
        elif data == self._data:
            self._over("")
        else:
            # A hundred keys take a while: aside.
            parsing = run_aside(self._process.reactor, partial(parse_keys, local=False), data)
            parsing.addCallbacks(self._parsed, self._not_parsed, callbackArgs=(data,))

    def _parsed(self, found: KeySet, data: bytes) -> None:
        if self._stopped:
            return
        self._data, self.keys = data, found.keys
        if found.ignored != self._ignored:
            self._ignored = found.ignored
            for why in found.ignored[:5]:
                self.log.warn("{url}: {why}; it is not used", url=self._url, why=why)
        text = "{url}: {count} keys for tokens are in use"
        self.log.info(text, url=self._url, count=len(found.keys))
        for tell in self.changed:
            tell()
        self._over("")

    def _not_parsed(self, failure: Failure) -> None:
        if self._stopped:
            return
        if isinstance(failure.value, KeySetError):
            self._over(str(failure.value))
        else:
            self.log.failure("reading the keys of {url} failed", failure, url=self._url)
            self._over("an error in s3shield")

    def _over(self, problem: str) -> None:
        self._busy = False
        self._ended = self._seconds()
        if problem:
            self._failures += 1
            wait = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(self._failures - 1, 16))
            self._tell(problem)
        else:
            wait = self._ttl * 0.8
            if self._failures:
                self.log.info("{url} answers again", url=self._url)
            self._failures, self._told = 0, None
        self._timer = self._process.reactor.callLater(wait, self.start)
        self._waiting.fire()

    def _tell(self, problem: str) -> None:
        """Say that a fetch failed: once, and every few minutes as long as it is so."""
        now = self._seconds()
        if self._told is not None and now - self._told < _TELL_AGAIN:
            return
        self._told = now
        if self.keys is None:
            text = "{url}: {problem}: there are no keys, tokens cannot be checked"
            self.log.error(text, url=self._url, problem=problem)
        else:
            text = "{url}: {problem}; the keys that were fetched before go on"
            self.log.warn(text, url=self._url, problem=problem)

"""`auth_jwt`: the check of JSON Web Tokens.

Theory of operation. A token that was found good is remembered by its digest until it ends,
so that the next request with it costs one digest and a dictionary; all are forgotten when
the keys change. A token that only newer keys could make good waits for them, once. What a
client is told is what RFC 6750 section 3.1 says and no more; why it was refused is in the log,
one line a minute for each reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.access import (
    GRANTED,
    LONGEST_TOKEN,
    GoodToken,
    Refused,
    RefusedToken,
    TokenFault,
    Verdict,
    check_token,
    find_token,
)
from s3shield.config import JwtConfig
from s3shield.policy import Request

from .key_source import KeySource
from .process import Process

__all__ = ["TokenCheck"]

_REMEMBERED: Final = 8192
"""Good tokens of each of two generations."""
_TELL: Final = 60.0
"""Seconds between two lines about one reason."""
_RETRY_AFTER: Final = b"5"
_SHOWN: Final = 40
"""Characters of a key's name that a log line shows."""


class TokenCheck:
    """A `Check`. sources: of the keys, at least one."""

    log = Logger()

    def __init__(self, config: JwtConfig, sources: Sequence[KeySource], process: Process) -> None:
        self._places = config.places
        self._rules = config.rules
        self._where = config.where
        self._sources = tuple(sources)
        self._clock = process.clock
        self._seconds = process.monotonic
        self._good: dict[bytes, float] = {}
        self._before: dict[bytes, float] = {}
        self._told: dict[TokenFault | None, tuple[float | None, int]] = {}
        realm = f'Bearer realm="{config.realm}"'
        self._missing = _refused(401, realm)
        self._wrong = _refused(401, f'{realm}, error="invalid_token"')
        self._too_little = _refused(403, f'{realm}, error="insufficient_scope"')
        self._without_keys = Refused(503, ((b"Retry-After", _RETRY_AFTER),))
        for source in self._sources:
            source.changed.append(self._forget)

    def __call__(self, request: Request) -> Verdict | Deferred[Verdict]:
        """Judge the token of `request`."""
        token = find_token(self._places, request)
        if token is None:
            return self._missing
        if len(token) > LONGEST_TOKEN:
            return self._refuse(RefusedToken(TokenFault.TOO_LONG), request)
        digest = hashlib.blake2b(token, digest_size=16).digest()
        until = self._good.get(digest)
        if until is not None and self._clock() < until:
            return GRANTED
        return self._look(token, digest, request)

    def _look(self, token: bytes, digest: bytes, request: Request) -> Verdict | Deferred[Verdict]:
        """Check a token that is not among the latest."""
        until = self._before.get(digest)
        if until is not None and self._clock() < until:
            self._remember(digest, until)
            return GRANTED
        found = self._check(token, digest)
        if isinstance(found, RefusedToken) and found.wants_keys:
            # Those that have never had any decide alone whether it can be known at all.
            empty = [source for source in self._sources if source.keys is None]
            asked = [source.more() for source in empty or self._sources]
            waits = [each for each in asked if each is not None]
            if waits:
                return self._wait(waits, token, digest, request)
        return self._verdict(found, request)

    def _wait(
        self, waits: list[Deferred[None]], token: bytes, digest: bytes, request: Request
    ) -> Deferred[Verdict]:
        def again(_: object) -> Verdict:
            return self._verdict(self._check(token, digest), request)

        return gatherResults(waits, consumeErrors=True).addCallbacks(again, _cancelled)

    def _check(self, token: bytes, digest: bytes) -> GoodToken | RefusedToken:
        keys = [key for source in self._sources for key in source.keys or ()]
        found = check_token(token, keys, self._rules, self._clock())
        if isinstance(found, GoodToken):
            self._remember(digest, found.until)
        return found

    def _verdict(self, found: GoodToken | RefusedToken, request: Request) -> Verdict:
        if isinstance(found, GoodToken):
            return GRANTED
        if found.wants_keys and any(source.keys is None for source in self._sources):
            self._tell(None, "there are no keys to check it with", request)
            return self._without_keys
        return self._refuse(found, request)

    def _refuse(self, found: RefusedToken, request: Request) -> Refused:
        why = found.fault.value
        if found.kid is not None:
            why += f": {found.kid[:_SHOWN]!a}"
        self._tell(found.fault, why, request)
        return self._too_little if found.fault is TokenFault.REQUIRED else self._wrong

    # What is remembered

    def _remember(self, digest: bytes, until: float) -> None:
        if len(self._good) >= _REMEMBERED:
            self._before, self._good = self._good, {}
        self._good[digest] = until

    def _forget(self) -> None:
        self._good, self._before = {}, {}

    def _tell(self, fault: TokenFault | None, why: str, request: Request) -> None:
        """Write a line about a refusal, never with the token; the others are counted."""
        now = self._seconds()
        since, more = self._told.get(fault, (None, 0))
        if since is not None and now - since < _TELL:
            self._told[fault] = since, more + 1
            return
        self._told[fault] = now, 0
        self.log.info(
            "auth_jwt ({where}): a token from {peer} is refused: {why}{more}",
            where=self._where,
            peer=request.peer.decode("ascii", "backslashreplace") or "unix:",
            why=why,
            more=f" (and {more} more like it before)" if more else "",
        )


def _cancelled(failure: Failure) -> Failure:
    """Let it be seen that it was cancelled: they do not fail otherwise."""
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure


def _refused(status: int, challenge: str) -> Refused:
    return Refused(status, ((b"WWW-Authenticate", challenge.encode("ascii")),))

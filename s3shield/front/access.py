"""Which checks a location has, in nginx's order, and what they remember of one process."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from s3shield.access import GRANTED, Addresses, Refused, Verdict, signed_link_verdict
from s3shield.config import AccessConfig, LocationConfig
from s3shield.policy import InnerRequest, Request

from .gate import Check, Gate
from .passwords import THREADS, Passwords
from .phase import Ground, Serve
from .process import Process
from .tokens import Tokens

__all__ = ["Access"]

_SEEN: Final = 4096
"""Addresses whose verdicts are remembered by a location."""


class Access:
    """Makes the gates of a process's locations; `phase` is the phase."""

    def __init__(self, configs: Sequence[LocationConfig], process: Process) -> None:
        self._tokens = Tokens([each.jwt for each in configs if each.jwt is not None], process)
        self._clock = process.clock
        self._passwords: Passwords | None = None
        self._threads: ThreadPool | None = None
        if any(config.access.basic for config in configs):
            # All of them now: who starts a thread waits for it, and later that would be the loop.
            self._threads = ThreadPool(THREADS, THREADS, "s3shield-passwords")
            self._threads.start()
            self._passwords = Passwords(
                in_thread=partial(deferToThreadPool, process.reactor, self._threads),
                monotonic=process.monotonic,
                secret=os.urandom(32),
            )

    def start(self) -> None:
        """Look for what the checks need."""
        self._tokens.start()

    def stop(self) -> None:
        """Ask no more."""
        self._tokens.stop()
        if self._threads is not None:
            self._threads.stop()
            self._threads = None

    def phase(self, ground: Ground, serve: Serve) -> Serve:
        """Return `serve` behind the location's checks; itself where there are none."""
        config = ground.config
        checks = self._checks(config)
        if not checks:
            return serve
        return Gate(ground, serve, checks, some=config.access.satisfy == "any")

    def _checks(self, config: LocationConfig) -> list[Check]:
        checks: list[Check] = []
        if config.access.rules:
            checks.append(_by_address(Addresses(config.access.rules)))
        basic = config.access.basic
        if basic is not None and self._passwords is not None:
            checks.append(self._passwords.check(basic.realm, basic.file))
        if config.jwt is not None:
            checks.append(self._tokens.check(config.jwt))
        if config.access.link is not None or config.access.link_keys:
            checks.append(_by_link(config.access, self._clock))
        return checks


def _by_address(addresses: Addresses) -> Check:
    seen: dict[bytes, Verdict] = {}

    def check(request: Request) -> Verdict:
        peer = request.peer
        if peer in seen:
            return seen[peer]
        if len(seen) >= _SEEN:
            seen.clear()
        seen[peer] = verdict = addresses.verdict(peer)
        return verdict

    return check


def _by_link(access: AccessConfig, clock: Callable[[], float]) -> Check:
    link, keys = access.link, access.link_keys

    def check(request: Request) -> Verdict:
        now = clock()
        if isinstance(request, InnerRequest):
            request = request.outer  # what its client has a link to
        if link is None:
            return signed_link_verdict(keys, request, now)
        found = link.verdict(request, now)
        if found is GRANTED or not keys:
            return found
        # Both are taken: while a site goes over from one to the other.
        ours = signed_link_verdict(keys, request, now)
        return found if ours == Refused(403) else ours

    return check

"""Certificates while the daemon runs: loaded again when their files change.

Every process that serves has a `CertificateWatch`, and one more in the parent tells, as with
scoped keys (`key_watch`). Files that are not good change nothing: what is loaded goes on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.wire import Certificate, CertificateError, LoadedCertificate

__all__ = ["CERTIFICATE_INTERVAL", "CertificateWatch"]

CERTIFICATE_INTERVAL: Final = 1.0
"""Seconds between two looks at the files of a certificate."""


@attrs.define(eq=False)
class _Watched:
    """A certificate. problem: what the last look found; told: what the log was told of it.

    again: look once more though nothing seems to have changed.
    """

    certificate: Certificate
    problem: str = ""
    told: str = ""
    again: bool = False


class CertificateWatch:
    """Watches the files of `certificates`, loads those that are not loaded: blocks.

    in_thread: calls a function with arguments in a thread, for it reads files. log: where to
    tell; None: nowhere.
    """

    log = Logger()

    def __init__(
        self,
        certificates: Iterable[Certificate],
        *,
        reactor: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        log: Logger | None = None,
    ) -> None:
        self._watched = [_Watched(each) for each in certificates]
        for each in self._watched:
            # A change is one from now on; who serves with it says what is wrong now.
            with contextlib.suppress(CertificateError):
                each.certificate.loaded()
        self._reactor = reactor
        self._in_thread = in_thread
        self._log = log
        self._next: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Look every `CERTIFICATE_INTERVAL` seconds."""
        if self._watched:
            self._next = self._reactor.callLater(CERTIFICATE_INTERVAL, self._tick)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _tick(self) -> None:
        self._next = None
        self.check().addBoth(self._go_on)

    def _go_on(self, result: object) -> None:
        if isinstance(result, Failure):
            self.log.failure("looking at the certificates failed", result)
        if not self._stopped:
            self._next = self._reactor.callLater(CERTIFICATE_INTERVAL, self._tick)

    def check(self) -> Deferred[Any]:
        """Look at all of them and take what has changed. Fires when that is done."""
        looks = [
            self._in_thread(_look, each.certificate, again=each.again).addCallback(self._seen, each)
            for each in self._watched
        ]
        return gatherResults(looks, consumeErrors=True) if looks else succeed([])

    def _seen(self, found: LoadedCertificate | str | None, watched: _Watched) -> None:
        if self._stopped or found is None:
            return
        path = watched.certificate.path
        if isinstance(found, str):
            # A certificate and its key are two files: between one and the other they do not
            # go together, and nobody needs to know.
            if found == watched.problem != watched.told:
                watched.told = found
                text = "certificate {path}: {problem}; the one that is loaded goes on"
                self._say("error", text, path=path, problem=found)
            watched.problem = found
            return
        before = watched.certificate.current
        watched.certificate.take(found)
        # Files can change twice within the clock of their file system: read twice.
        watched.again = before is not None and before.marks != found.marks
        if watched.again or watched.told:
            text = "certificate {path} is in use, good until {end}"
            self._say("info", text, path=path, end=found.ends)
        watched.problem = watched.told = ""

    def _say(self, level: str, text: str, **values: object) -> None:
        if self._log is not None:
            getattr(self._log, level)(text, **values)


def _look(certificate: Certificate, *, again: bool) -> LoadedCertificate | str | None:
    """Return what to take, or why there is nothing to take; None when nothing has changed."""
    if not again and not certificate.changed():
        return None
    try:
        return certificate.load()
    except CertificateError as error:
        return str(error).removeprefix(f"{certificate.path}: ")

"""`auth_jwt_key_file`: keys in a file, read again when it changes.

Theory of operation. The file is looked at in a thread, once a second. What is not good
changes nothing: the keys that were read last go on, and the operator is told, once for each
thing that is wrong. Until it has been good once there are no keys, and nobody comes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.access import LARGEST_KEY_SET, KeySet, KeySetError, TokenKey, parse_keys
from s3shield.ops import FileLook, Mark, look_at, run_aside

from .key_source import Waiting
from .process import Process

__all__ = ["FILE_INTERVAL", "FileKeys"]

FILE_INTERVAL: Final = 1.0
"""Seconds between two looks at a file."""


def _look(path: str, known: Mark | None) -> tuple[FileLook, KeySet | None, str]:
    """Return what is there, the keys in it when it is new, and what is wrong; in a thread."""
    found = look_at(path, known, LARGEST_KEY_SET)
    if found.data is None:
        return found, None, found.problem
    try:
        return found, parse_keys(found.data, local=True), ""
    except KeySetError as why:
        return found, None, str(why)


class FileKeys:
    """A `KeySource`; see the module's text."""

    log = Logger()

    def __init__(self, path: str, process: Process) -> None:
        self.keys: tuple[TokenKey, ...] | None = None
        self.changed: list[Callable[[], None]] = []
        self._path = path
        self._process = process
        self._found: KeySet | None = None
        self._mark: Mark | None = None
        self._known: Mark | None = None
        self._problem = ""
        self._first = True
        self._stopped = False
        self._waiting = Waiting(process.reactor)
        self._timer: IDelayedCall | None = None

    def start(self) -> None:
        """Look now, and every `FILE_INTERVAL` seconds."""
        self._timer = None
        looking = run_aside(self._process.reactor, _look, self._path, self._known)
        looking.addCallback(self._seen).addErrback(self._bug).addCallback(self._again)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        self._waiting.forget()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def more(self) -> Deferred[None] | None:
        """Wait for the first look; later ones come without being asked for."""
        return self._waiting.one() if self._first and not self._stopped else None

    def _again(self, _: object) -> None:
        if self._stopped:
            return
        self._timer = self._process.reactor.callLater(FILE_INTERVAL, self.start)
        if self._first:
            self._first = False
            self._waiting.fire()

    def _bug(self, failure: Failure) -> None:
        if not self._stopped:
            self.log.failure("looking at {path} failed", failure, path=self._path)

    def _seen(self, seen: tuple[FileLook, KeySet | None, str]) -> None:
        look, found, problem = seen
        if self._stopped:
            return
        # A file can change twice within the clock of its file system: read twice.
        self._known = look.mark if look.mark in (self._mark, self._known) else None
        self._mark = look.mark
        if problem:
            self._keep(problem)
        elif found is not None:
            self._take(found)

    def _keep(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if self.keys is None:
            text = "{path}: {problem}: there are no keys, tokens cannot be checked"
        else:
            text = "{path}: {problem}; the keys that were read before go on"
        self.log.error(text, path=self._path, problem=problem)

    def _take(self, found: KeySet) -> None:
        was_wrong, self._problem = self._problem, ""
        if found == self._found:
            if was_wrong:
                self.log.info("{path} is good again", path=self._path)
            return
        self._found, self.keys = found, found.keys
        for why in found.ignored:
            self.log.warn("{path}: {why}; it is not used", path=self._path, why=why)
        text = "{path}: {count} keys for tokens are in use"
        self.log.info(text, path=self._path, count=len(found.keys))
        for tell in self.changed:
            tell()

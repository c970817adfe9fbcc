"""`auth_basic`: files of users, and passwords compared in threads.

Theory of operation. A password hash is made to be slow. So it is computed in a few threads,
and what waits for them is bounded, altogether and for each address: beyond it 503. What has
been found right, or wrong, is remembered under a keyed digest of what the client sent, so
that a client costs one hash, and those who are in stay in while others try passwords. Each
memory holds the hash that it was compared with: with another line in the file it is void.

The file is looked at once a second, while there are requests, and read when it has changed.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.access import (
    GRANTED,
    Credential,
    Refused,
    Users,
    Verdict,
    challenge,
    credential_of,
    parse_users,
)
from s3shield.policy import Request

from .gate import Check

__all__ = ["THREADS", "Passwords"]

THREADS: Final = 2
QUEUE: Final = 64
"""Passwords that wait for a thread."""
OF_ONE: Final = 16
"""Of them, those of one address."""
BUSY: Final = Refused(503, ((b"Retry-After", b"1"),))

_LOOK: Final = 1.0
"""Seconds between two looks at a file."""
_RIGHT_FOR: Final = 300.0
"""Seconds that a right password is remembered after it was used."""
_WRONG_FOR: Final = 60.0
_RIGHT: Final = 4096
_WRONG: Final = 1024
_LARGEST: Final = 8 << 20
"""Bytes of a file of users."""

InThread = Callable[[Callable[[], Any]], "Deferred[Any]"]
"""Calls its argument in a thread; fires with what that returned."""
Mark = tuple[int, ...]
"""What tells one state of a file from another."""


def _mark(info: os.stat_result) -> Mark:
    return info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino


@attrs.frozen
class _Read:
    """A file as it was read. wrong: what is wrong with its lines."""

    users: Users
    mark: Mark
    wrong: list[str]


def _read(path: str) -> _Read:
    with Path(path).open("rb") as file:
        mark = _mark(os.fstat(file.fileno()))
        text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise OSError(27, f"it is larger than {_LARGEST >> 20} MiB")
    users, wrong = parse_users(text)
    return _Read(users, mark, wrong)


@attrs.frozen
class _Found:
    """What a thread found. read: the file, where it was read. stored: the hash of the user."""

    read: _Read | None
    right: bool
    stored: bytes | None = attrs.field(repr=False)


@attrs.frozen
class _Memory:
    """What was found out about one credential. stored: the hash it was compared with."""

    name: bytes = attrs.field(repr=False)
    stored: bytes | None = attrs.field(repr=False)
    until: float


@attrs.define(eq=False)
class _File:
    """A file of users. stale: it must be read before it is believed."""

    path: str
    users: Users = attrs.field(factory=Users)
    mark: Mark | None = None
    stale: bool = True
    look_at: float = 0.0
    trouble: str = ""
    right: OrderedDict[bytes, _Memory] = attrs.field(factory=OrderedDict)
    wrong: OrderedDict[bytes, _Memory] = attrs.field(factory=OrderedDict)
    jobs: dict[bytes, _Job] = attrs.field(factory=dict)

    def look(self, now: float) -> None:
        """See whether it has changed: one stat, as nginx has one open for each request."""
        self.look_at = now + _LOOK
        try:
            mark = _mark(Path(self.path).stat())
        except OSError:
            mark = None  # whoever reads it will tell
        self.stale = mark is None or mark != self.mark
        if self.stale:
            self.jobs.clear()  # who comes now does not wait for what the file was

    def remembered(self, digest: bytes, now: float) -> bool | None:
        """Tell whether a credential is right, None when it is to be computed."""
        found = self.right.get(digest)
        if found is not None:
            if now < found.until and self.users.find(found.name) == found.stored:
                if found.until - now < _RIGHT_FOR / 2:
                    self.right[digest] = attrs.evolve(found, until=now + _RIGHT_FOR)
                self.right.move_to_end(digest)
                return True
            del self.right[digest]
        found = self.wrong.get(digest)
        if found is not None:
            if now < found.until and self.users.find(found.name) == found.stored:
                return False
            del self.wrong[digest]
        return None

    def remember(self, job: _Job, found: _Found, now: float) -> None:
        """Note what was found out; the oldest goes."""
        memories, most = (self.right, _RIGHT) if found.right else (self.wrong, _WRONG)
        until = now + (_RIGHT_FOR if found.right else _WRONG_FOR)
        memories[job.digest] = _Memory(job.credential.name, found.stored, until)
        if len(memories) > most:
            memories.popitem(last=False)


@attrs.define(eq=False)
class _Job:
    """A password to compare. waiting: the requests for it."""

    file: _File
    digest: bytes
    credential: Credential
    peer: bytes
    waiting: list[Deferred[Verdict]] = attrs.field(factory=list)


class Passwords:
    """All files of users of one process. in_thread: has `THREADS` threads."""

    log = Logger()

    def __init__(
        self, *, in_thread: InThread, monotonic: Callable[[], float], secret: bytes
    ) -> None:
        self._in_thread = in_thread
        self._monotonic = monotonic
        self._secret = secret
        self._files: dict[str, _File] = {}
        self._queue: deque[_Job] = deque()
        self._running = 0
        self._peers: Counter[bytes] = Counter()

    def check(self, realm: str, path: str) -> Check:
        """Return what asks for the password of a user of the file at `path`."""
        refused = challenge(realm)
        file = self._files.setdefault(path, _File(path))
        monotonic, secret = self._monotonic, self._secret
        blake2b = hashlib.blake2b

        def check(request: Request) -> Verdict | Deferred[Verdict]:
            value = request.headers.get(b"authorization")
            if value is None:
                return refused
            now = monotonic()
            if now >= file.look_at:
                file.look(now)
            digest = blake2b(value, key=secret, digest_size=16).digest()
            if not file.stale:
                known = file.remembered(digest, now)
                if known is not None:
                    return GRANTED if known else refused
            credential = credential_of(request)
            if credential is None:
                return refused
            asked = self._ask(file, digest, credential, request.peer)
            if asked is None:
                return BUSY
            return asked.addCallback(lambda verdict: refused if verdict is None else verdict)

        return check

    def _ask(
        self, file: _File, digest: bytes, credential: Credential, peer: bytes
    ) -> Deferred[Verdict] | None:
        """Have a password compared; None: too many are. Fires with None for a wrong one."""
        job = file.jobs.get(digest)
        if job is None:
            if len(self._queue) >= QUEUE or self._peers[peer] >= OF_ONE:
                return None
            job = file.jobs[digest] = _Job(file, digest, credential, peer)
            self._queue.append(job)
            self._peers[peer] += 1
        waiting: Deferred[Verdict] = Deferred(partial(self._part, job))
        job.waiting.append(waiting)
        self._go_on()
        return waiting

    def _part(self, job: _Job, waiting: Deferred[Verdict]) -> None:
        """A client has gone: what nobody waits for is not computed."""
        job.waiting.remove(waiting)
        if not job.waiting and job in self._queue:
            self._queue.remove(job)
            self._forget(job)

    def _forget(self, job: _Job) -> None:
        if job.file.jobs.get(job.digest) is job:
            del job.file.jobs[job.digest]
        self._peers[job.peer] -= 1
        if not self._peers[job.peer]:
            del self._peers[job.peer]

    def _go_on(self) -> None:
        while self._queue and self._running < THREADS:
            job = self._queue.popleft()
            self._running += 1
            file = job.file
            users = None if file.stale else file.users
            work = partial(self._work, file.path, users, job.credential)
            self._in_thread(work).addBoth(self._done, job)

    def _work(self, path: str, users: Users | None, about: Credential) -> _Found:
        """Compare, in a thread; users: None where the file is to be read first."""
        read = None
        if users is None:
            read = _read(path)
            users = read.users
        return _Found(read, users.admits(about, self._secret), users.find(about.name))

    def _done(self, result: _Found | Failure, job: _Job) -> None:
        self._running -= 1
        self._forget(job)
        verdict: Verdict
        if isinstance(result, Failure):
            verdict = self._trouble(job.file, result)
        else:
            if result.read is not None:
                self._take(job.file, result.read)
            job.file.remember(job, result, self._monotonic())
            verdict = GRANTED if result.right else None
        while job.waiting:
            job.waiting.pop(0).callback(verdict)
        self._go_on()

    def _take(self, file: _File, read: _Read) -> None:
        file.users, file.mark, file.stale, file.trouble = read.users, read.mark, False, ""
        for text in read.wrong:
            self.log.error("{path}: {text}", path=file.path, text=text)

    def _trouble(self, file: _File, failure: Failure) -> Refused:
        """Nobody comes in by a file that cannot be read: 403 without one, as nginx, else 500."""
        why = failure.value
        file.stale, file.mark = True, None
        if not isinstance(why, OSError):
            self.log.failure("comparing a password failed", failure)
            return Refused(500)
        text = f"nobody can come in, the file cannot be read: {why.strerror}"
        if text != file.trouble:
            file.trouble = text
            self.log.error("auth_basic_user_file {path}: {text}", path=file.path, text=text)
        return Refused(403 if isinstance(why, FileNotFoundError) else 500)

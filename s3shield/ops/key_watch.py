"""Scoped keys while the daemon runs: files read again when they change, ends told.

Every process that signs has a `KeyWatch`, and takes in what it finds by itself. One more
in the parent tells: a line for each change, for each thing wrong with a file, and ahead of
a last key's end. A file that is not good changes nothing: the keys that are loaded go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.config import BucketConfig
from s3shield.ops.key_file import Look, Mark, look
from s3shield.signing import Credentials, KeyNotice, KeyRing, format_key_file, key_notice

__all__ = ["KEY_INTERVAL", "KeyWatch"]

KEY_INTERVAL: Final = 1.0
"""Seconds between two looks at a key file."""

Renew = Callable[[str, Credentials], None]
"""Called with a bucket's name and its new credentials."""
InThread = Callable[..., Deferred[Any]]
"""Function and arguments -> what it returns, called in a thread."""


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


@attrs.define(eq=False)
class _Use:
    """A bucket that signs with scoped keys. problem, notice: what was told last."""

    bucket: BucketConfig
    credentials: Credentials
    ring: KeyRing
    problem: str = ""
    notice: KeyNotice | None = None

    @property
    def name(self) -> str:
        return self.bucket.name


@attrs.define(eq=False)
class _File:
    """A key file. mark: of what was read last; known: of what needs no reading again."""

    path: str
    uses: list[_Use] = attrs.field(factory=list)
    mark: Mark | None = None
    known: Mark | None = None


class KeyWatch:
    """Watches the scoped keys of `buckets`.

    renew: told of each change. in_thread: reads files. log: where to tell; None: nowhere.
    clock: wall time, epoch seconds.
    """

    log = Logger()

    def __init__(
        self,
        buckets: Iterable[BucketConfig],
        *,
        reactor: IReactorTime,
        in_thread: InThread,
        clock: Callable[[], float],
        renew: Renew | None = None,
        log: Logger | None = None,
    ) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._clock = clock
        self._renew = renew
        self._log = log
        self._uses: list[_Use] = []
        self._files: dict[str, _File] = {}
        self._next: IDelayedCall | None = None
        self._stopped = False
        for bucket in buckets:
            ring = None if bucket.credentials is None else bucket.credentials.ring
            if bucket.credentials is None or ring is None:
                continue
            use = _Use(bucket, bucket.credentials, ring)
            self._uses.append(use)
            if bucket.key_file is not None:
                self._files.setdefault(bucket.key_file, _File(bucket.key_file)).uses.append(use)

    def expires(self) -> dict[str, int]:
        """Return, by bucket, the epoch seconds at which its scoped keys end.

        As `KeyRing.expires` has it: from now on, without a gap. Not there: a bucket that
        signs with a secret, or not at all.
        """
        now = self._clock()
        return {use.name: use.ring.expires(now) for use in self._uses}

    def in_use(self) -> dict[str, str]:
        """Return path -> text of a key file with the keys in use.

        For a new process: the files themselves may not be good just now.
        """
        return {
            path: format_key_file(key for use in file.uses for key in use.ring.keys)
            for path, file in self._files.items()
        }

    def start(self) -> None:
        """Look now, and every `KEY_INTERVAL` seconds."""
        if self._uses and (self._files or self._log is not None):
            self.check().addBoth(self._again)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _again(self, result: object) -> None:
        if isinstance(result, Failure):
            self.log.failure("looking at the key files failed", result)
        if not self._stopped:
            self._next = self._reactor.callLater(KEY_INTERVAL, self._tick)

    def _tick(self) -> None:
        self._next = None
        self.check().addBoth(self._again)

    def check(self) -> Deferred[None]:
        """Look at every file, take in what has changed, tell what is to tell.

        Fires when that is done. The next one is not begun before: a file system that hangs
        gets no second thread.
        """
        looks = [
            self._in_thread(look, file.path, file.known).addCallback(self._seen, file)
            for file in self._files.values()
        ]
        done = gatherResults(looks, consumeErrors=True) if looks else succeed([])
        return done.addCallback(lambda _: self._tell_ends())

    # What a file says

    def _seen(self, found: Look, file: _File) -> None:
        if self._stopped:
            return
        if found.problem:
            file.known = None
            for use in file.uses:
                self._keep(use, found.problem, found.advice)
            return
        if found.keys is None:
            return
        # A file can change twice within the clock of its file system: read twice.
        file.known = found.mark if found.mark == file.mark else None
        file.mark = found.mark
        for use in file.uses:
            if not self._take(use, found):
                file.known = None

    def _take(self, use: _Use, found: Look) -> bool:
        """Let a bucket sign with what was found; False when it goes on with what it has."""
        now = self._clock()
        path = use.bucket.key_file
        advice = f"make new keys with `s3shield rotate {path}`"
        try:
            ring = KeyRing.pick(found.keys or (), use.ring.region, use.ring.service)
        except ValueError as why:
            return self._keep(use, str(why), advice)
        if not ring.valid(now) and use.ring.valid(now):
            date = ring.at(now).scope.date
            return self._keep(use, f"none of its keys is good now, not the one of {date}", advice)
        if use.problem:
            use.problem = ""
            self._say("info", "bucket {name}: {path} is good again", name=use.name, path=path)
        if ring == use.ring:
            return True
        use.ring = ring
        use.credentials = attrs.evolve(use.credentials, keys=ring)
        if self._renew is not None:
            self._renew(use.name, use.credentials)
        self._say(
            "info",
            "bucket {name}: {count} signing keys from {path} are in use, good until {end}",
            name=use.name,
            count=len(ring.keys),
            path=path,
            end=_moment(ring.expires(now)),
        )
        return True

    def _keep(self, use: _Use, problem: str, advice: str) -> bool:
        if use.problem != problem:
            use.problem = problem
            self._say(
                "error",
                "bucket {name}: {path}: {problem}; the keys that are loaded go on, until {end}: "
                "{advice}",
                name=use.name,
                path=use.bucket.key_file,
                problem=problem,
                end=_moment(use.ring.expires(self._clock())),
                advice=advice,
            )
        return False

    # What time says

    def _tell_ends(self) -> None:
        if self._log is None or self._stopped:
            return
        now = self._clock()
        for use in self._uses:
            notice = key_notice(use.ring, now)
            if notice is not None and notice != use.notice:
                level = "error" if notice.expired else "warn"
                self._say(level, "bucket {name}: {what}", name=use.name, what=_what(use, now))
            use.notice = notice

    def _say(self, level: str, text: str, **values: object) -> None:
        if self._log is not None:
            getattr(self._log, level)(text, **values)


def _what(use: _Use, now: float) -> str:
    """Return what is to be said about the end of a bucket's keys, and what to do."""
    path = use.bucket.key_file
    if path is None:
        which = f"the signing key (aws_signing_key, {use.bucket.where})"
        remedy = (
            "put a new one there with its scope and `s3shield reload`; "
            "a file named in aws_signing_key_file is taken in by itself"
        )
    else:
        which = f"the last signing key in {path}"
        remedy = f"make new ones with `s3shield rotate {path}`; they are taken in without a restart"
    expires = use.ring.expires(now)
    if not expires:
        first = use.ring.keys[0].scope.date
        return (
            f"{which} is for {first}, a day to come, and there is none for today: S3 refuses what "
            f"it signs; check this machine's clock, or {remedy}"
        )
    if expires <= now:
        return f"{which} is over since {_moment(expires)}: S3 refuses what it signs; {remedy}"
    hours = int((expires - now) // 3600)
    return f"{which} is good for {hours} h more, until {_moment(expires)}; {remedy}"

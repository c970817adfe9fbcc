"""Credentials of a source while the daemon runs: got, renewed ahead of their end, told.

Theory of operation. Every process that signs has a `CredentialWatch`; for each source that
buckets name it begins a look in a thread at the start, and again when `renew_in` says so. What
is found replaces what is signed with from the next request on. A look that fails changes
nothing: what is in use goes on until its own end, looks are repeated in ever longer pauses,
and the operator is told.

A request that finds nothing good to sign with, or whose credentials S3 refused, asks here
(`renew`) and waits for the look under way, `PATIENCE` seconds from its beginning at the most;
where a look has just failed, or found nothing new, it is told at once. So an outage makes no
queue, and a source that hangs has one thread and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.config import BucketConfig, CredentialSource
from s3shield.ops.credential_fetch import Fetched, UnavailableError, describe, fetch
from s3shield.signing import Credentials, renew_in, retry_in

__all__ = ["PATIENCE", "CredentialWatch"]

PATIENCE: Final = 5.0
"""Seconds that a request waits for credentials, from the beginning of the look."""
_JUST_NOW: Final = 5.0
"""Seconds for which a look that failed, or was in vain, answers those who ask for another."""
_NAMED: Final = 4
_PAUSE: Final = 1.0
"""Seconds between any two looks."""
_HANGS: Final = 30.0
_TELL_AGAIN: Final = 300.0
"""Seconds until what is still wrong is told again."""

Take = Callable[[str, Credentials], None]
"""Called with a bucket's name and its new credentials; raises ValueError if they cannot sign."""


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return "no known end"
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


@attrs.define(eq=False)
class _Supply:
    """What one source gives, for all buckets that name it: one question serves them all.

    got: what is in use. failures: in a row. ended: when the last look did, vain: when the
    last one did that found nothing new for those who waited; reactor's seconds. waiting: who
    asked. limit: until when they wait. told: whether the last line was about being without
    (True) or about those in use (False), and when.
    """

    source: CredentialSource
    region: str | None
    buckets: list[str] = attrs.field(factory=list)
    got: Fetched | None = None
    failures: int = 0
    looking: bool = False
    ended: float = -_JUST_NOW
    vain: float = -_JUST_NOW
    waiting: list[Callable[[bool], None]] = attrs.field(factory=list)
    limit: IDelayedCall | None = None
    hangs: IDelayedCall | None = None
    again: IDelayedCall | None = None
    told: tuple[bool, float] | None = None

    @property
    def name(self) -> str:
        """For the log."""
        names, more = ", ".join(self.buckets[:_NAMED]), len(self.buckets) - _NAMED
        kind = "buckets" if len(self.buckets) > 1 else "bucket"
        return f"{kind} {names} and {more} more" if more > 0 else f"{kind} {names}"


class CredentialWatch:
    """See the module's text.

    in_thread: calls a function with arguments in a thread that may hang. clock: wall time,
    epoch seconds. random: floats from 0 to 1. take: gets what was found. look: as `fetch`.
    """

    def __init__(
        self,
        buckets: Iterable[BucketConfig],
        *,
        reactor: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        clock: Callable[[], float],
        random: Callable[[], float],
        take: Take,
        log: Logger,
        look: Callable[[CredentialSource, str | None], Fetched] = fetch,
    ) -> None:
        self._reactor = reactor
        self._in_thread = in_thread
        self._clock = clock
        self._random = random
        self._take = take
        self._log = log
        self._look = look
        self._stopped = False
        self._supplies: dict[tuple[CredentialSource, str | None], _Supply] = {}
        self._by_bucket: dict[str, _Supply] = {}
        for bucket in buckets:
            if bucket.source is None:
                continue
            supply = self._supplies.setdefault(
                (bucket.source, bucket.region), _Supply(bucket.source, bucket.region)
            )
            supply.buckets.append(bucket.name)
            self._by_bucket[bucket.name] = supply

    def start(self) -> None:
        """Begin the first looks; nobody waits for them but the requests that need them."""
        for supply in self._supplies.values():
            self._begin(supply)

    def stop(self) -> None:
        """Look no more, answer nobody."""
        self._stopped = True
        for supply in self._supplies.values():
            supply.waiting.clear()
            for name in ("limit", "hangs", "again"):
                _cancel(supply, name)

    def lacks(self, name: str) -> bool:
        """Tell whether the bucket `name` has nothing good to sign with now."""
        return self._without(self._by_bucket[name])

    def expires(self) -> dict[str, float]:
        """Return, by bucket, the epoch seconds at which its credentials end, where they do."""
        return {
            name: supply.got.expires
            for name, supply in self._by_bucket.items()
            if supply.got is not None and supply.got.expires is not None
        }

    def renew(self, name: str, done: Callable[[bool], None]) -> None:
        """Look for credentials of the bucket `name`; call `done` when there are, or are not.

        Never before this returns, and not after `stop`.
        """
        supply = self._by_bucket[name]
        now = self._reactor.seconds()
        since = now - supply.ended
        if supply.looking:
            if supply.limit is None:
                self._soon(done, there=False)
            else:
                supply.waiting.append(done)
        elif (supply.failures and since < _JUST_NOW) or now - supply.vain < _JUST_NOW:
            self._soon(done, there=False)
        else:
            supply.waiting.append(done)
            _cancel(supply, "again")
            wait = max(0.0, _PAUSE - since)
            supply.again = self._reactor.callLater(wait, self._begin, supply)

    def _soon(self, done: Callable[[bool], None], *, there: bool) -> None:
        self._reactor.callLater(0, lambda: None if self._stopped else done(there))

    def _without(self, supply: _Supply) -> bool:
        got = supply.got
        return got is None or (got.expires is not None and self._clock() >= got.expires)

    # A look

    def _begin(self, supply: _Supply) -> None:
        _cancel(supply, "again")
        supply.looking = True
        supply.limit = self._reactor.callLater(PATIENCE, self._too_long, supply)
        supply.hangs = self._reactor.callLater(_HANGS, self._hanging, supply)
        looking = self._in_thread(self._look, supply.source, supply.region)
        looking.addCallback(self._found, supply)
        looking.addErrback(self._failed, supply)
        looking.addErrback(self._bug, supply)

    def _too_long(self, supply: _Supply) -> None:
        supply.limit = None
        self._release(supply, there=False)

    def _hanging(self, supply: _Supply) -> None:
        supply.hangs = self._reactor.callLater(_HANGS, self._hanging, supply)
        problem = f"{describe(supply.source)} has not answered for {_HANGS:.0f} s"
        self._tell(supply, problem, "see what it waits for; it is not asked again before that")

    def _release(self, supply: _Supply, *, there: bool) -> None:
        waiting, supply.waiting = supply.waiting, []
        for done in waiting:
            self._soon(done, there=there)

    def _over(self, supply: _Supply) -> None:
        supply.looking = False
        supply.ended = self._reactor.seconds()
        _cancel(supply, "limit")
        _cancel(supply, "hangs")

    def _found(self, found: Fetched, supply: _Supply) -> None:
        if self._stopped:
            return
        now = self._clock()
        who = describe(supply.source)
        if found.expires is not None and found.expires <= now:
            raise UnavailableError(
                f"{who}: what it gave ended at {_moment(found.expires)}",
                "check this machine's clock (timedatectl), and the source's",
            )
        before = supply.got
        changed = before is None or before.credentials != found.credentials
        helped = changed or self._without(supply)
        if changed:
            try:
                for name in supply.buckets:
                    self._take(name, found.credentials)
            except ValueError as why:
                problem = f"{who} gave what cannot sign for this bucket: {why}"
                raise UnavailableError(problem, "look at what it gives") from None
        self._over(supply)
        supply.got, supply.failures = found, 0
        if before is None or before != found or supply.told is not None:
            self._log.info(
                "{name}: credentials {id} from {who} are in use, good until {end}",
                name=supply.name,
                id=found.credentials.access_key,
                who=who,
                end=_moment(found.expires),
            )
        supply.told = None
        if supply.waiting and not helped:
            supply.vain = supply.ended
        wait = renew_in(found.expires, now, self._random())
        supply.again = self._reactor.callLater(wait, self._begin, supply)
        self._release(supply, there=helped)

    def _failed(self, failure: Failure, supply: _Supply) -> None:
        if self._stopped:
            return
        error = failure.value
        if isinstance(error, UnavailableError):
            problem, advice = error.problem, error.advice
        else:
            # Without its text: nobody knows what is in that.
            problem, advice = f"{type(error).__name__} in s3shield", "please report it"
        self._over(supply)
        supply.failures += 1
        good = not self._without(supply)
        wait = retry_in(supply.failures, self._random(), good=good)
        supply.again = self._reactor.callLater(wait, self._begin, supply)
        self._tell(supply, problem, advice)
        self._release(supply, there=False)

    def _bug(self, failure: Failure, supply: _Supply) -> None:
        kind = type(failure.value).__name__
        self._log.error("{name}: {kind} in s3shield", name=supply.name, kind=kind)

    def _tell(self, supply: _Supply, problem: str, advice: str) -> None:
        """Say that a look failed: once, and every few minutes as long as it is so."""
        without, now = self._without(supply), self._reactor.seconds()
        if supply.told is not None:
            before, then = supply.told
            if before == without and now - then < _TELL_AGAIN:
                return
        supply.told = without, now
        if without:
            self._log.error(
                "{name}: there are no credentials to sign with, what is not stored is "
                "answered 502: {problem}: {advice}",
                name=supply.name,
                problem=problem,
                advice=advice,
            )
            return
        self._log.warn(
            "{name}: the credentials are not renewed, those in use are good until {end}: "
            "{problem}: {advice}",
            name=supply.name,
            end=_moment(None if supply.got is None else supply.got.expires),
            problem=problem,
            advice=advice,
        )


def _cancel(supply: _Supply, name: str) -> None:
    call: IDelayedCall | None = getattr(supply, name)
    if call is not None:
        setattr(supply, name, None)
        if call.active():
            call.cancel()

"""One of the buckets that a location may ask, and what counts against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import LogLevel

from s3shield.policy import FailureKind, OriginFailure, credential_failure

from .breaker import Breaker, Leave

if TYPE_CHECKING:
    from .origin import BucketOrigin

__all__ = ["Member", "counts", "new_breaker"]

_FAILURES: Final = 3
"""In a row, and a bucket is asked last, ..."""
_OPEN_FOR: Final = 10.0
"""... for so many seconds, ..."""
_JITTER: Final = 0.5
"""... or up to half as long again."""


def new_breaker(*, random: Callable[[], float], probing: bool) -> Breaker:
    """Return a breaker for a bucket. random, probing: see `Breaker`."""
    return Breaker(
        failures=_FAILURES, open_for=_OPEN_FOR, jitter=_JITTER, random=random, probing=probing
    )


def counts(failure: OriginFailure) -> bool:
    """Tell whether a failure is the bucket's, not of what was asked: another one may do."""
    return (
        failure.kind is not FailureKind.STATUS
        or failure.status != 400
        or credential_failure(failure.status, failure.code)
    )


@attrs.frozen
class Member:
    """One of the buckets, as a location asks it.

    breaker: shared by all that ask this bucket in this process. on: statuses of answers
    for which the next one is asked. timeout: seconds until the head of an answer.
    """

    origin: BucketOrigin
    breaker: Breaker
    on: frozenset[int]
    timeout: float

    @property
    def name(self) -> str:
        """As configured."""
        return self.origin.name

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.origin.bucket.monotonic()

    def answered(self, leave: Leave) -> None:
        """Note that it answers."""
        if self.breaker.answered(leave) and self.breaker.told:
            # As often as the other line: the log's last word is how it is.
            self.breaker.told = False
            bucket = self.origin.bucket
            text = "it answers again: it is asked again"
            bucket.log.warn("{bucket}: {text}", bucket=bucket.name, text=text)

    def failed(self, leave: Leave, why: str) -> None:
        """Note that it does not. why: for the log."""
        now = self.now()
        if not self.breaker.failed(leave, now):
            return
        # Told again while it lasts: lines of a kind are a minute apart.
        until = self.breaker.until
        when = (
            f"it is tried again in {until - now:.0f} s"
            if self.breaker.probing and until is not None
            else "its health object tells when it is back"
        )
        text = f"{why}: it is asked last from now on; {when}"
        if self.origin.bucket.say(LogLevel.error, "away", text):
            self.breaker.told = True

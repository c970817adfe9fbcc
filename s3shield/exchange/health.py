"""The health object of a bucket: asked for now and then, whether clients come or not.

What becomes of it goes to the bucket's breaker, as one request like another: so a bucket
is found dead before a client needs it, and alive again without a client that tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import LogLevel

from s3shield.policy import CachePolicy, FailureKind, OriginFailure, Request, ResponseHead
from s3shield.routing import Route

if TYPE_CHECKING:
    from .members import Member
    from .origin import Call
    from .transaction import Timer

__all__ = ["Health"]

_SOON: Final = 1.0
"""Seconds within which it is asked for first: not by all workers at once."""
_POLICY: Final = CachePolicy(is_bucket=True)
_HEAD: Final = b"HEAD"


class Health:
    """See the module's text. A `wire.Receiver`.

    path: bytes, the object's key with a slash before it. every: seconds from the end of one
    question to the next. feeds: whether anybody looks at the breaker.
    """

    def __init__(
        self, member: Member, path: bytes, every: float, *, feeds: bool, random: Callable[[], float]
    ) -> None:
        self._member = member
        self._every = every
        self._feeds = feeds
        self._random = random
        self._path = path.decode("utf-8", "backslashreplace")
        self._request = Request(_HEAD, path)
        self._route = Route(0, path, (), path, member.name.encode() + b"|" + path + b"|", bytes(16))
        self._good = True  # as last told
        self._last = True
        self._status = 0
        self._call: Call | None = None
        self._timer: Timer | None = None

    @property
    def name(self) -> str:
        """The bucket's."""
        return self._member.name

    @property
    def good(self) -> bool:
        """Whether it was there the last time; nobody has asked yet: it is."""
        return self._last

    def start(self) -> None:
        """Begin to ask."""
        self._again(_SOON * self._random())

    def stop(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    # wire.Receiver

    def origin_head(self, head: ResponseHead, length: int | None) -> None:  # a Receiver's
        """Note the status."""
        self._status = head.status

    def origin_data(self, data: bytes) -> None:
        """There is a text of ours about an error, which nobody wants."""

    def origin_end(self) -> None:
        """It has answered."""
        good = 200 <= self._status < 300
        self._ended("" if good else f"answered {self._status}")

    def origin_failed(self, failure: OriginFailure) -> None:
        """It has not."""
        self._ended(f"{failure.kind.name.lower()}: {failure.detail}")

    # Inside

    def _again(self, seconds: float) -> None:
        self._timer = self._member.origin.bucket.call_later(seconds, self._ask)

    def _ask(self) -> None:
        member = self._member
        self._status = 0
        self._timer = member.origin.bucket.call_later(member.timeout, self._timed_out)
        ask = member.origin.ask
        self._call = ask(_HEAD, self._request, self._route, (), self, _POLICY)

    def _timed_out(self) -> None:
        self._timer = None
        if self._call is not None:
            self._call.cancel()
        text = f"no answer within {self._member.timeout:g} s"
        self.origin_failed(OriginFailure(FailureKind.TIMEOUT, text))

    def _ended(self, why: str) -> None:
        """Tell the breaker, and the log when it is another thing than before."""
        member, good = self._member, not why
        bucket = member.origin.bucket
        if self._timer is not None:
            self._timer.cancel()
        self._call = self._timer = None
        if bucket.closed:
            return
        self._last = good
        if good is not self._good:
            text = "is there again" if good else f"is not there: {why}"
            level = LogLevel.warn if good else LogLevel.error
            # What the log holds back is told at the next question.
            if bucket.say(level, f"health {good}", f"the health object {self._path} {text}"):
                self._good = good
        if self._feeds:
            leave = member.breaker.probe()
            if good:
                member.answered(leave)
            else:
                member.failed(leave, f"the health object {self._path} {why}")
        self._again(self._every)

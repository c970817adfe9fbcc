"""Between whoever asks and the origin: S3's errors are understood, and stop here.

Theory of operation. A bucket's error document is held back until it is whole, its `<Code>`
looked up and told in the log with what to do. What can be mended is, and the request goes
once more: with S3's time (RequestTimeTooSkewed), for the region or at the endpoint that S3
names, with renewed credentials (ExpiredToken), each once; after a pause where S3 is
overloaded. Nothing of the answer has gone on by then, so nobody notices.

Only what may be sent twice without harm is: GET, HEAD, and idempotent methods without a
body (RFC 9110 section 9.2.2).

In the end the receiver gets either a failure (the bucket did not answer the question:
wrong key, wrong region, overload) or a short answer of ours with the same status (the
bucket did answer: no such key, not allowed). S3's own document goes no further unless
`error_pass` is on. Plain origins pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.logger import LogLevel

from s3shield.policy import (
    CachePolicy,
    FailureKind,
    Fields,
    OriginFailure,
    Request,
    ResponseHead,
)

from .clock_offset import skewed
from .moving import region_of
from .origin_request import repeatable, send
from .patience import is_passing, pause
from .refusal import in_our_words
from .s3_errors import MAX_ERROR_BODY, RENEWABLE, error_code, is_unanswered
from .wondering import ONE_BYTE, Wondering

if TYPE_CHECKING:
    from s3shield.routing import Route
    from s3shield.signing import Explanation
    from s3shield.wire import Receiver

    from .origin import BucketOrigin, Call
    from .transaction import Timer

__all__ = ["BucketCall"]

_ELSEWHERE: Final = frozenset(
    {"AuthorizationHeaderMalformed", "AuthorizationQueryParametersError", "IncorrectEndpoint"}
    | {"PermanentRedirect", "TemporaryRedirect"}
)
_SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_UNREACHED: Final = frozenset({FailureKind.CONNECT, FailureKind.TIMEOUT})
_DENIED: Final = 10.0
"""Seconds that refusals of HEADs are taken for the objects' own, after one that was."""


class BucketCall:
    """A `Call`, and a `wire.Receiver` before the asker's own. See the module's text.

    interim: never called: a bucket's interim responses are no client's affair. said: the
    status of an error as S3 gave it, 0 before one.
    """

    __slots__ = (
        "_asked",
        "_at",
        "_body",
        "_call",
        "_error",
        "_extra",
        "_in_time",
        "_method",
        "_offset",
        "_origin",
        "_over",
        "_paused",
        "_policy",
        "_request",
        "_route",
        "_signer",
        "_started",
        "_timer",
        "_to",
        "_tried",
        "_tries",
        "_used",
        "interim",
        "said",
    )

    def __init__(
        self,
        origin: BucketOrigin,
        method: bytes,
        request: Request,
        route: Route,
        extra: Fields,
        to: Receiver,
        policy: CachePolicy,
    ) -> None:
        self._origin = origin
        self._method = method
        self._request = request
        self._route = route
        self._extra = extra
        self._to = to
        self._policy = policy
        self._started = origin.bucket.monotonic()
        self._at = self._offset = 0.0  # epoch seconds that it was signed for
        self._in_time = True  # signed with a key that S3 has no reason to refuse
        self._signer = origin.requests.signer
        self._used = self._signer.credentials  # what it was signed with
        self._call: Call | None = None
        self._timer: Timer | None = None
        self._error: ResponseHead | None = None
        self._body = b""
        self._asked = method  # what the latest answer is about
        self._tried: set[str] = set()
        self._tries = self.said = 0
        self._paused = self._over = False
        self.interim: Callable[[ResponseHead], None] | None = None

    def begin(self) -> None:
        """Send, as soon as there is something to sign with; without it nothing is sent."""
        lacks = self._origin.bucket.lacks
        if lacks is None or not lacks():
            self.send()
        else:
            self._renew(self._unsigned)

    def send(self) -> None:
        """Sign and send, the first time or again."""
        origin, method, request = self._origin, self._method, self._request
        origin.bucket.waiting.discard(self)
        self._timer = None
        self._error, self._body, self._asked = None, b"", method
        self._at, self._offset = origin.bucket.now(), origin.bucket.offset
        self._signer = signer = origin.requests.signer_now()
        self._in_time, self._used = signer.in_time(self._at), signer.credentials
        head = origin.requests.head(signer, self._at, method, request, self._route, self._extra)
        self._call = send(origin.pool_for(signer), head, method, request, self)
        if self._paused:
            self._call.pause()

    # Call

    def pause(self) -> None:
        """Stop reading."""
        self._paused = True
        if self._call is not None:
            self._call.pause()

    def resume(self) -> None:
        """Read on."""
        self._paused = False
        if self._call is not None:
            self._call.resume()

    def cancel(self) -> None:
        """Hear nothing more. Does nothing when it is over."""
        self._over = True
        self._origin.bucket.waiting.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._call is not None:
            self._call.cancel()

    def give_up(self) -> None:
        """Wait no longer: the service ends. For the bucket."""
        self.cancel()
        self._to.origin_failed(OriginFailure(FailureKind.CONNECT, "the service is ending"))

    # wire.Receiver

    def origin_head(self, head: ResponseHead, length: int | None) -> None:
        """Hold an error back until its document is read; pass on the rest."""
        if head.status >= 400 or head.status in (301, 307):
            self._error = head
        else:
            self._to.origin_head(head, length)

    def origin_data(self, data: bytes) -> None:
        """Collect the document, or pass the body on."""
        if self._error is None:
            self._to.origin_data(data)
        elif len(self._body) < MAX_ERROR_BODY:
            self._body += data[: MAX_ERROR_BODY - len(self._body)]

    def origin_failed(self, failure: OriginFailure) -> None:
        """Pass the failure on: a cut error document is a failure too."""
        bucket = self._origin.bucket
        unreached = failure.before_head and failure.kind in _UNREACHED
        if unreached and bucket.forget_place(self._signer.endpoint) and self._once("lost"):
            return
        self._to.origin_failed(failure)

    def origin_end(self) -> None:
        """The answer is whole: say what it means, or mend it and ask again."""
        if self._error is None:
            self._to.origin_end()
            return
        code = self._understood(self._error)
        if not self._wonders(self._error, code):
            self._settle(self._error, code)

    # Inside

    def _settle(self, head: ResponseHead, code: str) -> None:
        self._origin.bucket.count(head.status, code)
        if not self._mended(head, code):
            self._conclude(head, code)

    def _wonders(self, head: ResponseHead, code: str) -> bool:
        """See whether the refusal of a HEAD must be explained: then ask by GET, and wait.

        Not each time: when it was the object's, it is hardly the key's a moment later.
        """
        origin, bucket = self._origin, self._origin.bucket
        if (
            self._method != b"HEAD"
            or code
            or not (head.status == 403 or (head.status == 400 and not region_of(head)))
            or "why" in self._tried
            or bucket.monotonic() < bucket.denied_until
        ):
            return False
        self._tried.add("why")

        def solved(body: bytes) -> None:
            code, self._body = error_code(body), body
            if code in ("", "AccessDenied"):
                bucket.denied_until = bucket.monotonic() + _DENIED
            self._settle(head, code)

        signer, at, route = self._signer, self._at, self._route
        text = origin.requests.head(signer, at, b"GET", self._request, route, ONE_BYTE)
        wondering = Wondering(solved)
        self._asked = b"GET"
        self._call = wondering.call = origin.pool_for(signer).fetch(b"GET", text, wondering)
        return True

    def _understood(self, head: ResponseHead) -> str:
        """Return the code; a HEAD's answer has none, but a wrong clock explains itself."""
        code = error_code(self._body)
        if code or self._method != b"HEAD" or head.status != 403:
            return code
        return "RequestTimeTooSkewed" if skewed(head.get(b"date"), self._at) else ""

    def _mended(self, head: ResponseHead, code: str) -> bool:
        """Mend what can be mended; tell whether the request goes once more."""
        bucket = self._origin.bucket
        if code in _SKEWED:
            return bucket.learn_clock(head.get(b"date"), self._offset) and self._once("clock")
        if (
            code in _ELSEWHERE
            or head.status in (301, 307)
            or (head.status == 400 and not code and region_of(head))
        ):
            return self._moved(head) and self._once("place")
        if code in RENEWABLE:
            return self._renewed()
        if is_passing(head.status, code):
            return self._wait(head, code)
        return False

    def _moved(self, head: ResponseHead) -> bool:
        origin = self._origin
        if not origin.bucket.learn_place(head, self._body, self._signer):
            return False
        signer = origin.requests.signer_now()
        try:
            origin.pool_for(signer)
        except (OSError, ValueError):
            origin.bucket.forget_place(signer.endpoint)
            return False
        return True

    @property
    def _repeatable(self) -> bool:
        return repeatable(self._method, self._request)

    def _once(self, remedy: str) -> bool:
        """Send again, unless this remedy was no use before."""
        if remedy in self._tried or not self._repeatable:
            return False
        self._tried.add(remedy)
        self.send()
        return True

    def _renewed(self) -> bool:
        """Ask for new credentials, where somebody can get them, and wait."""
        error, bucket = self._error, self._origin.bucket
        changed = self._used is not self._origin.requests.signer_now().credentials
        if error is None or "token" in self._tried:
            return False
        if not self._repeatable:
            if bucket.renew is not None and not changed:
                bucket.renew(lambda _: None)  # for those that come after it
            return False
        self._tried.add("token")
        if changed:
            self.send()
            return True
        return self._renew(lambda: self._conclude(error, error_code(self._body)))

    def _renew(self, otherwise: Callable[[], None]) -> bool:
        bucket = self._origin.bucket
        if bucket.renew is None:
            return False
        bucket.waiting.add(self)

        def done(there: bool) -> None:
            if self._over:
                return
            if there:
                self.send()
            else:
                bucket.waiting.discard(self)
                otherwise()

        bucket.renew(done)
        return True

    def _unsigned(self) -> None:
        self._over = True
        self._to.origin_failed(OriginFailure(FailureKind.CONNECT, "no credentials to sign with"))

    def _wait(self, head: ResponseHead, code: str) -> bool:
        """Ask again in a moment, as long as patience and budget last."""
        if not self._repeatable:
            return False
        bucket = self._origin.bucket
        now = bucket.monotonic()
        spent, wish = now - self._started, head.get(b"retry-after")
        seconds = pause(self._tries, spent, bucket.random, wish, self._origin.patience)
        if seconds is None or not bucket.budget.take(now):
            return False
        self._tries += 1
        bucket.say(
            LogLevel.info,
            f"again {head.status}",
            f"answered {head.status} {code or '(no code)'}: it is asked again in a moment",
        )
        bucket.waiting.add(self)
        self._timer = bucket.call_later(seconds, self.send)
        return True

    def _conclude(self, head: ResponseHead, code: str) -> None:
        origin, status, body = self._origin, head.status, self._body
        self._over, self.said = True, status
        unanswered = is_unanswered(status, code, self._method)
        unanswered = unanswered or (status == 403 and not self._in_time)
        if unanswered or status == 403:
            ours = unanswered and not is_passing(status, code)
            origin.bucket.tell(
                LogLevel.error if ours else LogLevel.warn,
                (status, code),
                self._route.key_text.decode("utf-8", "backslashreplace"),
                body,
                self._explain,
            )
        if unanswered:
            self._to.origin_failed(
                OriginFailure(
                    kind=FailureKind.STATUS,
                    detail=f"{origin.name} answered {status} {code}".rstrip(),
                    status=status,
                    code=code,
                )
            )
        elif self._policy.error_pass:
            self._give(ResponseHead(status, head.reason, head.fields), body)
        else:
            if status == 403 and self._policy.missing_403 is not None:
                status = self._policy.missing_403
            self._give(*in_our_words(status, head))

    def _explain(self) -> Explanation:
        """Return how the request was signed that was refused."""
        requests, method = self._origin.requests, self._asked
        return requests.explain(self._signer, self._at, method, self._request, self._route)

    def _give(self, head: ResponseHead, body: bytes) -> None:
        self._to.origin_head(head, len(body))
        if body:
            self._to.origin_data(body)
        self._to.origin_end()

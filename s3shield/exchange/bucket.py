"""One bucket as this process has come to know it, whichever locations ask it.

A bucket's answers correct what the configuration says: how far the clock is off, in which
region and where the bucket is. All of it is said in the log, with the option to set, and
forgotten when the process ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import attrs
from twisted.logger import Logger, LogLevel

from s3shield.metrics import code_label
from s3shield.policy import ResponseHead
from s3shield.signing import Credentials, Endpoint, Explanation, Signer, SignMode

from .clock_offset import learn_offset
from .mismatch import compare
from .moving import moved
from .patience import Budget, Seldom
from .s3_errors import advice

if TYPE_CHECKING:
    from .asking import BucketCall
    from .transaction import Timer

__all__ = ["Bucket"]

_REGIONAL: Final = frozenset({SignMode.V4, SignMode.V4_QUERY})
_SAME: Final = 30.0
"""Seconds between two answers' ideas of S3's clock that make no difference."""
_SIGNERS: Final = 16


class Bucket:
    """See the module's text.

    name: str, as configured. configured: its Endpoint. clock: wall time, epoch seconds.
    monotonic, call_later: see `Surroundings`. random: floats from 0 to 1, for pauses.
    offset: seconds that S3's clock is ahead of ours. endpoint: where it is asked.
    renew: gets new credentials, then, never at once, calls its argument with whether there
    are any; None where they cannot be got. lacks: tells whether there are none that are
    good now; None where they are always there, and never without renew. waiting: calls
    between two tries. denied_until: monotonic second until which a HEAD that is refused need
    not be explained. closed: nobody is to be asked any more.
    errors: how often it answered one, by code.
    """

    log = Logger()

    def __init__(
        self,
        name: str,
        configured: Endpoint,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], Timer],
        random: Callable[[], float],
    ) -> None:
        self.name = name
        self.configured = self.endpoint = configured
        self.monotonic = monotonic
        self.call_later = call_later
        self.random = random
        self.offset = self.denied_until = 0.0
        self.budget = Budget()
        self.renew: Callable[[Callable[[bool], None]], None] | None = None
        self.lacks: Callable[[], bool] | None = None
        self.waiting: set[BucketCall] = set()
        self.closed = False
        self.errors: dict[str, int] = {}
        self._clock = clock
        self._seldom = Seldom()
        self._region = ""
        # configured -> its credentials when the one in use was made, the one in use
        self._signers: dict[Signer, tuple[Credentials | None, Signer]] = {}

    def now(self) -> float:
        """Return epoch seconds as S3 has them, as far as that is known."""
        return self._clock() + self.offset

    def signer(self, configured: Signer) -> Signer:
        """Return `configured`, or one that signs for where the bucket really is."""
        if self.endpoint is self.configured and not self._region:
            return configured
        credentials, made = self._signers.get(configured, (None, None))
        if made is None or credentials is not configured.credentials:
            if len(self._signers) >= _SIGNERS:
                self._signers.clear()
            region = self._region if _takes_region(configured) else ""
            made = attrs.evolve(
                configured, endpoint=self.endpoint, region=region or configured.region
            )
            self._signers[configured] = configured.credentials, made
        return made

    def close(self) -> None:
        """Let no call wait any longer: they fail."""
        self.closed = True
        for call in tuple(self.waiting):
            call.give_up()

    # What its answers teach

    def learn_clock(self, date: bytes | None, used: float) -> bool:
        """Take S3's clock from the Date of a refusal; False when that explains nothing.

        used: the offset that the refused request was signed with.
        """
        offset = learn_offset(date, self._clock(), used)
        if offset is None:
            return False
        if abs(offset - self.offset) < _SAME:
            return True  # another request's answer has told it
        self.offset = offset
        how = f"{abs(offset):.0f} s {'behind' if offset > 0 else 'ahead of'} S3's"
        text = f"this machine's clock is {how}" if offset else "this machine's clock is right again"
        self.say(
            LogLevel.warn,
            "clock",
            f"{text}: requests are signed with S3's time from now on; check NTP (timedatectl)",
        )
        return True

    def learn_place(self, head: ResponseHead, body: bytes, used: Signer) -> bool:
        """Take region and endpoint from a refusal; False when nothing new can be used.

        used: what the refused request was signed with.
        """
        move = moved(used.endpoint, self.configured, head, body)
        if move.stranger:
            self.say(
                LogLevel.error,
                "stranger",
                f"S3 names the endpoint {move.stranger}, which is not under "
                f"{self.configured.host}: not followed; if it is right, set aws_endpoint",
            )
        region = ""
        if move.region and used.mode in _REGIONAL and move.region != used.region:
            if not _takes_region(used):
                self.say(
                    LogLevel.error,
                    "scope",
                    f"the bucket is in region {move.region}, but its scoped signing key is for "
                    f"{used.region}, and no other key can be made of it: make one with "
                    f"`s3shield signing-key --region {move.region}`",
                )
                return False
            region = move.region
        if not region and move.endpoint is None:
            return False
        place = move.endpoint or used.endpoint, region or self._region
        if place == (self.endpoint, self._region):
            return True  # another request's answer has told it
        self.endpoint, self._region = place
        self._signers.clear()
        options = [f"aws_region = {region}"] if region else []
        if move.endpoint is not None:
            options.append(f"aws_endpoint = {_url(self.endpoint)}")
        self.say(
            LogLevel.warn,
            "place",
            f"S3 says that the bucket is elsewhere: it is asked there from now on; set "
            f"{' and '.join(options)}",
        )
        return True

    def forget_place(self, asked: Endpoint) -> bool:
        """At `asked` nobody answers: return whether that is not the configured endpoint."""
        if asked == self.configured:
            return False
        if asked != self.endpoint:
            return True  # another request has found out
        self.say(
            LogLevel.error,
            "lost",
            f"{_url(self.endpoint)}, where S3 sent us, cannot be reached: "
            f"{_url(self.configured)} is asked again",
        )
        self.endpoint = self.configured
        self._region = ""
        self._signers.clear()
        return True

    # What the operator reads

    def count(self, status: int, code: str) -> None:
        """Note an error that it answered."""
        label = code_label(status, code)
        self.errors[label] = self.errors.get(label, 0) + 1

    def say(self, level: object, kind: str, text: str) -> bool:
        """Log one line, unless one of its kind was there within a minute; tell which."""
        held = self._seldom.passes(kind, self.monotonic())
        if held is None:
            return False
        more = f" ({held} more like it since the last line)" if held else ""
        self.log.emit(level, "{bucket}: {text}{more}", bucket=self.name, text=text, more=more)  # type: ignore[arg-type]  # LogLevel's constants have no type of their own
        return True

    def tell(
        self,
        level: object,
        answer: tuple[int, str],
        key: str,
        body: bytes,
        explain: Callable[[], Explanation],
    ) -> None:
        """Log what an error means and what to do: one line for each code a minute.

        answer: status and code. explain: how the request was signed, for the one code
        that needs it.
        """
        status, code = answer
        shown = code or "(no code)"
        text = f"answered {status} {shown} for {key}: {advice(status, code)}"
        if not self.say(level, f"{status} {code}", text) or code != "SignatureDoesNotMatch":
            return
        found = compare(explain(), body)
        self.log.error("{bucket}: {text}", bucket=self.name, text=found.verdict)
        for title, line in found.texts:
            self.log.error(
                "{bucket}: {title}: {line}", bucket=self.name, title=f"{title:<21}", line=line
            )


def _takes_region(signer: Signer) -> bool:
    """Tell whether it can sign for another region: a scoped key is good for one only."""
    return signer.credentials is not None and signer.credentials.secret_key is not None


def _url(endpoint: Endpoint) -> str:
    usual = {"http": 80, "https": 443}[endpoint.scheme]
    port = "" if endpoint.port == usual else f":{endpoint.port}"
    return f"{endpoint.scheme}://{endpoint.host}{port}"

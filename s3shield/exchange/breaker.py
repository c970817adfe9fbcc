"""Whether a bucket is worth asking: a circuit breaker. Pure: events and the time come in.

Theory of operation. Closed, all requests go to the bucket. So many failures in a row open
it: nobody is sent there any more. After a while (jittered, so that workers do not come
back all at once) it is half open: one request is let through, the probe. When it is
answered the breaker closes, when it fails it opens for another while.

Who asks holds a `Leave` and brings it back with what became of the request. What was sent
before the breaker opened says nothing about now, whether it ends well or not.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

__all__ = ["Breaker", "Leave"]


class Leave(enum.Enum):
    """Whether a bucket may be asked."""

    NO = 0
    YES = 1
    PROBE = 2
    """Yes, and on its answer depends whether others may."""


class Breaker:
    """See the module's text. `now` is monotonic seconds.

    failures: in a row that open it. open_for: seconds. jitter: as much longer at most, as a
    part of open_for. random: gives floats from 0 to 1. probing: requests are sent as probes;
    else only what is asked with `probe` is. told: the log has it as open.
    """

    __slots__ = (
        "_failures",
        "_jitter",
        "_open_for",
        "_probe",
        "_random",
        "failed_in_a_row",
        "probing",
        "told",
        "until",
    )

    def __init__(
        self,
        *,
        failures: int,
        open_for: float,
        jitter: float,
        random: Callable[[], float],
        probing: bool = True,
    ) -> None:
        self.probing = probing
        self.told = False
        self.failed_in_a_row = 0
        self.until: float | None = None  # from when on it is half open; None: closed
        self._failures = failures
        self._open_for = open_for
        self._jitter = jitter
        self._random = random
        self._probe = False  # one is under way

    @property
    def is_open(self) -> bool:
        """Whether it is known to fail; half open too."""
        return self.until is not None

    def leave(self, now: float) -> Leave:
        """Return whether a request may go there; it must then be told what became of it."""
        if self.until is None:
            return Leave.YES
        if self._probe or not self.probing or now < self.until:
            return Leave.NO
        self._probe = True
        return Leave.PROBE

    def probe(self) -> Leave:
        """Return the leave of a request that goes there whatever is known."""
        return Leave.YES if self.until is None else Leave.PROBE

    def answered(self, leave: Leave) -> bool:
        """Learn that it answered; return whether that closes the breaker."""
        if self.until is None:
            self.failed_in_a_row = 0
        elif leave is Leave.PROBE:
            self.until, self.failed_in_a_row, self._probe = None, 0, False
            return True
        return False

    def failed(self, leave: Leave, now: float) -> bool:
        """Learn that it did not; return whether it is to be left alone from now on, or still."""
        if self.until is None:
            self.failed_in_a_row += 1
            if self.failed_in_a_row < self._failures:
                return False
        elif leave is not Leave.PROBE:
            return False
        self._probe = False
        self.until = now + self._open_for * (1.0 + self._jitter * self._random())
        return True

    def unheard(self, leave: Leave) -> None:
        """Learn that nobody waited for the answer."""
        if leave is Leave.PROBE:
            self._probe = False

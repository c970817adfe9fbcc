"""The error log: twisted.logger's events as plain lines, one an event.

`2026-11-24T06:00:00Z [error] message`, a traceback indented after it. A message that is
repeated more than ten times in ten seconds is counted instead of written.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Final

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.ops.log_target import Target, open_target

__all__ = ["LEVELS", "ErrorLog"]

LEVELS: Final[dict[str, int]] = {
    "debug": 0,
    "info": 1,
    "notice": 1,
    "warn": 2,
    "error": 3,
    "crit": 4,
    "critical": 4,
    "alert": 4,
    "emerg": 4,
}
"""nginx's levels, as `error_log` names them, in the order of twisted.logger's five."""

_NAMES: Final = ("debug", "info", "warn", "error", "crit")
_RANKS: Final = {
    LogLevel.debug: 0,
    LogLevel.info: 1,
    LogLevel.warn: 2,
    LogLevel.error: 3,
    LogLevel.critical: 4,
}
_SEVERITIES: Final = (7, 6, 4, 3, 2)
"""RFC 5424 section 6.2.1."""

_WINDOW: Final = 10.0
_BURST: Final = 10
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02X}" if code < 0x100 else f"\\u{code:04X}"


def _plain(line: str) -> str:
    """Return `line` with control characters as escapes: a message is always one line."""
    return _CONTROL.sub(_shown, line)


@attrs.define
class _Repeats:
    """How often one message came within a window."""

    rank: int
    until: float
    seen: int = 0
    last: str = ""


@implementer(ILogObserver)
class ErrorLog:
    """Observes twisted.logger's events and writes those of `level` and above.

    target: a path, `stdout`, `stderr`, `syslog` or `off`. level: a name in LEVELS. wall: epoch
    seconds, for events that carry no time of their own. reactor: where the counts of
    repeats are written from; None: with the next message instead.

    Raises OSError when the target cannot be opened, ValueError for an unknown level.
    """

    def __init__(
        self,
        target: str = "stderr",
        level: str = "info",
        *,
        reactor: IReactorTime | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        if level not in LEVELS:
            msg = f"unknown level {level!r}: one of {', '.join(LEVELS)}"
            raise ValueError(msg)
        self.target = target
        self.level = level
        self._least = LEVELS[level]
        self._reactor = reactor
        self._wall = wall
        self._thread = threading.get_ident()
        # Events come from any thread; one thread's may come while it writes another.
        self._lock = threading.RLock()
        self._repeats: dict[object, _Repeats] = {}
        self._sweep: IDelayedCall | None = None
        self._to: Target | None = None if target == "off" else open_target(target)

    def __call__(self, event: LogEvent) -> None:
        """Write one event, unless it is below the level or one repeat too many."""
        rank = _RANKS.get(event.get("log_level", LogLevel.info), 1)
        if rank < self._least or self._to is None:
            return
        with self._lock:
            self._observe(event, rank)

    def _observe(self, event: LogEvent, rank: int) -> None:
        now = float(event.get("log_time", 0.0)) or self._wall()
        self._end_windows(now)
        message = formatEvent(event)
        template = event.get("log_format")
        if template in (None, "{log_text}"):  # the latter: whatever twisted.python.log was given
            template = message
        repeats = self._repeats.get((rank, template))
        if repeats is None:
            repeats = self._repeats[rank, template] = _Repeats(rank, now + _WINDOW)
        repeats.seen += 1
        if repeats.seen > _BURST:
            repeats.last = message
            self._sweep_later()
            return
        self._write(rank, now, message, event.get("log_failure"))

    def _write(self, rank: int, now: float, message: str, failure: Failure | None = None) -> None:
        if self._to is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        head, *more = (message or "(no message)").split("\n")
        if failure is not None:
            more += failure.getTraceback().rstrip().splitlines()
        lines = [f"{stamp} [{_NAMES[rank]}] {_plain(head)}\n"]
        lines += [f"    {_plain(line)}\n" for line in more]
        self._to.write(
            [line.encode("utf-8", "backslashreplace") for line in lines], _SEVERITIES[rank]
        )

    # --- repeats ------------------------------------------------------------------------

    def _end_windows(self, now: float) -> None:
        """Forget the windows that are over; write what they held back."""
        over = [key for key, repeats in self._repeats.items() if repeats.until <= now]
        for key in over:
            self._end_window(self._repeats.pop(key), now)

    def _end_window(self, repeats: _Repeats, now: float) -> None:
        held = repeats.seen - _BURST
        if held > 0:
            self._write(repeats.rank, now, f"repeated {held} times: {repeats.last}")

    def _sweep_later(self) -> None:
        # Events come from any thread, timers may be set in the reactor's alone.
        here = threading.get_ident() == self._thread
        if self._sweep is None and self._reactor is not None and here:
            self._sweep = self._reactor.callLater(_WINDOW, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        with self._lock:
            self._end_windows(self._wall())
            again = any(repeats.seen > _BURST for repeats in self._repeats.values())
        if again:
            self._sweep_later()

    # --- life ---------------------------------------------------------------------------

    def change(self, target: str, level: str) -> OSError | None:
        """Go on with another target and level, or return why that cannot be opened."""
        with self._lock:
            if target != self.target:
                try:
                    to = None if target == "off" else open_target(target)
                except OSError as error:
                    return error
                if self._to is not None:
                    self._to.close()
                self._to, self.target = to, target
            self.level, self._least = level, LEVELS[level]
        return None

    def reopen(self) -> None:
        """Go on with a file newly opened under the same name (SIGUSR1)."""
        with self._lock:
            if self._to is None:
                return
            reason = None
            try:
                self._to.reopen()
            except OSError as error:
                reason = error.strerror
            if reason:
                self._write(3, self._wall(), f"cannot reopen the error log {self.target}: {reason}")

    def close(self) -> None:
        """Write the counts held back and close."""
        with self._lock:
            for repeats in self._repeats.values():
                self._end_window(repeats, self._wall())
            self._repeats.clear()
            if self._sweep is not None:
                self._sweep.cancel()
                self._sweep = None
            if self._to is not None:
                self._to.close()
                self._to = None

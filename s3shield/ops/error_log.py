"""The error log: twisted.logger's events as plain lines, one an event.

`2026-11-24T06:00:00Z [error] message`, a traceback indented after it; the journal gets one
entry, with the level as its priority. A message that a process repeats more than ten times in
a minute is counted instead of written. It is the same one when its format is, and what it is
about: two buckets that fail, or two keys that end, do not hide each other.
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

from s3shield.ops.log_journal import JournalTarget
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

_WINDOW: Final = 60.0
_BURST: Final = 10
_MOST: Final = 1000
"""Windows at once; then all end early."""
_ABOUT: Final = ("bucket", "name", "origin", "url", "path", "target", "kind", "title")
"""Values of an event that say what it is about; all are names from the configuration."""
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
    since: float
    seen: int = 0
    last: str = ""


@implementer(ILogObserver)
class ErrorLog:
    """Observes twisted.logger's events and writes those of `level` and above.

    target: see `open_target`, or `off`. level: a name in LEVELS. wall: epoch
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
        self._push: IDelayedCall | None = None
        self._told = -_WINDOW
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
        key = (rank, template, *[str(event[name]) for name in _ABOUT if name in event])
        repeats = self._repeats.get(key)
        if repeats is None:
            if len(self._repeats) >= _MOST:
                self._end_windows(now, over=True)
            repeats = self._repeats[key] = _Repeats(rank, now)
        repeats.seen += 1
        if repeats.seen > _BURST:
            repeats.last = message
            self._sweep_later(now)
            return
        self._write(rank, now, message, event.get("log_failure"), event.get("log_namespace", ""))

    def _write(
        self,
        rank: int,
        now: float,
        message: str,
        failure: Failure | None = None,
        source: str = "",
    ) -> None:
        to = self._to
        if to is None:
            return
        if to.lost and now - self._told >= _WINDOW:
            lost, to.lost, self._told = to.lost, 0, now
            self._put(to, 3, now, [f"{lost} lines of the error log are lost: {to.error}"], "")
            if to.lost:
                to.lost = lost
        head, *more = (message or "(no message)").split("\n")
        if failure is not None:
            more += failure.getTraceback().rstrip().splitlines()
        self._put(to, rank, now, [_plain(line) for line in (head, *more)], source)
        self._push_later()

    def _put(self, to: Target, rank: int, now: float, texts: list[str], source: str) -> None:
        """Write one message. texts: its lines. source: the logger's name."""
        severity = _SEVERITIES[rank]
        if isinstance(to, JournalTarget):
            whole = "\n".join(texts).encode("utf-8", "backslashreplace")
            to.tell(whole, severity, [(b"S3SHIELD_LOGGER", _plain(source).encode())])
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        lines = [f"{stamp} [{_NAMES[rank]}] {texts[0]}\n", *[f"    {text}\n" for text in texts[1:]]]
        to.write([line.encode("utf-8", "backslashreplace") for line in lines], severity)

    def _push_later(self) -> None:
        """Come back to a reader that is behind."""
        wait = 0.0 if self._to is None else self._to.pending
        if wait and self._push is None and self._reactor is not None and self._is_here():
            self._push = self._reactor.callLater(wait, self._pushed)

    def _pushed(self) -> None:
        self._push = None
        with self._lock:
            if self._to is not None:
                self._to.write([])
            self._push_later()

    def _is_here(self) -> bool:
        # Events come from any thread, timers may be set in the reactor's alone.
        return threading.get_ident() == self._thread

    # --- repeats ------------------------------------------------------------------------

    def _end_windows(self, now: float, *, over: bool = False) -> None:
        """Forget the windows that are over; write what they held back. over: all are."""
        ended = [
            key
            for key, repeats in self._repeats.items()
            if over or abs(now - repeats.since) >= _WINDOW  # a clock may be set back
        ]
        for key in ended:
            self._end_window(self._repeats.pop(key), now)

    def _end_window(self, repeats: _Repeats, now: float) -> None:
        held = repeats.seen - _BURST
        if held > 0:
            seconds = min(_WINDOW, max(0.0, now - repeats.since))
            text = f"repeated {held} times more in {seconds:.0f} s: {repeats.last}"
            self._write(repeats.rank, now, text)

    def _sweep_later(self, now: float) -> None:
        if self._sweep is None and self._reactor is not None and self._is_here():
            ends = [each.since + _WINDOW for each in self._repeats.values() if each.seen > _BURST]
            wait = min(_WINDOW, max(0.0, min(ends) - now))
            self._sweep = self._reactor.callLater(wait, self._swept)

    def _swept(self) -> None:
        self._sweep = None
        with self._lock:
            now = self._wall()
            self._end_windows(now)
            if any(repeats.seen > _BURST for repeats in self._repeats.values()):
                self._sweep_later(now)

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
            if self._push is not None:
                self._push.cancel()
                self._push = None
            if self._to is not None:
                self._to.write([])
                self._to.close()
                self._to = None

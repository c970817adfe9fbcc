"""Asking a daemon for many things at once, within a budget and a rate, and keeping count."""

from __future__ import annotations

import contextlib
import http.client
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TextIO

import attrs

from .door import Asked, Door, Goal

__all__ = ["Counts", "Done", "Pace", "Warming"]

_PIECE: Final = 1 << 16
_SKIPPED: Final = 1 << 20
"""Bytes of a body that is in the cache: a longer one is not read, the connection is closed."""
_TRIES: Final = 2
_HERE: Final = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})


@attrs.define
class Counts:
    """How it went. size: bytes fetched into the cache. passed: of the fetched, not cacheable."""

    total: int
    hits: int = 0
    fetched: int = 0
    failed: int = 0
    passed: int = 0
    size: int = 0

    @property
    def over(self) -> int:
        """How many are through."""
        return self.hits + self.fetched + self.failed


class Pace:
    """Bytes a second, of all threads together. rate: None: as fast as it goes."""

    def __init__(self, rate: int | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._free_at = monotonic()

    def wait(self, size: int) -> float:
        """Return the seconds to wait after `size` bytes."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._monotonic()
            self._free_at = max(self._free_at, now) + size / self._rate
            return self._free_at - now


class Done:
    """What is done, in a file of a line each, so that it is not asked for again.

    path: None: nowhere. Raises OSError, ValueError for a file of something else.
    """

    _FIRST: Final = "s3shield warm 1"

    def __init__(self, path: str | None) -> None:
        self._known: set[str] = set()
        self._file: TextIO | None = None
        if path is None:
            return
        file = Path(path)
        known = file.read_bytes() if file.exists() else b""
        # A last line without an end was being written when somebody pulled the plug.
        whole = known[: known.rfind(b"\n") + 1]
        first, *lines = whole.decode("utf-8", "replace").split("\n")
        if known and first != self._FIRST:
            raise ValueError(f"{path} is not a state file of `s3shield warm`")
        self._known.update(lines)
        if len(whole) < len(known):
            os.truncate(path, len(whole))
        self._file = file.open("a", encoding="utf-8")  # until `close`
        if not known:
            self._write(self._FIRST)

    def __contains__(self, goal: Goal) -> bool:
        return str(goal) in self._known

    def add(self, goal: Goal) -> None:
        """Note one; nothing is lost when we are killed."""
        if self._file is not None:
            self._write(str(goal))

    def _write(self, text: str) -> None:
        assert self._file is not None
        try:
            self._file.write(f"{text}\n")
            self._file.flush()
        except OSError as why:
            raise OSError(why.errno, why.strerror, self._file.name) from None

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what it could not write has been told
                self._file.close()


class Warming:
    """Asks for all goals by `parallel` threads, until the budget (bytes, None: none) is spent.

    tell: called with a sentence for each that failed.
    """

    def __init__(
        self,
        door: Door,
        goals: Iterable[Goal],
        *,
        parallel: int,
        budget: int | None,
        pace: Pace,
        done: Done,
        tell: Callable[[str], None],
    ) -> None:
        self._door = door
        self._goals = deque(goals)
        self._budget = budget
        self._pace = pace
        self._done = done
        self._tell = tell
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._trouble: OSError | None = None
        self.counts = Counts(len(self._goals))
        # Daemonic: an interrupt does not wait for a daemon that does not answer.
        self._threads = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(min(parallel, max(1, len(self._goals))))
        ]

    @property
    def spent(self) -> bool:
        """Whether the budget is, and something is left to do."""
        return self._budget is not None and self.counts.size >= self._budget and bool(self._goals)

    def run(self, every: float, progress: Callable[[Counts], None]) -> None:
        """Do it; call `progress` every so many seconds.

        Raises OSError when what is done cannot be noted any more.
        """
        for thread in self._threads:
            thread.start()
        try:
            for thread in self._threads:
                while thread.is_alive():
                    thread.join(every)
                    if thread.is_alive():
                        progress(self.counts)
        finally:
            self._stop.set()
        if self._trouble is not None:
            raise self._trouble

    def _next(self) -> Goal | None:
        with self._lock:
            if self._stop.is_set() or not self._goals or self.spent:
                return None
            return self._goals.popleft()

    def _work(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while (goal := self._next()) is not None:
            for attempt in range(_TRIES):
                fresh = connection is None
                try:
                    connection = connection or self._door.connect()
                    asked = self._door.ask(connection, goal)
                    if not self._take(goal, asked) or asked.response.will_close:
                        connection.close()
                        connection = None
                    break
                except (OSError, http.client.HTTPException) as why:
                    if connection is not None:
                        connection.close()
                    connection = None
                    # The daemon may close one that was idle just when it is used again.
                    if fresh or attempt == _TRIES - 1:
                        self._failed(goal, str(why) or type(why).__name__)
                        break
        if connection is not None:
            connection.close()

    def _take(self, goal: Goal, asked: Asked) -> bool:
        """Read an answer; return whether its connection can be used again."""
        here = asked.cache in _HERE
        if asked.status >= http.HTTPStatus.BAD_REQUEST:
            asked.response.read()
            self._failed(goal, f"the daemon answered {asked.status}")
            return True
        if here and (asked.length or 0) > _SKIPPED:
            self._over(goal, "hits")
            return False
        while piece := asked.response.read(_PIECE):
            if here:
                continue
            with self._lock:
                self.counts.size += len(piece)
            if self._stop.wait(self._pace.wait(len(piece))):
                return False
        if asked.response.length:
            raise http.client.IncompleteRead(b"", asked.response.length)
        self._over(goal, "hits" if here else "fetched", passed=asked.cache == "BYPASS")
        return True

    def _over(self, goal: Goal, what: str, *, passed: bool = False) -> None:
        with self._lock:
            setattr(self.counts, what, getattr(self.counts, what) + 1)
            self.counts.passed += passed
            try:
                self._done.add(goal)
            except OSError as why:
                self._trouble = why
                self._stop.set()

    def _failed(self, goal: Goal, why: str) -> None:
        with self._lock:
            self.counts.failed += 1
            self._tell(f"{goal}: {why}")

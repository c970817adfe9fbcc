"""The one thread of a process that writes to the index, and what waits for it.

The first change after a pause is committed at once, later ones in groups, at most one
commit in INTERVAL seconds: a commit is synced, which costs the same for one as for many.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from .change import Row

__all__ = ["INTERVAL", "Commits", "Committer"]

INTERVAL: Final = 0.1
_GROUP: Final = 4096
_TOUCHES: Final = 1000
"""Touches in a group: each changes two or three pages somewhere in the index, and LMDB keeps the
memory of as many pages as its largest transaction has changed."""
_IDLE: Final = 5.0
"""Seconds after which touches are committed though nothing else is, and `idle` is called."""


class Committer(Protocol):
    """What the thread does; none of it raises."""

    def commit(self, rows: list[Row], touched: dict[bytes, int]) -> None:
        """Commit changes, or drop them."""

    def idle(self) -> None:
        """Look after the store; called every few seconds, busy or not."""


class Commits:
    """Changes on their way to the index. Its methods are for any thread but its own.

    memory: int, bytes that the changes take which are queued or being committed.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._condition = threading.Condition()
        self._queue: dict[bytes, Row] = {}
        self._touched: dict[bytes, int] = {}
        self._owed: dict[bytes, int] = {}  # touches that are being committed, group by group
        self._jobs: deque[Callable[[], None]] = deque()
        self._given = 0  # turns given out
        self._done = 0  # turns up to which all is committed or dropped
        self._hurry = 0  # turns up to which somebody waits
        self.memory = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="s3shield-store", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, row: Row) -> Row | None:
        """Queue a change; return the one of the same entry that it replaces, if any."""
        with self._condition:
            replaced = self._queue.get(row.digest)
            if replaced is None:
                self._given += 1
                row.turn = self._given
                if not self._queue:
                    self._condition.notify_all()
            else:
                row.turn = replaced.turn
                self.memory -= replaced.memory
            self._queue[row.digest] = row
            self.memory += row.memory
        return replaced

    def add_again(self, row: Row) -> bool:
        """Queue a change that could not be committed, unless there is a newer one.

        False as well when the thread is to end.
        """
        with self._condition:
            if self._closing or row.digest in self._queue:
                return False
        self.add(row)
        return True

    def touch(self, digest: bytes, minute: int) -> None:
        """Queue a new time of last use: committed with the next group, or in a while."""
        self._touched[digest] = minute  # one operation, so no lock is needed

    def run(self, job: Callable[[], None]) -> None:
        """Run `job` in the thread, between commits. It must not raise."""
        with self._condition:
            self._jobs.append(job)
            self._condition.notify_all()

    def flush(self) -> None:
        """Wait until every change given so far is committed or dropped."""
        with self._condition:
            wanted = self._hurry = self._given
            self._condition.notify_all()
            while self._done < wanted and self._thread.is_alive():
                self._condition.wait(1)

    @property
    def waiting(self) -> int:
        """How many changes are queued."""
        return len(self._queue)

    def close(self) -> None:
        """Commit what waits, touches too, and end the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        started = looked = float("-inf")
        while True:
            with self._condition:
                self._wait(started, looked)
                closing = self._closing
                job = self._jobs.popleft() if self._jobs else None
                now = time.monotonic()
                due = now - looked >= _IDLE
                rows: list[Row] = []
                if closing or now - started >= INTERVAL or self._hurried():
                    rows = self._take()
                if not self._owed and (rows or closing or due or len(self._touched) >= _TOUCHES):
                    self._owed, self._touched = self._touched, {}
                touched = self._take_touches()
                done = self._first_turn() - 1
            if rows or touched:
                started = now
                self._committer.commit(rows, touched)
            if due:
                looked = now
                self._committer.idle()
            if job is not None:
                job()
            with self._condition:
                self._done = done
                self.memory -= sum([row.memory for row in rows])
                self._condition.notify_all()
                if closing and not (self._queue or self._jobs or self._owed or self._touched):
                    return

    def _wait(self, started: float, looked: float) -> None:
        """Wait for something to do: a change whose turn it is, a job, or the clock."""
        while not (self._jobs or self._closing or self._hurried()):
            now = time.monotonic()
            left = looked + _IDLE - now
            if self._queue or self._owed:
                left = min(left, started + INTERVAL - now)
            if left <= 0:
                return
            self._condition.wait(left)

    def _first_turn(self) -> int:
        for row in self._queue.values():
            return row.turn
        return self._given + 1

    def _hurried(self) -> bool:
        return bool(self._queue) and self._first_turn() <= self._hurry

    def _take_touches(self) -> dict[bytes, int]:
        owed = self._owed
        if len(owed) <= _TOUCHES:
            self._owed = {}
            return owed
        return dict(owed.popitem() for _ in range(_TOUCHES))

    def _take(self) -> list[Row]:
        if len(self._queue) <= _GROUP:
            rows = list(self._queue.values())
            self._queue = {}
        else:
            rows = [self._queue.pop(digest) for digest in list(self._queue)[:_GROUP]]
        return rows

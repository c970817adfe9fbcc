"""The option stall_log: a thread that says what holds the event loop.

Theory of operation. Every few milliseconds the thread posts a beat to the loop and waits
for it. One that does not come within the limit means that the loop is held: the thread
looks once at the stack of the loop's thread, waits on, and tells how long it was and what
it saw. What never lets go of the interpreter's lock, the thread cannot see while it lasts:
it looks as soon as it can, which is in the same function still, as a rule. For garbage
collections, which hold every thread, the interpreter itself says when. How much of a hold the
loop's thread was computing, its processor clock says, and the kernel for how long it was ready
and had no processor (Linux); the rest it waited, for a disk or for another thread. What would
be no hold with a processor of its own is told as that.

A hold that begins between two beats is measured from the second one on: it is told for
sure when it is half as long again as the limit.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

from twisted.logger import Logger

from s3shield.ops.stall import (
    UNSCHEDULED,
    Culprit,
    Frame,
    Pause,
    Spent,
    StallNotes,
    collecting,
    culprit,
    held,
)

__all__ = ["StallWatch", "watch_stalls"]

_LONG: Final = 1.0
"""Seconds after which a hold is told though it has not ended: it may never."""
_DEEPEST: Final = 200
_Clocks = tuple[float | None, float | None]
"""Seconds of a thread, where they are known: computing, and ready without a processor."""
_Beat = tuple[float, _Clocks]
"""Seconds, monotonic; and of the loop's thread."""
_LATE: Final = float("-inf"), (None, None)
_UNSEEN: Final = Culprit("unknown, it was over before it could be looked at", "unseen")
_ROOT: Final = f"{Path(__file__).resolve().parents[1]}/"


class StallWatch:
    """Watches the loop of the thread that calls `start`.

    post: runs a function in the loop, from any thread. limit: seconds. tell: takes a line;
    called in a thread of ours. monotonic: seconds. frames: sys._current_frames. root: the
    directory of the functions that are named, with a slash. clocks: of the loop's thread; None:
    as the system says, where it does.
    """

    def __init__(
        self,
        post: Callable[[Callable[[], None]], object],
        limit: float,
        tell: Callable[[str], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        frames: Callable[[], Mapping[int, FrameType]] = sys._current_frames,  # noqa: SLF001  # its name
        root: str = _ROOT,
        clocks: Callable[[], _Clocks] | None = None,
    ) -> None:
        self._post = post
        self._limit = limit
        self._tell = tell
        self._monotonic = monotonic
        self._frames = frames
        self._root = root
        self._clocks = clocks
        self._notes = StallNotes()
        self._under: tuple[Frame, ...] = ()
        self._loop = 0
        self._beats: SimpleQueue[_Beat | None] = SimpleQueue()  # None: the end
        self._collecting: float | None = None
        self._pauses: deque[Pause] = deque(maxlen=64)
        self._patience = sys.getswitchinterval()
        self._running = False
        self._thread = threading.Thread(target=self._run, name="s3shield-stalls", daemon=True)

    def start(self) -> None:
        """Begin, in the loop's thread."""
        self._running = True
        self._loop = threading.get_ident()
        if self._clocks is None:
            self._clocks = ThreadClocks(self._loop, threading.get_native_id())
        gc.callbacks.append(self._collected)
        # For so long a thread that only computes keeps another from looking at it.
        self._patience = sys.getswitchinterval()
        sys.setswitchinterval(min(self._patience, max(self._limit / 5, 0.0005)))
        self._thread.start()

    def stop(self) -> None:
        """End the thread, be the loop held or not. Twice is no harm."""
        if not self._running:
            return
        self._running = False
        self._beats.put(None)
        self._thread.join()
        sys.setswitchinterval(self._patience)
        gc.callbacks.remove(self._collected)

    # In the loop's thread

    def _beat(self) -> None:
        if not self._under:
            self._under = _stack(sys._getframe(1))  # noqa: SLF001  # its name
        self._beats.put(self._now())

    def _now(self) -> _Beat:
        return self._monotonic(), (None, None) if self._clocks is None else self._clocks()

    # In whichever thread collects garbage

    def _collected(self, phase: str, info: Mapping[str, int]) -> None:
        now = self._monotonic()
        if phase == "start":
            self._collecting = now
        elif self._collecting is not None:
            start, self._collecting = self._collecting, None
            if now - start > self._limit:
                self._pauses.append(Pause(start, now, info["generation"]))

    # In the thread

    def _run(self) -> None:
        rest = min(max(self._limit / 2, 0.001), 0.1)
        while self._round() and self._wait(rest) is not None:
            pass
        for line in self._notes.rest():
            self._tell(line)

    def _wait(self, seconds: float | None) -> _Beat | None:
        """Return when the beat ran, _LATE when it has not, None at the end."""
        try:
            return self._beats.get(timeout=seconds)
        except Empty:
            return _LATE

    def _round(self) -> bool:
        """Watch one beat; False at the end."""
        posted = self._now()
        self._post(self._beat)
        seen: Culprit | None = None
        ran = self._wait(self._limit)
        if ran == _LATE and self._beats.empty():
            seen = self._look()
        if ran == _LATE:
            ran = self._wait(_LONG)
        if ran == _LATE:
            seconds = round(self._monotonic() - posted[0], 1)
            self._tell(f"event loop held for {seconds} s so far: {self._look().text}")
            ran = self._wait(None)
        if ran is None:
            return False
        self._note(posted, ran, seen)
        return True

    def _look(self) -> Culprit:
        stack = _stack(self._frames().get(self._loop))
        return culprit(stack, self._under, self._root)

    def _note(self, posted: _Beat, ran: _Beat, seen: Culprit | None) -> None:
        now = self._monotonic()
        lines = self._notes.due(now)
        pauses = [self._pauses.popleft() for _ in range(len(self._pauses))]
        for pause in pauses:
            lines += self._notes.note(collecting(pause), pause.seconds, now)
        seconds = held(posted[0], ran[0], pauses)
        if seconds > self._limit:
            computing, queued = map(_between, posted[1], ran[1])
            what = seen or _UNSEEN
            if queued is not None and seconds - queued <= self._limit:
                what = UNSCHEDULED
            lines += self._notes.note(what, seconds, now, Spent(computing, queued))
        for line in lines:
            self._tell(line)


def _between(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


class ThreadClocks:
    """A thread's clocks. ident, native: its numbers, Python's and the kernel's."""

    def __init__(self, ident: int, native: int) -> None:
        self._clock = None
        if hasattr(time, "pthread_getcpuclockid"):  # macOS has none
            self._clock = time.pthread_getcpuclockid(ident)
        self._schedstat = Path(f"/proc/self/task/{native}/schedstat")

    def __call__(self) -> _Clocks:
        """Return seconds computing, and seconds ready to run without a processor."""
        computing = None if self._clock is None else time.clock_gettime(self._clock)
        try:
            queued = int(self._schedstat.read_bytes().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):  # not Linux, or it is not counted there
            return computing, None
        return computing, queued


def _stack(frame: FrameType | None) -> tuple[Frame, ...]:
    """Return the places of a stack; nothing of the frames is kept."""
    found: list[Frame] = []
    while frame is not None and len(found) < _DEEPEST:
        found.append(Frame(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(found)


def watch_stalls(reactor: Any, limit: float | None, log: Logger) -> StallWatch | None:
    """Start to watch the loop of this thread as stall_log says. limit: seconds; None: do not."""
    if limit is None:
        return None
    loop = getattr(reactor, "_asyncioEventloop", None)
    # Twisted's own way takes two turns of an asyncio loop: the beat would be late by itself.
    post = reactor.callFromThread if loop is None else loop.call_soon_threadsafe

    def tell(line: str) -> None:
        log.warn(line.replace("{", "{{").replace("}", "}}"))

    watch = StallWatch(post, limit, tell)
    watch.start()
    log.info(
        "stall_log: told is what holds the event loop for more than {ms:g} ms", ms=limit * 1000
    )
    return watch

"""The thread that sees the event loop held: a real loop, held by a gate.

Nothing here is a matter of time: the gate stands in front of a beat, and opens when the
watch has looked at the loop's stack.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import uvloop
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.ops.stall_watch import StallWatch, ThreadClocks, watch_stalls

PATIENCE = 60
LIMIT = 0.005
HERE = f"{Path(__file__).resolve().parent}/"


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.post = loop.call_soon_threadsafe
        self._thread = threading.Thread(target=loop.run_forever, daemon=True)
        self._thread.start()

    def call(self, function):
        """Return what `function` returns in the loop's thread."""
        answer = SimpleQueue()
        self.post(lambda: answer.put(function()))
        return answer.get(timeout=PATIENCE)

    def end(self) -> None:
        """Stop the loop."""
        self.post(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


class Gate:
    """Holds a loop in front of the watch's second beat; the first shows it the loop's own stack.

    opens: whether it opens when the watch looks.
    """

    def __init__(self, loop: LoopThread, *, opens: bool) -> None:
        self.opened = threading.Event()
        self.inside = threading.Event()
        self._loop = loop
        self._opens = opens
        self._beats = itertools.count(1)
        self._closed = False

    def post(self, beat) -> None:
        """Post a beat."""
        if next(self._beats) == 2:
            self._closed = True
            self._loop.post(self.hold_the_loop)
        self._loop.post(beat)

    def hold_the_loop(self) -> None:
        """Hold it."""
        secret_key = "hush"  # noqa: F841  # a value like those that must not be told
        self.inside.set()
        if not self.opened.wait(PATIENCE):
            raise AssertionError("nobody opened the gate")

    def frames(self):
        """Return the stacks, when the loop is inside."""
        if self._closed and not self.inside.wait(PATIENCE):
            raise AssertionError("the loop never came to the gate")
        found = sys._current_frames()
        if self._closed and self._opens:
            self.opened.set()
        return found


def watchers() -> list[threading.Thread]:
    """The threads of watches there are."""
    return [each for each in threading.enumerate() if each.name == "s3shield-stalls"]


class Held(SynchronousTestCase):
    """A loop that is held is seen."""

    def setUp(self) -> None:
        """Nothing watches yet."""
        self.lines: SimpleQueue[str] = SimpleQueue()
        self.before = (list(gc.callbacks), sys.getswitchinterval())
        self.assertEqual(watchers(), [])

    def run_loop(self, make=uvloop.new_event_loop) -> LoopThread:
        """Start a loop."""
        loop = LoopThread(make())
        self.addCleanup(loop.end)
        return loop

    def watch(
        self, loop: LoopThread, *, opens: bool, clocks=lambda: (0.0, None)
    ) -> tuple[Gate, StallWatch]:
        """Watch a loop with a gate."""
        gate = Gate(loop, opens=opens)
        self.addCleanup(gate.opened.set)
        watch = StallWatch(
            gate.post,
            LIMIT,
            self.lines.put,
            frames=gate.frames,
            root=HERE,
            clocks=clocks,
        )
        loop.call(watch.start)
        self.addCleanup(watch.stop)
        return gate, watch

    def line_like(self, pattern: str) -> str:
        """Wait for a line. Others may come before: a slow machine holds loops as well."""
        seen = []
        while True:
            try:
                seen.append(self.lines.get(timeout=PATIENCE))
            except Empty:
                raise AssertionError(f"no {pattern!r} in {seen}") from None
            if re.search(pattern, seen[-1]):
                return seen[-1]

    def assertNothingLeft(self) -> None:
        """No thread, no callback, the interpreter as it was."""
        self.assertEqual(watchers(), [])
        self.assertEqual((list(gc.callbacks), sys.getswitchinterval()), self.before)

    def test_named(self) -> None:
        """The function that held it is named with its place, on uvloop and on asyncio's loop."""
        for make in (uvloop.new_event_loop, asyncio.new_event_loop):
            _, watch = self.watch(self.run_loop(make), opens=True)
            line = self.line_like(r"held for \d+ ms: .*hold_the_loop")
            self.assertRegex(
                line,
                r"^event loop held for \d+ ms: (threading\.py:\d+ \w+ < )?"
                r"test_stall_watch\.py:\d+ hold_the_loop \(\d+ ms of it computing\)$",
            )
            watch.stop()
            self.assertNothingLeft()

    def test_no_processor(self) -> None:
        """What would be no hold with a processor of its own is told as that, with no blame."""
        waited = itertools.count(0.0, 60.0)
        self.watch(self.run_loop(), opens=True, clocks=lambda: (0.0, next(waited)))
        line = self.line_like(r"held for \d+ ms: no processor")
        self.assertRegex(line, r"more to do \(0 ms of it computing, \d+ ms without a processor\)$")

    def test_clocks(self) -> None:
        """A thread's clocks, as the system has them, go on and never back."""
        clocks = ThreadClocks(threading.get_ident(), threading.get_native_id())
        before = clocks()
        if before[0] is None:
            raise SkipTest("this system has no clock of a thread")
        while clocks()[0] == before[0]:
            pass
        after = clocks()
        self.assertGreater(after[0], before[0])
        if before[1] is not None:
            self.assertGreaterEqual(after[1], before[1])

    def test_for_ever(self) -> None:
        """A hold that does not end is told while it lasts; the watch ends all the same."""
        gate, watch = self.watch(self.run_loop(), opens=False)
        self.line_like(r"^event loop held for [\d.]+ s so far: .*hold_the_loop$")
        watch.stop()
        self.assertNothingLeft()
        self.assertFalse(gate.opened.is_set())

    def test_stop_while_held(self) -> None:
        """The watch can be stopped, twice too, while its beat has not run."""
        gate, watch = self.watch(self.run_loop(), opens=False)
        self.assertTrue(gate.inside.wait(PATIENCE))
        watch.stop()
        watch.stop()
        self.assertNothingLeft()

    def test_collection(self) -> None:
        """A long garbage collection is told with its generation, whichever thread it is in."""
        clock = Clock()
        loop = self.run_loop()
        watch = StallWatch(loop.post, LIMIT, self.lines.put, monotonic=clock.seconds)
        loop.call(watch.start)
        self.addCleanup(watch.stop)

        def slow(phase, info):
            if phase == "start" and info["generation"] == 2:
                clock.advance(0.04)

        gc.callbacks.append(slow)
        try:
            gc.collect()
        finally:
            gc.callbacks.remove(slow)
        self.line_like("^event loop held for 40 ms: garbage collection, generation 2$")


class Option(SynchronousTestCase):
    """What the option does."""

    def test_off(self) -> None:
        """Without it nothing is watched."""
        before = list(gc.callbacks)
        self.assertIsNone(watch_stalls(object(), None, Logger()))
        self.assertEqual((watchers(), gc.callbacks), ([], before))

    def test_on(self) -> None:
        """It says that it is on, and warns; braces in a name are no fields of the format."""
        events = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        loop = LoopThread(uvloop.new_event_loop())
        self.addCleanup(loop.end)
        # Twisted's reactor on asyncio, and any other.
        for reactor in (
            SimpleNamespace(_asyncioEventloop=loop.loop, callFromThread=None),
            SimpleNamespace(callFromThread=loop.post),
        ):
            watch = loop.call(lambda reactor=reactor: watch_stalls(reactor, LIMIT, Logger()))
            self.addCleanup(watch.stop)
            watch._tell("held: {odd}.py:2 f")
            watch.stop()
        self.assertEqual(watchers(), [])
        texts = [(each.get("log_level"), formatEvent(each)) for each in events]
        on = (LogLevel.info, "stall_log: told is what holds the event loop for more than 5 ms")
        self.assertEqual(texts.count(on), 2)
        self.assertEqual(texts.count((LogLevel.warn, "held: {odd}.py:2 f")), 2)

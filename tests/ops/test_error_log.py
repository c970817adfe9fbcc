"""The error log's lines, levels and repeats."""

import threading
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.error_log import ErrorLog

WALL = 1795500000.0


class Lines(SynchronousTestCase):
    """One plain line an event."""

    def setUp(self) -> None:
        """Set the clock."""
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.clock.advance(WALL)

    def open(self, level: str = "info") -> ErrorLog:
        """Open a log on a file of this test."""
        log = ErrorLog(str(self.path), level, reactor=self.clock, wall=self.clock.seconds)
        self.addCleanup(log.close)
        return log

    def emit(self, log: ErrorLog, text: str, level: LogLevel = LogLevel.error, **values) -> None:
        """Emit one event."""
        log({"log_level": level, "log_format": text, "log_time": self.clock.seconds(), **values})

    def lines(self) -> list[str]:
        """Return the file's lines."""
        return self.path.read_text().splitlines()

    def test_plain(self) -> None:
        """Time, level in brackets, message; control characters as escapes."""
        log = self.open()
        self.emit(log, "origin {name} says no", name="a\x1b[1m\u2028b")
        self.emit(log, "careful", LogLevel.warn)
        self.assertEqual(
            self.lines(),
            [
                "2026-11-24T06:00:00Z [error] origin a\\x1B[1m\\u2028b says no",
                "2026-11-24T06:00:00Z [warn] careful",
            ],
        )

    def test_traceback(self) -> None:
        """A failure's traceback is indented below; a message's further lines too."""
        log = self.open()
        try:
            raise KeyError("x\ny")
        except KeyError:
            failure = Failure()
        self.emit(log, "oops\nmore", LogLevel.critical, log_failure=failure)
        first, *rest = self.lines()
        self.assertEqual(first, "2026-11-24T06:00:00Z [crit] oops")
        self.assertEqual(rest[0], "    more")
        self.assertTrue(all(line.startswith("    ") for line in rest))
        self.assertIn("KeyError", rest[-1])

    def test_levels(self) -> None:
        """Each level lets through itself and what is graver."""
        order = [LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical]
        rows = [("debug", 5), ("info", 4), ("notice", 4), ("warn", 3), ("error", 2), ("crit", 1)]
        for name, expected in rows:
            self.path.unlink(missing_ok=True)
            log = self.open(name)
            for level in order:
                self.emit(log, f"at {level.name}", level)
            log.close()
            self.assertEqual(len(self.lines()), expected, name)
        self.assertRaises(ValueError, self.open, "loud")

    def test_repeats(self) -> None:
        """Past ten in a minute a message is counted; the count is written by itself."""
        log = self.open()
        for n in range(25):
            self.emit(log, "origin {n} is down", n=n)
        self.emit(log, "another")
        self.assertEqual(len(self.lines()), 11)
        self.clock.advance(59)
        self.assertEqual(len(self.lines()), 11)
        self.clock.advance(1)
        self.assertEqual(
            self.lines()[-1],
            "2026-11-24T06:01:00Z [error] repeated 15 times more in 60 s: origin 24 is down",
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.emit(log, "origin {n} is down", n=99)
        self.assertTrue(self.lines()[-1].endswith("origin 99 is down"))

    def test_repeats_at_close(self) -> None:
        """Counts held back are written when the log closes."""
        log = self.open()
        for n in range(12):
            self.emit(log, "down {n}", n=n)
        log.close()
        log.close()
        self.assertTrue(self.lines()[-1].endswith("repeated 2 times more in 0 s: down 11"))

    def test_legacy_messages(self) -> None:
        """Different messages of twisted.python.log are not taken for repeats of one."""
        log = self.open()
        for n in range(30):
            self.emit(log, "{log_text}", log_text=f"message {n}")
        self.assertEqual(len(self.lines()), 30)

    def test_as_observer(self) -> None:
        """twisted.logger's own events are understood."""
        log = self.open()
        Logger("here", observer=log).error("broken: {why}", why="x")
        self.assertTrue(self.lines()[0].endswith("[error] broken: x"))

    def test_threads(self) -> None:
        """One thread's event is not begun in the middle of another's."""
        log = self.open()
        entered = threading.Event()

        class Other:
            def __str__(self) -> str:
                entered.set()
                return "other"

        class Slow:
            def __str__(self) -> str:
                thread.start()
                # Nothing to wait for: it is not to come.
                return "too early" if entered.wait(0.1) else "slow"

        thread = threading.Thread(target=self.emit, args=(log, "{it}"), kwargs={"it": Other()})
        self.emit(log, "{it}!", it=Slow())
        thread.join()
        self.assertEqual([line[-5:] for line in self.lines()], ["slow!", "other"])

    def test_reopen(self) -> None:
        """After logrotate a new file is written; a failure to open it stays in the old one."""
        log = self.open()
        self.emit(log, "one")
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        log.reopen()
        self.emit(log, "two")
        self.assertTrue(moved.read_text().endswith(" one\n"))
        self.assertEqual(len(self.lines()), 1)
        self.path.rename(self.path.with_suffix(".2"))
        self.path.mkdir()
        log.reopen()
        self.emit(log, "three")
        rest = self.path.with_suffix(".2").read_text()
        self.assertIn("cannot reopen the error log", rest)
        self.assertTrue(rest.endswith("three\n"))

    def test_who_it_is_about(self) -> None:
        """What many say of one bucket does not hide what another one says, nor a graver level."""
        log = self.open()
        for _ in range(30):
            self.emit(log, "{bucket}: {why}", bucket="one", why="403")
        self.emit(log, "{bucket}: {why}", bucket="two", why="403")
        self.emit(log, "{bucket}: {why}", LogLevel.critical, bucket="one", why="403")
        self.assertEqual(len(self.lines()), 12)

    def test_many_messages(self) -> None:
        """However many different messages there are, what is remembered of them is bounded."""
        log = self.open()
        for n in range(12):
            self.emit(log, "down {n}", n=n)
        for n in range(1500):
            self.emit(log, "{log_text}", log_text=f"message {n}")
        self.assertLessEqual(len(log._repeats), 1000)
        self.assertEqual(len([line for line in self.lines() if "repeated 2 times" in line]), 1)

    def test_lost_lines(self) -> None:
        """Lines that a full disk took are told of, with their number, once there is room."""
        log = self.open()
        write, full = log._to.write, [True]

        def fill(lines, severity=None) -> None:
            if full:
                log._to.lost += len(lines)
                log._to.error = "No space left on device"
            else:
                write(lines, severity)

        self.patch(log._to, "write", fill)
        for n in range(3):
            self.emit(log, f"message {n}")
        self.clock.advance(60)
        self.emit(log, "still")
        full.clear()
        self.clock.advance(60)
        self.emit(log, "again")
        self.assertIn("[error] 4 lines of the error log are lost: No space", self.lines()[0])
        self.assertTrue(self.lines()[1].endswith("again"))

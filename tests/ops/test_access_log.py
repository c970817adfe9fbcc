"""The access log's batches, reopening, and what happens when the disk is full."""

import errno
import os
import socket
from pathlib import Path
from unittest import skipUnless

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.access_log import AccessLog
from s3shield.ops.log_target import FileTarget, StreamTarget
from s3shield.policy import Request
from tests.ops.test_log_format import record


class LogCase(SynchronousTestCase):
    def setUp(self) -> None:
        """Collect what is logged about the log."""
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.events: list[dict] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def open(self, target: str | None = None, text: str = "$uri") -> AccessLog:
        """Open a log, on a file of this test when there is no `target`."""
        log = AccessLog(
            str(self.path) if target is None else target,
            text,
            reactor=self.clock,
            wall=lambda: 1795500000.0,
        )
        self.addCleanup(log.close)
        return log

    def add(self, log: AccessLog, *names: int) -> None:
        """Append a record for each name."""
        for name in names:
            log.append(record(Request(b"GET", b"/%d" % name)))

    def lines(self, path: Path | None = None) -> list[str]:
        """Return a file's lines."""
        return (path or self.path).read_text().splitlines()

    def errors(self) -> list[dict]:
        """Return the errors logged."""
        return [event for event in self.events if event["log_level"] is LogLevel.error]


class Batches(LogCase):
    """When lines are written."""

    def test_timer(self) -> None:
        """Lines are out 0.2 s after the first; no timer runs while there are none."""
        log = self.open()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.add(log, 1, 2)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.lines(), [])
        self.clock.advance(0.2)
        self.assertEqual(self.lines(), ["/1", "/2"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_full_batch(self) -> None:
        """A batch of 256 is written at once, in order, and by one write."""
        log = self.open()
        writes = []
        real = os.write
        self.patch(os, "write", lambda fd, data: writes.append(len(data)) or real(fd, data))
        self.add(log, *range(600))
        self.assertEqual(len(self.lines()), 512)
        self.clock.advance(0.2)
        self.assertEqual(self.lines(), [f"/{name}" for name in range(600)])
        self.assertEqual(len(writes), 3)

    def test_huge_lines(self) -> None:
        """Enormous lines end a run early; the rest follows at the loop's next turn, in order."""
        log = self.open()
        writes = []
        real = os.write
        self.patch(os, "write", lambda fd, data: writes.append(len(data)) or real(fd, data))
        for name in range(20):
            log.append(record(Request(b"GET", b"/%02d" % name + b"\xff" * 8192)))
        self.clock.advance(0.2)
        self.assertGreater(len(writes), 3)
        self.assertLess(max(writes), 200_000)
        self.assertEqual([line[:3] for line in self.lines()], [f"/{n:02d}" for n in range(20)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close(self) -> None:
        """Closing writes what there is; records after it are dropped and set no timer."""
        log = self.open()
        append = log.append
        self.add(log, 1)
        log.close()
        self.add(log, 2)
        for _ in range(300):
            append(record())
        self.assertEqual(self.lines(), ["/1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_off(self) -> None:
        """Off takes records and does nothing."""
        log = self.open("off")
        self.add(log, *range(300))
        log.refused(b"192.0.2.1", 400, b"x")
        log.reopen()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """What the wire refused is one line, however it looks and however long it is."""
        log = self.open(text="combined")
        log.refused(b"192.0.2.1", 400, b'GET /\x00" HTTP/1.1\r\n')
        log.refused(b"192.0.2.1", 414, b"GET /" + b"a" * 20000)
        log.close()
        first, second = self.lines()
        self.assertIn('"GET /\\x00\\x22 HTTP/1.1" 400 0 "-" "-"', first)
        self.assertIn(" 414 0 ", second)
        self.assertLess(len(second), 8400)

    def test_bad_record(self) -> None:
        """A record that no line can be made of costs that line, no other."""
        log = self.open()
        self.add(log, 1)
        log.append((b"", 0.0, None))
        self.add(log, 2)
        self.clock.advance(0.2)
        self.assertEqual(self.lines(), ["/1", "/2"])
        self.assertEqual(log.lost, 1)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_unopenable(self) -> None:
        """A path that cannot be opened is the constructor's OSError."""
        self.assertRaises(OSError, self.open, self.mktemp() + "/none/access.log")


class Reopening(LogCase):
    """SIGUSR1's part."""

    def test_rename(self) -> None:
        """Lines before the reopening are in the moved file, those after it in a new one."""
        log = self.open()
        self.add(log, 1)
        moved = self.path.with_suffix(".1")
        self.path.rename(moved)
        log.reopen()
        self.add(log, 2)
        log.flush()
        self.assertEqual(self.lines(moved), ["/1"])
        self.assertEqual(self.lines(), ["/2"])

    def test_failure(self) -> None:
        """When the name cannot be opened again, the old file is written on, and it is said."""
        folder = Path(self.mktemp())
        folder.mkdir()
        log = self.open(str(folder / "access.log"))
        moved = folder.with_suffix(".moved")
        folder.rename(moved)
        log.reopen()
        self.add(log, 1)
        log.flush()
        self.assertEqual(self.lines(moved / "access.log"), ["/1"])
        self.assertEqual(len(self.errors()), 1)


class FullDisk(LogCase):
    """A log that cannot be written never hurts."""

    @skipUnless(Path("/dev/full").exists(), "no /dev/full")
    def test_counted(self) -> None:
        """Lost lines are reported at once, then once a minute with their count."""
        log = self.open("/dev/full")
        self.add(log, 1)
        self.clock.advance(0.2)
        self.assertEqual([event["lost"] for event in self.errors()], [1])
        self.assertIn("space", self.errors()[0]["reason"])
        for second in range(59):
            self.add(log, second)
            self.clock.advance(1)
        self.assertEqual(len(self.errors()), 1)
        self.clock.advance(1)
        self.assertEqual([event["lost"] for event in self.errors()], [1, 59])
        self.clock.advance(60)
        self.assertEqual(len(self.errors()), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(log.lost, 60)

    def test_torn_line(self) -> None:
        """A line cut by a full disk is ended before the next batch; only whole lines count."""
        target = FileTarget(str(self.path))
        self.addCleanup(target.close)
        room = [5]
        real = os.write

        def write(fd: int, data: bytes) -> int:
            if room[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done = real(fd, data[: room[0]])
            room[0] -= done
            return done

        self.patch(os, "write", write)
        target.write([b"one\n", b"two\n"])
        self.assertEqual((target.lost, target.error), (1, "No space left on device"))
        room[0] = 3
        target.write([b"three\n"])
        self.assertEqual(target.lost, 2)
        room[0] = 100
        target.write([b"four\n", b"five\n"])
        self.assertEqual(target.lost, 2)
        self.assertEqual(self.lines(), ["one", "t", "th", "four", "five"])


class Streams(LogCase):
    """Standard output: pipes, sockets, files."""

    def drain(self, read: int) -> bytes:
        """Return what a pipe holds now."""
        os.set_blocking(read, False)
        data = b""
        while True:
            try:
                piece = os.read(read, 1 << 20)
            except BlockingIOError:
                return data
            if not piece:
                return data
            data += piece

    def test_slow_pipe(self) -> None:
        """A reader that does not read blocks nothing; lines wait, whole and in order."""
        read, write = os.pipe()
        target = StreamTarget(write)
        os.close(write)
        self.addCleanup(os.close, read)
        self.addCleanup(target.close)
        self.assertTrue(os.get_blocking(target._fd))
        lines = [b"%06d%s\n" % (n, b"x" * 93) for n in range(2000)]
        target.write(lines)
        self.assertTrue(target.pending)
        data = b""
        while target.pending:
            data += self.drain(read)
            target.write([])
        data += self.drain(read)
        self.assertEqual(data, b"".join(lines))
        self.assertEqual(target.lost, 0)

    def test_bounded(self) -> None:
        """Past 1 MiB of backlog lines are lost and counted."""
        for kind in ("pipe", "socket"):
            if kind == "pipe":
                read, write = os.pipe()
            else:
                ours, theirs = socket.socketpair()
                read, write = ours.detach(), theirs.detach()
            target = StreamTarget(write)
            os.close(write)
            target.write([b"%07d\n" % n for n in range(400_000)])
            self.assertGreater(target.lost, 100_000, kind)
            self.assertEqual(target.error, "the reader is too slow")
            os.close(read)
            target.write([])
            self.assertFalse(target.pending)
            target.close()

    def test_through_the_log(self) -> None:
        """The log comes back to a slow reader by itself, and gives up its timer afterwards."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        saved = os.dup(1)
        os.dup2(write, 1)
        os.close(write)
        try:
            log = self.open("stdout")
        finally:
            os.dup2(saved, 1)
            os.close(saved)
        for n in range(1000):
            log.append(record(Request(b"GET", b"/%0100d" % n)))
        data = b""
        self.clock.advance(0.2)
        while self.clock.getDelayedCalls():
            data += self.drain(read)
            self.clock.advance(0.2)
        data += self.drain(read)
        self.assertEqual(data.count(b"\n"), 1000)

    def test_file(self) -> None:
        """Standard output that is a file is written like one."""
        fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        target = StreamTarget(fd)
        os.close(fd)
        target.write([b"a\n", b"b\n"])
        target.reopen()
        target.close()
        self.assertEqual(self.lines(), ["a", "b"])


class Sampling(LogCase):
    """`access_log_sample`."""

    def test_part(self) -> None:
        """Of good answers that part is written, evenly; each error is, and all are counted."""
        counted: list[int] = []
        log = AccessLog(str(self.path), "$status $uri", reactor=self.clock, sample=0.1)
        self.addCleanup(log.close)
        log.measure(lambda records: counted.append(len(records)))
        for name in range(1000):
            status = 404 if name % 100 == 55 else 200
            log.append(record(Request(b"GET", b"/%d" % name), status=status))
        log.refused(b"192.0.2.1", 400, b"x")
        log.flush()
        lines = [line.split(" ")[0] for line in self.lines()]
        self.assertEqual(lines.count("200"), 99)
        self.assertEqual((lines.count("404"), lines.count("400")), (10, 1))
        self.assertEqual((sum(counted), log.lost), (1001, 0))

"""Log lines that go to a socket: syslog in its forms, systemd's journal, readers that lag."""

import os
import socket
import struct
import threading
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogLevel
from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import syslog_place
from s3shield.ops import log_journal
from s3shield.ops.access_log import AccessLog
from s3shield.ops.error_log import ErrorLog
from s3shield.ops.log_journal import JournalTarget
from s3shield.ops.log_syslog import SyslogTarget
from s3shield.policy import Request
from tests.ops.test_log_format import record, zone

WALL = 1795500000.25


class Sockets(SynchronousTestCase):
    """Servers of this test."""

    def setUp(self) -> None:
        """Set a clock; work where a socket's name is short (sun_path)."""
        self.clock = Clock()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = str(self.folder / "log")

    def server(self, kind: int = socket.SOCK_DGRAM, family: int = socket.AF_INET) -> socket.socket:
        """Return a socket that has an address."""
        made = socket.socket(family, kind)
        self.addCleanup(made.close)
        made.bind(self.path if family == socket.AF_UNIX else ("127.0.0.1", 0))
        made.settimeout(10)
        return made

    def syslog(self, target: str) -> SyslogTarget:
        """Return a target of a configuration."""
        made = SyslogTarget(syslog_place(target), wall=lambda: WALL, monotonic=self.clock.seconds)
        self.addCleanup(made.close)
        return made


class Syslog(Sockets):
    """The lines' dress, and each way there."""

    def test_dress(self) -> None:
        """Both forms have priority, time, host and tag as they are asked for."""
        zone(self, "UTC")
        server = self.server()
        host, pid = socket.gethostname().encode(), os.getpid()
        there = f"syslog:server=127.0.0.1:{server.getsockname()[1]}"
        for more, wanted in (
            ("", b"<190>Nov 24 06:00:00 %b s3shield[%d]: one" % (host, pid)),
            (
                ",facility=daemon,severity=warn,tag=edge,nohostname",
                b"<28>Nov 24 06:00:00 edge[%d]: one" % pid,
            ),
            (
                ",rfc5424",
                b"<190>1 2026-11-24T06:00:00.250000Z %b s3shield %d - - one" % (host, pid),
            ),
            (
                ",rfc5424,nohostname",
                b"<190>1 2026-11-24T06:00:00.250000Z - s3shield %d - - one" % pid,
            ),
        ):
            self.syslog(there + more).write([b"one\n"])
            self.assertEqual(server.recv(1000), wanted)
        self.syslog(there).write([b"one\n"], 3)
        self.assertTrue(server.recv(1000).startswith(b"<187>"))

    def test_unix(self) -> None:
        """Lines wait for a server that is not there yet, and one that does not read loses none."""
        target = self.syslog(f"syslog:server=unix:{Path(self.path).absolute()}")
        target.write([b"early\n"])
        self.assertEqual((target.lost, target.pending), (0, 1.0))
        server = self.server(family=socket.AF_UNIX)
        target.write([b"one\n"])
        self.assertEqual(target.pending, 1.0)
        self.clock.advance(1)
        lines = [b"%d\n" % n for n in range(5000)]
        target.write(lines)
        self.assertGreater(target.pending, 0.0)
        got = []
        while target.pending or len(got) < 5002:
            got.append(server.recv(1000).rpartition(b" ")[2] + b"\n")
            target.write([])
        self.assertEqual(got, [b"early\n", b"one\n", *lines])
        self.assertEqual(target.lost, 0)

    def test_bounded(self) -> None:
        """Past 1 MiB of lines that wait the rest is lost and counted; the first ones come."""
        target = self.syslog(f"syslog:server=unix:{Path(self.path).absolute()}")
        line = b"x" * 1000 + b"\n"
        target.write([b"first\n", *[line] * 1500])
        self.assertGreater(target.lost, 400)
        self.assertLess(target.lost, 600)
        self.assertIn("No such file", target.error)
        server = self.server(family=socket.AF_UNIX)
        self.clock.advance(1)
        target.write([])
        self.assertTrue(server.recv(2000).endswith(b" first"))

    def test_tcp(self) -> None:
        """Lines end with a line feed; a new connection follows a broken one, on a line's begin."""
        server = self.server(socket.SOCK_STREAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.listen()
        target = self.syslog(f"syslog:server=tcp:127.0.0.1:{server.getsockname()[1]},nohostname")
        long = b"x" * 300_000 + b"\n"
        target.write([b"one\n", long, long, long])
        link, _ = server.accept()
        link.settimeout(10)
        data = b""
        while data.count(b"\n") < 4:
            target.write([])
            data += link.recv(1 << 20)
        self.assertTrue(data.splitlines()[0].endswith(b": one"))
        self.assertEqual(len(data.splitlines()[1].rpartition(b" ")[2]), 300_000)
        # It ends while it owes us the rest.
        while not target.pending:
            target.write([long])
        target.write([b"waits\n"])
        link.close()
        while target.pending != 1.0:
            target.write([])
        lost = target.lost
        target.write([b"last\n"])
        self.clock.advance(1)
        target.write([])
        again, _ = server.accept()
        again.settimeout(10)
        data = b""
        while not data.endswith(b": last\n"):
            target.write([])
            data += again.recv(1 << 20)
        self.assertTrue(all(line.startswith(b"<190>") for line in data.splitlines()))
        self.assertEqual(target.lost, lost)
        self.assertLessEqual(lost, 1)

    def test_nobody_there(self) -> None:
        """A UDP port without a server costs lines, which are counted, and nothing else."""
        server = self.server()
        target = self.syslog(f"syslog:server=127.0.0.1:{server.getsockname()[1]}")
        server.close()
        for _ in range(100):
            target.write([b"one\n"])
            self.clock.advance(1)
            if target.lost:
                break
        self.assertEqual(target.error and target.lost > 0, True)

    def test_too_long(self) -> None:
        """A line that no datagram holds is counted; the next one goes."""
        server = self.server()
        target = self.syslog(f"syslog:server=127.0.0.1:{server.getsockname()[1]}")
        target.write([b"x" * 100_000 + b"\n", b"short\n"])
        self.assertEqual((target.lost, target.error), (1, "a line is too long for a datagram"))
        self.assertTrue(server.recv(1000).endswith(b": short"))

    def test_told_once_a_minute(self) -> None:
        """The access log comes back to a reader that lags, and tells what it lost, seldom."""
        self.syslog("syslog")  # the system's own, there or not
        errors: list = []
        path = Path(self.path).absolute()
        log = AccessLog(f"syslog:server=unix:{path}", "$uri", reactor=self.clock)
        self.addCleanup(log.close)
        self.patch(log, "log", self)
        self.error = lambda text, **values: errors.append(values["lost"])
        for _ in range(1500):
            log.append(record(Request(b"GET", b"/" + b"x" * 1000)))
        self.clock.advance(1)
        self.assertEqual(len(errors), 1)
        for _ in range(300):
            log.append(record(Request(b"GET", b"/" + b"x" * 1000)))
        self.clock.advance(58)
        self.assertEqual(len(errors), 1)
        self.clock.advance(2)
        self.assertEqual(len(errors), 2)
        self.assertEqual(sum(errors), log.lost)


class Journal(Sockets):
    """systemd's journal, played by a socket."""

    def journal(self) -> socket.socket:
        """Return the journal's end."""
        made = self.server(family=socket.AF_UNIX)
        self.patch(log_journal, "SOCKET", self.path)
        return made

    def fields(self, data: bytes) -> dict[str, bytes]:
        """Read an entry as the protocol has it."""
        found = {}
        while data:
            line, _, data = data.partition(b"\n")
            name, equals, value = line.partition(b"=")
            if not equals:
                size = struct.unpack("<Q", data[:8])[0]
                value, end, data = data[8 : 8 + size], data[8 + size : 9 + size], data[9 + size :]
                self.assertEqual(end, b"\n")
            found[name.decode()] = value
        return found

    def test_access_log(self) -> None:
        """An entry has the line as its message, and fields to look for; no secret among them."""
        journal = self.journal()
        log = AccessLog("journald", '$status "$request"', reactor=self.clock)
        self.addCleanup(log.close)
        log.append(record(Request(b"GET", b"/a\nb?X-Amz-Signature=5ec", host=b"h"), location="/m/"))
        self.clock.advance(0.2)
        got = self.fields(journal.recv(65_536))
        self.assertEqual(got["MESSAGE"], b'200 "GET /a\\x0Ab?X-Amz-Signature=*** HTTP/1.1"')
        self.assertEqual(got["PRIORITY"], b"6")
        self.assertEqual(got["SYSLOG_IDENTIFIER"], b"s3shield")
        self.assertEqual(got["S3SHIELD_STATUS"], b"200")
        self.assertEqual(got["S3SHIELD_LOCATION"], b"/m/")
        self.assertEqual(got["S3SHIELD_UPSTREAM_CACHE_STATUS"], b"HIT")
        self.assertEqual(got["S3SHIELD_REQUEST_URI"], b"/a\\x0Ab?X-Amz-Signature=***")
        self.assertNotIn("S3SHIELD_UPSTREAM_STATUS", got)

    def test_error_log(self) -> None:
        """A message of several lines is one entry, with the level as its priority."""
        journal = self.journal()
        log = ErrorLog("journald", reactor=self.clock, wall=lambda: WALL)
        self.addCleanup(log.close)
        event = {"log_level": LogLevel.error, "log_namespace": "s3shield.x", "log_time": WALL}
        log({"log_format": "one\x1b\ntwo {n}", "n": 2, **event})
        got = self.fields(journal.recv(65_536))
        self.assertEqual(got["MESSAGE"], b"one\\x1B\ntwo 2")
        self.assertEqual(got["PRIORITY"], b"3")
        self.assertEqual(got["S3SHIELD_LOGGER"], b"s3shield.x")

    def test_large(self) -> None:
        """What no datagram holds comes as a sealed memory file."""
        journal = self.journal()
        target = JournalTarget()
        self.addCleanup(target.close)
        text = b"x" * 900_000
        target.write([text + b"\n"])
        data, passed, _, _ = socket.recv_fds(journal, 1000, 2)
        self.assertEqual((data, len(passed)), (b"", 1))
        with open(passed[0], "rb") as file:
            self.assertRaises(OSError, os.ftruncate, passed[0], 1)
            file.seek(0)
            self.assertEqual(self.fields(file.read())["MESSAGE"], text)
        self.assertEqual(target.lost, 0)

    def test_full(self) -> None:
        """A journal that does not read for a while misses nothing, and the loop goes on."""
        journal = self.journal()
        log = AccessLog("journald", "$uri", reactor=self.clock)
        self.addCleanup(log.close)
        for n in range(1000):
            log.append(record(Request(b"GET", b"/%d" % n)))
        self.clock.advance(0.2)
        got = []
        while len(got) < 1000:
            got.append(self.fields(journal.recv(65_536))["MESSAGE"])
            self.clock.advance(0.02)
        self.assertEqual(got, [b"/%d" % n for n in range(1000)])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_error_log_comes_back(self) -> None:
        """An error is not left behind a full queue until the next one comes."""
        journal = self.journal()
        log = ErrorLog("journald", "debug", reactor=self.clock, wall=lambda: WALL)
        self.addCleanup(log.close)
        for n in range(2000):
            log({"log_level": LogLevel.info, "log_text": f"{n}", "log_format": "{log_text}"})
        got = []
        while len(got) < 2000:
            got.append(self.fields(journal.recv(65_536))["MESSAGE"])
            self.clock.advance(0.02)
        self.assertEqual(got, [b"%d" % n for n in range(2000)])

    def test_no_journal(self) -> None:
        """Where none listens, that is an OSError at the start."""
        self.patch(log_journal, "SOCKET", self.path)
        self.assertRaises(OSError, AccessLog, "journald", reactor=self.clock)
        self.assertRaises(OSError, ErrorLog, "journald")

    def test_other_threads(self) -> None:
        """A thread's error goes out; timers are left to the loop's thread."""
        journal = self.journal()
        log = ErrorLog("journald", reactor=self.clock, wall=lambda: WALL)
        self.addCleanup(log.close)
        event = {"log_level": LogLevel.error, "log_format": "down"}
        thread = threading.Thread(target=lambda: [log(event) for _ in range(12)])
        thread.start()
        thread.join()
        self.assertEqual(self.fields(journal.recv(65_536))["MESSAGE"], b"down")
        self.assertEqual(self.clock.getDelayedCalls(), [])

"""What systemd is told, over a real datagram socket, by a clock that the test turns."""

import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from unittest import skipUnless

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from s3shield.ops.notify import Notify


class NotifyTests(SynchronousTestCase):
    """One socket."""

    def setUp(self) -> None:
        """Listen, as systemd does."""
        folder = tempfile.mkdtemp()  # trial's own is too long a path for a socket
        self.addCleanup(shutil.rmtree, folder)
        self.path = str(Path(folder) / "notify")
        self.clock = Clock()
        self.environ = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": "8000000", "HOME": "/"}
        self.listen(self.path)

    def listen(self, address: str) -> None:
        """Bind a socket."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.socket.close)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def notify(self) -> Notify:
        """Make one of the environment."""
        return Notify.of(self.environ, 77, self.clock)

    def told(self) -> list[list[str]]:
        """Return the lines of each datagram since the last time."""
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found

    def test_states(self) -> None:
        """Each state has the words of sd_notify(3); a status is one line."""
        notify = self.notify()
        notify.ready("2 workers\nmore")
        notify.reloading()
        notify.stopping(30.0)
        notify.failed("no port")
        ready, reloading, stopping, failed = self.told()
        self.assertEqual(ready, ["READY=1", "STATUS=2 workers"])
        self.assertEqual(reloading[0], "RELOADING=1")
        self.assertRegex(reloading[1], r"^MONOTONIC_USEC=\d+$")
        self.assertEqual(stopping[:2], ["STOPPING=1", "EXTEND_TIMEOUT_USEC=40000000"])
        self.assertEqual(failed, ["STATUS=cannot start: no port"])

    def test_environment_is_taken(self) -> None:
        """Workers and programs that they start do not find the socket."""
        self.environ["WATCHDOG_PID"] = "77"
        self.assertEqual(self.notify().watchdog, 8.0)
        self.assertEqual(self.environ, {"HOME": "/"})

    def test_nobody_listens(self) -> None:
        """Without systemd nothing is told; one that is gone is a warning, not the end."""
        quiet = Notify.of({}, 77, self.clock)
        quiet.ready("all")
        quiet.watch(lambda: self.fail("nobody is asked"))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        gone = self.notify()
        Path(self.path).unlink()
        gone.ready("all")
        self.assertEqual(self.told(), [])

    def test_watchdog_of_another(self) -> None:
        """Who is not meant gives no signs of life; nor who is asked for none."""
        self.environ["WATCHDOG_PID"] = "78"
        self.assertIsNone(self.notify().watchdog)
        for span in ("0", "", "soon"):
            environ = {"NOTIFY_SOCKET": self.path, "WATCHDOG_USEC": span}
            self.assertIsNone(Notify.of(environ, 77, self.clock).watchdog)

    def test_watchdog(self) -> None:
        """A sign of life four times in the span, none while a worker is silent."""
        silent: list[str] = []
        self.notify().watch(lambda: silent)
        self.assertEqual(self.told(), [["WATCHDOG=1"]])
        self.clock.pump([2.0, 2.0])
        self.assertEqual(self.told(), [["WATCHDOG=1"]] * 2)
        silent.append("1, pid 5")
        self.clock.pump([2.0] * 5)
        self.assertEqual(self.told(), [])
        silent.clear()
        self.clock.advance(2.0)
        self.assertEqual(self.told(), [["WATCHDOG=1"]])

    @skipUnless(sys.platform == "linux", "abstract addresses are Linux's")
    def test_abstract(self) -> None:
        """An address that begins with @ has no path."""
        name = f"s3shield-test-{os.getpid()}"
        self.listen(f"\0{name}")
        self.environ["NOTIFY_SOCKET"] = f"@{name}"
        self.notify().ready("all")
        self.assertEqual(self.told(), [["READY=1", "STATUS=all"]])

"""What the daemon tells systemd of itself: sd_notify(3), a datagram of lines to a socket.

Theory of operation. systemd names the socket in the environment; who was not started by it has
none, and nothing is told. READY=1 comes when all workers serve, and again after each reload,
done or refused, for systemd holds a unit that said RELOADING=1 for busy until then. WATCHDOG=1
comes four times in the span that systemd allows, but only while this process's loop turns and
each worker has answered the question before. A worker that hangs is told in the error log; when it
goes on for longer than the span, systemd kills all and starts anew.

A worker that died is no reason: the parent starts another one by itself.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, MutableMapping
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

__all__ = ["Notify"]

_MARGIN: Final = 10.0
"""Seconds past the drain's end: workers that are not done by then are killed, which takes 3."""
_SEND_TIMEOUT: Final = 1.0


class Notify:
    """Tells it, where somebody wants to know.

    address: of the socket, None: nobody does. watchdog: seconds within which a sign of life is
    wanted, None: never.
    """

    log = Logger()

    def __init__(self, address: str | None, watchdog: float | None, reactor: IReactorTime) -> None:
        self.watchdog = watchdog if address else None
        self._address = address
        self._reactor = reactor

    @classmethod
    def of(cls, environ: MutableMapping[str, str], pid: int, reactor: IReactorTime) -> Notify:
        """Take what systemd says out of the environment: it is not for workers.

        pid: of this process; a watchdog that is meant for another one is none of ours.
        """
        address = environ.pop("NOTIFY_SOCKET", None)
        span = environ.pop("WATCHDOG_USEC", "")
        meant = environ.pop("WATCHDOG_PID", str(pid)) == str(pid)
        seconds = int(span) / 1e6 if meant and span.isdigit() and int(span) else None
        return cls(address if address and address[0] in "/@" else None, seconds, reactor)

    def ready(self, status: str) -> None:
        """All serve. status: one line for `systemctl status`."""
        self._tell("READY=1", f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """A reload begins."""
        micros = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell("RELOADING=1", f"MONOTONIC_USEC={micros}", "STATUS=reloading")

    def stopping(self, drain: float) -> None:
        """No more is accepted. drain: seconds that requests under way may take."""
        # The unit's own limit need not be longer than shutdown_timeout.
        micros = int((drain + _MARGIN) * 1e6)
        lines = ["STOPPING=1", f"EXTEND_TIMEOUT_USEC={micros}", "STATUS=requests under way end"]
        self._tell(*lines)

    def failed(self, why: str) -> None:
        """It cannot start."""
        self._tell(f"STATUS=cannot start: {_line(why)}")

    def watch(self, silent: Callable[[], list[str]]) -> None:
        """Give signs of life from now on, to the end of the process.

        silent: asks the workers; returns the names of those that have not answered before.
        """
        if self.watchdog is None:
            return

        def beat() -> None:
            hung = silent()
            for name in hung:
                self.log.error("worker {name}, does not answer", name=name)
            if not hung:
                self._tell("WATCHDOG=1")

        beats = LoopingCall(beat)
        beats.clock = self._reactor
        beats.start(self.watchdog / 4).addErrback(
            lambda failure: self.log.failure("the watchdog's signs of life have ended", failure)
        )

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        # A leading @ stands for the zero byte of an abstract address.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(_SEND_TIMEOUT)
                sock.sendto("\n".join(lines).encode("utf-8", "replace"), address)
        except OSError as error:
            text = "cannot tell systemd {what}: {why}"
            self.log.warn(text, what=lines[0], why=error.strerror or str(error))


def _line(text: str) -> str:
    return text.strip().partition("\n")[0]

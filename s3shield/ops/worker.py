"""A worker process: `python -m s3shield.ops.worker`, started by the parent alone.

Serves on inherited listening sockets until SIGTERM, or until the parent is gone. See
`workers` for the pipes and signals between the two.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import attrs
from twisted.application.reactors import installReactor
from twisted.internet.interfaces import IReactorTime, IReadDescriptor
from twisted.logger import Logger, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from s3shield.ops.access_log import AccessLog
from s3shield.ops.error_log import ErrorLog
from s3shield.ops.handover import Handover
from s3shield.ops.service_module import ServiceModule, first_error, load_service
from s3shield.ops.stall_watch import StallWatch, watch_stalls
from s3shield.ops.workers import (
    BOARD_FD,
    CONTROL_FD,
    EXIT_CANNOT_START,
    MEMORY_FD,
    RELOAD_GRACE,
    REPORT_FD,
    STOP_GRACE,
)

if TYPE_CHECKING:
    from s3shield.ops.plan import Plan

__all__ = ["main"]

_ORPHAN_DRAIN = 1.0
"""Seconds a worker drains when its parent was killed: a new one may want its ports."""
_ORPHAN_LIMIT = 10
"""Seconds after which the kernel ends an orphan that hangs."""


@implementer(IReadDescriptor)
class _Lifeline:
    """The pipe that the parent's wishes come by, and whose end of file says that it is gone.

    told: called with each line. begun: bytes that have been read of it.
    """

    def __init__(
        self, reactor: Any, begun: bytes, told: Callable[[bytes], None], cut: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._told = told
        self._cut = cut
        self._buffer = begun
        os.set_blocking(CONTROL_FD, False)
        reactor.addReader(self)
        self._tell()

    def fileno(self) -> int:
        return CONTROL_FD

    def logPrefix(self) -> str:
        return "parent"

    def doRead(self) -> None:
        try:
            data = os.read(CONTROL_FD, 4096)
        except BlockingIOError:
            return
        if data:
            self._buffer += data
            self._tell()
            return
        self._reactor.removeReader(self)
        self._cut()

    def _tell(self) -> None:
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            self._told(line)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is closing; nothing to do for a pipe that ends with the process."""


def _report(text: str) -> bool:
    """Tell the parent; False when there is none."""
    try:
        os.write(REPORT_FD, text.encode("utf-8", "replace")[:4000] + b"\n")
    except OSError:
        return False
    return True


@attrs.define
class _Worker:
    """The process: what it serves with, and its exit status so far."""

    reactor: Any
    plan: Plan
    sockets: Sequence[socket.socket]
    errors: ErrorLog
    service: ServiceModule
    start_error: type[Exception]
    shared: bool  # whether other processes have the same caches
    begun: bytes
    status: int = 0
    stopping: bool = False
    wishes: list[bytes] | None = attrs.field(factory=list)  # None: ready
    access_log: AccessLog | None = None
    serving: Any = None
    stalls: StallWatch | None = None
    log: Logger = attrs.field(factory=Logger)

    def run(self) -> int:
        self.reactor.callWhenRunning(self._begin)
        self.reactor.run()
        if self.stalls is not None:
            self.stalls.stop()
        return self.status

    def _begin(self) -> None:
        self._on(signal.SIGTERM, self.stop)
        self._on(signal.SIGUSR1, self.reopen)
        # A terminal sends these to the whole group: the parent decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            self.access_log = self.plan.open_access_log(self.reactor)
            self.serving = self.service.Serving(
                self.reactor,
                self.plan.config,
                shared=self.shared,
                access_log=self.access_log,
                log=self.log,
                memory=MEMORY_FD,
                board=BOARD_FD,
            )
            starting = self.serving.start(list(zip(self.plan.listens, self.sockets, strict=True)))
            _Lifeline(self.reactor, self.begun, self.told, self.orphaned)
        except Exception:
            self._failed(Failure())  # type: ignore[no-untyped-call]  # Twisted's
            return
        starting.addCallbacks(self._ready, self._failed)

    def _on(self, number: signal.Signals, what: Callable[[], None]) -> None:
        signal.signal(number, lambda *_: self.reactor.callFromThread(what))

    def _ready(self, _: object) -> None:
        # What there is by now stays: to look through it again takes 10 ms each time.
        gc.collect()
        gc.freeze()
        self.stalls = watch_stalls(self.reactor, self.plan.config.daemon.stall_log, self.log)
        if not _report("ready"):
            self.orphaned()
        wishes, self.wishes = self.wishes or [], None
        for line in wishes:
            self.told(line)

    def told(self, line: bytes) -> None:
        """Do what the parent wishes, or will when all is ready."""
        if self.wishes is not None:
            self.wishes.append(line)
            return
        word, _, rest = line.partition(b" ")
        if word == b"share":
            self.share()
        elif word == b"retire":
            self.retire(None if rest == b"-" else float(rest))
        elif word == b"how":
            _report("well")

    def share(self) -> None:
        """Let other processes into the caches."""
        try:
            self.serving.share()
        except Exception as error:
            self.log.failure("the caches cannot be shared")
            _report(f"unshared {error}")
        else:
            _report("shared")

    def retire(self, limit: float | None) -> None:
        """Drain and end: others serve by another configuration. limit: seconds; None: none."""
        grace = RELOAD_GRACE if limit is None else min(limit, RELOAD_GRACE)
        self._drain(limit, grace)

    def _failed(self, failure: Failure) -> None:
        error = first_error(failure)
        why = str(error)
        if not isinstance(error, (self.start_error, self.service.ServiceError)):
            why = f"{type(error).__name__}: {why} (see the error log)"
            self.log.failure("a worker cannot start", failure)
        _report(f"failed {why}")
        self.status = EXIT_CANNOT_START
        self.stopping = True
        self.reactor.stop()

    def reopen(self) -> None:
        """Open the logs again."""
        self.errors.reopen()
        if self.access_log is not None:
            self.access_log.reopen()

    def stop(self) -> None:
        """Drain and end; sooner, where it drains already."""
        self._drain(self.plan.drain, min(self.plan.drain, STOP_GRACE))

    def _drain(self, limit: float | None, grace: float) -> None:
        if self.serving is None:
            self.stopping = True
            self.reactor.stop()
            return
        stopped = self.serving.stop(limit, grace)
        if self.stopping:
            return
        self.stopping = True
        stopped.addErrback(lambda failure: self.log.failure("while stopping", failure))
        stopped.addBoth(self._stopped)

    def _stopped(self, _: object) -> None:
        if self.access_log is not None:
            self.access_log.close()
        if self.reactor.running:
            self.reactor.stop()

    def orphaned(self) -> None:
        """End soon: nobody is left who would watch over this process."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_ORPHAN_LIMIT)
        self.log.error("the parent process is gone: this worker stops")
        self._drain(_ORPHAN_DRAIN, 0.0)


def _handed() -> tuple[Handover, bytes]:
    """Return what the parent hands over, and what was read after it. Raises EOFError."""
    data = b""
    while b"\n" not in data:
        more = os.read(CONTROL_FD, 65_536)
        if not more:
            raise EOFError("the parent is gone")
        data += more
    line, _, rest = data.partition(b"\n")
    return Handover.unpack(line), rest


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker; return its exit status: 0, or EXIT_CANNOT_START."""
    parser = argparse.ArgumentParser(prog="s3shield.ops.worker", description=__doc__)
    parser.add_argument("--service", required=True, help="the module that serves")
    parser.add_argument("--config", required=True, help="the configuration file")
    parser.add_argument("--error-log", required=True, help="where the parent's error log goes")
    parser.add_argument("--fds", required=True, help="sockets, numbers with commas")
    arguments = parser.parse_args(argv)
    # Before anything can import a reactor; by its name, as `twistd --reactor=uvloop` does.
    installReactor("uvloop")
    from twisted.internet import reactor  # noqa: PLC0415  # the one just installed

    from s3shield.ops.plan import StartError, make_plan  # noqa: PLC0415

    sockets = [socket.socket(fileno=int(fd)) for fd in arguments.fds.split(",") if fd]
    try:
        handed, begun = _handed()
        plan = make_plan(arguments.config, error_target=arguments.error_log, handed=handed.files)
        errors = plan.open_error_log(cast(IReactorTime, reactor))
    except StartError as error:
        _report(f"failed {error}")
        return EXIT_CANNOT_START
    except EOFError:
        return EXIT_CANNOT_START
    globalLogBeginner.beginLoggingTo([errors], redirectStandardIO=False)
    service = load_service(arguments.service)
    try:
        worker = _Worker(reactor, plan, sockets, errors, service, StartError, handed.shared, begun)
        return worker.run()
    finally:
        errors.close()


if __name__ == "__main__":
    sys.exit(main())

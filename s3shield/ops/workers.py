"""The parent's side of the worker processes: start, watch, restart, signal, stop.

A worker inherits the listening sockets, a piece of memory that all have in common, that of the
daemon's numbers, and two pipes. On `CONTROL_FD` it gets a line with what it starts with, see
`handover`; then, line by line, `share` (other processes are about to open the same caches),
`retire` (a reload has been done: drain, for so many seconds at most, and exit) and `how` (is its
loop turning?); the end of file says that the parent is gone. On `REPORT_FD` it writes `ready`, or
`failed` and why, `shared` when it has done so, and `well`. The rest is signals: SIGUSR1 reopen the
logs, SIGTERM drain and exit.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.process import reapAllProcesses
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from s3shield.ops.daemon_numbers import DaemonNumbers
from s3shield.ops.surroundings import shared_memory, worker_environment

__all__ = [
    "BOARD_FD",
    "CONTROL_FD",
    "EXIT_CANNOT_START",
    "FIRST_SOCKET_FD",
    "MEMORY_FD",
    "RELOAD_GRACE",
    "REPORT_FD",
    "STOP_GRACE",
    "WorkerFailed",
    "Workers",
]

CONTROL_FD: Final = 3
REPORT_FD: Final = 4
MEMORY_FD: Final = 5
BOARD_FD: Final = 6
FIRST_SOCKET_FD: Final = 7
EXIT_CANNOT_START: Final = 3
"""A worker's exit status when it could not start; why is in its report."""
STOP_GRACE: Final = 1.0
RELOAD_GRACE: Final = 5.0
"""Seconds for which a client's connection must be idle to be closed, at a stop, where somebody
waits for the end, and at a reload, where nobody does."""

_BACKOFF_FIRST: Final = 0.1
_BACKOFF_MOST: Final = 10.0
_HEALTHY_SECONDS: Final = 60.0
_REAP_SECONDS: Final = 0.02
_KILL_GRACE: Final = 3.0
"""Seconds past the drain's end after which a worker is killed."""


class WorkerFailed(Exception):  # noqa: N818  # says what happened, as Twisted's own do
    """A worker could not start. Its text is the worker's own sentence."""


class _Slot:
    """One worker's place: who sits in it now, and when the next one comes."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.worker: _Worker | None = None
        self.backoff = _BACKOFF_FIRST
        self.restart: IDelayedCall | None = None


class _Worker(ProcessProtocol):
    """One running worker process."""

    transport: IProcessTransport | None

    def __init__(self, owner: Workers, slot: _Slot, started: float) -> None:
        self._owner = owner
        self.slot = slot
        self.started = started
        self.ready = False
        self.gone = False
        self.asked_how = False
        self.pid = 0
        self._report = b""
        self._asked: list[Deferred[None]] = []

    def connectionMade(self) -> None:
        if self.transport is not None:
            self.pid = int(self.transport.pid)
            self.tell(self._owner.handed())

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._report = (self._report + data)[:4096]
        if not self.ready and self._report.startswith(b"ready\n"):
            self.ready = True
            self._report = self._report.removeprefix(b"ready\n")
            self._owner.worker_ready(self)
        if not self.ready:
            return
        *lines, self._report = self._report.split(b"\n")
        for line in lines:
            word, _, why = line.decode("utf-8", "replace").partition(" ")
            if word == "well":
                self.asked_how = False
            else:
                self.shared(WorkerFailed(why) if word == "unshared" else None)

    def ask_how(self) -> bool:
        """Ask how it is; return whether it has said so since it was asked before."""
        answered = not self.asked_how
        if answered:
            self.asked_how = True
            self.tell(b"how\n")
        return answered

    def shared(self, error: WorkerFailed | None = None) -> None:
        """It has let others into its caches, or cannot, or is no more."""
        asked, self._asked = self._asked, []
        for done in asked:
            done.callback(None) if error is None else done.errback(error)

    def share(self) -> Deferred[None]:
        """Have it let others into its caches; fires when it has, or is no more."""
        done: Deferred[None] = Deferred()
        self._asked.append(done)
        self.tell(b"share\n")
        return done

    def tell(self, line: bytes) -> None:
        """Write a line to its control pipe; one that is not ready yet reads it later."""
        # Twisted does not notice the end of a pipe that it was given nothing to write to.
        if line and self.transport is not None and not self.gone:
            self.transport.writeToChild(CONTROL_FD, line)

    def childConnectionLost(self, childFD: int) -> None:
        if childFD == REPORT_FD:
            self.gone = True
            self._owner.reap_later()

    @property
    def failure(self) -> str | None:
        """Why it could not start, in its own words."""
        word, _, why = self._report.partition(b" ")
        return why.decode("utf-8", "replace").strip() if word == b"failed" else None

    def processEnded(self, reason: Failure) -> None:
        self._owner.worker_ended(self, reason)

    def send(self, number: signal.Signals) -> None:
        if self.transport is not None:
            try:
                self.transport.signalProcess(number)
            except ProcessExitedAlready:
                return


class Workers:
    """Keeps `count` worker processes running over the same listening sockets.

    command: what to run, without `--fds`. sockets: bound and listening; inherited in this
    order. drain: seconds that workers have to finish what they are doing when stopped.
    handed: returns what each worker gets on `CONTROL_FD` when it starts. numbers: of the daemon,
    left out: of its own.
    """

    log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        processes: IReactorProcess,
        *,
        count: int,
        command: Sequence[str],
        sockets: Sequence[socket.socket],
        drain: float,
        handed: Callable[[], bytes] = bytes,
        numbers: DaemonNumbers | None = None,
    ) -> None:
        self._reactor = reactor
        self._processes = processes
        self._command = [
            *command,
            "--fds",
            ",".join(str(FIRST_SOCKET_FD + index) for index in range(len(sockets))),
        ]
        self._sockets = list(sockets)
        self._memory = shared_memory()
        self._drain = drain
        self._numbers = numbers or DaemonNumbers(reactor)
        self.handed = handed
        self._slots = [_Slot(index) for index in range(count)]
        self._started: Deferred[None] | None = None
        self._leaving = False
        self._left: list[Deferred[None]] = []
        self._given_up = False
        self._kill: IDelayedCall | None = None
        self._reap: IDelayedCall | None = None
        self.restarts = 0
        """Workers started in place of dead ones."""

    # --- start --------------------------------------------------------------------------

    def start(self) -> Deferred[None]:
        """Start all. Fires when each is ready; fails with WorkerFailed when one is not."""
        self._started = Deferred()
        started = self._started
        for slot in self._slots:
            self._spawn(slot)
        return started

    def _spawn(self, slot: _Slot) -> None:
        slot.restart = None
        fds: dict[int, str | int] = {0: 0, 1: 1, 2: 2, CONTROL_FD: "w", REPORT_FD: "r"}
        fds[MEMORY_FD], fds[BOARD_FD] = self._memory.fileno(), self._numbers.fd
        for index, listening in enumerate(self._sockets):
            fds[FIRST_SOCKET_FD + index] = listening.fileno()
        slot.worker = _Worker(self, slot, self._reactor.seconds())
        self._processes.spawnProcess(
            slot.worker,
            self._command[0],
            self._command,
            env=worker_environment(),
            childFDs=fds,
        )

    def worker_ready(self, worker: _Worker) -> None:
        """Note that a worker serves."""
        text = "worker {index} is ready, pid {pid}"
        self.log.info(text, index=worker.slot.index, pid=worker.pid)
        if self._started is not None and all(s.worker and s.worker.ready for s in self._slots):
            started, self._started = self._started, None
            started.callback(None)

    def _reap_now(self) -> None:
        """Collect dead workers.

        Twisted learns of a dead child by a wakeup descriptor for SIGCHLD, which uvloop takes
        away from it. The pipe closes a moment before the process can be collected.
        """
        self._reap = None
        reapAllProcesses()
        if any(worker.gone for worker in self._running()):
            self.reap_later()

    def reap_later(self) -> None:
        """Collect a worker that let go of its pipe, in a moment."""
        if self._reap is None:
            self._reap = self._reactor.callLater(_REAP_SECONDS, self._reap_now)

    def worker_ended(self, worker: _Worker, reason: Failure) -> None:
        """Note that a worker is gone; start another unless all are to stop."""
        slot = worker.slot
        slot.worker = None
        worker.shared()
        if self._leaving:
            self._check_stopped()
            return
        if self._given_up:
            return
        how = _how_it_ended(reason)
        if self._started is not None:
            # The others will fail alike; the caller stops what is left.
            self._given_up = True
            started, self._started = self._started, None
            started.errback(WorkerFailed(worker.failure or f"a worker {how} before it was ready"))
            return
        if worker.ready and self._reactor.seconds() - worker.started >= _HEALTHY_SECONDS:
            slot.backoff = _BACKOFF_FIRST
        delay = slot.backoff
        slot.backoff = min(delay * 2, _BACKOFF_MOST)
        self.log.error(
            "worker {index}, pid {pid}, {how}; another one starts in {delay:.1f} s",
            index=slot.index,
            pid=worker.pid,
            how=f"cannot start: {worker.failure}" if worker.failure else how,
            delay=delay,
        )
        self.restarts += 1
        self._numbers.restarted()
        slot.restart = self._reactor.callLater(delay, self._spawn, slot)

    # --- signals ------------------------------------------------------------------------

    def reopen_logs(self) -> None:
        """Have each worker open its logs again. One that is not ready yet opens them anyway."""
        for worker in self._running():
            if worker.ready:
                worker.send(signal.SIGUSR1)

    def silent(self) -> list[str]:
        """Ask all that are ready how they are; name those that have not answered the last time.

        Those that are to end are let alone.
        """
        ready = [worker for worker in self._running() if worker.ready and not self._leaving]
        return [f"{w.slot.index}, pid {w.pid}" for w in ready if not w.ask_how()]

    def _running(self) -> list[_Worker]:
        return [slot.worker for slot in self._slots if slot.worker is not None]

    # --- stop ---------------------------------------------------------------------------

    def share(self) -> Deferred[None]:
        """Have all let other processes into their caches. Fires when all have.

        Fails with FirstError, of a WorkerFailed, when one cannot.
        """
        shares = [worker.share() for worker in self._running()]
        shared = gatherResults(shares, consumeErrors=True)
        return shared.addCallback(lambda _: None)

    def retire(self, limit: float | None) -> Deferred[None]:
        """Accept no more, let requests under way end, for `limit` seconds at the most.

        None: as long as they take. Nobody is started in place of the dead any more. Fires when
        none is left. `stop` may follow, for an end sooner.
        """
        return self._leave(b"retire %b\n" % (b"-" if limit is None else b"%g" % limit), limit)

    def stop(self) -> Deferred[None]:
        """Drain and stop all; kill those that are not gone in time. Fires when none is left."""
        return self._leave(b"", self._drain)

    def _leave(self, line: bytes, limit: float | None) -> Deferred[None]:
        left: Deferred[None] = Deferred()
        self._left.append(left)
        self._leaving = True
        starting, self._started = self._started, None
        for slot in self._slots:
            if slot.restart is not None:
                slot.restart.cancel()
                slot.restart = None
        for worker in self._running():
            if not worker.ready:
                # It has nothing to drain, and may not listen to TERM yet.
                worker.send(signal.SIGKILL)
            elif line:
                worker.tell(line)
            else:
                worker.send(signal.SIGTERM)
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        if limit is not None:
            self._kill = self._reactor.callLater(limit + _KILL_GRACE, self._overdue, limit)
        if starting is not None:
            starting.errback(WorkerFailed("the workers were stopped before they were ready"))
        self._check_stopped()
        return left

    def _overdue(self, limit: float) -> None:
        self._kill = None
        text = "{count} workers are not done after {drain:g} s and are killed"
        self.log.warn(text, count=len(self._running()), drain=limit)
        self.kill()

    def kill(self) -> None:
        """Kill what still runs, at once."""
        for worker in self._running():
            worker.send(signal.SIGKILL)

    def _check_stopped(self) -> None:
        if self._running() or not self._leaving:
            return
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        if self._reap is not None:
            self._reap.cancel()
            self._reap = None
        self._memory.close()
        left, self._left = self._left, []
        for done in left:
            done.callback(None)


def _how_it_ended(reason: Failure) -> str:
    if isinstance(reason.value, ProcessDone):
        return "ended with status 0"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return f"was killed by signal {number}"
    return f"ended with status {getattr(reason.value, 'exitCode', None)}"

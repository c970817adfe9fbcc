"""The service that twistd runs: the parent of the workers, or the one process there is.

Signals: SIGTERM and SIGINT drain and exit 0 (a second one does not wait), SIGUSR1 opens
the logs again, SIGHUP reads the configuration again, see `reloading`.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NoReturn

import attrs
from twisted.application.service import IProcess, Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from s3shield.ops.access_log import AccessLog
from s3shield.ops.certificate_watch import CertificateWatch
from s3shield.ops.certificates import Certificates
from s3shield.ops.daemon_numbers import DaemonNumbers
from s3shield.ops.error_log import ErrorLog
from s3shield.ops.handover import Handover
from s3shield.ops.key_watch import KeyWatch
from s3shield.ops.notify import Notify
from s3shield.ops.outcome import OutcomeFile, outcome_path
from s3shield.ops.pid_file import remove_pid, write_pid
from s3shield.ops.plan import Plan, StartError
from s3shield.ops.reloading import Reloads
from s3shield.ops.service_module import first_error, load_service
from s3shield.ops.sockets import Lot, Sockets
from s3shield.ops.stall_watch import StallWatch, watch_stalls
from s3shield.ops.surroundings import raise_file_limit
from s3shield.ops.workers import STOP_GRACE, WorkerFailed, Workers

__all__ = ["Daemon"]

_RELOAD_TIMEOUT: Final = 60.0
"""Seconds for new workers to be ready: past it the reload is given up."""


@attrs.frozen
class _Generation:
    """What serves by one configuration. workers: None: the parent itself does."""

    plan: Plan
    lot: Lot
    keys: KeyWatch
    certificates: CertificateWatch
    workers: Workers | None

    @property
    def where(self) -> str:
        """What it listens on, and who does, for a message."""
        count = self.plan.workers
        how = f"{count} worker{'s' if count > 1 else ''}" if count else "in this process"
        return f"listening on {', '.join(map(str, self.plan.listens))}, {how}"


class Daemon(Service):
    """Serves as `plan` says, on `lot`, taken of `sockets`.

    errors: the log that replaces twistd's own. service: the name of the module that has
    `Serving` and `ServiceError`, see service_module. reread: makes a new plan of the file as it
    is now, raises StartError.
    """

    name: str = "s3shield"
    log = Logger()

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        sockets: Sockets,
        lot: Lot,
        errors: ErrorLog,
        *,
        service: str,
        reread: Callable[[], Plan],
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._errors = errors
        self._service = service
        self._reread = reread
        self._access_log: AccessLog | None = None
        self._serving: Any = None
        self._stalls: StallWatch | None = None
        self._stop_asked = False
        self._exit_status = 0
        self._reopen_others: Callable[[], object] | None = None
        # From the first reload on even a single worker has company in its caches.
        self._reloaded = False
        self._leaving: set[Workers] = set()  # of other generations
        self._numbers = DaemonNumbers(reactor)
        self._now = self._generation(plan, lot)
        self._outcome = OutcomeFile(outcome_path(plan.pid_file, os.environ))
        self._reloads = Reloads(self._reload, lambda: self._outcome, time.time, self._reload_ended)
        self._notify = Notify.of(os.environ, os.getpid(), reactor)

    @property
    def _plan(self) -> Plan:
        return self._now.plan

    def _generation(self, plan: Plan, lot: Lot) -> _Generation:
        # For all processes: what is wrong with a key file is told once.
        reactor = self._reactor
        in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        keys = KeyWatch(
            plan.config.buckets.values(),
            reactor=reactor,
            in_thread=in_thread,
            clock=time.time,
            log=self.log,
        )
        certificates = CertificateWatch(
            Certificates(plan.config).all, reactor=reactor, in_thread=in_thread, log=self.log
        )
        if not plan.workers:
            return _Generation(plan, lot, keys, certificates, None)

        def handed() -> bytes:
            # Keys in use go on, though a key file may not be good just now.
            files = {**plan.files, **keys.in_use()}
            return Handover(files, plan.workers > 1 or self._reloaded).pack()

        workers = Workers(
            self._reactor,
            self._reactor,
            count=plan.workers,
            command=plan.worker_command(self._service),
            sockets=lot.sockets,
            drain=plan.drain,
            handed=handed,
            numbers=self._numbers,
        )
        return _Generation(plan, lot, keys, certificates, workers)

    def setServiceParent(self, parent: Any) -> None:
        """Tell twistd's application which log it has and which user it becomes."""
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._errors)  # type: ignore[no-untyped-call]  # Twisted's
            process = IProcess(parent)
            if self._plan.uid is not None:
                process.uid = self._plan.uid
            if self._plan.gid is not None:
                process.gid = self._plan.gid
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]  # Twisted's

    # --- start --------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Write the pid file: after daemonizing, before privileges are dropped."""
        try:
            write_pid(self._plan)
        except StartError as error:
            self._refuse(str(error))
        self._outcome.make(self._plan.uid)
        super().privilegedStartService()  # type: ignore[no-untyped-call]  # Twisted's

    def startService(self) -> None:
        """Start serving, or the workers; ends the process with status 1 when that fails."""
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's
        atexit.register(self._exit)
        raise_file_limit()
        self._reactor.callWhenRunning(self._take_signals)
        self._reactor.callWhenRunning(self._begin)

    def _refuse(self, message: str) -> None:
        print(message, file=sys.stderr)  # noqa: T201  # nothing runs yet: the shell has to know
        raise SystemExit(1)

    def _begin(self) -> None:
        plan, workers = self._plan, self._now.workers
        try:
            if workers is not None:
                starting = workers.start()
            else:
                self._access_log = plan.open_access_log(self._reactor)
                self._serving = load_service(self._service).Serving(
                    self._reactor,
                    plan.config,
                    shared=False,
                    access_log=self._access_log,
                    log=self.log,
                    board=self._numbers.fd,
                )
                starting = self._serving.start(self._now.lot.pairs)
        except Exception:
            self._failed(Failure())  # type: ignore[no-untyped-call]  # Twisted's
            return
        starting.addCallbacks(self._ready, self._failed)

    def _ready(self, _: object) -> None:
        self.log.info("ready: {where}", where=self._now.where)
        self._notify.ready(self._now.where)
        self._notify.watch(self._silent)
        self._now.keys.start()
        self._now.certificates.start()
        self._reloads.allow()
        if self._serving is not None:
            self._stalls = watch_stalls(self._reactor, self._plan.config.daemon.stall_log, self.log)

    def _silent(self) -> list[str]:
        workers = self._now.workers
        return [] if workers is None else workers.silent()

    def _failed(self, failure: Failure) -> None:
        """Say why, once, and end with status 1."""
        if self._stop_asked:
            return
        known = (StartError, WorkerFailed, load_service(self._service).ServiceError)
        error = first_error(failure)
        if isinstance(error, known):
            self.log.critical("cannot start: {why}", why=str(error))
            if self._errors.target != "stderr":
                print(error, file=sys.__stderr__)  # for the shell
        else:
            self.log.failure("cannot start", failure)
        self._notify.failed(str(error))
        self._exit_status = 1
        self._stop_asked = True
        self._reactor.stop()

    def _exit(self) -> None:
        # twistd ends with status 0 whenever its reactor was stopped in good order; it has
        # no way for a service to say another one.
        if self._exit_status:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._exit_status)

    # --- signals ------------------------------------------------------------------------

    def _take_signals(self) -> None:
        before = signal.getsignal(signal.SIGUSR1)
        if callable(before):  # twistd's own: it rotates the log that it writes itself
            self._reopen_others = lambda: before(signal.SIGUSR1, None)
        self._on(signal.SIGTERM, self._stop_by_signal)
        self._on(signal.SIGINT, self._stop_by_signal)
        self._on(signal.SIGUSR1, self.reopen_logs)
        self._on(signal.SIGHUP, self._reloads.ask)

    def _on(self, number: signal.Signals, what: Callable[[], None]) -> None:
        signal.signal(number, lambda *_: self._reactor.callFromThread(what))

    def _stop_by_signal(self) -> None:
        # twistd would hand the signal on to itself and end by it, not with status 0.
        if not self._stop_asked:
            self._stop_asked = True
            self._reactor.stop()
        elif self._workers:
            for workers in self._workers:
                workers.kill()
        elif self._access_log is not None:
            # Everything on disk is safe at any instant; only the log has to be written.
            self._access_log.close()
            os._exit(0)

    def reopen_logs(self) -> None:
        """Open every log again, here and in the workers."""
        self._errors.reopen()
        if self._access_log is not None:
            self._access_log.reopen()
        for workers in self._workers:
            workers.reopen_logs()
        if self._reopen_others is not None:
            self._reopen_others()

    @property
    def _workers(self) -> list[Workers]:
        """Those of every generation that has any left."""
        now = self._now.workers
        return [*self._leaving, *([] if now is None else [now])]

    # --- reload -------------------------------------------------------------------------

    async def _reload(self) -> str:
        """Serve by the file as it is now. Raises StartError, WorkerFailed, FirstError."""
        self._notify.reloading()
        before = self._now
        plan = self._reread()
        if before.workers is None or not plan.workers:
            raise StartError(f"{plan.path}: [s3shield] workers = 0: this takes a restart")
        plan.prepare()
        lot = self._sockets.take(plan)
        new = self._generation(plan, lot)
        assert new.workers is not None
        try:
            if plan.pid_file != before.plan.pid_file:
                write_pid(plan)
            self._leaving.add(new.workers)
            alone = before.plan.workers == 1 and not self._reloaded
            self._reloaded = True
            if alone:
                await self._in_time(before.workers.share())
            if self._stop_asked:
                raise StartError("the daemon is stopping")
            await self._in_time(new.workers.start())
        except BaseException:
            self._sockets.give_back(lot)
            if plan.pid_file != before.plan.pid_file:
                remove_pid(plan)
            self._leave(new.workers, new.workers.stop())
            raise
        self._leaving.discard(new.workers)
        self._leaving.add(before.workers)
        self._now = new
        self._leave(before.workers, before.workers.retire(plan.reload_drain))
        self._settle(before)
        for warning in plan.warnings:
            self.log.warn("{warning}", warning=warning)
        return f"reloaded: {new.where}"

    def _reload_ended(self, good: bool, text: str) -> None:
        self._numbers.reloaded(good)
        refused = "" if good else f"; the last reload was refused: {text}"
        self._notify.ready(f"{self._now.where}{refused}")

    def _in_time(self, waited: Deferred[None]) -> Deferred[None]:
        def too_late(_: object, seconds: float) -> NoReturn:
            raise WorkerFailed(f"the workers are not ready after {seconds:g} s")

        return waited.addTimeout(_RELOAD_TIMEOUT, self._reactor, onTimeoutCancel=too_late)

    def _settle(self, before: _Generation) -> None:
        """Let go of what the configuration before had and this one has not."""
        now, plan = self._now, self._plan
        self._sockets.keep(now.lot)
        before.keys.stop()
        before.certificates.stop()
        now.keys.start()
        now.certificates.start()
        if (error := self._errors.change(plan.error_target, plan.error_level)) is not None:
            self.log.error("cannot open the error log: {why}", why=error.strerror)
        if plan.pid_file != before.plan.pid_file:
            remove_pid(before.plan)
            self._outcome.remove()
            self._outcome = OutcomeFile(outcome_path(plan.pid_file, os.environ))

    def _leave(self, workers: Workers, left: Deferred[None]) -> None:
        def gone(result: Any) -> Any:
            self._leaving.discard(workers)
            return result

        left.addBoth(gone)
        left.addErrback(lambda failure: self.log.failure("while workers retire", failure))

    # --- stop ---------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Drain and stop. Fires when no worker is left and the logs are closed."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's
        self._stop_asked = self._reloads.stopped = True
        self._notify.stopping(self._plan.drain)
        self._numbers.stop()
        self._now.keys.stop()
        self._now.certificates.stop()
        self._sockets.close()
        stopped: Deferred[Any]
        if self._serving is not None:
            stopped = self._serving.stop(self._plan.drain, min(self._plan.drain, STOP_GRACE))
        else:
            stopped = gatherResults([workers.stop() for workers in self._workers])
        stopped.addErrback(lambda failure: self.log.failure("while stopping", failure))
        return stopped.addCallback(self._stopped)

    def _stopped(self, _: object) -> None:
        if self._stalls is not None:
            self._stalls.stop()
        if self._access_log is not None:
            self._access_log.close()
        self._outcome.remove()
        if (error := remove_pid(self._plan)) is not None:
            # Its directory belongs to the user the daemon was before.
            text = "cannot remove pid_file {path}: {reason}"
            self.log.info(text, path=self._plan.pid_file, reason=error.strerror)
        self._sockets.unlink()
        self.log.info("stopped")

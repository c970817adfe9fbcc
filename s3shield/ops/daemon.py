"""The service that twistd runs: the parent of the workers, or the one process there is.

Signals: SIGTERM and SIGINT drain and exit 0 (a second one does not wait), SIGUSR1 opens
the logs again, SIGHUP is kept for reload.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from twisted.application.service import IProcess, Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from s3shield.ops.access_log import AccessLog
from s3shield.ops.certificate_watch import CertificateWatch
from s3shield.ops.certificates import Certificates
from s3shield.ops.error_log import ErrorLog
from s3shield.ops.key_watch import KeyWatch
from s3shield.ops.plan import Plan, StartError
from s3shield.ops.service_module import first_error, load_service
from s3shield.ops.stall_watch import StallWatch, watch_stalls
from s3shield.ops.workers import WorkerFailed, Workers

__all__ = ["Daemon"]

_MOST_FILES: Final = 1 << 20


class Daemon(Service):
    """Serves on `sockets`, bound and listening, as `plan` says.

    errors: the log that replaces twistd's own. service: the name of the module that has
    `Serving` and `ServiceError`, see service_module.
    """

    name: str = "s3shield"
    log = Logger()

    def __init__(
        self,
        reactor: Any,
        plan: Plan,
        sockets: Sequence[socket.socket],
        errors: ErrorLog,
        *,
        service: str,
    ) -> None:
        self._reactor = reactor
        self._plan = plan
        self._sockets = sockets
        self._errors = errors
        self._service = service
        self._workers: Workers | None = None
        self._access_log: AccessLog | None = None
        self._serving: Any = None
        self._stalls: StallWatch | None = None
        self._stop_asked = False
        self._exit_status = 0
        self._reopen_others: Callable[[], object] | None = None
        # For all processes: what is wrong with a key file is told once.
        self._keys = KeyWatch(
            plan.config.buckets.values(),
            reactor=reactor,
            in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
            clock=time.time,
            log=self.log,
        )

        self._certificates = CertificateWatch(
            Certificates(plan.config).all,
            reactor=reactor,
            in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
            log=self.log,
        )

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
        path = self._plan.pid_file
        if path is not None:
            try:
                Path(path).write_text(f"{os.getpid()}\n", encoding="ascii")
            except OSError as error:
                self._refuse(f"{self._plan.where('pid_file')}: {path}: {error.strerror}")
        super().privilegedStartService()  # type: ignore[no-untyped-call]  # Twisted's

    def startService(self) -> None:
        """Start serving, or the workers; ends the process with status 1 when that fails."""
        super().startService()  # type: ignore[no-untyped-call]  # Twisted's
        atexit.register(self._exit)
        _raise_file_limit()
        self._reactor.callWhenRunning(self._take_signals)
        self._reactor.callWhenRunning(self._begin)

    def _refuse(self, message: str) -> None:
        print(message, file=sys.stderr)  # noqa: T201  # nothing runs yet: the shell has to know
        raise SystemExit(1)

    def _begin(self) -> None:
        plan = self._plan
        try:
            if plan.workers:
                self._workers = Workers(
                    self._reactor,
                    self._reactor,
                    count=plan.workers,
                    command=plan.worker_command(self._service),
                    sockets=self._sockets,
                    drain=plan.drain,
                    handed=self._keys.handed,
                )
                starting = self._workers.start()
            else:
                self._access_log = plan.open_access_log(self._reactor)
                self._serving = load_service(self._service).Serving(
                    self._reactor,
                    plan.config,
                    shared=False,
                    access_log=self._access_log,
                    log=self.log,
                )
                starting = self._serving.start(plan.pair(self._sockets))
        except Exception:
            self._failed(Failure())  # type: ignore[no-untyped-call]  # Twisted's
            return
        starting.addCallbacks(self._ready, self._failed)

    def _ready(self, _: object) -> None:
        count = self._plan.workers
        how = f"{count} worker{'s' if count > 1 else ''}" if count else "in this process"
        where = ", ".join(str(listen) for listen in self._plan.listens)
        self.log.info("ready: listening on {where}, {how}", where=where, how=how)
        self._keys.start()
        self._certificates.start()
        if self._serving is not None:
            self._stalls = watch_stalls(self._reactor, self._plan.config.daemon.stall_log, self.log)

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
        self._on(signal.SIGHUP, self._reload)

    def _on(self, number: signal.Signals, what: Callable[[], None]) -> None:
        signal.signal(number, lambda *_: self._reactor.callFromThread(what))

    def _stop_by_signal(self) -> None:
        # twistd would hand the signal on to itself and end by it, not with status 0.
        if not self._stop_asked:
            self._stop_asked = True
            self._reactor.stop()
        elif self._workers is not None:
            self._workers.kill()
        elif self._access_log is not None:
            # Everything on disk is safe at any instant; only the log has to be written.
            self._access_log.close()
            os._exit(0)

    def reopen_logs(self) -> None:
        """Open every log again, here and in the workers."""
        self._errors.reopen()
        if self._access_log is not None:
            self._access_log.reopen()
        if self._workers is not None:
            self._workers.reopen_logs()
        if self._reopen_others is not None:
            self._reopen_others()

    def _reload(self) -> None:
        self.log.warn("SIGHUP: reload is not available yet; restart to use a new configuration")

    # --- stop ---------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Drain and stop. Fires when no worker is left and the logs are closed."""
        super().stopService()  # type: ignore[no-untyped-call]  # Twisted's
        self._keys.stop()
        self._certificates.stop()
        if self._workers is not None:
            for listening in self._sockets:
                listening.close()
            stopped = self._workers.stop()
        elif self._serving is not None:
            stopped = self._serving.stop(self._plan.drain)
        else:
            stopped = succeed(None)
        stopped.addErrback(lambda failure: self.log.failure("while stopping", failure))
        stopped.addCallback(self._stopped)
        return stopped

    def _stopped(self, _: object) -> None:
        if self._stalls is not None:
            self._stalls.stop()
        if self._access_log is not None:
            self._access_log.close()
        if self._plan.pid_file is not None:
            try:
                Path(self._plan.pid_file).unlink(missing_ok=True)
            except OSError as error:
                # Its directory belongs to the user the daemon was before.
                text = "cannot remove pid_file {path}: {reason}"
                self.log.info(text, path=self._plan.pid_file, reason=error.strerror)
        self._plan.unlink_sockets()
        self.log.info("stopped")


def _raise_file_limit() -> None:
    """Take as many descriptors as this process may have: one or two a connection are needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard if hard != resource.RLIM_INFINITY else _MOST_FILES, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    # macOS names a hard limit that it does not grant.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

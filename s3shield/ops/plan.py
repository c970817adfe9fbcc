"""What a process needs to know to start, read from the configuration in one place.

Every failure here is a StartError: what the operator reads, with the option's place.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.python.util import runAsEffectiveUser

from s3shield.config import AUTO, Config, ConfigErrors, ErrorLogConfig, Listen, is_log_file, load
from s3shield.ops.access_log import AccessLog
from s3shield.ops.certificates import Certificates
from s3shield.ops.error_log import ErrorLog
from s3shield.ops.log_format import compile_format
from s3shield.ops.surroundings import usable_cpus

__all__ = ["Plan", "StartError", "make_plan"]


class StartError(Exception):
    """The daemon cannot start. Its text is for the operator, one line a mistake."""


@attrs.frozen(kw_only=True)
class Plan:
    """How this daemon runs. path: of the configuration file. workers: 0: in the parent.

    error_target: where the error log really goes, see make_plan. drain: seconds. uid, gid:
    to become, None: stay. files: path -> text, of all that was read, with secrets in it: with
    this a worker has the same configuration, whatever the files say by then.
    """

    path: str
    config: Config
    workers: int
    error_target: str
    error_level: str
    uid: int | None
    gid: int | None
    warnings: tuple[str, ...]
    files: Mapping[str, str] = attrs.field(factory=dict, repr=False)

    @property
    def listens(self) -> tuple[Listen, ...]:
        """Every address, in the order in which sockets are handed on."""
        admin = self.config.daemon.admin_listen
        return self.config.listens if admin is None else (*self.config.listens, admin)

    @property
    def drain(self) -> float:
        """Seconds for requests under way at a stop."""
        return self.config.daemon.shutdown_timeout

    @property
    def reload_drain(self) -> float | None:
        """Seconds for requests under way at a reload; None: as long as they take."""
        return self.config.daemon.worker_shutdown_timeout

    @property
    def pid_file(self) -> str | None:
        """Path, or None."""
        return self.config.daemon.pid_file or None

    def where(self, option: str) -> str:
        """Return the place of an option of `[s3shield]`, for a message."""
        daemon = self.config.daemon
        place = daemon.where
        if option == "access_log":
            place = daemon.access_log.where
        elif option == "error_log" and daemon.error_log is not None:
            place = daemon.error_log.where
        return f"{place or self.path}: [s3shield] {option}"

    # --- logs ---------------------------------------------------------------------------

    def open_access_log(self, reactor: IReactorTime) -> AccessLog:
        """Open the access log. Raises StartError."""
        wanted = self.config.daemon.access_log
        try:
            sample = self.config.daemon.access_log_sample
            return AccessLog(wanted.target, wanted.format, reactor=reactor, sample=sample)
        except OSError as error:
            raise StartError(self._cannot("open", "access_log", wanted.target, error)) from error
        except ValueError as error:
            raise StartError(f"{self.where('access_log')}: {error}") from error

    def open_error_log(self, reactor: IReactorTime) -> ErrorLog:
        """Open the error log. Raises StartError."""
        try:
            return ErrorLog(self.error_target, self.error_level, reactor=reactor)
        except OSError as error:
            raise StartError(self._cannot("open", "error_log", self.error_target, error)) from error

    def _cannot(self, what: str, option: str, path: str, error: OSError) -> str:
        return f"{self.where(option)}: cannot {what} {path}: {error.strerror}"

    # --- before the start ---------------------------------------------------------------

    def prepare(self) -> None:
        """Check every path that the daemon writes; make what is missing. Raises StartError.

        As root with `user` set, checks as that user and gives it what is made.
        """
        problems: list[str] = []
        access = self.config.daemon.access_log
        try:
            compile_format(access.format)
        except ValueError as error:
            problems.append(f"{self.where('access_log')}: {error}")
        for option, target in (("access_log", access.target), ("error_log", self.error_target)):
            if is_log_file(target):
                try:
                    self._touch(target)
                except OSError as error:
                    problems.append(self._cannot("write", option, target, error))
        for cache in self.config.caches.values():
            path = Path(cache.path)
            try:
                self._make(path)
                self._as_user(lambda path=path: tempfile.TemporaryFile(dir=path).close())
            except OSError as error:
                reason = error.strerror or str(error)
                where = cache.where or self.path
                problems.append(f"{where}: [cache:{cache.name}] cannot write in {path}: {reason}")
        self._as_user(lambda: problems.extend(Certificates(self.config).problems()))
        if problems:
            raise StartError("\n".join(problems))

    def _touch(self, target: str) -> None:
        fd = os.open(target, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        with contextlib.closing(os.fdopen(fd, "ab")):
            if self.uid is not None and os.fstat(fd).st_uid == 0 and not os.isatty(fd):
                os.fchown(fd, self.uid, -1 if self.gid is None else self.gid)

    def _make(self, path: Path) -> None:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700 if folder == path else 0o755, exist_ok=True)
            if self.uid is not None and folder == path:
                os.chown(folder, self.uid, -1 if self.gid is None else self.gid)
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def _as_user(self, check: Any) -> None:
        if self.uid is None:
            check()
        else:
            gid = pwd.getpwuid(self.uid).pw_gid if self.gid is None else self.gid
            runAsEffectiveUser(self.uid, gid, check)  # type: ignore[no-untyped-call]  # Twisted's

    # --- workers ------------------------------------------------------------------------

    def worker_command(self, service: str) -> list[str]:
        """Return what a worker is started with. service: the module that serves."""
        command = [sys.executable, "-m", "s3shield.ops.worker", "--service", service]
        return [*command, "--config", self.path, "--error-log", self.error_target]


def _who(config: Config, path: str) -> tuple[int | None, int | None, list[str]]:
    """Return (uid, gid, warnings) for the options user and group. Raises StartError."""
    user, group = config.daemon.user or None, config.daemon.group or None
    place = config.daemon.where or path
    uid = gid = None
    problems = []
    if user is not None:
        try:
            account = pwd.getpwnam(user)
            uid, gid = account.pw_uid, account.pw_gid
        except KeyError:
            problems.append(f"{place}: [s3shield] user: there is no user {user!r}")
    if group is not None:
        try:
            gid = grp.getgrnam(group).gr_gid
        except KeyError:
            problems.append(f"{place}: [s3shield] group: there is no group {group!r}")
    if problems:
        raise StartError("\n".join(problems))
    if (uid is None and gid is None) or os.geteuid() == 0:
        return uid, gid, []
    if uid in (None, os.geteuid()) and gid in (None, os.getegid()):
        return None, None, []  # at a reload: it has become that user long ago
    return None, None, ["user and group are ignored: only root can become someone else"]


def _error_target(target: str, twistd: Mapping[str, Any]) -> str:
    """Return where errors go: twistd's own options count where ours names a stream."""
    if target not in ("stdout", "stderr") or not twistd:
        return str(Path(target).absolute()) if is_log_file(target) else target
    if twistd.get("syslog"):
        return "syslog"
    logfile = twistd.get("logfile")
    if logfile == "-":
        return "stdout"
    if logfile:
        return str(Path(logfile).absolute())
    if not twistd.get("nodaemon") and not twistd.get("debug"):
        # A daemon has no standard streams: then as twistd itself.
        return str(Path(twistd.get("rundir") or ".", "twistd.log").absolute())
    return target


def make_plan(
    path: str,
    *,
    twistd: Mapping[str, Any] | None = None,
    error_target: str | None = None,
    handed: Mapping[str, str] | None = None,
) -> Plan:
    """Read the configuration file at `path`. Raises StartError.

    twistd: its own options (`nodaemon`, `logfile`, `syslog`, `rundir`), in the parent.
    error_target: the parent's, in a worker. handed: path -> text, of files that are not read.
    """
    files: dict[str, str] = {}

    def read(name: str) -> str:
        known = (handed or {}).get(name)
        files[name] = Path(name).read_text(encoding="utf-8") if known is None else known
        return files[name]

    try:
        config = load(path, read_file=read)
    except ConfigErrors as error:
        raise StartError(error.render()) from error
    except OSError as error:
        raise StartError(f"{path}: cannot read it: {error.strerror}") from error
    warnings = list(config.warnings)
    uid, gid, more = _who(config, path)
    warnings += more
    log = config.daemon.error_log or ErrorLogConfig()
    if error_target is None:
        error_target = _error_target(log.target, twistd or {})
    daemonize = bool(twistd) and not (twistd or {}).get("nodaemon")
    if daemonize and config.daemon.access_log.target == "stdout":
        warnings.append("access_log = stdout goes nowhere without twistd's -n")
    workers = config.daemon.workers
    return Plan(
        path=path,
        config=config,
        workers=usable_cpus() if workers == AUTO else workers,
        error_target=error_target,
        error_level=log.level,
        uid=uid,
        gid=gid,
        warnings=tuple(warnings),
        files=files,
    )

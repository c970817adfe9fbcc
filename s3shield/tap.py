"""What `twistd s3shield` runs: its options, and the service made of a configuration."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from twisted.application.service import IService
from twisted.python import usage

import twisted
from s3shield import __version__
from s3shield.ops import Daemon, Sockets, StartError, make_plan

__all__ = ["Options", "makeService"]


_EXAMPLES: Final = """\
Examples:
  twistd -n s3shield -c s3shield.ini
      run in the foreground, messages on the terminal
  twistd --pidfile=/run/s3shield.pid s3shield -c /etc/s3shield/s3shield.ini
      run in the background
  s3shield check s3shield.ini
      look for mistakes without starting anything

Signals: HUP reads the configuration again, and drops no request (`s3shield reload`
sends it and says how it went); TERM or INT finish what is under way and stop (a
second one does not wait); USR1 opens the logs again after they were moved.
"""


class Options(usage.Options):
    """`twistd [options] s3shield -c FILE`."""

    synopsis = "[-c FILE]"
    longdesc = "Serves private S3 buckets: signs requests, caches what comes back."
    optParameters = [  # noqa: RUF012  # read by usage.Options
        ["config", "c", "/etc/s3shield/s3shield.ini", "The configuration file."],
    ]
    compData = usage.Completions(  # type: ignore[no-untyped-call]  # Twisted's
        optActions={"config": usage.CompleteFiles("*.ini")}  # type: ignore[no-untyped-call]
    )

    def getUsage(self, width: int | None = None) -> str:
        """Return the help text; the examples keep their lines."""
        return f"{super().getUsage(width)}\n{_EXAMPLES}"

    def opt_version(self) -> NoReturn:
        """Display the versions of s3shield and Twisted, and exit."""
        sys.stdout.write(f"s3shield {__version__}, Twisted {twisted.__version__}\n")
        raise SystemExit(0)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(message.rstrip("\n") + "\n")
    raise SystemExit(1)


def _log_options(twistd: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of twistd's options says where the log goes, whatever becomes of its cwd."""
    words = {name: twistd.get(name) for name in ("nodaemon", "debug", "syslog", "logfile")}
    if words["logfile"] and words["logfile"] != "-":
        words["logfile"] = str(Path(words["logfile"]).absolute())
    return {**words, "rundir": str(Path(twistd.get("rundir") or ".").absolute())} if twistd else {}


def makeService(options: Options) -> IService:
    """Read the configuration, bind its sockets, check its paths; return what serves.

    Anything wrong is written to standard error, one line a mistake, and ends the process
    with status 1 before anything was started or daemonized.
    """
    from twisted.internet import reactor  # noqa: PLC0415  # the one twistd installed

    twistd: Any = options.parent if options.parent is not None else {}
    path, words = str(Path(options["config"]).absolute()), _log_options(twistd)
    sockets = Sockets()
    try:
        plan = make_plan(path, twistd=words)
        for warning in plan.warnings:
            sys.stderr.write(f"{warning}\n")
        plan.prepare()
        lot = sockets.take(plan)
        errors = plan.open_error_log(reactor)
    except StartError as error:
        _refuse(str(error))
    if plan.pid_file is not None and twistd.get("pidfile") == str(Path("twistd.pid").absolute()):
        # One pid file is enough, and twistd's default is wherever it was started.
        twistd["pidfile"] = ""
    return Daemon(
        reactor,
        plan,
        sockets,
        lot,
        errors,
        service="s3shield.service",
        reread=lambda: make_plan(path, twistd=words),
    )

"""What `twistd s3shield` runs: its options, and the service made of a configuration."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import IService
from twisted.python import usage

from s3shield.ops import Daemon, StartError, make_plan

__all__ = ["Options", "makeService"]


class Options(usage.Options):
    """`twistd [options] s3shield -c FILE`."""

    synopsis = "[-c FILE]"
    longdesc = (
        "Serves private S3 buckets: signs requests, caches what comes back.\n\n"
        "Examples:\n"
        "  twistd -n s3shield -c s3shield.ini      run in the foreground, logs on the terminal\n"
        "  twistd --pidfile=/run/s3shield.pid s3shield -c /etc/s3shield/s3shield.ini\n"
        "                                          run as a daemon\n"
        "  s3shield check s3shield.ini             look for mistakes without starting\n\n"
        "Signals: TERM or INT drain and stop, USR1 opens the logs again."
    )
    optParameters = [  # noqa: RUF012  # read by usage.Options
        ["config", "c", "/etc/s3shield/s3shield.ini", "The configuration file."],
    ]
    compData = usage.Completions(optActions={"config": usage.CompleteFiles("*.ini")})


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(message.rstrip("\n") + "\n")
    raise SystemExit(1)


def makeService(options: Options) -> IService:
    """Read the configuration, bind its sockets, check its paths; return what serves.

    Anything wrong is written to standard error, one line a mistake, and ends the process
    with status 1 before anything was started or daemonized.
    """
    from twisted.internet import reactor  # noqa: PLC0415  # the one twistd installed

    twistd: Any = options.parent if options.parent is not None else {}
    try:
        plan = make_plan(str(Path(options["config"]).absolute()), twistd=twistd)
        for warning in plan.warnings:
            sys.stderr.write(f"{warning}\n")
        plan.prepare()
        sockets = plan.bind()
        errors = plan.open_error_log(reactor)
    except StartError as error:
        _refuse(str(error))
    if plan.pid_file is not None and twistd.get("pidfile") == str(Path("twistd.pid").absolute()):
        # One pid file is enough, and twistd's default is wherever it was started.
        twistd["pidfile"] = ""
    return Daemon(reactor, plan, sockets, errors, service="s3shield.service")

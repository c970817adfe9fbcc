"""`s3shield reload`: have a running daemon serve by its configuration as it is now."""

from __future__ import annotations

import argparse
import os
import signal
import time
from pathlib import Path
from typing import Final

from s3shield.ops import OutcomeFile, outcome_path

from .command import Console, Subparsers, add_command, add_config, loaded
from .running import pid_in, runs

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  the daemon whose process id is in the configuration's pid_file:
    s3shield reload -c /etc/s3shield/s3shield.ini
  the one of a systemd unit:
    ExecReload=s3shield reload -c /etc/s3shield/s3shield.ini --pid $MAINPID

The file is read and checked here first: with mistakes in it the daemon is not asked. Then the
daemon reads it, starts new workers and lets the old ones finish; no request is dropped. What
comes of it is printed. Where there is no pid_file, and no RUNTIME_DIRECTORY of systemd's, the
daemon has no place to say it but the error log.

exit status: 0, 1 when nothing was changed, 2 for wrong usage
"""
_PATIENCE: Final = 150.0
"""Seconds: the one that is under way may have to end before ours begins, 60 s each."""
_PAUSE: Final = 0.05


def add_parser(subparsers: Subparsers) -> None:
    """Add `reload`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "reload",
        run,
        brief="have a running daemon serve by its configuration as it is now",
        text="Have a running daemon read its configuration again; wait and say how it went.",
        examples=_EXAMPLES,
    )
    add_config(parser)
    parser.add_argument("--pid", type=int, help="the daemon's process id; default: of pid_file")


def run(args: argparse.Namespace, console: Console) -> int:
    """Check the file, signal, wait, print. Return the exit status."""
    config = loaded(args.config, console)
    if config is None:
        console.err("s3shield reload: the daemon goes on with the configuration before")
        return 1
    pid_file = config.daemon.pid_file
    pid = args.pid
    try:
        if pid is None:
            pid = pid_in(pid_file)
        if pid <= 1:  # kill(2) takes these for groups of processes
            raise ValueError(f"{pid} is no daemon's process id")
        file = OutcomeFile(outcome_path(pid_file, console.environ))
        # An outcome without a daemon that writes it would be waited for in vain.
        waits = file.path is not None and Path(file.path).exists()
        asked = time.time()
        os.kill(pid, signal.SIGHUP)
    except ValueError as why:
        console.err(f"s3shield reload: {why}")
        return 1
    except OSError as why:
        console.err(f"s3shield reload: process {pid}: {why.strerror}")
        return 1
    if not waits:
        console.out(f"process {pid} was told to reload; the error log says how it went")
        return 0
    return _wait(file, asked, pid, console)


def _wait(file: OutcomeFile, asked: float, pid: int, console: Console) -> int:
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        outcome = file.read()
        if outcome is not None and outcome.began >= asked:
            if outcome.good:
                console.out(outcome.text)
                return 0
            console.err(outcome.text)
            console.err("s3shield reload: nothing has changed, the configuration before goes on")
            return 1
        if not runs(pid):
            console.err(f"s3shield reload: process {pid} has ended")
            return 1
        time.sleep(_PAUSE)
    console.err(f"s3shield reload: process {pid} has not said how it went; see the error log")
    return 1

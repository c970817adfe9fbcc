"""`s3shield stop`: end a running daemon, and wait until it has ended."""

from __future__ import annotations

import argparse
import os
import signal
import time
from typing import Final

from .command import Console, Subparsers, add_command, add_config, loaded
from .running import pid_in, runs

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  let it finish what is under way (shutdown_timeout at the longest), and wait for that:
    s3shield stop -c /etc/s3shield/s3shield.ini
  cut off what is under way:
    s3shield stop --now

The process is the one in the configuration's pid_file, or --pid's. No more connections are
accepted at once; clients that have a request under way get their answer. What is stored is safe
either way. A daemon of a systemd unit that restarts it is better stopped by `systemctl stop`.

exit status: 0 when it has ended; 1 when it does not run, may not be stopped, or has not ended in
time; 2 for wrong usage
"""
_PAUSE: Final = 0.05
_GRACE: Final = 15.0
"""Seconds past shutdown_timeout: logs are written and caches closed."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `stop`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "stop",
        run,
        brief="end a running daemon, and wait until it has ended",
        text="End a running daemon; what is under way is finished first.",
        examples=_EXAMPLES,
    )
    add_config(parser)
    parser.add_argument("--pid", type=int, help="the daemon's process id; default: of pid_file")
    parser.add_argument("--now", action="store_true", help="do not wait for what is under way")


def run(args: argparse.Namespace, console: Console) -> int:
    """Signal and wait. Return the exit status."""
    config = loaded(args.config, console)
    if config is None:
        return 1
    pid = args.pid
    try:
        if pid is None:
            pid = pid_in(config.daemon.pid_file)
        if pid <= 1:  # kill(2) takes these for groups of processes
            raise ValueError(f"{pid} is no daemon's process id")
        if not runs(pid):
            raise ValueError(f"process {pid} does not run any more")
        os.kill(pid, signal.SIGTERM)
        if args.now:
            _press(pid)
    except ValueError as why:
        console.err(f"s3shield stop: {why}")
        return 1
    except OSError as why:
        console.err(f"s3shield stop: process {pid}: {why.strerror}; be its user, or root")
        return 1
    patience = _GRACE if args.now else config.daemon.shutdown_timeout + _GRACE
    end = time.monotonic() + patience
    while runs(pid):
        if time.monotonic() > end:
            hint = f"kill -9 {pid} ends it by force" if args.now else "--now does not wait"
            console.err(f"s3shield stop: process {pid} has not ended in {patience:.0f} s; {hint}")
            return 1
        time.sleep(_PAUSE)
    console.out(f"process {pid} has ended")
    return 0


def _press(pid: int) -> None:
    """Send the second signal, apart from the first: the daemon tells them by their number."""
    end = time.monotonic() + 0.5
    while runs(pid) and time.monotonic() < end:
        time.sleep(_PAUSE)
    if runs(pid):
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            return

"""`s3shield logs`: the access log as it is written, and only what is looked for."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Final

from s3shield.config import AccessLogConfig, is_log_file

from .command import Console, Subparsers, add_command, add_config, duration, loaded
from .following import Following
from .log_lines import Wanted, fields_of, line_reader, statuses

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  what is asked for, from now on:
    s3shield logs -n 0
  the last fifty errors, and those to come:
    s3shield logs -n 50 --status 5xx
  requests to one location that took a second or more and were not in the cache:
    s3shield logs --location /video/ --slow 1s --cache MISS,EXPIRED
  the last thousand lines that match, and no waiting for more:
    s3shield logs -n 1000 --status 403,404 --no-follow

The log is the file that access_log names; lines are printed as they stand in it. It is followed
when it is rotated. What a filter looks at must be in the log's format: json has everything,
combined just the status, a format of your own what you have put in.

exit status: 0; 1 when the log cannot be read or lacks what a filter looks at; 2 for wrong usage;
130 after Ctrl-C
"""
_PAUSE: Final = 0.2


def add_parser(subparsers: Subparsers) -> None:
    """Add `logs`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "logs",
        run,
        brief="follow the access log, with filters",
        text="Print the last lines of the access log and those that come, all or some.",
        examples=_EXAMPLES,
    )
    add_config(parser, of="access_log")
    parser.add_argument(
        "-n", "--lines", type=int, default=10, metavar="N", help="last lines first (default: 10)"
    )
    parser.add_argument("--no-follow", action="store_true", help="do not wait for more")
    parser.add_argument("--status", metavar="WHICH", help="404, 5xx, 500-599; several: 403,5xx")
    parser.add_argument("--location", metavar="PATTERN", help="as in [location:PATTERN]")
    parser.add_argument("--slow", metavar="TIME", help="that took so long at least: 500ms, 1s")
    parser.add_argument("--cache", metavar="STATUS", help="HIT, MISS...; several: MISS,EXPIRED")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print, and follow until somebody interrupts. Return the exit status."""
    try:
        wanted = _wanted(args)
    except ValueError as why:
        console.err(f"s3shield logs: {why}")
        return 2
    config = loaded(args.config, console)
    if config is None:
        return 1
    log = config.daemon.access_log
    problem = _problem(log, wanted, args.config)
    if problem:
        console.err(f"s3shield logs: {problem}")
        return 1
    read = line_reader(log.format)

    def takes(line: str) -> bool:
        if not wanted.needs:
            return True
        fields = read(line)
        return fields is not None and wanted.takes(fields)

    try:
        following = Following(log.target)
    except OSError as why:
        console.err(f"s3shield logs: {log.target}: {why.strerror}; has the daemon been started?")
        return 1
    try:
        for line in following.last(args.lines, takes):
            console.out(line)
        if not args.no_follow:
            _follow(following, takes, console)
    finally:
        following.close()
    return 0


def _follow(following: Following, takes: Callable[[str], bool], console: Console) -> None:
    while True:
        console.stdout.flush()
        for line in following.more():
            if takes(line):
                console.out(line)
        time.sleep(_PAUSE)


def _wanted(args: argparse.Namespace) -> Wanted:
    """Read the filters. Raises ValueError."""
    if args.lines < 0:
        raise ValueError("-n is a number of lines, 0 or more")
    return Wanted(
        status=None if args.status is None else statuses(args.status),
        location=args.location,
        slow=None if args.slow is None else duration(args.slow),
        cache=frozenset(word.strip().upper() for word in (args.cache or "").split(",")) - {""},
    )


def _problem(log: AccessLogConfig, wanted: Wanted, file: str) -> str:
    """Say in a sentence why that log cannot be shown so, or nothing."""
    where = f"{log.where or file}: [s3shield] access_log"
    if log.target == "off":
        return f"{where} is off: name a file there to have one"
    if not is_log_file(log.target):
        return f"{where} goes to {log.target}: look there (journalctl), or name a file"
    there = fields_of(log.format)
    for option, name in wanted.needs.items():
        if there is not None and name not in there:
            return f"{where} has no ${name}, which {option} looks at: use json, or add it"
    return ""

"""`s3shield check`: every mistake in a configuration, and what is in force."""

from __future__ import annotations

import argparse

from s3shield.config import dump
from s3shield.ops import Certificates, compile_format

from .command import Console, Subparsers, add_command, loaded

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  s3shield check /etc/s3shield/s3shield.ini
  s3shield check --dump /etc/s3shield/s3shield.ini

Each mistake is one line, FILE:LINE: [section] option: what is wrong. Files and variables
that the configuration names are read, certificates too; no socket is bound and no cache is opened.

exit status: 0 when there is no mistake, 1 when there is one, 2 for wrong usage
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `check`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "check",
        run,
        brief="look for mistakes in a configuration file",
        text="Read a configuration as the daemon would, and tell all that is wrong with it.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--dump",
        action="store_true",
        help="print the configuration in force, defaults filled in and secrets masked",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Check the file, or print what is in force. Return the exit status."""
    config = loaded(args.file, console)
    if config is None:
        return 1
    access_log = config.daemon.access_log
    try:
        compile_format(access_log.format)
    except ValueError as error:
        console.err(f"{access_log.where}: [s3shield] access_log: {error}")
        return 1
    problems = Certificates(config).problems()
    for problem in problems:
        console.err(problem)
    if problems:
        return 1
    for warning in config.warnings:
        console.err(f"warning: {warning}")
    if args.dump:
        console.out(dump(config), end="")
    else:
        console.out("configuration ok")
    return 0

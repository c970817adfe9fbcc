"""`s3shield check`: every mistake in a configuration, and what is in force."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TextIO

from s3shield.config import ConfigErrors, dump, load
from s3shield.ops import compile_format

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  s3shield check /etc/s3shield/s3shield.ini
  s3shield check --dump /etc/s3shield/s3shield.ini

Each mistake is one line, FILE:LINE: [section] option: what is wrong. Files and variables
that the configuration names are read; no socket is bound and no cache is opened.

exit status: 0 when there is no mistake, 1 when there is one, 2 for wrong usage
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `check`; `args.run` is `run`."""
    parser = subparsers.add_parser(
        "check",
        help="look for mistakes in a configuration file",
        description="Read a configuration as the daemon would, and tell all that is wrong with it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration file")
    parser.add_argument(
        "--dump",
        action="store_true",
        help="print the configuration in force, defaults filled in and secrets masked",
    )
    parser.set_defaults(run=run)


def run(
    args: argparse.Namespace,
    *,
    stdin: TextIO,  # noqa: ARG001  # the commands have one signature
    stdout: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    now: float,  # noqa: ARG001  # as above
) -> int:
    """Check the file, or print what is in force. Return the exit status."""
    try:
        config = load(args.file, environ=environ)
    except ConfigErrors as why:
        print(why.render(), file=stderr)
        return 1
    access_log = config.daemon.access_log
    try:
        compile_format(access_log.format)
    except ValueError as error:
        print(f"{access_log.where}: [s3shield] access_log: {error}", file=stderr)
        return 1
    for warning in config.warnings:
        print(f"warning: {warning}", file=stderr)
    if args.dump:
        print(dump(config), end="", file=stdout)
    else:
        print("configuration ok", file=stdout)
    return 0

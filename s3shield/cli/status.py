"""`s3shield status`: what a running daemon does, once."""

from __future__ import annotations

import argparse
import json
import shutil

from .admin import Admin, AdminError
from .command import Console, Subparsers, add_command, add_config, loaded
from .figures import lines

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  how the daemon does:
    s3shield status -c /etc/s3shield/s3shield.ini
  all its numbers, for a program:
    s3shield status --json | jq .summary.hit_ratio

The daemon needs the option admin_listen. Sums are of all workers since it was started. In a
browser: the page of the admin listener; live: s3shield top.

exit status: 0; 1 when the daemon cannot be asked; 2 for wrong usage
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `status`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "status",
        run,
        brief="tell how a running daemon does",
        text="Print the numbers of a running daemon, once.",
        examples=_EXAMPLES,
    )
    add_config(parser, of="admin_listen")
    parser.add_argument("--json", action="store_true", help="all numbers, as /status.json has them")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask, print. Return the exit status."""
    config = loaded(args.config, console)
    if config is None:
        return 1
    try:
        admin = Admin.of(config, args.config)
        said = admin.status()
        if args.json:
            console.out(json.dumps(said, indent=2))
            return 0
        for line in lines(said, None, width=shutil.get_terminal_size((160, 0)).columns):
            console.out(line)
    except AdminError as why:
        console.err(f"s3shield status: {why}")
        return 1
    return 0

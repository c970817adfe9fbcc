"""`s3shield purge`: make a running daemon forget what it has stored."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from collections.abc import Mapping

from s3shield.config import Listen

from .command import Console, Subparsers, add_command, loaded

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  an object that has changed:
    s3shield purge http://assets.example.com/logo.png
  all below a path; --soft keeps the bodies and asks the origin whether they are still good:
    s3shield purge --soft --prefix http://assets.example.com/2026/
  all responses that came with a tag (Surrogate-Key, x-amz-meta-surrogate-key, Cache-Tag):
    s3shield purge -c /etc/s3shield/s3shield.ini --tag product-17
  everything:
    s3shield purge --all --yes

It is done in every worker when the command ends, and survives a restart. The number of
responses is printed. The daemon needs the option admin_listen.

exit status: 0, 1 when it was not done, 2 for wrong usage
"""
_PATIENCE = 600.0
"""Seconds: a purge of everything takes its time."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `purge`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "purge",
        run,
        brief="make a running daemon forget what it has stored",
        text="Remove what a running daemon has stored, or make it stale.",
        examples=_EXAMPLES,
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="the URL, as clients ask for it")
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default="/etc/s3shield/s3shield.ini",
        help="the daemon's configuration, for admin_listen (default: %(default)s)",
    )
    parser.add_argument("--prefix", metavar="URL", help="all URLs that begin so")
    parser.add_argument("--tag", action="append", help="all with this tag; may be repeated")
    parser.add_argument("--all", action="store_true", help="everything in every cache")
    parser.add_argument("--yes", action="store_true", help="with --all: yes, everything")
    parser.add_argument(
        "--soft", action="store_true", help="make stale, to be validated at the next use"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask the daemon; print the number. Return the exit status."""
    named = {
        name: value
        for name, value in (
            ("url", args.url),
            ("prefix", args.prefix),
            ("tag", args.tag),
            ("all", args.all),
        )
        if value
    }
    problem = ""
    if len(named) != 1:
        problem = "give a URL, --prefix, --tag or --all, one of them"
    elif args.all and not args.yes:
        problem = "--all empties every cache: say --yes as well"
    if problem:
        console.err(f"s3shield purge: {problem}")
        return 2
    config = loaded(args.config, console)
    if config is None:
        return 1
    listen = config.daemon.admin_listen
    if listen is None:
        problem = f"{args.config}: [s3shield] admin_listen is missing: the daemon cannot be asked"
        console.err(problem)
        return 1
    try:
        count = _ask(listen, {**named, "soft": args.soft})
    except OSError as why:
        reason = why.strerror or str(why)
        console.err(f"s3shield purge: cannot reach the daemon at {listen}: {reason}")
        return 1
    except (http.client.HTTPException, ValueError) as why:
        console.err(f"s3shield purge: {why}")
        return 1
    console.out(count)
    return 0


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the path."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _ask(listen: Listen, wanted: Mapping[str, object]) -> int:
    """Return the number purged. Raises OSError, HTTPException, ValueError with the reason."""
    connection = (
        _UnixConnection(listen.path, _PATIENCE)
        if listen.kind == "unix"
        else http.client.HTTPConnection(listen.host, listen.port, timeout=_PATIENCE)
    )
    try:
        connection.request(
            "POST", "/purge", json.dumps(wanted), {"Content-Type": "application/json"}
        )
        response = connection.getresponse()
        answer = json.loads(response.read())
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise ValueError(answer.get("error", f"the daemon answered {response.status}"))
    return int(answer["purged"])

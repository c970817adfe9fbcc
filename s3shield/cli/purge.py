"""`s3shield purge`: make a running daemon forget what it has stored."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
from collections.abc import Mapping
from typing import TextIO

from s3shield.config import ConfigErrors, Listen, load

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


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `purge`; `args.run` is `run`."""
    parser = subparsers.add_parser(
        "purge",
        help="make a running daemon forget what it has stored",
        description="Remove what a running daemon has stored, or make it stale.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
        print(f"s3shield purge: {problem}", file=stderr)
        return 2
    try:
        listen = load(args.config, environ=environ).daemon.admin_listen
    except ConfigErrors as why:
        print(why.render(), file=stderr)
        return 1
    if listen is None:
        problem = f"{args.config}: [s3shield] admin_listen is missing: the daemon cannot be asked"
        print(problem, file=stderr)
        return 1
    try:
        count = _ask(listen, {**named, "soft": args.soft})
    except OSError as why:
        reason = why.strerror or str(why)
        print(f"s3shield purge: cannot reach the daemon at {listen}: {reason}", file=stderr)
        return 1
    except (http.client.HTTPException, ValueError) as why:
        print(f"s3shield purge: {why}", file=stderr)
        return 1
    print(count, file=stdout)
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

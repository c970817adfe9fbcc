"""`s3shield rotate`: a key file that always has keys for some days ahead; for cron and timers."""

from __future__ import annotations

import argparse
import datetime as dt

from .command import Console, Subparsers, add_command
from .keys_ahead import KeysWanted, keys_in, put_ahead
from .signing_key import Misuse, add_secret_options, read_secret, region_from

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  every day, by cron; the daemon takes the new keys in by itself:
    0 3 * * *  s3shield rotate --from-file /etc/aws.secret -r eu-central-1 /etc/s3shield/media.key
  the secret from a password store; the region of the keys that are there:
    pass show aws/media | s3shield rotate -k - --days 14 /etc/s3shield/media.key

FILE then has a key for each of the days, today (UTC) the first. Others in it stay as long as
they are good. It is replaced as a whole, with mode 0600 and the same owner, and only when
something is to change. One line says what was done.

exit status: 0 when the keys are there, 1 when they cannot be put there, 2 for wrong usage
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `rotate`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "rotate",
        run,
        brief="keep a key file supplied with scoped keys for the days to come",
        text="See to it that FILE, the one that aws_signing_key_file names, has scoped "
        "signing keys for some days ahead.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the key file; made when it is not there")
    add_secret_options(parser)
    parser.add_argument(
        "-r",
        "--region",
        help="the region; left out: that of the keys in FILE, AWS_REGION or AWS_DEFAULT_REGION",
    )
    parser.add_argument("-s", "--service", default="s3", help="the service (default: s3)")
    parser.add_argument(
        "-n",
        "--days",
        type=int,
        default=7,
        metavar="N",
        help="for how many days to have a key each (default: 7; the last is good a week longer)",
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="say nothing unless something is wrong"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Put the keys there. now: epoch seconds. Return the exit status."""
    try:
        region = (
            args.region or _region(args.file, args.service) or region_from(None, console.environ)
        )
        if region is None:
            raise Misuse("no region: give -r REGION or set AWS_REGION")
        secret = read_secret(
            args.secret_key,
            console.stdin,
            console.stderr,
            console.environ,
            file=args.from_file,
            quiet=args.quiet,
        )
        today = f"{dt.datetime.fromtimestamp(console.now, dt.UTC):%Y%m%d}"
        wanted = KeysWanted(secret, today, args.days, region, args.service)
        done = put_ahead(args.file, wanted, console.now)
    except Misuse as why:
        console.err(f"s3shield rotate: {why}")
        return 2
    except ValueError as why:
        console.err(f"s3shield rotate: {why}")
        return 1
    if not args.quiet:
        console.out(done)
    return 0


def _region(path: str, service: str) -> str | None:
    """Return the one region of the keys that are there."""
    regions = sorted({each.scope.region for each in keys_in(path) if each.scope.service == service})
    if len(regions) > 1:
        raise Misuse(f"{path} has keys for {' and '.join(regions)}: say which with -r")
    return regions[0] if regions else None

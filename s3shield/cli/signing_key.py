"""`s3shield signing-key`: derive a scoped key, with the options of ngx_aws_auth's script."""

from __future__ import annotations

import argparse
import datetime as dt
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from s3shield.signing import Scope, derive_signing_key

from .command import Console, Subparsers, add_command
from .keys_ahead import KeysWanted, put_ahead

__all__ = ["Misuse", "add_parser", "add_secret_options", "read_secret", "region_from", "run"]

_EXAMPLES = """\
examples:
  the secret from the environment, the key to the file that aws_signing_key_file names:
    s3shield signing-key -r eu-central-1 > /etc/s3shield/media.key
  the secret from a password store, for tomorrow:
    pass show aws/media | s3shield signing-key -k - -r eu-central-1 -d 20260227
  keys for two weeks, today the first, into that file; those in it that are good stay:
    s3shield signing-key -r eu-central-1 --append /etc/s3shield/media.key --days 14

Two lines are printed: the key in base64, then its scope. The key signs for that region and
service only, and AWS takes it for up to seven days from its date; the secret cannot be
computed from it. With --append nothing but one line about what was done is printed: the file
is replaced as a whole, with mode 0600, and a daemon that runs takes the keys in by itself.

exit status: 0, 1 for a value that cannot be used, 2 for wrong usage
"""


class Misuse(Exception):  # noqa: N818 - it is the user's, not an error of the program
    """The options do not go together; its text is one sentence for people."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `signing-key`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "signing-key",
        run,
        brief="derive a scoped signing key from a secret key",
        text="Derive a SigV4 signing key that can stand in a configuration instead of the "
        "secret key.",
        examples=_EXAMPLES,
    )
    add_secret_options(parser)
    parser.add_argument(
        "-r", "--region", help="the region; left out: AWS_REGION or AWS_DEFAULT_REGION"
    )
    parser.add_argument("-s", "--service", default="s3", help="the service (default: s3)")
    parser.add_argument(
        "-d", "--date", metavar="YYYYMMDD", help="the key's day in UTC (default: today)"
    )
    parser.add_argument(
        "--no-base64", action="store_true", help="print the key's bytes as Latin-1 text"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say on standard error what is done"
    )
    parser.add_argument(
        "--append",
        metavar="FILE",
        help="put the keys into FILE instead; drop those in it that are over",
    )
    parser.add_argument(
        "--days",
        type=int,
        metavar="N",
        help="with --append: a key for each of N days, --date the first (default: 1)",
    )


def add_secret_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where the secret key comes from, for `read_secret`."""
    parser.add_argument(
        "-k",
        "--secret-key",
        metavar="SECRET",
        help="the secret key; - reads it from standard input; left out: AWS_SECRET_ACCESS_KEY "
        "(others on this machine can see a secret on a command line)",
    )
    parser.add_argument(
        "--from-file", metavar="PATH", help="read the secret key from the first line of PATH"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the key and its scope. now: epoch seconds. Return the exit status."""
    try:
        region = region_from(args.region, console.environ)
        if region is None:
            raise Misuse("no region: give -r REGION or set AWS_REGION")
        if args.days is not None and args.append is None:
            raise Misuse("--days goes with --append FILE: two lines are printed, no more")
        if args.no_base64 and args.append is not None:
            raise Misuse("a key file is base64: --no-base64 does not go with --append")
        date = args.date or f"{dt.datetime.fromtimestamp(console.now, dt.UTC):%Y%m%d}"
        scope = Scope(date, region, args.service)
        secret = read_secret(
            args.secret_key, console.stdin, console.stderr, console.environ, file=args.from_file
        )
        if args.append is not None:
            days = 1 if args.days is None else args.days
            wanted = KeysWanted(secret, date, days, region, args.service)
            console.out(put_ahead(args.append, wanted, console.now))
            return 0
        key = derive_signing_key(secret, scope)
    except Misuse as why:
        console.err(f"s3shield signing-key: {why}")
        return 2
    except ValueError as why:
        console.err(f"s3shield signing-key: {why}")
        return 1
    if args.verbose:
        day = "today (UTC)" if args.date is None else "the day given"
        console.err(f"scope: {scope}; its date is {day}")
        console.err("the first line is the key, the second its scope")
    console.out(key.decode("latin-1") if args.no_base64 else b64encode(key).decode("ascii"))
    console.out(scope)
    return 0


def region_from(option: str | None, environ: Mapping[str, str]) -> str | None:
    """Return the region of the option, or else of the environment, or None."""
    return option or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def read_secret(
    option: str | None,
    stdin: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    *,
    file: str | None = None,
    quiet: bool = False,
) -> str:
    """Return the secret key: the option's, `-` for a line of `stdin`, or the environment's.

    file: path of a file with it, instead. quiet: do not warn about one on the command line.
    Raises Misuse when there is none, ValueError, without quoting it, when it cannot be one.
    """
    if file is not None:
        if option is not None:
            raise Misuse("give --secret-key or --from-file, not both")
        secret = _first_line(file)
    elif option is None:
        secret = environ.get("AWS_SECRET_ACCESS_KEY", "")
        if not secret:
            raise Misuse("no secret key: pipe it in with -k -, or set AWS_SECRET_ACCESS_KEY")
    elif option == "-":
        secret = stdin.readline().rstrip("\r\n")
    else:
        if not quiet:
            print(
                "warning: others on this machine can see a secret on a command line; "
                "use -k - or AWS_SECRET_ACCESS_KEY",
                file=stderr,
            )
        secret = option
    if not secret or secret != secret.strip():
        raise ValueError("the secret key is empty or has white space at its ends")
    if not secret.isprintable():
        raise ValueError("the secret key has characters that no secret key has")
    return secret


def _first_line(path: str) -> str:
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.readline(1024).rstrip("\r\n")
    except OSError as why:
        raise ValueError(f"cannot read {path}: {why.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"cannot read {path}: it is not text") from None

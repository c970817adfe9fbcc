"""`s3shield presign`: a URL that lets anyone who has it fetch one object for a while."""

from __future__ import annotations

import argparse
import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from s3shield.signing import (
    Credentials,
    Endpoint,
    Scope,
    Signer,
    SignMode,
    parse_key_file,
)

from .command import Console, Subparsers, add_command
from .signing_key import Misuse, read_secret, region_from

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, good for an hour:
    s3shield presign --bucket media --region eu-central-1 --expires 1h films/intro.mp4
  with a scoped key, as `s3shield signing-key` prints it:
    s3shield presign --bucket media --access-key AKIA... --signing-key-file media.key a.txt
  another server, another version, a name for the download:
    s3shield presign --bucket media --endpoint http://127.0.0.1:9000 --v2 \\
        --query 'response-content-disposition=attachment; filename="a.txt"' a.txt

KEY is the object's name as it is, not percent-encoded; a slash at its beginning is part of it.

exit status: 0, 1 for a value that cannot be used, 2 for wrong usage
"""
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_KEY_DAYS: Final = 7  # AWS takes a scoped key for so long


def add_parser(subparsers: Subparsers) -> None:
    """Add `presign`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "presign",
        run,
        brief="print a presigned URL for an object",
        text="Print a presigned URL: whoever has it can fetch the object until it expires. "
        "Nothing is sent to the server.",
        examples=_EXAMPLES,
    )
    parser.add_argument("object_key", metavar="KEY", nargs="?", help="the object's key")
    parser.add_argument("--key", help="the object's key, for one that begins with a dash")
    parser.add_argument("--bucket", required=True, help="the bucket")
    parser.add_argument(
        "--region",
        help="the region; left out: the key scope's, AWS_REGION or AWS_DEFAULT_REGION",
    )
    parser.add_argument(
        "--endpoint", metavar="URL", help="the S3 server (default: AWS in the region)"
    )
    parser.add_argument(
        "--addressing",
        choices=["auto", "virtual", "path"],
        default="auto",
        help="the bucket's name in the host or in the path (default: auto)",
    )
    parser.add_argument(
        "--expires",
        metavar="TIME",
        default="15m",
        help="how long it is good for: seconds, or 15m, 12h, 7d (default: 15m)",
    )
    parser.add_argument(
        "--method",
        choices=["GET", "HEAD", "PUT", "DELETE"],
        default="GET",
        help="the method it is for (default: GET)",
    )
    parser.add_argument(
        "--query",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a query parameter of the request, not percent-encoded; may be given several times",
    )
    parser.add_argument(
        "--access-key", metavar="ID", help="the access key; left out: AWS_ACCESS_KEY_ID"
    )
    parser.add_argument(
        "-k",
        "--secret-key",
        metavar="SECRET",
        help="- reads the secret key from standard input; left out: AWS_SECRET_ACCESS_KEY",
    )
    parser.add_argument(
        "--signing-key-file",
        metavar="FILE",
        help="sign with the scoped key in FILE (the lines that signing-key prints)",
    )
    parser.add_argument(
        "--v2", action="store_true", help="sign with version 2, for servers that have no other"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the URL. now: epoch seconds. Return the exit status."""
    try:
        key, query = _object(args), tuple(_parameter(text) for text in args.query)
        credentials = _credentials(
            args, console.stdin, console.stderr, console.environ, console.now
        )
        # The environment's region must not contradict a key's own.
        own = {} if credentials.scope is None else {"AWS_REGION": credentials.scope.region}
        region = region_from(args.region, own or console.environ)
        if region is None and not args.v2:
            raise Misuse("no region: give --region or set AWS_REGION")
        endpoint = Endpoint.parse(args.endpoint or _amazon(region), args.bucket, args.addressing)
        mode = SignMode.V2_QUERY if args.v2 else SignMode.V4_QUERY
        signer = Signer(endpoint, mode, credentials, region, lifetime=_seconds(args.expires))
        target = signer.sign(args.method.encode("ascii"), key, query, console.now).target
    except Misuse as why:
        console.err(f"s3shield presign: {why}")
        return 2
    except ValueError as why:
        console.err(f"s3shield presign: {why}")
        return 1
    console.out(f"{endpoint.scheme}://{endpoint.authority.decode()}{target.decode('ascii')}")
    return 0


def _object(args: argparse.Namespace) -> bytes:
    given = [text for text in (args.object_key, args.key) if text is not None]
    if len(given) != 1:
        raise Misuse("give the object's key, once")
    # What the shell passed, to the byte, even if it is not UTF-8.
    return str(given[0]).encode("utf-8", "surrogateescape")


def _parameter(text: str) -> tuple[bytes, bytes | None]:
    name, mark, value = text.encode("utf-8", "surrogateescape").partition(b"=")
    if not name:
        raise ValueError(f"a query parameter looks like NAME=VALUE: {text!r}")
    return name, value if mark else None


def _seconds(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,10})([smhd]?)", text)
    if not found:
        raise ValueError(f"a time is a number of seconds, or like 15m, 12h, 7d: {text!r}")
    return int(found[1]) * _UNITS[found[2]]


def _amazon(region: str | None) -> str:
    if region is None:
        return "https://s3.amazonaws.com"
    Scope("20000101", region, "s3")  # raises, about the region, before there is a host to blame
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")


def _credentials(
    args: argparse.Namespace,
    stdin: TextIO,
    stderr: TextIO,
    environ: Mapping[str, str],
    now: float,
) -> Credentials:
    access_key = args.access_key or environ.get("AWS_ACCESS_KEY_ID")
    if not access_key:
        raise Misuse("no access key: give --access-key or set AWS_ACCESS_KEY_ID")
    # The environment's token belongs to the environment's key, to no other.
    token = None if args.access_key else environ.get("AWS_SESSION_TOKEN") or None
    if args.signing_key_file is None:
        secret = read_secret(args.secret_key, stdin, stderr, environ)
        return Credentials(access_key, secret_key=secret, session_token=token)
    if args.secret_key is not None:
        raise Misuse("give --secret-key or --signing-key-file, not both")
    signing_key, scope = _scoped_key(args.signing_key_file, stderr, now)
    return Credentials(access_key, signing_key=signing_key, scope=scope, session_token=token)


def _scoped_key(name: str, stderr: TextIO, now: float) -> tuple[bytes, Scope]:
    """Return the newest key of the file that is not of a day to come."""
    try:
        keys = parse_key_file(Path(name).read_text("utf-8", "replace"))
    except OSError as why:
        raise ValueError(f"cannot read {name}: {why.strerror}") from None
    except ValueError as why:
        raise ValueError(f"{name}: {why}") from None
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    usable = [pair for pair in keys if pair[1].date <= f"{today:%Y%m%d}"]
    if not usable:
        raise ValueError(f"{name}: the key is for a day to come, {keys[0][1].date}")
    newest = max(usable, key=lambda pair: pair[1].date)
    age = (
        today - dt.datetime.strptime(newest[1].date, "%Y%m%d").replace(tzinfo=dt.UTC).date()
    ).days
    if age >= _KEY_DAYS:
        print(f"warning: the key is {age} days old; AWS refuses one older than 7", file=stderr)
    return newest

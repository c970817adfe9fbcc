"""`s3shield doctor`: ask each bucket of a configuration, and say what is wrong."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TextIO

from s3shield.config import Config

from .command import Console, Subparsers, add_command, loaded
from .examine import Finding, State, examine_bucket, examine_origin

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  s3shield doctor /etc/s3shield/s3shield.ini
  s3shield doctor --bucket media --key films/intro.mp4 /etc/s3shield/s3shield.ini

Each bucket is asked, as the daemon would ask it, for an object that does not exist, and for one
that does when --key names it: name lookup, connection, certificate, clock, signature, region,
rights and the life of the key. Nothing is written anywhere.

exit status: 0 when nothing is wrong, 1 when something is, 2 for wrong usage
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `doctor`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "doctor",
        run,
        brief="ask each bucket, and say what is wrong and what to do",
        text="Ask each bucket and each plain origin of a configuration, and print a "
        "checklist with what to do.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration file")
    parser.add_argument("--bucket", metavar="NAME", help="only this [bucket:NAME]")
    parser.add_argument(
        "--key", metavar="KEY", help="an object that exists in the buckets: is it readable?"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Examine and print as it goes. now: epoch seconds. Return the exit status."""
    config = loaded(args.file, console)
    if config is None:
        return 1
    if args.bucket is not None and args.bucket not in config.buckets:
        console.err(f"s3shield doctor: {args.file}: there is no [bucket:{args.bucket}]")
        return 1
    wrong = asked = 0
    for title, findings in _patients(config, args.bucket, args.key, console.now):
        asked += 1
        console.out(title)
        for finding in findings:
            wrong += finding.state is State.WRONG
            _print(finding, console.stdout)
        console.out()
    if not asked:
        console.out("there is no bucket and no origin in it")
    elif wrong:
        console.out(f"{wrong} {'thing is' if wrong == 1 else 'things are'} wrong")
    else:
        console.out("nothing is wrong")
    return 1 if wrong else 0


def _patients(
    config: Config, only: str | None, key: str | None, now: float
) -> Iterable[tuple[str, Iterable[Finding]]]:
    """Yield (title, findings); the findings are made as they are taken."""
    given = None if key is None else key.encode("utf-8", "surrogateescape")
    for name, bucket in config.buckets.items():
        if only in (None, name):
            authority = bucket.endpoint.authority.decode("ascii")
            title = f"bucket {name}: {bucket.endpoint.bucket} at {authority} ({bucket.where})"
            homes = [each.name for each in config.buckets.values() if each.replica == name]
            title += f", the replica of {' and '.join(homes)}" if homes else ""
            yield title, examine_bucket(bucket, now, given)
    seen = set()
    for location in config.locations:
        origin = location.origin
        if only is None and origin is not None and origin not in seen:
            seen.add(origin)
            title = f"origin {location.origin_name} ({location.where})"
            yield title, examine_origin(origin, location.connection)


def _print(finding: Finding, out: TextIO) -> None:
    first, *more = finding.text.split("\n")
    print(f"  {finding.state.value:<6} {finding.what:<10} {first}", file=out, flush=True)
    for line in more:
        print(f"{'':<20}{line}", file=out)

"""`s3shield verify`: read all that is stored, and compare it with its checksums."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

from s3shield.store import Report, StoreError, Verifying

from .command import Console, Subparsers, add_command, loaded
from .entries import shown

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  look at everything in every cache of a configuration:
    s3shield verify /etc/s3shield/s3shield.ini
  look at one cache, and remove what is damaged:
    s3shield verify --repair --cache main /etc/s3shield/s3shield.ini

Every body file is read, block by block, and compared with the CRC-32 that was taken when it
was written. The daemon may run meanwhile. What is damaged is named by its cache key, and
only removed with --repair: it is fetched again when somebody asks for it. Run it as the
daemon's user, or as root.

exit status: 0 when all is as it was written, or has been repaired; 1 when something is
damaged or a cache cannot be read; 2 for wrong usage
"""
_BAR: Final = 40
_SHOWN: Final = 20
"""Damaged keys printed without --all."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `verify`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "verify",
        run,
        brief="read all that is stored and compare it with its checksums",
        text="Compare everything in the caches with the checksums taken at writing.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="the configuration file")
    parser.add_argument("--cache", metavar="NAME", help="only [cache:NAME]")
    parser.add_argument("--repair", action="store_true", help="remove what is damaged")
    parser.add_argument("--all", action="store_true", help="name all that is damaged")


def run(args: argparse.Namespace, console: Console) -> int:
    """Verify each cache. Return the exit status."""
    config = loaded(args.file, console)
    if config is None:
        return 1
    caches = {name: Path(cache.path) for name, cache in config.caches.items()}
    if args.cache is not None and args.cache not in caches:
        console.err(f"s3shield verify: {args.file}: there is no [cache:{args.cache}]")
        return 1
    status = 0
    for name, path in caches.items():
        if args.cache in (None, name):
            status |= _verify(name, path, args, console.stdout, console.stderr)
    return status


def _verify(name: str, path: Path, args: argparse.Namespace, stdout: TextIO, stderr: TextIO) -> int:
    try:
        verifying = Verifying(path, progress=_bar(name, stderr))
        report = verifying.run()
        _print(name, report, stdout, all_of_them=args.all)
        if not report.damaged and not report.orphans:
            return 0
        if not args.repair:
            return 1 if report.damaged else 0
        verifying.repair()
    except (StoreError, OSError) as why:
        print(f"s3shield verify: [cache:{name}]: {why}", file=stderr)
        return 1
    print(f"{name}: removed", file=stdout)
    return 0


def _print(name: str, report: Report, stdout: TextIO, *, all_of_them: bool) -> None:
    damaged, orphans = len(report.damaged), len(report.orphans)
    print(
        f"{name}: {report.entries} entries, {report.files} files, {report.size} bytes read;"
        f" {damaged} damaged, {orphans} files without an entry",
        file=stdout,
    )
    named = report.damaged if all_of_them else report.damaged[:_SHOWN]
    for each in named:
        key = shown(each.key.replace(b"\0", b" "))
        print(f"  {key or each.digest.hex()}: {each.reason}", file=stdout)
    if damaged > len(named):
        print(f"  and {damaged - len(named)} more (--all)", file=stdout)


def _bar(name: str, stderr: TextIO) -> Callable[[int, int], None] | None:
    """Return what draws the progress on a terminal; None where there is none."""
    if not stderr.isatty():
        return None
    drawn = -1

    def draw(done: int, total: int) -> None:
        nonlocal drawn
        share = done / total if total else 1.0
        permille = int(share * 1000)
        if permille == drawn:
            return
        drawn = permille
        filled = "#" * int(share * _BAR)
        end = "\n" if done >= total else ""
        print(f"\r{name} [{filled:<{_BAR}}] {share:6.1%}", end=end, file=stderr, flush=True)

    return draw

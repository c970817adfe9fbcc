"""`s3shield warm`: have a running daemon fill its cache."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final

from s3shield.config import Config

from .command import CONFIG, Console, Subparsers, add_command, duration, loaded, size
from .door import Door, door_of
from .entries import size_text
from .goals import Source, goals_of
from .progress import Progress
from .warming import Counts, Done, Pace, Warming

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  what a file lists, a URL or a path on each line; - is standard input:
    s3shield warm urls.txt
  all pages of a site, by the sitemap that the daemon itself gives out:
    s3shield warm --sitemap http://www.example.com/sitemap.xml --host www.example.com
  all segments of a film, in every quality:
    s3shield warm --hls http://127.0.0.1:8080/films/intro/master.m3u8
    s3shield warm --dash http://127.0.0.1:8080/films/intro/manifest.mpd
  what has come into a bucket in the last week, 10 GiB at most, at 50 MiB a second:
    s3shield warm --bucket media --prefix films/ --newer-than 7d --budget 10g --rate 50m
  a long list that may be interrupted: what is done is not asked for again
    s3shield warm --state /var/tmp/warm.state urls.txt

Everything is asked of the daemon, at --via or the configuration's first address, as a client
asks; no other host is ever connected to. A URL of another host is named and skipped, as is a bad
line of a list; names of the daemon are those in server_name, and what --host says.

exit status: 0 when all is in the cache (or the budget is spent); 1 when something failed, was
skipped, or the daemon cannot be reached; 2 for wrong usage; 130 after Ctrl-C
"""
_MOST_PARALLEL: Final = 64
_TOLD: Final = 20
"""Failures that are named; the rest is only counted."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `warm`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "warm",
        run,
        brief="have a running daemon fill its cache",
        text="Ask a running daemon for what a list, sitemap, playlist or bucket names.",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "list", metavar="LIST", nargs="?", help="a file with a URL a line; -: stdin"
    )
    parser.add_argument(
        "--sitemap", metavar="URL", help="a sitemap, or an index; file:NAME: a file"
    )
    parser.add_argument("--hls", metavar="URL", help="an HLS playlist, master or media")
    parser.add_argument("--dash", metavar="URL", help="a DASH manifest")
    parser.add_argument("--bucket", metavar="NAME", help="keys of [bucket:NAME], as S3 lists them")
    parser.add_argument("--prefix", metavar="KEY", help="with --bucket: keys that begin so")
    parser.add_argument("--newer-than", metavar="TIME", help="with --bucket: changed since: 7d")
    parser.add_argument("--via", metavar="URL", help="where the daemon is: http://127.0.0.1:8080")
    parser.add_argument("-c", "--config", metavar="FILE", help=f"its configuration: {CONFIG}")
    parser.add_argument("--host", action="append", default=[], help="a name of the daemon's")
    parser.add_argument("--budget", metavar="SIZE", help="stop when so much was fetched: 10g")
    parser.add_argument("--parallel", type=int, default=4, metavar="N", help="at once (default: 4)")
    parser.add_argument("--rate", metavar="SIZE", help="bytes a second at the most: 50m")
    parser.add_argument("--state", metavar="FILE", help="where what is done is noted")


def run(args: argparse.Namespace, console: Console) -> int:
    """Find out what to ask for, ask, say how it went. Return the exit status."""
    try:
        source = _source(args)
        limits = _limits(args)
    except ValueError as why:
        console.err(f"s3shield warm: {why}")
        return 2
    config = None
    if args.via is None or args.config is not None or source.bucket is not None:
        config = loaded(args.config or CONFIG, console)
        if config is None:
            return 1
    try:
        return _warm(source, limits, args, config, console)
    except ValueError as why:
        console.err(f"s3shield warm: {why}")
    except OSError as why:
        where = f"{why.filename}: " if why.filename else ""
        console.err(f"s3shield warm: {where}{why.strerror or why}")
    return 1


def _source(args: argparse.Namespace) -> Source:
    """Return what is to be read. Raises ValueError."""
    named = [args.list, args.sitemap, args.hls, args.dash, args.bucket]
    if sum(each is not None for each in named) != 1:
        raise ValueError("give a LIST, --sitemap, --hls, --dash or --bucket, one of them")
    if args.bucket is None and (args.prefix or args.newer_than):
        raise ValueError("--prefix and --newer-than go with --bucket")
    newer = None if args.newer_than is None else duration(args.newer_than)
    return Source(
        list=args.list,
        sitemap=args.sitemap,
        hls=args.hls,
        dash=args.dash,
        bucket=args.bucket,
        prefix=args.prefix or "",
        newer_than=newer,
    )


def _limits(args: argparse.Namespace) -> tuple[int | None, int | None]:
    """Return budget and rate. Raises ValueError."""
    if not 1 <= args.parallel <= _MOST_PARALLEL:
        raise ValueError(f"--parallel is a number from 1 to {_MOST_PARALLEL}")
    budget = None if args.budget is None else size(args.budget)
    rate = None if args.rate is None else size(args.rate)
    if budget == 0 or rate == 0:
        raise ValueError("--budget and --rate are more than nothing")
    return budget, rate


def _warm(
    source: Source,
    limits: tuple[int | None, int | None],
    args: argparse.Namespace,
    config: Config | None,
    console: Console,
) -> int:
    door = door_of(args.via, args.host, config)
    _reach(door)
    skipped = 0

    def skip(why: str) -> None:
        nonlocal skipped
        skipped += 1
        console.err(f"skipped: {why}")

    done = Done(args.state)
    progress = Progress(console.stderr)
    try:
        every = goals_of(source, door, config, console.stdin, console.now, skip)
        found = list(dict.fromkeys(every))
        if not found:
            console.err("s3shield warm: there is nothing in it to ask for")
        goals = [goal for goal in found if goal not in done]
        warming = Warming(
            door,
            goals,
            parallel=args.parallel,
            budget=limits[0],
            pace=Pace(limits[1]),
            done=done,
            tell=_teller(console, progress),
        )
        counts = warming.counts
        try:
            warming.run(
                progress.every,
                lambda now: progress.draw(now.over, now.total, now.size, f"({now.failed} failed)"),
            )
        finally:
            progress.clear()
            console.out(_summary(counts, len(found) - len(goals), skipped))
        if warming.spent:
            left = counts.total - counts.over
            console.out(f"the budget is spent: {left} were not asked for")
    finally:
        done.close()
    return 1 if counts.failed or skipped else 0


def _reach(door: Door) -> None:
    try:
        door.connect().close()
    except OSError as why:
        reason = why.strerror or str(why)
        text = f"cannot reach the daemon at {door}: {reason}; is it running? (--via)"
        raise ValueError(text) from None


def _teller(console: Console, progress: Progress) -> Callable[[str], None]:
    told = 0

    def tell(text: str) -> None:
        nonlocal told
        told += 1
        if told <= _TOLD:
            progress.clear()
            console.err(f"failed: {text}")
        elif told == _TOLD + 1:
            console.err("failed: and more, which are only counted")

    return tell


def _summary(counts: Counts, before: int, skipped: int) -> str:
    words = [
        f"{counts.hits} already there",
        f"{counts.fetched} fetched ({size_text(counts.size)})",
        f"{counts.failed} failed",
    ]
    if counts.passed:
        words.append(f"{counts.passed} of the fetched are not cached (BYPASS)")
    if before:
        words.append(f"{before} done before")
    if skipped:
        words.append(f"{skipped} skipped")
    return ", ".join(words)

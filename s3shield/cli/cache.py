"""`s3shield cache`: what is stored, beside a running daemon or without one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from s3shield.config import Config
from s3shield.exchange import prefix_selectors, url_selector
from s3shield.store import Browsing, Entry, Selector, StoreError, is_response, tenant_of

from .admin import Admin, AdminError
from .command import Console, Subparsers, add_command, add_config, loaded, typed_url
from .entries import as_json, line, page
from .offline import purge_offline

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  all that is stored: size, age, time to live, status, cache key
    s3shield cache ls
  what is below a path, or has a tag, for a program to read:
    s3shield cache ls --json http://assets.example.com/2026/
    s3shield cache ls --tag product-17
  all there is to know of one URL or cache key: variants, which blocks are there, the file
    s3shield cache stat http://assets.example.com/films/intro.mp4
    s3shield cache stat 'media|/films/intro.mp4|'
  remove one: through the running daemon, or where none runs from its directory
    s3shield cache rm http://assets.example.com/logo.png

What is stored is read from the directory that [cache:...] names, as it is at that moment; the
daemon is not disturbed. Run it as the daemon's user, or as root.

exit status: 0; 1 when a cache cannot be read, nothing is stored under that name (stat, rm), or
the daemon cannot be asked; 2 for wrong usage
"""
_LS: Final = """\
examples:
  s3shield cache ls
  s3shield cache ls --json http://assets.example.com/2026/
  s3shield cache ls --tag product-17

A line is size, age, time to live (or stale), status and cache key; of a body with gaps also how
much of it is there. Without a URL everything is listed.
"""
_STAT: Final = """\
examples:
  s3shield cache stat http://assets.example.com/films/intro.mp4
  s3shield cache stat 'media|/films/intro.mp4|'
"""
_RM: Final = """\
examples:
  s3shield cache rm http://assets.example.com/logo.png
  s3shield cache rm 'media|/logo.png|'

The number of responses is printed: a URL has several where the origin's Vary says so. To remove
more than one, see `s3shield purge --help`.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add `cache`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "cache",
        run,
        brief="list what is stored, look at one, remove one",
        text="See what is stored: ls, stat; remove one: rm.",
        examples=_EXAMPLES,
    )
    parts = parser.add_subparsers(metavar="ls|stat|rm", dest="what", required=True)
    for name, brief, examples in (
        ("ls", "list what is stored", _LS),
        ("stat", "tell all of one URL or cache key", _STAT),
        ("rm", "remove one URL or cache key", _RM),
    ):
        part = add_command(parts, name, run, brief=brief, text=brief, examples=examples)
        add_config(part)
        part.add_argument("--cache", metavar="NAME", help="only [cache:NAME]")
        if name == "ls":
            part.add_argument(
                "url", metavar="URL", nargs="?", help="all URLs that begin so, or like URL*"
            )
            part.add_argument("--tag", help="all with this tag")
        else:
            part.add_argument("url", metavar="URL|KEY", help="as clients ask for it, or its key")
        if name != "rm":
            part.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace, console: Console) -> int:
    """Do it. Return the exit status."""
    if args.what == "ls" and args.url and args.tag:
        console.err("s3shield cache ls: give a URL or --tag, not both")
        return 2
    if args.what != "ls" and not args.url:
        console.err(f"s3shield cache {args.what}: an empty name: give a URL or a cache key")
        return 2
    config = loaded(args.config, console)
    if config is None:
        return 1
    if args.cache is not None and args.cache not in config.caches:
        console.err(f"s3shield cache {args.what}: {args.config}: there is no [cache:{args.cache}]")
        return 1
    try:
        return {"ls": _ls, "stat": _stat, "rm": _rm}[args.what](args, config, console)
    except (StoreError, AdminError, ValueError) as why:
        console.err(f"s3shield cache {args.what}: {why}")
    except PermissionError as why:
        reason = f"{why.filename}: {why.strerror}: be the daemon's user, or root"
        console.err(f"s3shield cache {args.what}: {reason}")
    return 1


def _selectors(args: argparse.Namespace, config: Config) -> list[tuple[str, Selector]]:
    """Return (cache, what is meant there). Raises ValueError."""
    names = [name for name in config.caches if args.cache in (None, name)]
    if args.what == "ls" and args.tag:
        tag = args.tag.encode("utf-8", "surrogateescape")
        return [(name, Selector("tag", tag)) for name in names]
    if not args.url:
        return [(name, Selector("all")) for name in names]
    if not _is_url(args.url):
        key = args.url.encode("utf-8", "surrogateescape")
        kind = Selector("prefix" if args.what == "ls" else "key", key)
        return [(name, kind) for name in names]
    table, url = config.routing(), typed_url(args.url)
    if args.what == "ls":
        places = prefix_selectors(table, url.removesuffix("*"))
    else:
        found = url_selector(table, url)
        places = [] if found is None else [found]
    meant = [(config.locations[number].cache, selector) for number, selector in places]
    return [(name, selector) for name, selector in dict.fromkeys(meant) if name in names]


def _is_url(text: str) -> bool:
    return text.lower().startswith(("/", "http://", "https://")) and "|" not in text


def _entries(args: argparse.Namespace, config: Config) -> Iterator[tuple[str, Entry]]:
    for name, selector in _selectors(args, config):
        browsing = Browsing(Path(config.caches[name].path))
        try:
            for entry in browsing.entries(selector):
                yield name, entry
        finally:
            browsing.close()


def _ls(args: argparse.Namespace, config: Config, console: Console) -> int:
    for name, entry in _entries(args, config):
        if not is_response(entry):
            continue
        if args.json:
            console.out(json.dumps(as_json(name, entry, console.now)))
        else:
            console.out(line(entry, console.now))
    return 0


def _stat(args: argparse.Namespace, config: Config, console: Console) -> int:
    status = 1
    for name, entry in _entries(args, config):
        status = 0
        if args.json:
            console.out(json.dumps(as_json(name, entry, console.now)))
        else:
            console.out(page(name, entry, console.now))
    if status:
        console.err(f"s3shield cache stat: nothing is stored of {args.url}")
    return status


def _rm(args: argparse.Namespace, config: Config, console: Console) -> int:
    wanted = _selectors(args, config)
    running = {name for name, _ in wanted if _runs(Path(config.caches[name].path))}
    count = 0
    if running:
        admin = Admin.of(config, args.config)
        named = {"url": typed_url(args.url)} if _is_url(args.url) else {"key": args.url}
        count += admin.purge(named)
    for name, selector in wanted:
        path = Path(config.caches[name].path)
        if name not in running and (path / "index" / "data.mdb").exists():
            count += purge_offline(path, selector, args.config)
    if not count:
        console.err(f"s3shield cache rm: nothing is stored of {args.url}")
        return 1
    console.out(count)
    return 0


def _runs(path: Path) -> bool:
    return path.exists() and tenant_of(path) is not None

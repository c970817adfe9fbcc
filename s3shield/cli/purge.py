"""`s3shield purge`: make a running daemon forget what it has stored."""

from __future__ import annotations

import argparse

from s3shield.config import Config
from s3shield.exchange import prefix_selectors

from .admin import Admin, AdminError
from .command import Console, Subparsers, add_command, add_config, loaded, typed_url

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  an object that has changed:
    s3shield purge http://assets.example.com/logo.png
  all below a path; --soft keeps the bodies and asks the origin whether they are still good:
    s3shield purge --soft --prefix http://assets.example.com/2026/
  all responses that came with a tag (Surrogate-Key, x-amz-meta-surrogate-key, Cache-Tag):
    s3shield purge -c /etc/s3shield/s3shield.ini --tag product-17
  the same, as purges are written elsewhere:
    s3shield purge 'http://assets.example.com/2026/*'
  how many it would be, and nothing is purged:
    s3shield purge --count --prefix http://assets.example.com/2026/
  everything:
    s3shield purge --all --yes

It is done in every worker when the command ends, and survives a restart. The number of
responses is printed. The daemon needs the option admin_listen. What would empty a cache, a bucket
or a location asks for --yes, and says how many responses it means.

exit status: 0; 1 when it was not done; 2 for wrong usage, and where --yes is missing
"""


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
    add_config(parser, of="admin_listen")
    parser.add_argument("--prefix", metavar="URL", help="all URLs that begin so")
    parser.add_argument("--tag", action="append", help="all with this tag; may be repeated")
    parser.add_argument("--all", action="store_true", help="everything in every cache")
    parser.add_argument("--yes", action="store_true", help="yes, all that, however much it is")
    parser.add_argument(
        "--soft", action="store_true", help="make stale, to be validated at the next use"
    )
    parser.add_argument("--count", action="store_true", help="purge nothing, say how many it were")


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask the daemon; print the number. Return the exit status."""
    named: dict[str, object] = {
        name: value
        for name, value in (
            ("url", args.url and typed_url(args.url)),
            ("prefix", args.prefix and typed_url(args.prefix)),
            ("tag", args.tag),
            ("all", args.all),
        )
        if value
    }
    if len(named) != 1:
        console.err("s3shield purge: give a URL, --prefix, --tag or --all, one of them")
        return 2
    if not all(tag.isprintable() and tag for tag in args.tag or ()):
        console.err("s3shield purge: a tag is a word of UTF-8 text")
        return 2
    if "url" in named and str(named["url"]).endswith("*"):
        named = {"prefix": named["url"]}
    if "prefix" in named:
        named["prefix"] = str(named["prefix"]).removesuffix("*")
    config = loaded(args.config, console)
    if config is None:
        return 1
    try:
        admin = Admin.of(config, args.config)
        wide = _wide(config, named)
        if args.count or (wide and not args.yes):
            count = admin.purge(named, count=True)
            if args.count:
                console.out(count)
                return 0
            console.err(f"s3shield purge: {wide}, {count} responses: say --yes as well")
            return 2
        purged = admin.purge({**named, "soft": args.soft})
        console.out(purged)
        if not purged and "*" in str(named.get("url", "")) + str(named.get("prefix", "")):
            console.err("s3shield purge: a star stands for something at the end of a URL only")
    except (AdminError, ValueError) as why:
        console.err(f"s3shield purge: {why}")
        return 1
    return 0


def _wide(config: Config, named: dict[str, object]) -> str:
    """Say what is emptied, where it is a whole cache, bucket or location; else nothing.

    Raises ValueError for a prefix that is none.
    """
    if "all" in named:
        return "--all empties every cache"
    if "prefix" not in named:
        return ""
    prefix = str(named["prefix"])
    path = "/" + prefix.partition("://")[2].partition("/")[2] if "://" in prefix else prefix
    for number, selector in prefix_selectors(config.routing(), prefix):
        location = config.locations[number]
        if location.cache is None:
            continue
        if selector.text.partition(b"|")[2] in (b"", b"/"):
            kind = "bucket" if location.bucket is not None else "origin"
            return f"this is all of {kind} {location.origin_name}"
        if location.pattern.text.startswith(path):
            return f"this is all of [location:{location.pattern}]"
    return ""

"""`s3shield sign-url`: a link that a location with `signed_link_key` lets in."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote

from s3shield.access import LinkTerms, sign_link
from s3shield.policy import Request
from s3shield.routing import BadTargetError

from .command import Console, Subparsers, add_command, loaded
from .signing_key import Misuse

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  good for an hour, with the first key of the location that the URL is of:
    s3shield sign-url --config /etc/s3shield/s3shield.ini --expires 1h \\
        https://media.example.com/films/a.mp4
  for one client, and everything below a path, with a key of a file:
    s3shield sign-url --key-file /etc/s3shield/link.key --expires 1d --ip 192.0.2.7 \\
        --prefix /films/b/ https://media.example.com/films/b/index.m3u8
  with a key from elsewhere:
    vault read -field=key secret/link | s3shield sign-url --key-file - --expires 15m /a.txt

The URL is percent-encoded as it is asked for; what cannot stand in one is encoded. A path
alone will do. The key is never printed.

exit status: 0, 1 for a value that cannot be used, 2 for wrong usage
"""
_ENVIRONMENT: Final = "S3SHIELD_LINK_KEY"
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LONGEST: Final = 10 * 366 * 86_400
_URL: Final = re.compile(r"(https?://[^/?#\s]+)?(/[^#\s]*)")
_SHORTEST: Final = 16


def add_parser(subparsers: Subparsers) -> None:
    """Add `sign-url`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "sign-url",
        run,
        brief="print a link that a location with signed_link_key lets in",
        text="Print a URL with a signature: who has it is let in, until it expires, by a location "
        "that has the same signed_link_key.",
        examples=_EXAMPLES,
    )
    parser.add_argument("url", metavar="URL", help="the URL, or its path and query")
    parser.add_argument(
        "--expires",
        metavar="TIME",
        default="1h",
        help="how long it is good for: seconds, or 15m, 12h, 7d; @SECONDS: until then, since "
        "1970 (default: 1h)",
    )
    parser.add_argument(
        "--ip", metavar="ADDRESS", default="", help="for this client, or network, alone"
    )
    parser.add_argument(
        "--prefix", metavar="PATH", help="for everything below this path; it ends with a slash"
    )
    parser.add_argument(
        "--config", metavar="FILE", help="the key is that of the URL's location in this file"
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help=f"the key is the first line of FILE, - of standard input; left out: {_ENVIRONMENT}",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the link. Return the exit status."""
    try:
        start, target = _parts(args.url)
        prefix = None if args.prefix is None else _encoded(args.prefix)
        terms = LinkTerms(expires=_end(args.expires, console.now), ip=args.ip, prefix=prefix)
        key = _key(args, start, target, console)
        if key is None:
            return 1
        link = sign_link(key, target, terms)
    except Misuse as why:
        console.err(f"s3shield sign-url: {why}")
        return 2
    except ValueError as why:
        console.err(f"s3shield sign-url: {why}")
        return 1
    console.out(start + link.decode("ascii"))
    return 0


def _parts(url: str) -> tuple[str, bytes]:
    """Return scheme and host, perhaps nothing, and path with query."""
    found = _URL.fullmatch(url.replace(" ", "%20"))
    if found is None:
        raise ValueError("a URL begins with http:// or https://, or it is a path: /a.txt")
    return found[1] or "", _encoded(found[2])


def _encoded(text: str) -> bytes:
    """Encode what cannot stand in a URL, and nothing that is encoded."""
    raw = text.encode("utf-8", "surrogateescape")
    return quote(raw, safe="/?%:@!$&'()*+,;=~-._[]|").encode("ascii")


def _end(text: str, now: float) -> int:
    if re.fullmatch(r"@[0-9]{1,12}", text):
        return int(text[1:])
    found = re.fullmatch(r"([0-9]{1,10})([smhdw]?)", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST:
        raise ValueError("a time is a number of seconds, or like 15m, 12h, 7d, or @1800000000")
    return int(now) + seconds


def _key(args: argparse.Namespace, start: str, target: bytes, console: Console) -> bytes | None:
    """Return the key; None when there is none in a configuration, which is told."""
    if args.config is not None:
        if args.key_file is not None:
            raise Misuse("give --config or --key-file, not both")
        return _configured(args.config, start, target, console)
    if args.key_file == "-":
        text = console.stdin.readline()
    elif args.key_file is not None:
        try:
            lines = Path(args.key_file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as why:
            reason = why.strerror if isinstance(why, OSError) else "it is not UTF-8 text"
            raise ValueError(f"cannot read {args.key_file}: {reason}") from None
        text = lines[0] if lines else ""
    elif _ENVIRONMENT in console.environ:
        text = console.environ[_ENVIRONMENT]
    else:
        raise Misuse(f"no key: give --config or --key-file, or set {_ENVIRONMENT}")
    key = text.strip().encode("utf-8", "surrogateescape")
    if len(key) < _SHORTEST:
        raise ValueError(f"a key has {_SHORTEST} characters at least")
    return key


def _configured(file: str, start: str, target: bytes, console: Console) -> bytes | None:
    config = loaded(file, console)
    if config is None:
        return None
    authority = start.partition("://")[2].rpartition("@")[2]
    host = re.sub(r":[0-9]*\Z", "", authority).lower().encode("ascii", "replace")
    request = Request(target=target, headers={b"host": host}, host=host)
    try:
        route = config.routing().route(request)
    except BadTargetError as why:
        raise ValueError(str(why)) from None
    if route is None:
        raise ValueError(f"{file}: no location takes this URL")
    location = config.locations[route.number]
    if not location.access.link_keys:
        raise ValueError(f"{location.where}: [location:{location.pattern}] has no signed_link_key")
    return location.access.link_keys[0]

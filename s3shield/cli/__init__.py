"""The `s3shield` command: what is done besides serving, which is `twistd s3shield`."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from s3shield import __version__

from . import (
    cache,
    check,
    doctor,
    explain,
    import_config,
    logs,
    presign,
    purge,
    reload,
    rotate,
    sign_url,
    signing_key,
    status,
    stop,
    top,
    verify,
    warm,
)
from .command import Console
from .streams import let_go, ready

__all__ = ["main"]

_COMMANDS: Final = (
    cache,
    check,
    doctor,
    explain,
    import_config,
    logs,
    presign,
    purge,
    reload,
    rotate,
    sign_url,
    signing_key,
    status,
    stop,
    top,
    verify,
    warm,
)
_INTERRUPTED: Final = 130
"""What shells make of a process that SIGINT has ended."""
_UNREAD: Final = 141
"""And of one whose reader has gone (SIGPIPE)."""
_EXAMPLES: Final = """\
examples:
  look for mistakes in a configuration, without starting anything:
    s3shield check /etc/s3shield/s3shield.ini
  see what is in force, everything inherited filled in, secrets masked:
    s3shield check --dump /etc/s3shield/s3shield.ini
  ask each bucket whether all is well: name, TLS, clock, signature, rights:
    s3shield doctor /etc/s3shield/s3shield.ini
  see where a request would go, and what would be signed:
    s3shield explain /etc/s3shield/s3shield.ini http://assets.example.com/a.txt
  make the scoped key that stands in a configuration instead of the secret:
    s3shield signing-key -r eu-central-1 > /etc/s3shield/media.key
  see to it, every day, that a key file has keys for the days to come:
    s3shield rotate --from-file /etc/aws.secret -r eu-central-1 /etc/s3shield/media.key
  make a URL that lets anybody fetch one object for an hour:
    s3shield presign --bucket media --region eu-central-1 --expires 1h films/intro.mp4
  make a link that a location with signed_link_key lets in:
    s3shield sign-url --config /etc/s3shield/s3shield.ini http://assets.example.com/a.txt
  make the daemon forget an object that has changed:
    s3shield purge -c /etc/s3shield/s3shield.ini http://assets.example.com/a.txt
  see what is stored, and all of one URL:
    s3shield cache ls -c /etc/s3shield/s3shield.ini
    s3shield cache stat -c /etc/s3shield/s3shield.ini http://assets.example.com/a.txt
  have the daemon fill its cache with what a file lists:
    s3shield warm -c /etc/s3shield/s3shield.ini urls.txt
  have the daemon serve by its configuration as it is now, without a request dropped:
    s3shield reload -c /etc/s3shield/s3shield.ini
  end the daemon when what is under way is done:
    s3shield stop -c /etc/s3shield/s3shield.ini
  see how the daemon does, once or all the time:
    s3shield status -c /etc/s3shield/s3shield.ini
    s3shield top -c /etc/s3shield/s3shield.ini
  see what is asked for as it happens, errors only:
    s3shield logs -c /etc/s3shield/s3shield.ini --status 5xx
  make a configuration of nginx's or Apache's:
    s3shield import -o s3shield.ini /etc/nginx/nginx.conf
  read all that is stored and compare it with its checksums:
    s3shield verify /etc/s3shield/s3shield.ini

The daemon itself:
    twistd -n s3shield -c /etc/s3shield/s3shield.ini

`s3shield COMMAND --help` tells more about each.
"""


def _parser() -> tuple[argparse.ArgumentParser, list[str]]:
    parser = argparse.ArgumentParser(
        prog="s3shield",
        description="A caching, signing reverse proxy for private S3 buckets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"s3shield {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in _COMMANDS:
        command.add_parser(subparsers)
    return parser, list(subparsers.choices)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (without the program's name; None: the process's).

    Returns the exit status: 0, 1 for something wrong with what was given, 2 for wrong
    usage, 130 when it was interrupted, 141 when nobody reads what it says any more, as after
    `| head -1`. `--help` and `--version` end the process, as argparse does.
    """
    ready()
    words = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    first = next((word for word in words if not word.startswith("-")), None)
    if not words:
        parser.print_help(sys.stderr)
        return 2
    if words[0] == first and first not in commands:
        close = difflib.get_close_matches(first, commands, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else f": it is {', '.join(commands)}"
        print(f"s3shield: there is no command {first!r}{hint}", file=sys.stderr)
        return 2
    args = parser.parse_args(words)
    try:
        console = Console(sys.stdin, sys.stdout, sys.stderr, os.environ, time.time())
        status: int = args.run(args, console)
        sys.stdout.flush()
    except BrokenPipeError:
        let_go()
        return _UNREAD
    except OSError as why:
        # What a command has not foreseen; as a rule its output, on a full disk.
        where = "" if why.filename is None else f"{why.filename}: "
        with contextlib.suppress(OSError):  # standard error may be there, too
            print(f"s3shield {args.command}: {where}{why.strerror or why}", file=sys.stderr)
        let_go()
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status

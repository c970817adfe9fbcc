"""What all commands have in common: where they read and write, and how they are declared."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO, TypeAlias
from urllib.parse import quote

import attrs

from s3shield.config import Config, ConfigErrors, load, parse_millis, parse_size

__all__ = [
    "CONFIG",
    "Command",
    "Console",
    "Subparsers",
    "add_command",
    "add_config",
    "duration",
    "loaded",
    "size",
    "typed_url",
]

CONFIG: Final = "/etc/s3shield/s3shield.ini"
"""Where a daemon's configuration is, unless said otherwise."""

_KEPT: Final = "".join(map(chr, range(0x21, 0x7F)))

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # no other name


@attrs.frozen
class Console:
    """What a command is given besides its arguments.

    now: epoch seconds.
    """

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    now: float

    def out(self, text: object = "", end: str = "\n") -> None:
        """Print a line of what was asked for."""
        print(text, end=end, file=self.stdout)

    def err(self, text: object) -> None:
        """Print a line that is not: what is wrong, a warning, how it goes."""
        print(text, file=self.stderr)


Command = Callable[[argparse.Namespace, Console], int]
"""Does what the arguments say; returns the exit status."""


def add_command(
    subparsers: Subparsers, name: str, run: Command, *, brief: str, text: str, examples: str
) -> argparse.ArgumentParser:
    """Declare a command; return its parser, for its own options.

    brief: for the list of commands. text: the first lines of its help. examples: the last.
    """
    parser = subparsers.add_parser(
        name,
        help=brief,
        description=text,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_config(parser: argparse.ArgumentParser, *, of: str = "") -> None:
    """Declare `-c`: the file of the daemon that is meant. of: the option that is wanted of it."""
    wanted = f", for {of}" if of else ""
    parser.add_argument(
        "-c",
        "--config",
        metavar="FILE",
        default=CONFIG,
        help=f"the daemon's configuration{wanted} (default: %(default)s)",
    )


def loaded(file: str, console: Console) -> Config | None:
    """Return the configuration; None when it has mistakes, which are told."""
    try:
        return load(file, environ=console.environ)
    except ConfigErrors as why:
        console.err(why.render())
        if file == CONFIG and not Path(file).exists():
            console.err("is the configuration elsewhere? then name its file")
        return None


def duration(text: str) -> float:
    """Read a time as the configuration writes it, in seconds. Raises ValueError."""
    return parse_millis(text) / 1000


def size(text: str) -> int:
    """Read a size as the configuration writes it, in bytes. Raises ValueError."""
    return parse_size(text)


def typed_url(text: str) -> str:
    """Return a URL, a path or a pattern as typed, with all encoded that is not printable ASCII.

    Bytes of the command line that are no UTF-8 are encoded as they are.
    """
    return quote(text, safe=_KEPT, errors="surrogateescape")

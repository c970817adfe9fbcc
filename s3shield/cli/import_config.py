"""`s3shield import`: an ini made of nginx's or Apache's configuration."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from s3shield import __version__
from s3shield.importing import ImportFailed, Note, Weight, import_file

from .command import Console, Subparsers, add_command

__all__ = ["add_parser", "run"]

_EXAMPLES = """\
examples:
  see what becomes of a configuration:
    s3shield import /etc/nginx/nginx.conf
  make a file that only its owner can read, for there are keys in it, and look at it:
    s3shield import -o s3shield.ini /etc/httpd/conf/httpd.conf
    s3shield check s3shield.ini

The ini goes to standard output or to the file of -o, and passes `s3shield check`. Each line
that was not taken over is named on standard error, where it is seen although the ini goes
into a file: its place, the line with secrets masked, why, and what to do instead. First of
all those that kept somebody out: their locations are closed in the ini, not open. Files
that the configuration includes are read. Reading nginx's needs s3shield[import].

exit status: 0 when an ini was made, whatever the notes; 1 when there is none; 2 for wrong usage
"""
_HEADS: Final = {
    Weight.ACCESS: "kept somebody out; what it stood for is closed (405) in the ini",
    Weight.LOST: "not in the ini, or not as it was",
    Weight.NEEDLESS: "not needed here",
}


def add_parser(subparsers: Subparsers) -> None:
    """Add `import`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "import",
        run,
        brief="make a configuration of nginx's or Apache's",
        text="Read a configuration of nginx or Apache and print one of s3shield.",
        examples=_EXAMPLES,
    )
    parser.add_argument("file", metavar="FILE", help="nginx.conf, httpd.conf, or a piece of one")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=("nginx", "apache"),
        help="whose it is (default: told by its content)",
    )
    parser.add_argument(
        "-o", "--output", metavar="INI", help="write a new file, mode 0600, instead of printing"
    )
    parser.add_argument(
        "-D",
        dest="defined",
        metavar="NAME[=VALUE]",
        action="append",
        default=[],
        help="what Apache is started with, for <IfDefine> and ${NAME}; may be repeated",
    )
    parser.add_argument("--all", action="store_true", help="name the lines too that are not needed")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the ini, then the notes. Return the exit status."""
    try:
        defined = dict(each.partition("=")[::2] for each in args.defined)
        imported = import_file(args.file, args.kind, defined)
    except ImportFailed as why:
        console.err(f"s3shield import: {why}")
        return 1
    name = "".join(each if each.isprintable() else "?" for each in Path(args.file).name)
    text = f"; made by s3shield {__version__} of {name}\n\n{imported.ini}"
    if args.output is None:
        console.out(text, end="")
        console.stdout.flush()
    else:
        try:
            _write(args.output, text)
        except OSError as why:
            console.err(f"s3shield import: {args.output}: {why.strerror}")
            return 1
    _notes(imported.notes, console.stderr, everything=args.all)
    return 0


def _write(path: str, text: str) -> None:
    """Write a file that was not there, for its owner's eyes."""
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "w", encoding="utf-8") as file:
        file.write(text)


def _notes(notes: Sequence[Note], stderr: TextIO, *, everything: bool) -> None:
    for weight in Weight:
        found = [note for note in notes if note.weight is weight]
        if not found:
            continue
        plural = "lines" if len(found) > 1 else "line"
        if weight is Weight.NEEDLESS and not everything:
            print(f"\n{len(found)} {plural} {_HEADS[weight]} (--all names them)", file=stderr)
            continue
        print(f"\n{len(found)} {plural} {_HEADS[weight]}:", file=stderr)
        for note in found:
            print(note, file=stderr)

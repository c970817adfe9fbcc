"""`s3shield top`: what a running daemon does, as it does it."""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import shutil
import termios
import time
import tty
from collections.abc import Iterator
from typing import Any, Final

from .admin import Admin, AdminError
from .command import Console, Subparsers, add_command, add_config, duration, loaded
from .figures import lines

__all__ = ["add_parser", "frame", "run"]

_EXAMPLES = """\
examples:
  watch the daemon:
    s3shield top -c /etc/s3shield/s3shield.ini
  a line of figures every ten seconds, into a file, six times:
    s3shield top --interval 10s --count 6 > figures.txt

q or Ctrl-C ends it. Where the output is no terminal there is no redrawing: each time the figures
are printed below those before, without the tables. The daemon needs the option admin_listen.

exit status: 0; 1 when the daemon cannot be asked; 2 for wrong usage;
130 after Ctrl-C
"""
_FIGURES: Final = 5
"""Lines before the tables."""
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"


def add_parser(subparsers: Subparsers) -> None:
    """Add `top`; `args.run` is `run`."""
    parser = add_command(
        subparsers,
        "top",
        run,
        brief="watch what a running daemon does",
        text="Show the numbers of a running daemon, again and again.",
        examples=_EXAMPLES,
    )
    add_config(parser, of="admin_listen")
    parser.add_argument(
        "--interval", metavar="TIME", default="2s", help="between two looks (default: %(default)s)"
    )
    parser.add_argument("--count", type=int, metavar="N", help="end after so many looks")


def frame(now: Any, before: Any, width: int, height: int) -> str:
    """Return what is written to a terminal of that size: each line over the one that was there."""
    text = lines(now, before, width=width, height=height - 1)
    return "\x1b[H" + "".join(f"{line}\x1b[K\n" for line in text) + "\x1b[J"


def run(args: argparse.Namespace, console: Console) -> int:
    """Ask and show until somebody ends it. Return the exit status."""
    try:
        interval = duration(args.interval)
        if interval <= 0 or (args.count is not None and args.count < 1):
            raise ValueError("--interval is a time and --count a number, both above 0")
    except ValueError as why:
        console.err(f"s3shield top: {why}")
        return 2
    config = loaded(args.config, console)
    if config is None:
        return 1
    try:
        admin = Admin.of(config, args.config)
        said = admin.status()
        if console.stdout.isatty() and console.stdin.isatty():
            with _screen(console):
                _redraw(admin, said, interval, args.count, console)
        else:
            _append(admin, said, interval, args.count, console)
    except AdminError as why:
        console.err(f"s3shield top: {why}")
        return 1
    return 0


def _append(admin: Admin, said: Any, interval: float, count: int | None, console: Console) -> None:
    before, left = None, count
    while True:
        for line in lines(said, before, height=_FIGURES):
            console.out(line)
        left = None if left is None else left - 1
        if left == 0:
            return
        console.out()
        console.stdout.flush()
        time.sleep(interval)
        before, said = said, admin.status()


def _redraw(admin: Admin, said: Any, interval: float, count: int | None, console: Console) -> None:
    before, left = None, count
    while True:
        size = shutil.get_terminal_size()
        console.out(frame(said, before, size.columns, size.lines), end="")
        console.stdout.flush()
        left = None if left is None else left - 1
        if left == 0 or _ended(console, interval):
            return
        before, said = said, admin.status()


def _ended(console: Console, seconds: float) -> bool:
    """Wait, and tell whether somebody pressed `q`, or the terminal has gone."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([console.stdin], [], [], left)
        if ready and os.read(console.stdin.fileno(), 64).lower() in (b"q", b""):
            return True
    return False


@contextlib.contextmanager
def _screen(console: Console) -> Iterator[None]:
    """A screen of our own, and keys without Enter; as it was before in the end."""
    fd = console.stdin.fileno()
    kept = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        console.out(_ENTER, end="")
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, kept)
        console.out(_LEAVE, end="")
        console.stdout.flush()

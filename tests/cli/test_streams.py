"""Where the command's words go: full disks, readers that leave, closed descriptors, odd names."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import main, streams

from .running import called

INI = "[location:/]\norigin = http://127.0.0.1:9000\nproxy_cache = off\n"


class Failing(io.StringIO):
    """Takes nothing. why: the error's number."""

    def __init__(self, why: int) -> None:
        super().__init__()
        self.why = why

    def write(self, _text: str) -> int:
        """Fail."""
        raise OSError(self.why, os.strerror(self.why))


class StreamsTests(SynchronousTestCase):
    """Standard output that is none."""

    def setUp(self) -> None:
        """Have a configuration; put the streams back in the end."""
        self.ini = Path(self.mktemp())
        self.ini.write_text(INI)
        for name in ("stdin", "stdout", "stderr"):
            self.patch(sys, name, getattr(sys, name))

    def test_full(self) -> None:
        """A full disk is one sentence; Python is not left to try again at its end."""
        full = Failing(errno.ENOSPC)
        status, _, err = called("check", "--dump", str(self.ini), out=full)
        self.assertEqual((1, "s3shield check: No space left on device\n"), (status, err))

    def test_reader_gone(self) -> None:
        """Whoever reads has enough, as `head` has: nothing is said, and the shell can tell."""
        found = called("check", "--dump", str(self.ini), out=Failing(errno.EPIPE))
        self.assertEqual((141, "", ""), found)

    def test_all_full(self) -> None:
        """Where standard error is as full there is the status still."""
        sys.stdout = sys.stderr = Failing(errno.ENOSPC)
        self.assertEqual(1, main(["check", "--dump", str(self.ini)]))

    def test_closed(self) -> None:
        """Without descriptors (`>&- <&-`) what is done is done all the same."""
        sys.stdin = sys.stdout = sys.stderr = None
        self.assertEqual(0, main(["check", "--dump", str(self.ini)]))
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            stream.close()

    def test_names(self) -> None:
        """Names that are no UTF-8 go out as they are; elsewhere what cannot be said is escaped."""
        for encoding, wanted in (("utf-8", b"a\xff\xc3\xbc"), ("ascii", rb"a\udcff\xfc")):
            raw = io.BytesIO()
            sys.stdout = io.TextIOWrapper(raw, encoding=encoding)
            streams.ready()
            sys.stdout.write("a\udcff\xfc")
            sys.stdout.flush()
            self.assertEqual(wanted, raw.getvalue())

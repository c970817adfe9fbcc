"""Exit statuses: the table of docs/commands.rst, tried."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from s3shield import cli
from tests.ports import free_port

from .running import called

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "commands.rst"
INI: Final = """\
[s3shield]
listen = 127.0.0.1:{port}
admin_listen = 127.0.0.2:{port}
pid_file = {folder}/s3shield.pid
[cache:main]
path = {folder}/cache
[bucket:media]
aws_s3_bucket = media
aws_endpoint = http://127.0.0.1:{port}
aws_sign = off
[location:/]
bucket = media
proxy_cache = main
"""
ONES: Final = {
    "check": ("check {broken}",),
    "doctor": ("doctor {ini}", "doctor {broken}"),
    "explain": ("explain {ini} http://a/../b", "explain {broken} http://a/b"),
    "import": ("import {folder}/nothing",),
    "signing-key": ("signing-key -k secret -r eu-central-1 -d yesterday",),
    "rotate": ("rotate --from-file {folder}/nothing -r eu-central-1 {folder}/a.key",),
    "presign": ("presign --bucket media --region x --access-key A -k S --expires 8d a",),
    "sign-url": ("sign-url --config {ini} http://a/b",),
    "status": ("status -c {ini}",),
    "top": ("top -c {ini}",),
    "reload": ("reload -c {ini}", "reload -c {broken}"),
    "stop": ("stop -c {ini}",),
    "cache": ("cache ls -c {ini}", "cache stat -c {ini} /a", "cache rm -c {ini} /a"),
    "verify": ("verify {ini}",),
    "purge": ("purge -c {ini} /a", "purge -c {ini} --all --yes"),
    "warm": ("warm -c {ini} {ini}", "warm -c {ini} --bucket nothing"),
    "logs": ("logs -c {ini}",),
}
"""Command -> what ends with 1."""
TWOS: Final = ("purge", "warm", "cache ls --tag a /a", "cache rm ", "logs --status 9xx", "presign")
_ONLY_A_LIST: Final = frozenset({"doctor"})
"""What prints a list, and says in it what is wrong."""


class ExitStatusTests(SynchronousTestCase):
    """Without a daemon, a cache and an S3."""

    def setUp(self) -> None:
        """Write a configuration, and one with a mistake."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        text = INI.format(port=free_port(), folder=self.folder)
        (self.folder / "a.ini").write_text(text)
        (self.folder / "b.ini").write_text(f"{text}nonsense = 1\n")

    def words(self, line: str) -> list[str]:
        """Return a line's words, files filled in; the empty one behind a last blank too."""
        names = {"ini": self.folder / "a.ini", "broken": self.folder / "b.ini"}
        return line.format(folder=self.folder, **names).split(" ")

    def test_not_done(self) -> None:
        """What is not done ends with 1, and one sentence says why, for every row of the table."""
        rows = re.findall(r"(?m)^``([\w-]+)`` {2,}\S", PAGE.read_text())
        self.assertEqual(set(rows), ONES.keys())
        self.assertEqual(set(cli._parser()[1]), ONES.keys())
        for command, lines in ONES.items():
            for line in lines:
                status, out, err = called(*self.words(line))
                self.assertEqual(1, status, (line, out, err))
                self.assertNotIn("Traceback", out + err)
                said = [each for each in err.splitlines() if not each.startswith("warning: ")]
                most = 2 if "{broken}" in line else 1
                if not (command in _ONLY_A_LIST and out):
                    self.assertTrue(0 < len(said) <= most, (line, err))

    def test_wrong_usage(self) -> None:
        """What nobody could have meant ends with 2, for every command."""
        for command in ONES:
            status, _, err = called(command, "--nonsense")
            self.assertEqual((2, True), (status, "usage: s3shield" in err), (command, err))
        for line in TWOS:
            status, out, err = called(*line.split(" "))
            self.assertEqual((2, ""), (status, out), line)
            self.assertTrue(err, line)

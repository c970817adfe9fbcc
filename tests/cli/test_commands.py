"""The page on commands: complete, and every example is one that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield import cli

from .running import called

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.rst"


class CommandsTests(SynchronousTestCase):
    """docs/commands.rst."""

    def test_examples(self) -> None:
        """Each example parses; each command has one, and there is no other."""
        parser, commands = cli._parser()
        lines = re.findall(r"(?m)^    s3shield (.*)$", PAGE.read_text())
        for line in lines:
            parser.parse_args(shlex.split(line))
        self.assertEqual(set(commands), {line.split()[0] for line in lines})

    def test_help(self) -> None:
        """Each command's help has examples and its exit status."""
        _, commands = cli._parser()
        for command in commands:
            status, out, _ = called(command, "--help")
            self.assertEqual(0, status)
            self.assertIn("examples:", out, command)
            self.assertIn("exit status:", out, command)

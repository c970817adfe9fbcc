"""What packages are made of: completion and manual keep up with the parsers, versions agree."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from pack import completion, manual
from pack.words import commands, top
from s3shield import __version__

ROOT: Final = Path(__file__).resolve().parents[1]


def ran(*words: str, text: str) -> str:
    """Run a program on `text`; return what it says, on both streams. Raises on a bad end."""
    done = subprocess.run(
        words, input=text, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout + done.stderr


class WordTests(SynchronousTestCase):
    """The words of the parsers, in what is made of them."""

    def test_every_command(self) -> None:
        """Each command is known, with what it does and its help option."""
        names = {command.name for command in commands()}
        self.assertLessEqual({"check", "doctor", "reload", "rotate", "verify"}, names)
        for command in commands():
            self.assertIn("--help", [name for word in command.options for name in word.names])
            self.assertTrue(command.text, command.name)

    def test_bash(self) -> None:
        """Bash offers the commands, each command's options, the values of a choice, and files."""
        if shutil.which("bash") is None:
            self.skipTest("bash is not installed")
        asked = {(): ""} | {(*command.path,): "-" for command in commands()}
        script = completion.bash()
        for path, word in asked.items():
            words = " ".join(["s3shield", *path, f"'{word}'"])
            script += f"COMP_WORDS=({words}); COMP_CWORD={len(path) + 1}; _s3shield\n"
            script += 'echo "${COMPREPLY[*]}"\n'
        script += "COMP_WORDS=(s3shield presign --method ''); COMP_CWORD=3; _s3shield\n"
        script += 'echo "${COMPREPLY[*]}"\n'
        lines = ran("bash", "--norc", "-s", text=script).splitlines()
        self.assertEqual(lines.pop(), "GET HEAD PUT DELETE")
        first = [command.name for command in commands() if len(command.path) == 1]
        self.assertEqual(lines.pop(0).split(), first)
        for command, line in zip(commands(), lines, strict=True):
            wanted = [name for word in command.options for name in word.names]
            self.assertEqual(line.split(), wanted, command.name)

    def test_zsh(self) -> None:
        """The function for zsh has each command and option; zsh takes it, where it is."""
        script = completion.zsh()
        for command in commands():
            for word in command.options:
                for name in word.names:
                    self.assertIn(f"{name}[", script)
            self.assertIn(command.path[-1], script)
        if shutil.which("zsh") is not None:
            self.assertEqual(ran("zsh", "-n", text=script), "")

    def test_manual(self) -> None:
        """The page has each option of each command; roff finds nothing to complain about."""
        page = manual.page()
        plain = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "").replace("\\fI", "")
        for command in [top(), *commands()]:
            self.assertIn(f"s3shield {command.name}".rstrip(), plain)
            for word in command.options:
                self.assertIn(", ".join(word.names), plain)
        self.assertNotRegex(plain, r"%\(\w+\)")
        if shutil.which("groff") is not None:
            self.assertEqual(
                ran("groff", "-ww", "-man", "-z", "-Tutf8", "-K", "utf8", text=page), ""
            )


class FileTests(SynchronousTestCase):
    """The files of package formats."""

    def test_versions(self) -> None:
        """Each format's newest version is the product's."""
        for name, pattern in (
            ("debian/changelog", r"\As3shield \((\S+)\)"),
            ("pack/s3shield.spec", r"(?m)^Version: +(\S+)"),
            ("pack/helm/s3shield/Chart.yaml", r'(?m)^appVersion: "(\S+)"'),
        ):
            found = re.search(pattern, (ROOT / name).read_text())
            self.assertEqual(found and found[1], __version__, name)

    def test_constraints(self) -> None:
        """A package's libraries are each pinned to a version."""
        text = (ROOT / "setup.cfg").read_text()
        lists = re.findall(
            r"(?ms)^(?:install_requires|aws|compress|import|jwt|passwords) =$(.*?)(?=^\S|^#)", text
        )
        wanted = set(re.findall(r"(?m)^ {4}([\w-]+)", "".join(lists)))
        self.assertGreater(len(wanted), 15)
        pins = (ROOT / "pack" / "constraints.txt").read_text()
        names = {
            name.lower().replace("_", "-") for name in re.findall(r"(?m)^([\w.-]+)==\S+$", pins)
        }
        self.assertEqual({name.lower() for name in wanted} - names, set())

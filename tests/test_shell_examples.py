"""Commands in the pages are commands that there are.

Ours are taken by their own parser, targets and programs of the checkout are looked for, and
what else a page has the reader type stands in `ELSEWHERE`, with the reason why nothing here
runs it. The page on the start is run as it stands: `tests/daemon/test_start_page.py`.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli import _parser
from s3shield.tap import Options

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]

ELSEWHERE: Final = {
    "apt": "needs root",
    "apt-get": "needs root",
    "cat": "shows a file that only a daemon writes",
    "cd": "means nothing without what follows",
    "cp": "needs root",
    "curl": "needs a daemon; the daemon's own tests ask more",
    "docker": "needs a service",
    "dpkg": "needs root",
    "helm": "needs a cluster",
    "htpasswd": "Apache's",
    "install": "needs root",
    "journalctl": "needs systemd",
    "kill": "needs a daemon",
    "kubectl": "needs a cluster",
    "mkdir": "means nothing without what follows",
    "mkfifo": "needs a reader",
    "moto_server": "a server: the test of the start runs it",
    "nginx": "another server's",
    "podman": "needs a service",
    "promtool": "another project's",
    "rpm": "needs root",
    "sed": "in nginx's script, for comparison",
    "sleep": "waits",
    "sudo": "needs root",
    "systemctl": "needs root and systemd",
    "systemd-analyze": "needs systemd",
    "systemd-creds": "needs systemd",
    "systemd-socket-activate": "needs systemd; the daemon's tests hand over sockets themselves",
}
"""Program -> why its commands are not run here."""
OURS: Final = {"s3shield", "twistd", "make", "pip", "python", "python3"}
_BUILTIN: Final = {"grep", "head", "tail", "echo", "export", ".", "xargs", "jq", "sort", "less"}
"""Programs that take what the one before says, and the shell's own words."""

_BLOCK: Final = re.compile(
    r"^( *)(?:.*[^:\n])?(?:::|\.\. code-block:: (?:sh|bash|console))\n(?:\1 +:.*\n)*\n((?:\1 {4}.*\n|\n)+)",
    re.MULTILINE,
)


def commands(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (command, whether it is beyond doubt one) of a page; lines that go on are joined."""
    for match in _BLOCK.finditer(text):
        shell = "code-block" in match[0].partition("\n\n")[0]
        lines = re.sub(r"\\\n\s*", " ", match[2]).splitlines()
        lines = [line.strip() for line in lines if line.strip()]
        prompted = any(line.startswith("$ ") for line in lines)
        if prompted:
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        lines = [line for line in lines if not line.startswith("#")]
        known = bool(lines) and first_word(lines[0]) in OURS | ELSEWHERE.keys()
        for line in lines:
            if shell or prompted or known:
                yield line, shell or prompted


def first_word(line: str) -> str:
    """Return the program of a line, or its first word where it is none."""
    for word in line.split():
        if not re.match(r"\w+=", word):
            return word
    return ""


def programs(line: str) -> Iterator[list[str]]:
    """Yield the words of each program that a command line starts."""
    if re.match(r"\w+=\$\(", line):
        return  # what a script keeps of a command
    line = re.sub(r"^(?:[\d*]+ +){5}", "", line)  # a crontab's
    line = re.sub(r"\$\([^()]*\)", "VALUE", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if re.fullmatch(r"[|&;]+", word):
            while words and re.match(r"\w+=", words[0]):
                del words[0]
            if words:
                yield words
            words = []
        else:
            words.append(word)


class ShellTests(SynchronousTestCase):
    """The shell blocks, and commands of ours in the prose."""

    def look_at(self, words: list[str]) -> None:
        """Fail where a program of ours would not take what it is given."""
        program, *given = words
        redirected = [at for at, word in enumerate(given) if re.fullmatch("[<>]+", word)]
        given = given[: redirected[0]] if redirected else given
        if program == "s3shield":
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                try:
                    _parser()[0].parse_args(given)
                except SystemExit as end:
                    if end.code:
                        raise AssertionError(said.getvalue()) from end
        elif program == "twistd":
            self.assertIn("s3shield", given)
            Options().parseOptions(given[given.index("s3shield") + 1 :])
        elif program == "make":
            rules = (ROOT / "Makefile").read_text()
            for target in given:
                if "=" not in target and not target.startswith("-"):
                    self.assertRegex(rules, rf"(?m)^(?:[\w-]+ )*{target}(?: [\w-]+)*:", target)
        elif program == "pip":
            extras = (ROOT / "setup.cfg").read_text()
            for extra in re.findall(r"s3shield\[(.*?)\]", " ".join(given)):
                for each in extra.split(","):
                    self.assertIn(f"\n{each} =\n", extras)
        elif program in {"python", "python3"}:
            if given and given[0].startswith("bench/"):
                self.assertTrue((ROOT / given[0]).exists(), given[0])
        else:
            self.assertIn(program, ELSEWHERE.keys() | _BUILTIN, "say why it is not run")

    def test_blocks(self) -> None:
        """Each command is taken by what it names, or it is said why nobody runs it."""
        found = 0
        for page in PAGES:
            for line, _ in commands(page.read_text()):
                found += 1
                try:
                    for words in programs(line):
                        self.look_at(words)
                except Exception as error:
                    raise AssertionError(f"{page.name}: {line}: {error}") from error
        self.assertGreater(found, 60)

    def test_prose(self) -> None:
        """A command that the prose names is there."""
        names = set(_parser()[1])
        for page in PAGES:
            for span in re.findall(r"``s3shield ([a-z-]+)", page.read_text()):
                self.assertIn(span, names, page.name)

    def test_a_mistake_is_seen(self) -> None:
        """An option that is not there, a target that is gone, an unknown program: all fail."""
        for line in (
            "s3shield check --dumb /etc/s3shield.ini",
            "twistd -n s3shield --konfig x",
            "make dmeo",
            "pip install 's3shield[nothing]'",
            "python bench/nothing.py",
            "frobnicate --all",
        ):
            with self.assertRaises((AssertionError, UsageError), msg=line):
                for words in programs(line):
                    self.look_at(words)

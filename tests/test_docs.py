"""What the documents say is true: their examples load, their lists are complete.

An example that does not load is the first thing a new user meets; an option that no page
names is one that nobody finds.
"""

from __future__ import annotations

import importlib
import itertools
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from s3shield.config import load
from s3shield.config.options import ALLOWED, BUCKET, DAEMON, LOCATION, ORIGIN, REPLICA, SERVER, TLS
from s3shield.config.real_ip import REAL_IP
from s3shield.policy import CacheStatus, NoStoreReason

ROOT: Final = Path(__file__).resolve().parents[1]
KEY_FILE: Final = """\
jcUxLpCwJR0mSxAnb6gcJ8dBw1+x+2TNMwABi0eLyLc=
20260226/us-east-1/s3/aws4_request
"""
"""What lies beside an example as `media.key`: the guide's two lines."""
PAGES: Final = [ROOT / "README.rst", *sorted((ROOT / "docs").glob("*.rst"))]

_BLOCK: Final = re.compile(
    r"^\.\. code-block:: ini\n(?:[ ]+:.*\n)*\n((?:[ ]{4}.*\n|\n)+)", re.MULTILINE
)


def examples(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line number, ini text) of each ini block of a page."""
    for match in _BLOCK.finditer(text):
        yield text.count("\n", 0, match.start(1)) + 1, textwrap.dedent(match[1])


class ExampleTests(SynchronousTestCase):
    """The ini blocks."""

    def load(self, text: str) -> object:
        """Load `text` as the daemon would load its file."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "example.ini"
            path.touch(mode=0o600)
            path.write_text(text)
            (Path(directory) / "media.key").write_text(KEY_FILE)
            return load(path)

    def test_examples_load(self) -> None:
        """Each ini block of the README and the pages is a whole configuration without a mistake."""
        found = 0
        for page in PAGES:
            for line, text in examples(page.read_text()):
                found += 1
                try:
                    self.load(text)
                except Exception as error:
                    raise AssertionError(f"{page.name}:{line}: {error}") from error
        self.assertGreaterEqual(found, 4)

    def test_every_ini_block_is_seen(self) -> None:
        """No block escapes by its indentation, and none hides as plain text."""
        for page in PAGES:
            text = page.read_text()
            self.assertEqual(text.count(":: ini"), len(list(examples(text))), page.name)
            for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", text):
                self.assertNotRegex(block, r"(?m)^    \[\w+", page.name)

    def test_a_mistake_is_seen(self) -> None:
        """The check fails for an option that does not exist."""
        (_, text), *_ = examples((ROOT / "README.rst").read_text())
        with self.assertRaises(Exception) as caught:
            self.load(text.replace("proxy_cache_valid", "proxy_cache_valdi"))
        self.assertIn("proxy_cache_valdi", str(caught.exception))


class ListTests(SynchronousTestCase):
    """The lists."""

    def test_status_words(self) -> None:
        """The page on status has each X-Cache-Status and each reason, and no invented reason."""
        text = (ROOT / "docs" / "status.rst").read_text()
        for status in set(CacheStatus) - {CacheStatus.NONE}:
            self.assertIn(f"``{status.value.decode()}``", text)
        table = text.partition("Why something was not stored")[2].partition("Statuses of our")[0]
        named = set(re.findall(r"(?m)^``([a-z-]+)``", table))
        self.assertEqual({reason.value.decode() for reason in NoStoreReason}, named)

    def test_options(self) -> None:
        """The reference has each option that is read, in the section it is read in, and no other."""
        text = (ROOT / "docs" / "configuration.rst").read_text()
        parts = re.split(r"(?m)^\[(s3shield|cache|bucket|server|location)\b.*\]$", text)
        kinds = dict(zip(parts[1::2], parts[2::2], strict=True))
        for kind, body in kinds.items():
            heads = re.findall(r"(?m)^``.*``$", body)
            named = {name for head in heads for name in re.findall(r"``([^`]+)``", head)}
            # What stands in an outer section as a default is described in the inner one.
            own = {
                "s3shield": {*DAEMON, *REAL_IP},
                "bucket": {*BUCKET, *REPLICA},
                "server": {*SERVER, *TLS},
                "location": {"server", *LOCATION, *ORIGIN},
            }.get(kind, set(ALLOWED[kind]))
            self.assertEqual(own, named, kind)

    def test_defaults(self) -> None:
        """A default that the reference names is the one that is in force."""
        text = (ROOT / "docs" / "configuration.rst").read_text()
        every = {name: spec for options in ALLOWED.values() for name, spec in options.items()}
        seen = 0
        for match in re.finditer(r"(?m)^(``.*``)\n((?:    .*\n|\n)+)", text):
            names, words = re.findall(r"``([^`]+)``", match[1]), " ".join(match[2].split())
            told = re.findall(r"``([^`]+)``, the default\b", words)
            if said := re.search(r"\bDefaults? ((?:``[^`]+``(?:, | and )?)+|\d+)", words):
                told = re.findall(r"``([^`]+)``|(\d+)", said[1])
                told = ["".join(each) for each in told]
            for name, value in zip(names, told, strict=False):
                spec = every[name]
                if spec.default is not None and not (spec.many and not spec.default):
                    seen += 1
                    self.assertEqual(spec.default, spec.read(value), f"{name}: {value}")
        self.assertGreater(seen, 60)

    def test_table_of_options(self) -> None:
        """The table that is made at a build has every option, and defaults that read back."""
        with mock.patch.object(sys, "path", [str(ROOT / "docs"), *sys.path]):
            found = list(importlib.import_module("option_rows").rows())
        self.assertEqual({*itertools.chain(*ALLOWED.values())}, {name for name, *_ in found})
        told = {name: default for name, _, default in found if default}
        self.assertGreater(len(told), 70)
        self.assertEqual("32k", told["inline_limit"])
        self.assertEqual("7d", told["inactive"])

    def test_every_page_has_its_place(self) -> None:
        """The index leads to every page, once."""
        text = (ROOT / "docs" / "index.rst").read_text()
        places = re.findall(r"(?m)^   ([a-z0-9-]+)$", text)
        pages = {page.stem for page in (ROOT / "docs").glob("*.rst")} - {"index"}
        self.assertEqual(sorted(pages), sorted(places))

    def test_readme_links(self) -> None:
        """The README names no page that is not there."""
        for target in re.findall(r"<([^<>\s]+\.rst)>`_", (ROOT / "README.rst").read_text()):
            self.assertTrue((ROOT / target).exists(), target)


class RequirementTests(SynchronousTestCase):
    """The table of RFC 9111."""

    def test_tests_are_there(self) -> None:
        """Each test that the table names exists; each row names one."""
        text = (ROOT / "docs" / "rfc9111.rst").read_text()
        table = text[text.index(".. list-table::") : text.index("What we do otherwise")]
        names = re.findall(r"\| ``([\w.]+)``", table)
        self.assertGreater(len(names), 90)
        for name in names:
            module, *path = re.split(r"\.(?=[A-Z])", f"tests.{name}", maxsplit=1)
            found: object = importlib.import_module(module)
            for part in path[0].split(".") if path else ():
                found = getattr(found, part)
            self.assertTrue(path or vars(found), name)
        rows = re.findall(r"   \* - (.*)\n     - (.*)\n     - (.*)\n", table)
        self.assertGreater(len(rows), 50)
        for section, _, tests in rows[1:]:
            self.assertTrue(tests.startswith("| ``"), section)

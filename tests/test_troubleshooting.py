"""Whatever the error log can ask of an operator stands in the page on troubleshooting."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from .log_messages import FIELD, loud, messages

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "troubleshooting.rst"


def entries() -> list[str]:
    """Return the messages that the page describes, with their words in capitals."""
    told = PAGE.read_text().partition("What the error log says")[2]
    return [line[2:-2] for line in re.findall(r"(?m)^``.*``$", told)]


def missing(texts: list[tuple[str, str]], told: list[str]) -> list[str]:
    """Return those that none of `told` is."""
    found = []
    for where, text in texts:
        pattern = ".*".join(map(re.escape, text.split(FIELD)))
        if not any(re.search(pattern, each) for each in told):
            found.append(f"{where}: {text.replace(FIELD, '*')}")
    return found


class MessageTests(SynchronousTestCase):
    """The messages of level warn and above."""

    def test_each_is_described(self) -> None:
        """A message without an entry fails: write one, with what the operator is to do."""
        texts = list(messages())
        self.assertGreater(len(texts), 70)
        self.assertEqual([], missing(texts, entries()))

    def test_no_entry_is_there_twice(self) -> None:
        """Who looks for a message finds one answer."""
        told = entries()
        self.assertEqual(sorted(set(told)), sorted(told))

    def test_a_new_one_is_seen(self) -> None:
        """The collector finds texts in calls, in names and in both ways of a choice."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "module.py"
            path.write_text(
                "def f(self, log, x):\n"
                "    text = 'the moon {what} is full' if x else f'the sun {x} is out'\n"
                "    log.warn(text, what=x)\n"
                "    log.info('nothing to see here')\n"
                "    self._trouble(f'the sea: {x}, is wide')\n"
            )
            found = [text for _, text in loud(path)]
        self.assertEqual(
            {f"the moon {FIELD} is full", f"the sun {FIELD} is out", f"the sea: {FIELD}, is wide"},
            set(found),
        )
        self.assertEqual(3, len(missing([("here", each) for each in found], entries())))

"""docs/metrics.rst has what there is."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.metrics import FAMILIES

_ROW = re.compile(r"   \* - ``(\w+)``\n     - (\w+)\n     - (.*)\n     - (.+)\n")


class PageTests(SynchronousTestCase):
    """The table."""

    def test_table(self) -> None:
        """Each metric is in the table, in order, with its kind and labels, and no other one."""
        text = (Path(__file__).resolve().parents[2] / "docs" / "metrics.rst").read_text()
        named = [
            (name, kind, tuple(re.findall(r"``(\w+)``", labels)))
            for name, kind, labels, _ in _ROW.findall(text)
        ]
        there = [
            (each.name, each.kind, (*each.labels, *(["worker"] if each.merge == "each" else [])))
            for each in FAMILIES.values()
        ]
        self.assertEqual(there, named)

    def test_names(self) -> None:
        """Names follow Prometheus' conventions: our prefix, base units, _total for counters."""
        for family in FAMILIES.values():
            self.assertRegex(family.name, r"^s3shield_[a-z0-9_]+$")
            self.assertEqual(family.kind == "counter", family.name.endswith("_total"))
            self.assertNotRegex(family.name, r"_(ms|milliseconds|kb|kilobytes|minutes)(_|$)")
            self.assertTrue(family.help.endswith("."), family.name)
            self.assertFalse({"le", "job", "instance"} & set(family.labels))

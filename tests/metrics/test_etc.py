"""The dashboard and the alert rules in etc/."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from s3shield.metrics import FAMILIES, snapshot
from s3shield.metrics.exposition import exposition

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "etc" / "s3shield.rules.yml"
DASHBOARD = ROOT / "etc" / "s3shield-dashboard.json"


def named(text: str) -> set[str]:
    """Return the metrics that are named; of histograms without the ending."""
    known = {f"{each.name}_bucket": each.name for each in FAMILIES.values() if each.bounds}
    return {known.get(name, name) for name in re.findall(r"\bs3shield_[a-z0-9_]+", text)}


def promtool(*words: str, given: bytes = b"") -> str:
    """Run promtool; return what is wrong, or nothing."""
    program = shutil.which("promtool")
    if program is None:
        raise SkipTest("promtool is not installed (Debian: prometheus)")
    words = (program, *words)
    done = subprocess.run(words, check=False, input=given, capture_output=True, timeout=60)
    return "" if not done.returncode else (done.stdout + done.stderr).decode()


class EtcTests(SynchronousTestCase):
    """What is named there is there."""

    def test_metrics_exist(self) -> None:
        """Each metric that a rule or a panel asks for is exposed; both name many."""
        panels = json.loads(DASHBOARD.read_text())["panels"]
        asked = " ".join(target["expr"] for panel in panels for target in panel["targets"])
        for text in (RULES.read_text(), asked):
            self.assertGreater(len(named(text)), 8)
            self.assertEqual(set(), named(text) - set(FAMILIES))

    def test_rules(self) -> None:
        """Prometheus takes the rules."""
        self.assertEqual("", promtool("check", "rules", str(RULES)))

    def test_exposition(self) -> None:
        """Prometheus reads what is exposed, whatever stands in labels, and has no objection."""
        evil = '<b>"x\\\n</b>'
        series = {("s3shield_requests_total", evil, "GET", "200", "HIT"): (1.0,)}
        text = exposition(snapshot(series, [], 1.0, "0"))
        self.assertIn(b'location="<b>\\"x\\\\\\n</b>"', text)
        self.assertEqual("", promtool("check", "metrics", given=text))

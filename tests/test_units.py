"""systemd's units in etc/: systemd-analyze knows every word of them and finds them tight."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

ETC: Final = Path(__file__).resolve().parents[1] / "etc"
UNITS: Final = sorted(ETC.glob("s3shield*.s*e*")) + sorted(ETC.glob("s3shield*.timer"))
MOST: Final = 2.0
"""Of systemd-analyze's scale of exposure: 0 is a box without holes, 10 is none."""


class UnitTests(SynchronousTestCase):
    """What is in etc/."""

    def test_template(self) -> None:
        """The template is the unit, but for its instance's name, file and directory."""

        def lines(name: str) -> list[str]:
            text = (ETC / name).read_text()
            return text[text.index("[Unit]") :].splitlines()

        changed = {
            "/etc/s3shield/%i.ini": "/etc/s3shield/s3shield.ini",
            "s3shield by %i.ini,": "s3shield,",
            "s3shield-%i": "s3shield",
        }
        found = lines("s3shield@.service")
        for new, old in changed.items():
            self.assertTrue(any(new in line for line in found), new)
            found = [line.replace(new, old) for line in found]
        self.assertEqual(found, lines("s3shield.service"))

    def copied(self) -> Path:
        """Return a folder with the units, whose programs exist. Skips without systemd."""
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd is not installed: apt install systemd")
        folder = Path(tempfile.mkdtemp(prefix="units-", dir=Path.cwd()))
        for name in ("twistd", "s3shield"):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o755)
        for path in UNITS:
            text = path.read_text().replace("/usr/bin/env s3shield", f"{folder}/s3shield")
            text = text.replace("/usr/lib/s3shield/bin", str(folder))
            (folder / path.name.replace("@", "@one")).write_text(text)
        return folder

    def analyze(self, *words: str) -> tuple[int, str]:
        """Run systemd-analyze; return its status and all it says."""
        done = subprocess.run(
            ["systemd-analyze", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def test_verify(self) -> None:
        """systemd-analyze finds nothing to say: no option that it does not know, no program gone."""
        folder = self.copied()
        units = [str(path) for path in sorted(folder.glob("s3shield*.*"))]
        self.assertEqual(len(units), len(UNITS))
        self.assertEqual(len(units), 5)
        _, said = self.analyze("verify", "--man=no", *units)
        ours = [line for line in said.splitlines() if "s3shield" in line or str(folder) in line]
        self.assertEqual(ours, [])
        unit = folder / "s3shield.service"
        unit.write_text(unit.read_text().replace("WatchdogSec", "WatchdocSec"))
        _, said = self.analyze("verify", "--man=no", str(unit))
        self.assertIn("WatchdocSec", said)

    def test_exposure(self) -> None:
        """Every service is at 2.0 or below."""
        folder = self.copied()
        for unit in sorted(folder.glob("*.service")):
            _, said = self.analyze("security", "--offline=true", str(unit))
            found = re.search(r"exposure level for \S+: ([\d.]+)", said)
            if found is None:
                self.skipTest(f"systemd-analyze cannot look at files here: {said[-200:]}")
            self.assertLessEqual(float(found[1]), MOST, f"{unit.name}\n{said}")

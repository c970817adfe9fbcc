"""The page on the start, run as it stands: whoever types what it says gets a HIT.

Left out is what makes the environment (this one has it), ports are free ones, and where a
person takes a moment to type, the test waits for the server.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from demo.daemon import program
from tests.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
_PREPARES: Final = re.compile(
    r"(?m)^(?:mkdir|cd|python3 -m venv|\. venv|pip) .*\n",
)
_FILES: Final = {"python": "bucket.py", "ini": "s3shield.ini"}
_ASKS: Final = "curl -s -o /dev/null --retry 90 --retry-connrefused --retry-delay 1"


def script(page: str, s3_port: int, port: int) -> str:
    """Return the page's blocks as one script for bash."""
    lines = ["trap 'kill $(jobs -p) $(cat s3shield.pid 2>/dev/null) 2>/dev/null' EXIT"]
    blocks = re.findall(r"(?m)^\.\. code-block:: (\w+)\n\n((?:    .*\n|\n)+)", page)
    for kind, body in blocks:
        text = textwrap.dedent(body).strip() + "\n"
        if kind in _FILES:
            lines.append(f"cat > {_FILES[kind]} <<'END_OF_FILE'\n{text}END_OF_FILE")
        if kind == "ini":
            lines.append('sed -i.before "s/AKIAIOSFODNN7EXAMPLE/$AWS_ACCESS_KEY_ID/" s3shield.ini')
        if kind == "sh":
            lines.append(_PREPARES.sub("", text))
            if "moto_server" in text:
                lines.append(f"{_ASKS} http://127.0.0.1:9000/moto-api/")
    whole = "\n".join(lines)
    return (
        whole.replace("127.0.0.1:9000", f"127.0.0.1:{s3_port}")
        .replace("-p 9000", f"-p {s3_port}")
        .replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    )


class StartPageTests(SynchronousTestCase):
    """docs/start.rst."""

    def setUp(self) -> None:
        """Have a directory with our commands in the path."""
        for needed in ("bash", "curl"):
            if shutil.which(needed) is None:
                raise SkipTest(f"{needed} is not on this machine")
        self.folder = Path(tempfile.mkdtemp(dir=Path.cwd()))
        commands = {
            "s3shield": program("s3shield"),
            "twistd": program("twistd"),
            "moto_server": [sys.executable, "-m", "moto.server"],
            "python": [sys.executable],
        }
        (self.folder / "bin").mkdir()
        for name, words in commands.items():
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            path.chmod(0o755)

    def test_it_ends_in_a_hit(self) -> None:
        """403 without a signature; a bucket that doctor likes; MISS, then HIT."""
        page = (ROOT / "docs" / "start.rst").read_text()
        environ = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environ["PATH"] = f"{self.folder / 'bin'}:{environ['PATH']}"
        environ["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            ["bash", "-c", script(page, free_port(), free_port())],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        said = done.stdout
        why = f"{said}\n{done.stderr}"
        self.assertTrue(said.startswith("403\n"), why)
        self.assertIn("configuration ok", said, why)
        self.assertIn("nothing is wrong", said, why)
        hello = "hello from a private bucket"
        expected = (hello, "X-Cache-Status: MISS", "X-Cache-Status: HIT")
        self.assertEqual([2, 1, 1], [said.count(each) for each in expected], why)
        self.assertLess(said.index("MISS"), said.index("HIT"))
        self.assertIn("cache key   media|/hello.txt|", said)

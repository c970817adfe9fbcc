"""`s3shield stop`: what it says when there is nothing to stop; see test_shell for a daemon."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from s3shield.cli.running import pid_in, runs

from .running import called


class StopTests(SynchronousTestCase):
    """Without a daemon."""

    def setUp(self) -> None:
        """Write a configuration."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        self.pid_file = folder / "s3shield.pid"
        self.ini = folder / "s3shield.ini"
        self.ini.write_text(
            f"[s3shield]\nlisten = 127.0.0.1:8080\npid_file = {self.pid_file}\n"
            "shutdown_timeout = 1s\n"
            "[location:/]\norigin = http://127.0.0.1:9\nproxy_cache = off\n"
        )

    def ended(self) -> int:
        """Return the id of a process that has ended, and was waited for."""
        process = subprocess.Popen([sys.executable, "-c", ""])
        process.wait()
        return process.pid

    def test_refused(self) -> None:
        """No file, no number in it, a process that is gone: one sentence, status 1."""
        for text, said in (
            (None, "is the daemon running?"),
            ("soon", "there is no process id in it"),
            ("-1", "there is no process id in it"),
            (str(self.ended()), "does not run any more"),
        ):
            if text is not None:
                self.pid_file.write_text(text)
            status, out, err = called("stop", "-c", str(self.ini))
            self.assertEqual((1, "", 1), (status, out, err.count("\n")), text)
            self.assertIn(said, err)
        self.assertEqual(1, called("stop", "-c", str(self.ini), "--pid", "1")[0])

    def test_stopped(self) -> None:
        """It waits until the process has ended, though nobody waits for that one."""
        process = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True); import time; time.sleep(100)"],
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        process.stdout.readline()
        self.pid_file.write_text(f"{process.pid}\n")
        found = called("stop", "-c", str(self.ini))
        self.assertEqual((0, f"process {process.pid} has ended\n", ""), found)

    def test_pid(self) -> None:
        """A process id is read from the file, and found running."""
        self.pid_file.write_text(f"{os.getpid()}\n")
        self.assertTrue(runs(pid_in(str(self.pid_file))))
        self.assertFalse(runs(self.ended()))
        self.assertRaises(ValueError, pid_in, None)

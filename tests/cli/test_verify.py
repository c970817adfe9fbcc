"""`s3shield verify`, as a person runs it, beside a daemon with two workers and without one."""

from __future__ import annotations

import contextlib
import io
import signal

from s3shield.cli import main, verify
from s3shield.store import Damage, Report
from tests.ops.test_daemon import PATIENCE, DaemonCase


class Terminal(io.StringIO):
    """Somewhere that a progress bar is drawn on."""

    def isatty(self) -> bool:
        """Yes."""
        return True


class VerifyTests(DaemonCase):
    """One cache, `main`."""

    def verify(self, *words, err=None):
        """Run the command; (status, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO() if err is None else err
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(["verify", *words, str(self.ini)])
            except SystemExit as why:
                status = why.code
        return status, out.getvalue(), err.getvalue()

    def bodies(self):
        """The body files."""
        return [file for file in (self.folder / "cache" / "blobs").rglob("*") if file.is_file()]

    def test_beside_a_daemon(self):
        """Damage is found, named and removed; the daemon fetches the object again."""
        self.write(more="max_object_size = 10m")
        self.ini.write_text(
            self.ini.read_text().replace("[location", "inline_limit = 0\n[location")
        )
        running = self.run_daemon()
        running.until("ready: listening on")
        self.assertEqual(["MISS", "MISS"], [self.get("/a"), self.get("/b")])
        self.wait_for(lambda: len(self.bodies()) == 2)
        status, out, err = self.verify()
        self.assertEqual((0, ""), (status, err))
        self.assertIn("main: 2 entries, 2 files, 20 bytes read; 0 damaged", out)
        self.bodies()[0].write_bytes(b"hellO" * 2)
        status, out, _ = self.verify()
        self.assertEqual(1, status)
        self.assertIn(": block 0 differs", out)
        self.assertIn("1 damaged", out)
        status, out, _ = self.verify("--repair", "--cache", "main")
        self.assertEqual((0, "main: removed"), (status, out.splitlines()[-1]))
        self.assertEqual({"MISS", "HIT"}, {self.get("/a"), self.get("/b")})
        self.wait_for(lambda: len(self.bodies()) == 2)
        self.assertEqual(0, self.verify()[0])

    def test_without_a_daemon(self):
        """After a kill as well; on a terminal there is a bar that ends full."""
        running = self.run_daemon()
        running.until("ready: listening on")
        self.get()
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(PATIENCE)
        status, out, err = self.verify(err=Terminal())
        self.assertEqual(0, status)
        self.assertIn("main: 1 entries", out)
        self.assertTrue(err.endswith(f"[{'#' * 40}] 100.0%\n"), err)

    def test_names(self):
        """A key cannot say anything to the terminal."""
        out = io.StringIO()
        damage = Damage(b"d", b"media|/\x1b]0;x\x07\0gzip", "block 0 differs", b"")
        verify._print("main", Report(damaged=[damage]), out, all_of_them=False)
        self.assertIn("  media|/\\x1b]0;x\\x07 gzip: block 0 differs\n", out.getvalue())

    def test_mistakes(self):
        """No cache yet, a name that there is none of, a configuration that is wrong."""
        status, _, err = self.verify()
        self.assertEqual(1, status)
        self.assertIn("[cache:main]: there is no cache in", err)
        status, _, err = self.verify("--cache", "other")
        self.assertEqual(1, status)
        self.assertIn("there is no [cache:other]", err)
        self.ini.write_text("[s3shield]\nlisten = nowhere:\n")
        self.assertEqual(1, self.verify()[0])

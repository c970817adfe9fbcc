"""`s3shield purge`, as a person runs it, against a daemon with two workers."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import stat

from s3shield.cli import main
from tests.ops.test_daemon import DaemonCase
from tests.ports import free_port

from .running import called


class PurgeCase(DaemonCase):
    """A daemon with an admin listener, and the command."""

    def call(self, *words):
        """Run the command; (status, stdout, stderr)."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(["purge", *words])
            except SystemExit as why:
                status = why.code
        return status, out.getvalue(), err.getvalue()

    def purge(self, *words):
        """Run it with our configuration."""
        return self.call("-c", str(self.ini), *words)


class DaemonTests(PurgeCase):
    """Two workers."""

    def look(self):
        """`status` and `top` tell of it too: one start for all."""
        status, out, err = called("status", "-c", str(self.ini), "--json")
        self.assertEqual((status, err), (0, ""))
        said = json.loads(out)
        self.assertEqual(1, said["version"])
        self.assertGreater(said["summary"]["hits"], 0)
        status, out, err = called("status", "-c", str(self.ini))
        self.assertEqual((status, err), (0, ""))
        self.assertIn("WORKER", out)
        words = ("top", "-c", str(self.ini), "--count", "2", "--interval", "10ms")
        status, out, err = called(*words)
        self.assertEqual((status, err), (0, ""))
        # No terminal: nothing but lines.
        self.assertEqual((2, False), (out.count("requests "), "\x1b" in out))

    def test_unix(self):
        """Each selector, over a unix socket that others cannot use, whichever worker has it."""
        # Short: the path of a unix socket has about a hundred bytes.
        path = os.path.relpath(self.folder / "a.sock")
        if len(str(self.folder)) < 90:
            path = self.folder / "a.sock"
        self.write(daemon=f"admin_listen = unix:{os.path.abspath(path)}")
        running = self.run_daemon()
        running.until("ready: listening on")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o660)
        host = f"http://127.0.0.1:{self.port}"
        for words in (
            [f"{host}/a"],
            ["--prefix", f"{host}/", "--yes"],
            ["--all", "--yes"],
            ["--soft", f"{host}/a"],
        ):
            self.get()
            self.assertEqual(self.purge(*words), (0, "1\n", ""), words)
            self.assertNotIn("HIT", [self.get()], words)
            # On connections of both workers, sooner or later.
            self.assertEqual({self.get() for _ in range(20)}, {"HIT"})
        self.assertEqual(self.purge("--tag", "none"), (0, "0\n", ""))
        self.look()
        # What is too wide is counted, and nothing is done without --yes.
        for words, said in (
            (["--all"], "--all empties every cache, 1 responses: say --yes"),
            (
                ["--prefix", f"{host}/"],
                f"this is all of origin http://127.0.0.1:{self.origin.server_address[1]}",
            ),
            ([f"{host}/*"], "1 responses: say --yes"),
            (["*"], "a URL begins with"),
        ):
            status, out, err = self.purge(*words)
            self.assertEqual((1 if words == ["*"] else 2, "", 1), (status, out, err.count("\n")))
            self.assertIn(said, err)
        self.assertEqual(self.purge("--count", "--all"), (0, "1\n", ""))
        self.assertEqual(self.purge("--count", f"{host}/a*"), (0, "1\n", ""))
        self.assertEqual(self.purge("--count", f"{host}/b*"), (0, "0\n", ""))
        self.assertEqual(self.get(), "HIT")
        self.assertEqual(self.purge(f"{host}/\udcff"), (0, "0\n", ""))
        status, out, err = self.purge(f"{host}/*/a")
        self.assertEqual((0, "0\n", True), (status, out, "at the end of a URL only" in err))
        self.assertEqual(self.purge(f"{host}/a*"), (0, "1\n", ""))
        self.assertEqual(self.purge("nowhere")[0], 1)
        self.assertEqual(running.end(), 0)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(self.purge(f"{host}/a")[0], 1)

    def test_tcp_in_every_worker(self):
        """After each purge neither worker gives out what was stored; a restart changes nothing."""
        admin = free_port()
        self.write(daemon=f"admin_listen = 127.0.0.1:{admin}")
        running = self.run_daemon()
        running.until("ready: listening on")
        for _ in range(20):
            self.get()
            self.assertEqual(self.purge("--all", "--yes"), (0, "1\n", ""))
            self.assertEqual(self.get(), "MISS")
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
        connection.request("GET", "/live")
        self.assertEqual(json.loads(connection.getresponse().read()), {"live": True})
        connection.close()
        self.assertEqual(self.purge("--all", "--yes")[1], "1\n")
        self.assertEqual(running.end(), 0)
        again = self.run_daemon()
        again.until("ready: listening on")
        self.assertEqual(self.get(), "MISS")
        self.assertEqual(again.end(), 0)


class MistakeTests(PurgeCase):
    """What is said when it cannot be done."""

    def test_usage(self):
        """Nothing named, two things named: status 2, one line."""
        for words in ([], ["http://h/", "--all", "--yes"], ["--tag", "a", "--all"]):
            status, out, err = self.purge(*words)
            self.assertEqual((status, out, err.count("\n")), (2, "", 1), words)
        for tag in ("", "\udcff", "a\x1b"):
            self.assertEqual(2, self.purge("--tag", tag)[0])

    def test_no_listener(self):
        """Without admin_listen the option is named."""
        status, _, err = self.purge("http://h/")
        self.assertEqual((status, "admin_listen" in err), (1, True))

    def test_not_running(self):
        """A daemon that does not run is said to be out of reach, where it was looked for."""
        self.write(daemon="admin_listen = unix:/nonexistent/s3shield.sock")
        status, _, err = self.purge("http://h/")
        self.assertEqual(status, 1)
        self.assertIn("cannot reach the daemon at unix:/nonexistent/s3shield.sock", err)

    def test_no_configuration(self):
        """A missing file is said to be missing."""
        status, _, err = self.call("-c", "/nonexistent/x.ini", "http://h/")
        self.assertEqual((status, "cannot be read" in err), (1, True))

    def test_help(self):
        """The help has examples."""
        status, out, _ = self.call("--help")
        self.assertEqual((status, "s3shield purge --soft --prefix" in out), (0, True))

"""The real daemon: `twistd s3shield`, its workers, its signals, its refusals."""

import contextlib
import http.client
import http.server
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import lmdb
from twisted.trial.unittest import SynchronousTestCase

from s3shield.store import Tenant
from s3shield.tap import Options, makeService
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
PATIENCE = 90


class Origin(http.server.BaseHTTPRequestHandler):
    """Answers anything; `/slow` waits halfway until the test lets it go on."""

    protocol_version = "HTTP/1.1"
    reached = threading.Event()
    go_on = threading.Event()

    def do_GET(self):
        """Answer."""
        self.send_response(200)
        # Long enough not to be held together on its way.
        first = b"hello" * (50_000 if self.path == "/slow" else 1)
        self.send_header("Content-Length", str(len(first) + 5))
        self.send_header("Cache-Control", "max-age=600")
        self.end_headers()
        self.wfile.write(first)
        if self.path == "/slow":
            self.wfile.flush()
            self.reached.set()
            self.go_on.wait(PATIENCE)
        self.wfile.write(b"world")

    def log_message(self, *_words):
        """Say nothing."""


class Running:
    """A twistd process; its output arrives line by line.

    activated: a listening socket that it is started with, as systemd does (sd_listen_fds(3)).
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        before: tuple[str, ...] = ("-n",),
        activated: socket.socket | None = None,
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        code, fds = TWISTD, []
        if activated is not None:
            fds.append(activated.fileno())
            code = f"import os; os.dup2({fds[0]}, 3); pid = str(os.getpid()); {TWISTD}"
            code = code.replace("run()", "os.environ.update(LISTEN_FDS='1', LISTEN_PID=pid); run()")
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *before, "s3shield", *words],
            pass_fds=fds,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.folder = folder
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def until(self, words: str, times: int = 1) -> None:
        """Wait until `times` lines have `words` in them."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: self.ended or sum(words in line for line in self.lines) >= times, PATIENCE
            )
        if not found or sum(words in line for line in self.lines) < times:
            raise AssertionError(f"no {words!r} in:\n" + "\n".join(self.lines))

    def all_gone(self) -> None:
        """Wait until no process has the output open any more."""
        self._reader.join(PATIENCE)
        if self._reader.is_alive():
            raise AssertionError("still running:\n" + "\n".join(self.lines))

    def workers(self) -> list[int]:
        """Return the process ids of all workers that were ever ready."""
        return [int(line.rsplit(" ", 1)[1]) for line in self.lines if " is ready, pid " in line]

    def end(self) -> int:
        """Stop it as an operator does; return its exit status."""
        self.process.terminate()
        status = self.process.wait(PATIENCE)
        self.all_gone()
        return status

    def clean(self) -> None:
        """Leave nothing behind, whatever happened."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(PATIENCE)
        self.process.stdout.close()


class DaemonCase(SynchronousTestCase):
    """A folder, an origin, a configuration."""

    def setUp(self) -> None:
        """Start the origin; write the configuration."""
        self.origin = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Origin)
        self.origin.daemon_threads = True
        # Some tests cut it off in the middle of an answer.
        self.origin.handle_error = lambda *_: None
        threading.Thread(target=self.origin.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(self.origin.server_close)
        self.addCleanup(self.origin.shutdown)
        Origin.reached.clear()
        Origin.go_on.clear()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.port = free_port()
        self.write()

    def write(self, workers: int = 2, daemon: str = "", more: str = "") -> None:
        """Write the configuration."""
        self.ini = self.folder / "s3shield.ini"
        self.ini.write_text(
            f"""\
[s3shield]
listen = 127.0.0.1:{self.port}
workers = {workers}
access_log = {self.folder}/access.log json
shutdown_timeout = 200s
{daemon}

[cache:main]
path = {self.folder}/cache
max_size = 100m
min_free = 0

[location:/]
origin = http://127.0.0.1:{self.origin.server_address[1]}
proxy_cache = main
{more}
"""
        )

    def run_daemon(self, *before: str) -> Running:
        """Start twistd."""
        running = Running(self.folder, "-c", "s3shield.ini", before=before or ("-n",))
        self.addCleanup(running.clean)
        return running

    def get(self, path: str = "/a") -> str:
        """Return the X-Cache-Status of a request answered in full."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            self.assertEqual((response.status, body), (200, b"helloworld"))
            return response.headers["X-Cache-Status"]
        finally:
            connection.close()

    def assertGone(self, pids: list[int]) -> None:
        """Wait until none of the processes is left, or only as a zombie of init's."""
        for pid in pids:
            self.wait_for(lambda pid=pid: self.gone(pid))

    def gone(self, pid: int) -> bool:
        """Return whether a process has ended."""
        shown = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip()[:1] in ("", "Z")

    def wait_for(self, condition) -> None:
        """Wait for something of which nobody tells us."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                self.fail("waited in vain")
            time.sleep(0.01)


class Life(DaemonCase):
    """Start, death and end."""

    def test_workers(self) -> None:
        """Both workers serve from one cache; a killed one is replaced; TERM ends all with 0."""
        running = self.run_daemon()
        running.until("ready: listening on")
        self.assertEqual(self.get(), "MISS")
        self.assertEqual(self.get(), "HIT")
        first = running.workers()
        self.assertEqual(len(set(first)), 2)
        os.kill(first[0], signal.SIGKILL)
        running.until("was killed by signal 9")
        running.until("is ready, pid", 3)
        os.kill(first[1], signal.SIGKILL)
        running.until("is ready, pid", 4)
        self.assertEqual(self.get(), "HIT")
        self.assertEqual(running.end(), 0)
        self.assertGone(running.workers())
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_parent_killed(self) -> None:
        """When the parent is killed its workers end, and the port is free again."""
        running = self.run_daemon()
        running.until("ready: listening on")
        running.process.kill()
        running.process.wait(PATIENCE)
        running.all_gone()
        self.assertGone(running.workers())
        socket.create_server(("127.0.0.1", self.port)).close()

    def test_in_this_process(self) -> None:
        """`workers = 0` serves without children; HUP is survived; INT ends with 0."""
        self.write(workers=0)
        running = self.run_daemon()
        running.until("ready: listening on")
        self.assertEqual([self.get(), self.get()], ["MISS", "HIT"])
        running.process.send_signal(signal.SIGHUP)
        running.until("this takes a restart")
        self.assertEqual(self.get(), "HIT")
        running.process.send_signal(signal.SIGINT)
        self.assertEqual(running.process.wait(PATIENCE), 0)
        self.assertEqual(running.workers(), [])

    def test_on_uvloop(self) -> None:
        """The parent runs on uvloop as well, with workers and without; who serves is watched."""
        for workers in (0, 1):
            self.write(workers=workers, daemon="stall_log = 20ms")
            running = self.run_daemon("-n", "--reactor=uvloop")
            running.until("ready: listening on")
            running.until("holds the event loop for more than 20 ms")
            self.get()
            self.assertEqual(running.end(), 0)

    def test_drain(self) -> None:
        """A response under way when the daemon is stopped is sent to its end."""
        for workers in (1, 0):
            self.write(workers=workers)
            Origin.reached.clear()
            Origin.go_on.clear()
            running = self.run_daemon()
            running.until("ready: listening on")
            client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.addCleanup(client.close)
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            Origin.reached.wait(PATIENCE)
            data = b""
            while b"hello" not in data:
                data += client.recv(65536)
            running.process.terminate()
            self.refused()
            Origin.go_on.set()
            while piece := client.recv(65536):
                data += piece
            self.assertTrue(data.endswith(b"hello" * 50_000 + b"world"), data[-100:])
            self.assertEqual(running.process.wait(PATIENCE), 0)
            (self.folder / "cache").rename(self.folder / f"cache.{workers}")

    def test_impatient(self) -> None:
        """A second TERM does not wait for what is under way; the exit status is 0 still."""
        for workers in (1, 0):
            self.write(workers=workers)
            Origin.reached.clear()
            running = self.run_daemon()
            running.until("ready: listening on")
            client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
            self.addCleanup(client.close)
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            Origin.reached.wait(PATIENCE)
            self.assertTrue(client.recv(1))
            running.process.terminate()
            self.refused()
            running.process.terminate()
            self.assertEqual(running.process.wait(PATIENCE), 0)
            running.all_gone()
            (self.folder / "cache").rename(self.folder / f"cache.{workers}")
        Origin.go_on.set()

    def refused(self) -> None:
        """Wait until nobody listens."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                return
        self.fail("it still takes connections")

    def test_reopen(self) -> None:
        """After a rename and USR1 new files are written, by parent and workers."""
        self.write(daemon=f"error_log = {self.folder}/error.log info")
        running = self.run_daemon()
        errors, access = self.folder / "error.log", self.folder / "access.log"
        self.wait_for(lambda: errors.exists() and "ready: listening" in errors.read_text())
        self.get("/before")
        self.wait_for(lambda: "/before" in access.read_text())
        errors.rename(self.folder / "error.1")
        access.rename(self.folder / "access.1")
        running.process.send_signal(signal.SIGUSR1)
        self.wait_for(lambda: access.exists() and errors.exists())
        self.get("/after")
        self.wait_for(lambda: "/after" in access.read_text())
        self.assertEqual(running.end(), 0)
        self.assertIn("stopped", errors.read_text())
        self.assertNotIn("/after", (self.folder / "access.1").read_text())
        self.assertEqual(running.lines, [])

    def test_daemonized(self) -> None:
        """Without -n it goes to the background, with a pid file, logs, and a clean end."""
        self.write(workers=1, daemon=f"pid_file = {self.folder}/s3shield.pid")
        running = self.run_daemon("--umask=022")
        self.assertEqual(running.process.wait(PATIENCE), 0)
        log, pid_file = self.folder / "twistd.log", self.folder / "s3shield.pid"
        self.wait_for(lambda: log.exists() and "ready: listening" in log.read_text())
        pid = int(pid_file.read_text())
        self.addCleanup(self.kill_quietly, pid)
        self.assertFalse((self.folder / "twistd.pid").exists())
        self.assertEqual(self.get(), "MISS")
        os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: not pid_file.exists())
        self.wait_for(lambda: "stopped" in log.read_text())

    def kill_quietly(self, pid: int) -> None:
        """Kill a process that should be gone; its workers follow."""
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


class Refusals(DaemonCase):
    """What is wrong is said in a line, with exit status 1 and nothing started."""

    def refused(self) -> list[str]:
        """Run until it ends by itself; return what it said."""
        running = self.run_daemon()
        status = running.process.wait(PATIENCE)
        running.all_gone()
        self.assertEqual(status, 1, running.lines)
        self.assertNotIn("Traceback", "\n".join(running.lines))
        return running.lines

    def refused_here(self) -> list[str]:
        """Make the service in this process; return what was said."""
        options = Options()
        options["config"] = str(self.ini)
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            error = self.assertRaises(SystemExit, makeService, options)
        self.assertEqual(error.code, 1)
        return said.getvalue().splitlines()

    def test_port_in_use(self) -> None:
        """One line with the place of the listen option; no cache, no pid file."""
        with socket.create_server(("127.0.0.1", self.port)):
            (line,) = self.refused()
        self.assertTrue(line.startswith(f"{self.ini}:2: "), line)
        self.assertIn(f"127.0.0.1:{self.port}", line)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_no_user(self) -> None:
        """Users, groups and certificates that are not there."""
        self.write(daemon="user = no-such-user\ngroup = no-such-group")
        lines = self.refused_here()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("there is no user 'no-such-user'", lines[0])

    def test_help(self) -> None:
        """The help has examples with their lines whole."""
        self.assertIn("\n  twistd -n s3shield -c s3shield.ini\n", str(Options()))

    def test_mistakes(self) -> None:
        """Every mistake of the configuration, one line each."""
        self.write(daemon="wrokers = 3", more="proxy_cahce = main")
        lines = self.refused_here()
        self.assertEqual(len(lines), 2, lines)
        self.assertIn("workers", lines[0])
        self.assertIn("proxy_cache", lines[1])

    def test_no_file(self) -> None:
        """A configuration file that is not there."""
        self.ini.unlink()
        (line,) = self.refused_here()
        self.assertIn("s3shield.ini", line)

    def test_paths(self) -> None:
        """Paths that cannot be written, and a format with a mistake, all at once."""
        (self.folder / "cache").write_text("a file")
        ini = self.ini.read_text().replace("access.log json", "access.log $stauts")
        ini = ini.replace("[s3shield]", f"[s3shield]\nerror_log = {self.folder}/none/error.log")
        self.ini.write_text(ini)
        lines = self.refused_here()
        self.assertEqual(len(lines), 3, lines)
        self.assertIn("did you mean $status?", lines[0])
        self.assertIn("none/error.log", lines[1])
        self.assertIn("[cache:main]", lines[2])

    def test_worker_cannot_start(self) -> None:
        """What only the worker can find out is said once: no index, one of a newer release."""
        index = self.folder / "cache" / "index"
        index.parent.mkdir()
        index.write_text("in the way")
        self.cannot_start("cache's index", workers=2)
        index.unlink()
        index.mkdir()
        with lmdb.open(str(index), max_dbs=8) as env:
            meta = env.open_db(b"meta")
            with env.begin(meta, write=True) as txn:
                txn.put(b"format", b"999")
        self.cannot_start("written by a newer release", workers=0)

    def cannot_start(self, why: str, workers: int) -> None:
        """Start, and expect to be told why it cannot."""
        self.write(workers=workers)
        lines = [line for line in self.refused() if "cannot start" in line]
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(why, lines[0])

    def test_cache_in_use(self) -> None:
        """A cache that another daemon has is not shared: it is said whose, and nothing is bound."""
        (self.folder / "cache").mkdir()
        other = Tenant(self.folder / "cache", "/etc/other.ini")
        self.addCleanup(other.leave)
        (line,) = self.refused_here()
        self.assertIn("[cache:main] path: ", line)
        self.assertIn("another daemon (that of /etc/other.ini)", line)
        socket.create_server(("127.0.0.1", self.port)).close()

"""The demo's walk as a test: twistd's daemon before S3 servers that check signatures.

Nothing here is a stand-in. What passes was signed as botocore and two servers understand
it, in every way of signing that each server checks.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.server
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final

import attrs
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from demo.daemon import Daemon, write_ini
from demo.objects import Sample, samples
from demo.s3_servers import KINDS, RunningServer, start, why_unavailable
from demo.walk import MismatchError, Walk

ROOT: Final = Path(__file__).resolve().parents[2]
BUCKET: Final = "private-media"
LARGE: Final = 3 << 20
"""The demo's large object is larger; the ways it takes are the same from 32 KiB on."""


@attrs.frozen
class Filled:
    """An S3 server with the demo's objects in a private bucket."""

    directory: Path
    server: RunningServer
    objects: list[Sample]


@functools.cache
def filled(kind: str) -> Filled:
    """Return the one such server of this process; it ends with it. Raises SkipTest."""
    directory = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=Path.cwd()))
    reason = why_unavailable(kind, directory)
    if reason is not None:
        raise SkipTest(reason)
    server = start(kind, directory / "s3")
    atexit.register(server.stop)
    objects = samples(LARGE)
    server.make_bucket(BUCKET)
    for each in objects:
        server.put(BUCKET, each.key, each.body, each.content_type)
    return Filled(directory, server, objects)


class ServerMixin:
    """What is true of each server."""

    kind: ClassVar[str]

    def setUp(self) -> None:
        """Have the server, or say why it cannot run here."""
        there = filled(self.kind)
        self.directory, self.server, self.objects = there.directory, there.server, there.objects

    def check_refusals(self) -> None:
        """Unsigned and wrongly signed requests get nothing, rightly signed ones do."""
        sample = self.objects[0]
        path = f"/{BUCKET}{sample.path}"
        status, body = self.server.get(path)
        self.assertIn(status, (400, 401, 403))
        self.assertNotIn(sample.body, body)
        for mode in self.server.modes:
            status, body = self.server.get(path, mode, "wrong")
            self.assertEqual((403, True), (status, b"SignatureDoesNotMatch" in body), mode)
            self.assertEqual((200, sample.body), self.server.get(path, mode), mode)

    def check_walk(self, mode: str) -> None:
        """The whole walk: everything twice, the rest, a restart, everything once more."""
        directory = self.directory / mode
        directory.mkdir()
        port = write_ini(directory, self.server, mode, BUCKET, workers=1)
        secret = None if mode.startswith("v4") else self.server.secret_key
        daemon = Daemon(directory, port, secret)
        self.addCleanup(daemon.kill)
        rows: list[str] = []
        walk = Walk(port, self.objects, rows.append)
        try:
            daemon.start()
            walk.twice()
            walk.others()
            daemon.stop()
            daemon.start()
            walk.all_hits()
            daemon.stop()
        except MismatchError as problem:
            shown = "\n".join(rows)
            raise AssertionError(f"{problem}\n{shown}\n{daemon.log_tail()}") from problem


class SwiftTests(ServerMixin, SynchronousTestCase):
    """Swift checks all four ways, the region and the clock."""

    kind = "swift"

    def test_refuses(self) -> None:
        """The server is a witness: it refuses what is not signed with the right secret."""
        self.check_refusals()

    def test_v4(self) -> None:
        """SigV4 in the header, with a scoped key."""
        self.check_walk("v4")

    def test_v4_query(self) -> None:
        """SigV4 in the query, with a scoped key."""
        self.check_walk("v4-query")

    def test_v2(self) -> None:
        """SigV2 in the header."""
        self.check_walk("v2")

    def test_v2_query(self) -> None:
        """SigV2 in the query."""
        self.check_walk("v2-query")


class MotoTests(ServerMixin, SynchronousTestCase):
    """moto checks the literal path, where others normalise it first."""

    kind = "moto"

    def test_refuses(self) -> None:
        """The server is a witness: it refuses what is not signed with the right secret."""
        self.check_refusals()

    def test_v4(self) -> None:
        """SigV4 in the header, with a scoped key."""
        self.check_walk("v4")


class LifelineTests(SynchronousTestCase):
    """A server does not outlive who started it."""

    def test_killed_starter(self) -> None:
        """Even when the starter is killed outright, the server ends."""
        kind = next((kind for kind in KINDS if why_unavailable(kind) is None), None)
        if kind is None:
            raise SkipTest("; ".join(str(why_unavailable(kind)) for kind in KINDS))
        code = (
            "import os, pathlib, sys; from demo.s3_servers import start;"
            f"server = start({kind!r}, pathlib.Path(sys.argv[1]));"
            "print(server.endpoint, flush=True); os.kill(os.getpid(), 9)"
        )
        with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
            starter = subprocess.run(
                [sys.executable, "-W", "ignore", "-c", code, directory],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                check=False,
            )
            self.assertEqual(-signal.SIGKILL, starter.returncode)
            port = int(starter.stdout.rpartition(b":")[2])
            deadline = time.monotonic() + 20
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                except OSError:
                    break
                self.assertLess(time.monotonic(), deadline, "the server lives on")
                time.sleep(0.02)


Lie = Callable[[int, Sample], tuple[int, dict[str, str], bytes]]


@contextlib.contextmanager
def proxy(lie: Lie, objects: list[Sample]) -> Iterator[int]:
    """Run a server that answers the n-th request for an object as `lie` says; yield its port."""
    by_path = {each.path: each for each in objects}
    count = 0

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal count
            status, headers, body = lie(count, by_path[self.path])
            count += 1
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            serving.join()


class WalkTests(SynchronousTestCase):
    """The walk itself: it passes what is right and stops at each kind of wrong."""

    def walk(self, lie: Lie) -> Walk:
        """Walk twice through one small object."""
        objects = samples(0)[:1]
        with proxy(lie, objects) as port:
            walk = Walk(port, objects, lambda _row: None)
            walk.twice()
            return walk

    def truth(self, number: int, sample: Sample) -> tuple[int, dict[str, str], bytes]:
        """Answer as s3shield does."""
        word = "HIT" if number else "MISS"
        return 200, {"X-Cache-Status": word, "Content-Type": sample.content_type}, sample.body

    def test_right(self) -> None:
        """MISS, then HIT, with the right body."""
        self.assertEqual(2, self.walk(self.truth).count)

    def test_wrong(self) -> None:
        """Each lie is told by its own words."""

        def changed(**change: str) -> Lie:
            def lie(number: int, sample: Sample) -> tuple[int, dict[str, str], bytes]:
                status, headers, body = self.truth(number, sample)
                names = {name.replace("_", "-"): value for name, value in change.items()}
                return status, {**headers, **names}, body

            return lie

        def body_of(change: Callable[[bytes], bytes]) -> Lie:
            return lambda number, sample: (
                *self.truth(number, sample)[:2],
                change(sample.body) if number else sample.body,
            )

        cases: list[tuple[Lie, str]] = [
            (lambda n, s: (502, *self.truth(n, s)[1:]), "status 502, must be 200"),
            (changed(X_Cache_Status="MISS"), "X-Cache-Status is MISS, must be HIT"),
            (changed(X_Cache_Status="HIT"), "X-Cache-Status is HIT, must be MISS"),
            (changed(Content_Type="text/html"), "content-type is 'text/html'"),
            (changed(X_Amz_Request_Id="1"), "S3's own x-amz-request-id"),
            (changed(Content_Length="100"), "71 bytes of the body are missing"),
            (body_of(lambda body: body[:-1]), "28 bytes came back, must be 29"),
            (body_of(lambda body: body[:-1] + b"?"), "differs from byte 28 on"),
        ]
        for lie, words in cases:
            with self.assertRaises(MismatchError) as caught:
                self.walk(lie)
            self.assertIn(words, str(caught.exception))

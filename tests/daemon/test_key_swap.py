"""A key file is changed under load, before a real S3 server that checks every signature."""

import http.client
import threading
import time
from base64 import b64encode
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from demo.daemon import Daemon, free_port, scoped_key
from s3shield.signing import Scope, derive_signing_key
from tests.daemon.test_demo import BUCKET, filled

CLIENTS = 4
DAY = 86_400


class KeySwapTests(SynchronousTestCase):
    """The real daemon, two workers, no cache: each request is signed and checked."""

    def setUp(self):
        """Serve the server's bucket; the key is in a file."""
        there = filled("swift")
        self.server, self.sample = there.server, there.objects[0]
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "media.key"
        self.key, self.scope = scoped_key(self.server)
        self.write(0)
        ini = self.folder / "demo.ini"
        port = free_port()
        ini.write_text(
            f"""
[s3shield]
listen = 127.0.0.1:{port}
workers = 2

[bucket:media]
aws_s3_bucket = {BUCKET}
aws_endpoint = {self.server.endpoint}
aws_addressing = path
aws_region = {self.server.region}
aws_access_key = {self.server.access_key}
aws_signing_key_file = {self.file}

[location:/]
bucket = media
proxy_cache = off
"""
        )
        ini.chmod(0o600)
        self.daemon = Daemon(self.folder, port)
        self.daemon.start()
        self.addCleanup(self.daemon.kill)

    def write(self, days):
        """Replace the file: today's key, and those of so many days after; as a whole."""
        lines = [self.key, self.scope]
        for day in range(1, days + 1):
            date = time.strftime("%Y%m%d", time.gmtime(time.time() + day * DAY))
            scope = Scope(date, self.server.region, "s3")
            lines += [
                b64encode(derive_signing_key(self.server.secret_key, scope)).decode(),
                str(scope),
            ]
        new = self.file.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.chmod(0o600)
        new.rename(self.file)

    def said(self, words, times):
        """Wait until the daemon's log has the words so often."""
        deadline = time.monotonic() + 60
        while self.daemon.log.read_text().count(words) < times:
            self.assertLess(time.monotonic(), deadline, self.daemon.log_tail())
            time.sleep(0.05)

    def test_swaps(self):
        """Replaced, half written, gone and replaced again: the server refuses nothing."""
        enough = threading.Event()
        answers = [[] for _ in range(CLIENTS)]

        def ask(mine):
            connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=30)
            while not enough.is_set():
                connection.request("GET", self.sample.path)
                response = connection.getresponse()
                mine.append((response.status, response.read() == self.sample.body))

        threads = [threading.Thread(target=ask, args=(mine,)) for mine in answers]
        for thread in threads:
            thread.start()
        try:
            for turn in range(1, 4):
                self.write(turn)
                self.said(f"{turn + 1} signing keys from", 1)
                self.file.write_text(self.key[:20])
                self.said("the keys that are loaded go on", 2 * turn - 1)
                self.file.unlink()
                self.said("the keys that are loaded go on", 2 * turn)
        finally:
            enough.set()
            for thread in threads:
                thread.join(60)
        self.daemon.stop()
        self.assertEqual({(200, True)}, {each for mine in answers for each in mine})
        self.assertTrue(all(len(mine) > 3 for mine in answers))
        self.assertNotIn(self.key, self.daemon.log.read_text())

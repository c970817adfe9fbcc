"""A day of an operator's with one daemon: warm, cache, logs, stop."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path

from s3shield.store import tenant_of
from tests.ops.test_daemon import DaemonCase, Origin
from tests.ports import free_port

from .running import called

MASTER = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nlow/index.m3u8\n"
MEDIA = '#EXTM3U\n#EXT-X-MAP:URI="init.mp4"\n#EXTINF:4,\n1.ts\n#EXTINF:4,\nhttp://cdn.test/2.ts\n'
SITEMAP = "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{}</urlset>"
INDEX = "<sitemapindex><sitemap><loc>/one.xml.gz</loc></sitemap></sitemapindex>"


class Pages(Origin):
    """Answers what is in `pages`, and any other path with its name; /missing with 404."""

    pages: dict[str, bytes] = {}  # noqa: RUF012  # the server makes the instances
    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        """Answer."""
        self.asked.append(self.path)
        body = self.pages.get(self.path, self.path.encode())
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "max-age=600")
        if self.path.startswith("/tagged"):
            self.send_header("Cache-Tag", "red")
        self.end_headers()
        self.wfile.write(body)


class DayTests(DaemonCase):
    """One daemon."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.origin.RequestHandlerClass = Pages
        Pages.pages, Pages.asked = {}, []
        self.pid_file = self.folder / "s3shield.pid"
        admin = free_port()
        self.write(
            workers=1, daemon=f"admin_listen = 127.0.0.1:{admin}\npid_file = {self.pid_file}"
        )
        self.running = self.run_daemon()
        self.running.until("ready: listening on")

    def call(self, command: str, *words: str, sub: str = ""):
        """Run a command with our configuration."""
        first = (command, sub) if sub else (command,)
        return called(*first, "-c", str(self.ini), *words)

    def test_day(self) -> None:
        """All of it, in order."""
        self.warm_list()
        self.warm_documents()
        self.cache()
        self.logs()
        self.stop()
        self.offline()

    def warm_list(self) -> None:
        """Hits, fetches and failures are counted; bad lines named; what is done is not asked."""
        listed = self.folder / "list"
        listed.write_text(
            "# a comment\n/a\n/b\n\nftp://x/\nhttp://elsewhere.test/c\n/missing\n"
            f"http://127.0.0.1:{self.port}/a\nhttp://www.test/d\n"
        )
        state = str(self.folder / "state")
        words = (str(listed), "--state", state, "--host", "www.test", "--parallel", "2")
        status, out, err = self.call("warm", *words)
        self.assertEqual((1, True), (status, "2 skipped" in out), (out, err))
        self.assertRegex(out, r"^[01] already there, [34] fetched \(.*\), 1 failed, 2 skipped\n$")
        self.assertIn("skipped: line 5: 'ftp://x/': it is no URL", err)
        self.assertIn("skipped: line 6: 'http://elsewhere.test/c': elsewhere.test is not a", err)
        self.assertIn("/missing: the daemon answered 404", err)
        self.assertNotIn("/c", Pages.asked)
        with Path(state).open("a") as file:
            file.write("http://torn")
        asked = len(Pages.asked)
        status, out, err = self.call("warm", *words)
        self.assertRegex(out, r"^0 already there, 0 fetched \(0\), 1 failed, [34] done before, 2")
        self.assertLessEqual(len(Pages.asked), asked + 1)
        found = called("warm", "--via", f"http://127.0.0.1:{self.port}", "--hls", "/nothing")
        self.assertEqual((1, True), (found[0], "it is no HLS playlist" in found[2]), found)
        listed.write_text("/x1\n/x2\n/x3\n")
        words = (str(listed), "--budget", "1", "--parallel", "1", "--rate", "1g")
        status, out, _ = self.call("warm", *words)
        self.assertEqual(0, status)
        self.assertIn("1 fetched (3)", out)
        self.assertIn("the budget is spent: 2 were not asked for", out)

    def warm_documents(self) -> None:
        """Sitemaps of an index, packed, and all of an HLS film; never another host."""
        urls = "".join(f"<url><loc>/page/{number}</loc></url>" for number in range(3))
        Pages.pages = {
            "/index.xml": INDEX.encode(),
            "/one.xml.gz": gzip.compress(SITEMAP.format(urls).encode()),
            "/master.m3u8": MASTER.encode(),
            "/low/index.m3u8": MEDIA.encode(),
        }
        found = self.call("warm", "--sitemap", "/index.xml")
        self.assertEqual((0, "0 already there, 3 fetched (21), 0 failed\n", ""), found)
        status, out, err = self.call("warm", "--hls", "/master.m3u8")
        self.assertEqual(1, status)
        # The playlists have been read already.
        self.assertRegex(out, r"^2 already there, 2 fetched \(.*\), 0 failed, 1 skipped\n$")
        self.assertIn("cdn.test is not a host of this daemon's", err)
        self.assertIn("/low/init.mp4", Pages.asked)
        self.assertFalse([path for path in Pages.asked if "2.ts" in path])

    def cache(self) -> None:
        """What is stored is listed, looked at, and one removed through the daemon."""
        self.call("warm", str(self.list_of("/tagged/1", "/tagged/2")))
        self.wait_for(lambda: len(self.listed("/tagged")) == 2)
        (one, two) = sorted(self.listed("/tagged"), key=lambda each: each["key"])
        self.assertEqual((200, 9, True, ["red"]), tuple(one[n] for n in _FACTS))
        self.assertTrue(0 <= one["age"] <= 60 < one["ttl"] <= 600, one)
        tagged = {each["key"] for each in self.listed("--tag", "red")}
        self.assertEqual({one["key"], two["key"]}, tagged)
        status, out, _ = self.call("cache", "/tagged/1", sub="ls")
        self.assertRegex(out, r"^ +9 +[0-9]+s +10m 200 http://.*\|/tagged/1\|\n$")
        for name in ("/tagged/1", one["key"]):
            status, out, _ = self.call("cache", name, sub="stat")
            self.assertEqual(0, status)
            for words in ("kind     response", "size     9; in the index", "tags     red"):
                self.assertIn(words, out)
        self.assertEqual((0, "1\n", ""), self.call("cache", "/tagged/1", sub="rm"))
        self.assertEqual((0, "1\n", ""), self.call("cache", two["key"], sub="rm"))
        self.assertEqual([], self.listed("/tagged"))
        for sub in ("rm", "stat"):
            status, out, err = self.call("cache", "/tagged/1", sub=sub)
            self.assertEqual((1, "", True), (status, out, "nothing is stored" in err))
        for name in ("/\udcff", "nothing\udcff"):  # bytes of the command line
            status, _, err = self.call("cache", name, sub="rm")
            self.assertEqual((1, True), (status, "nothing is stored of" in err), err)
        status, _, err = self.call("cache", "--cache", "none", sub="ls")
        self.assertEqual((1, True), (status, "there is no [cache:none]" in err))

    def logs(self) -> None:
        """The log that the daemon writes is read back."""
        log = self.folder / "access.log"
        self.wait_for(lambda: '"/missing"' in log.read_text())
        status, out, _ = self.call("logs", "--no-follow", "-n", "1", "--status", "4xx")
        self.assertEqual((0, "/missing"), (status, json.loads(out)["request_uri"]))

    def stop(self) -> None:
        """It ends, and has ended when the command does; a second daemon was refused till then."""
        self.assertEqual(str(self.ini), tenant_of(self.folder / "cache"))
        pid = int(self.pid_file.read_text())
        reaping = threading.Thread(target=self.running.process.wait)
        reaping.start()
        self.assertEqual((0, f"process {pid} has ended\n", ""), self.call("stop"))
        reaping.join()
        self.assertEqual(0, self.running.process.returncode)
        self.assertIsNone(tenant_of(self.folder / "cache"))
        self.running.all_gone()
        status, _, err = self.call("warm", str(self.list_of("/a")))
        self.assertEqual((1, True), (status, "cannot reach the daemon at 127.0.0.1" in err))

    def offline(self) -> None:
        """Without a daemon one is removed from the directory itself, and never all by mistake."""
        self.assertEqual(2, self.call("cache", "", sub="rm")[0])
        self.assertTrue(self.listed("/page/1"))
        self.assertEqual((0, "1\n", ""), self.call("cache", "/page/1", sub="rm"))
        self.assertEqual([], self.listed("/page/1"))
        self.assertEqual(2, len(self.listed("/page/")))

    def list_of(self, *targets: str) -> Path:
        """Write a list."""
        file = self.folder / "some"
        file.write_text("\n".join(targets) + "\n")
        return file

    def listed(self, *words: str):
        """Return what `cache ls` finds."""
        status, out, err = self.call("cache", "--json", *words, sub="ls")
        self.assertEqual((0, ""), (status, err))
        return [json.loads(line) for line in out.splitlines()]


_FACTS = ("status", "size", "complete", "tags")

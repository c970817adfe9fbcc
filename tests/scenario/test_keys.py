"""Scoped keys over days and under load, before a bucket that checks each signature."""

from __future__ import annotations

import argparse
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred, gatherResults, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import Logger, formatEvent

from s3shield.cli import rotate, signing_key
from s3shield.cli.command import Console
from s3shield.config import load
from s3shield.ops import KeyWatch
from tests.daemon.workers import Workers

from .checking import CheckingOrigin
from .harness import Client, Scenario, until

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
START = 1_795_478_400.0  # 2026-11-24 00:00:00 UTC
HOUR, DAY = 3600, 86_400


class Keys(Scenario):
    """A bucket with a key file. now: the time of s3shield and of the bucket."""

    now = START

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "media.key"

    def make_origin(self) -> CheckingOrigin:
        """One that knows the secret and looks at our clock."""
        return CheckingOrigin(SECRET, "r", lambda: self.now)

    def config_text(self, location: str, cache: str, more: str) -> str:
        """The scenario's, with the bucket in the origin's place."""
        text = super().config_text(location, cache, more)
        return (
            text.replace(f"origin = http://127.0.0.1:{self.origin.number}", "bucket = media")
            + f"""
[bucket:media]
aws_s3_bucket = private
aws_endpoint = http://127.0.0.1:{self.origin.number}
aws_access_key = AKIAIOSFODNN7EXAMPLE
aws_signing_key_file = {self.file}
"""
        )

    def call(self, *words: str) -> None:
        """Run a command for region r, as cron does, at `now`."""
        parser = argparse.ArgumentParser()
        subparsers = parser.add_subparsers()
        rotate.add_parser(subparsers)
        signing_key.add_parser(subparsers)
        args = parser.parse_args([words[0], "-k", "-", "-r", "r", *words[1:]])
        out = io.StringIO()
        status = args.run(args, Console(io.StringIO(SECRET), out, out, {}, self.now))
        self.assertEqual(status, 0, out.getvalue())

    def rotate(self, *words: str) -> None:
        """See to it that there are keys."""
        self.call("rotate", *words, str(self.file))


class SimulatedDays(Keys):
    """One process whose clock, and the bucket's, is the test's."""

    async def begin(self, location: str) -> None:
        """Serve, and have a watch that tells, as the parent has."""
        path = self.folder / "s3shield.ini"
        path.write_text(self.config_text(location, "", ""))
        config = load(str(path))
        self.events: list[Any] = []
        self.telling = KeyWatch(
            config.buckets.values(),
            reactor=Clock(),
            in_thread=maybeDeferred,
            clock=lambda: self.now,
            log=Logger(observer=self.events.append),
        )
        await self.start(config, clock=lambda: self.now)
        self.client = await self.connect()

    async def look(self) -> None:
        """Let both see the file and the clock, as they do every second."""
        await self.serving.keys.check()
        await self.telling.check()

    def told(self) -> list[str]:
        """What the operator has been told since the last call."""
        lines = [f"{event['log_level'].name}: {formatEvent(event)}" for event in self.events]
        self.events.clear()
        return lines

    async def ask(self, target: str) -> Any:
        """One request on the one connection."""
        self.client.send(f"GET {target} HTTP/1.1\r\nHost: shield.test\r\n\r\n".encode())
        return await self.client.take()

    async def test_eight_days(self) -> None:
        """A key for each day, rotated daily, asked every hour and around midnight: all is well."""
        self.rotate("--days", "2")
        await self.begin("proxy_cache = off")
        asked = 0
        for hour in range(8 * 24):
            for second in (0.0, 0.5, 1800.0, 3599.99):
                self.now = START + hour * HOUR + second
                if hour % 24 == 3 and second == 1800.0:
                    self.rotate("--days", "2")
                    await self.look()
                asked += 1
                got = await self.ask(f"/{asked}")
                self.assertEqual((got.status, got.body), (200, f"/private/{asked}".encode()))
                self.assertEqual(
                    got.headers["x-key-day"], time.strftime("%Y%m%d", time.gmtime(self.now))
                )
        self.assertEqual((len(self.origin.scopes), self.origin.wrong), (asked, []))
        lines = self.told()
        self.assertEqual(len(lines), 7)
        self.assertTrue(all("signing keys from" in line for line in lines), lines)
        # The first day's key is over and gone; the last day's is not the last there is.
        text = self.file.read_text()
        self.assertNotIn("20261124/", text)
        self.assertIn("20261202/", text)

    async def test_nobody_rotates(self) -> None:
        """One key for a week: warnings, then errors, then stale answers; new keys mend it at once."""
        self.rotate("--days", "1")
        await self.begin("proxy_cache_valid = any 1h\nmissing_403 = 404")
        self.assertEqual((await self.ask("/kept")).status, 200)
        for hour in range(7 * 24 + 2):
            self.now = START + hour * HOUR
            await self.look()
            got = await self.ask("/kept")
            await self.until_idle()
            self.assertEqual((got.status, got.body), (200, b"/private/kept"), hour)
        self.assertEqual(got.cache, "STALE")
        kinds = [line.partition(":")[0] for line in self.told()]
        self.assertEqual(kinds, ["warn", "warn", "error", "error"])
        self.assertEqual(set(self.origin.wrong), {"the key's day, 20261124"})
        # What is not stored cannot be had, and that is not stored either.
        for _ in range(2):
            self.assertEqual((await self.ask("/new")).status, 502)
        self.rotate()
        await self.look()
        got = await self.ask("/new")
        self.assertEqual(
            (got.status, got.headers["x-key-day"], got.cache), (200, "20261201", "MISS")
        )
        self.assertEqual((await self.ask("/kept")).cache, "STALE")
        await self.until_idle()
        got = await self.ask("/kept")
        self.assertEqual((got.cache, got.headers["x-key-day"]), ("HIT", "20261201"))

    async def test_expires(self) -> None:
        """Each process knows until when its keys are good."""
        self.rotate("--days", "1")
        await self.begin("")
        self.assertEqual(self.serving.keys.expires(), {"media": START + 7 * DAY})
        self.rotate("--days", "4")
        await self.look()
        self.assertEqual(self.serving.keys.expires(), {"media": START + 10 * DAY})


class UnderLoad(Keys, Workers):
    """The real daemon, two workers, the real time."""

    def setUp(self) -> None:
        super().setUp()
        self.now = time.time()

    async def load(self, client: Client, number: int) -> None:
        """Ask for one thing after the other until it is enough."""
        asked = 0
        while not self.enough:
            self.send(client, f"/{number}/{asked}")
            got = await client.take()
            asked += 1
            self.answers[number].append((got.status, got.headers.get("x-key-day", "")))
            if not got.whole:
                return

    async def test_swap(self) -> None:
        """Half written, gone, replaced, the old key refused: of all requests none fails."""
        before = time.strftime("%Y%m%d", time.gmtime(self.now - DAY))
        self.call("signing-key", "--append", str(self.file), "--date", before)
        whole = self.file.read_text()
        await self.shield("proxy_cache = off")
        clients = [*await self.on(0, 2), *await self.on(1, 2)]
        self.enough = False
        self.answers: list[list[tuple[int, str]]] = [[] for _ in clients]
        running = gatherResults(
            [ensureDeferred(self.load(client, at)) for at, client in enumerate(clients)],
            consumeErrors=True,
        )

        async def more(count: int) -> None:
            """Let each client have so many answers more."""
            wanted = [len(each) + count for each in self.answers]
            await until(
                lambda: all(len(a) >= w for a, w in zip(self.answers, wanted, strict=True)),
                f"{count} answers for each client",
            )

        async def logged(words: str) -> None:
            await until(lambda: any(words in line for line in self.daemon.lines), words)

        await more(20)
        self.file.write_text(whole[:60])
        await logged("line 2: a key scope")
        self.file.unlink()
        await logged("it is gone; the keys that are loaded go on")
        await more(20)
        self.rotate()
        await logged("7 signing keys from")
        await until(lambda: all(each[-1][1] > before for each in self.answers), "the new key")
        self.origin.refused.add(before)
        await more(20)
        self.enough = True
        await running
        self.assertEqual({status for each in self.answers for status, _ in each}, {200})
        self.assertEqual(self.origin.wrong, [])
        for each in self.answers:
            days = [day for _, day in each]
            self.assertEqual(days, sorted(days))
            self.assertEqual(days[0], before)
            self.assertGreater(days[-1], before)
        said = "\n".join(self.daemon.lines)
        for line in whole.splitlines()[::2]:
            self.assertNotIn(line[:20], said)
        # The parent tells, not each worker.
        self.assertEqual(said.count("it is gone"), 1)

    async def test_worker_restarted(self) -> None:
        """A worker that starts while the file is gone signs with the keys that are loaded."""
        self.rotate()
        await self.shield("proxy_cache = off")
        self.file.unlink()
        await until(lambda: any("it is gone" in line for line in self.daemon.lines), "the line")
        os.kill(self.pids[0], signal.SIGKILL)
        await until(lambda: len(self.daemon.workers()) == 3, "another worker")
        self.pids[0] = self.daemon.workers()[-1]
        (client,) = await self.on(0)
        self.assertEqual((await self.ask(client, "/new")).body, b"/private/new")
        self.assertEqual(self.origin.wrong, [])
        self.assertFalse(any("cannot start" in line for line in self.daemon.lines))
        # Nor may a key show in what others see of the process.
        command = Path(f"/proc/{self.pids[0]}/cmdline")
        if command.exists():
            self.assertNotIn("aws4_request", command.read_text())

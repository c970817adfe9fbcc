"""The real daemon without room: requests go on, uncached, and storing goes on by itself."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

from s3shield.store.index import Index
from tests.scenario.harness import Asked, OriginConnection, answer, sleep, until

from .workers import STORED, Workers

SIZE = 3_000_000
LIMIT = 1_500_000


def body_of(number: int, size: int = SIZE) -> bytes:
    """A body that no other number has, and of which no two blocks are alike."""
    return b"".join(b"%7d:%7d\n" % (number, at) for at in range(size // 16))


def bytes_in(file: Path) -> bytes | None:
    """Its bytes; None if it was deleted since it was listed."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


class Room(Workers):
    """A daemon with two workers, whose limits can be changed while it runs."""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """With an access log of its own."""
        self.log_path = os.path.abspath(self.mktemp())
        text = super().config_text(location, cache, more)
        return text.replace("[s3shield]\n", f"[s3shield]\naccess_log = {self.log_path} json\n")

    def limit(self, what: int, most: int) -> None:
        """Set a limit of both workers."""
        for pid in self.pids:
            resource.prlimit(pid, what, (most, resource.prlimit(pid, what)[1]))

    def lines(self, target: str) -> list[dict[str, Any]]:
        """What the access log says of a target."""
        if not os.path.exists(self.log_path):
            return []
        found = [json.loads(line) for line in Path(self.log_path).read_text().splitlines()]
        return [line for line in found if line["request_uri"] == target]

    async def until_hit(self, target: str, body: bytes) -> None:
        """Ask until the answer comes from the cache: it is right each time."""
        seen: list[str | None] = []
        while "HIT" not in seen:
            got = await self.get(target)
            self.assertEqual((200, True, True), (got.status, got.whole, got.body == body), seen)
            seen.append(got.cache)
            self.assertLess(len(seen), 100, seen)

    def files(self) -> list[Path]:
        """The body files."""
        return [file for file in Path(self.cache_path, "blobs").rglob("*") if file.is_file()]

    def holding(self, body: bytes) -> list[Path]:
        """The body files with just these bytes: there while nothing renames or deletes them."""
        return [file for file in self.files() if bytes_in(file) == body]


class FullDiskTests(Room):
    """RLIMIT_FSIZE stands for the disk's end: writing past it fails, with EFBIG."""

    async def test_while_a_body_is_written(self) -> None:
        """The client gets all of it; nothing half is stored; the next one is stored again."""
        await self.shield()
        body, gate = body_of(1), []
        self.origin.answers["/b"] = answer(body=body, headers=STORED)

        async def in_two(connection: OriginConnection, asked: Asked) -> None:
            head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: max-age=1000\r\n\r\n"
            connection.send(head % len(body) + body[: LIMIT // 2])
            await until(lambda: gate, "the gate")
            connection.send(body[LIMIT // 2 :])

        self.origin.answers["/a"] = in_two
        client = await self.connect()
        client.send(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
        await until(lambda: len(client.buffer) > LIMIT // 4, "the first half")
        self.limit(resource.RLIMIT_FSIZE, LIMIT)
        gate.append(True)
        got = await client.take()
        self.assertEqual((200, True), (got.status, got.body == body))
        self.daemon.until("a body could not be stored: File too large")
        for _ in range(2):
            got = await self.get("/b")
            self.assertEqual(("MISS", True), (got.cache, got.body == body))
        await until(lambda: len(self.lines("/b")) == 2 and self.lines("/a"), "the log")
        self.assertEqual("no-room", self.lines("/a")[0]["cache_reason"])
        self.assertEqual(["no-room"] * 2, [line["cache_reason"] for line in self.lines("/b")])
        self.limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        for target in ("/a", "/b"):
            await self.until_hit(target, body)
        filling = Path(self.cache_path, "filling")
        await until(lambda: not list(filling.iterdir()), "the files to be in their place")
        self.assertEqual(2, len(self.files()))

    async def test_no_room_for_the_index(self) -> None:
        """Not even short bodies can be stored: each is fetched, and right."""
        await self.shield()
        self.limit(resource.RLIMIT_FSIZE, 8192)
        for number in range(5):
            target, body = f"/{number}", body_of(number, 20_000)
            self.origin.answers[target] = answer(body=body, headers=STORED)
            for _ in range(2):
                got = await self.get(target)
                self.assertEqual((200, body), (got.status, got.body))
        self.daemon.until("changes could not be stored")
        self.limit(resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
        for number in range(5):
            await self.until_hit(f"/{number}", body_of(number, 20_000))


class FullMapTests(Room):
    async def test_it_grows(self) -> None:
        """What is stored is larger than the map was: all of it is there."""
        await self.shield(cache="map_size = 1m")
        for number in range(200):
            target = f"/{number}"
            self.origin.answers[target] = answer(body=body_of(number, 20_000), headers=STORED)
            self.assertEqual("MISS", (await self.get(target)).cache)
        for number in range(200):
            got = await self.get(f"/{number}")
            self.assertEqual(("HIT", body_of(number, 20_000)), (got.cache, got.body))
        self.assertEqual([], [line for line in self.daemon.lines if "cache main" in line])


class OpenFilesTests(Room):
    async def test_too_many(self) -> None:
        """Who is connected is served, the log says that others are not; then all is well again."""
        await self.shield(cache="inline_limit = 0")
        body = body_of(1, 100_000)
        targets = [f"/{number}" for number in range(30)]
        for target in targets:
            self.origin.answers[target] = answer(body=body, headers=STORED)
            await self.until_hit(target, body)
        both = await self.on(0) + await self.on(1)
        self.origin.answers["/warm"] = answer(headers={"Cache-Control": "no-store"})
        for client in both:
            await self.ask(client, "/warm")  # each worker has a connection to the origin
        self.limit(resource.RLIMIT_NOFILE, 10)
        self.daemon.until("clients are turned away: Too many open files", 2)
        for client in both:
            for target in targets:
                got = await self.ask(client, target)
                self.assertEqual((200, True), (got.status, got.body == body))
        self.limit(resource.RLIMIT_NOFILE, 1024)
        for target in targets:
            await self.until_hit(target, body)


class DeletedTests(Room):
    async def test_directory(self) -> None:
        """Somebody deletes the cache's directory: it is made anew, and filled."""
        await self.shield()
        short, long = body_of(1, 20_000), body_of(2)
        self.origin.answers["/short"] = answer(body=short, headers=STORED)
        self.origin.answers["/long"] = answer(body=long, headers=STORED)
        await self.until_hit("/short", short)
        await self.until_hit("/long", long)
        shutil.rmtree(self.cache_path)
        for target, body in (("/short", short), ("/long", long)):
            got = await self.get(target)
            self.assertEqual((200, True), (got.status, got.body == body))
        self.daemon.until("was deleted; the cache starts anew", 2)
        await self.until_hit("/short", short)
        await self.until_hit("/long", long)

    async def test_body_file(self) -> None:
        """A body file deleted or cut short: never wrong bytes, and it is fetched again."""
        await self.shield()
        for number, size in enumerate((None, SIZE // 2, 0)):
            target, body = f"/{number}", body_of(number)
            self.origin.answers[target] = answer(body=body, headers=STORED)
            await self.until_hit(target, body)
            await until(lambda body=body: self.holding(body), "the body's file")
            [file] = self.holding(body)
            if size is None:
                file.unlink()
            else:
                os.truncate(file, size)
            # One in each worker may have begun with it.
            for _ in range(30):
                got = await self.get(target)
                self.assertTrue(body.startswith(got.body))
                if got.cache == "MISS":
                    break
                await sleep(0.5 if got.whole else 0)  # deleted files are closed after 5 s
            self.assertEqual(("MISS", True), (got.cache, got.whole), number)
            await self.until_hit(target, body)
            await until(lambda body=body: self.holding(body), "the body's file")


class CrashTests(Room):
    async def test_damaged(self) -> None:
        """A body that is not what was written when the system went down is fetched again."""
        await self.shield()
        bodies = [body_of(number) for number in range(3)]
        for number, body in enumerate(bodies):
            self.origin.answers[f"/{number}"] = answer(body=body, headers=STORED)
            await self.until_hit(f"/{number}", body)
        await until(lambda: len(self.files()) == 3, "the files")
        os.killpg(self.daemon.process.pid, signal.SIGKILL)
        self.daemon.all_gone()
        [file] = self.holding(bodies[1])
        with file.open("r+b") as out:
            out.seek(SIZE - 1000)
            out.write(bytes(500))
        index = Index(Path(self.cache_path) / "index", 1 << 30)
        index.set_meta({b"boot": b"another one"})
        index.close()
        await self.shield()
        seen = []
        for number, body in enumerate(bodies):
            got = await self.get(f"/{number}")
            self.assertEqual((200, True), (got.status, got.body == body))
            seen.append(got.cache)
        self.assertEqual(["HIT", "MISS", "HIT"], seen)
        for number, body in enumerate(bodies):
            await self.until_hit(f"/{number}", body)

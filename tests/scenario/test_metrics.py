"""`/metrics` and `/status.json` of a real service."""

from __future__ import annotations

import contextlib
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from .admin import AdminScenario
from .harness import Asked, OriginConnection, answer, until


def series(text: bytes) -> dict[tuple[str, ...], float]:
    """Return value by (name, label values in order of their names)."""
    return {
        (sample.name, *[value for _, value in sorted(sample.labels.items())]): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


class MetricsScenario(AdminScenario):
    """What is told of requests."""

    async def test_requests(self) -> None:
        """Requests, bytes and durations are there by location, status, method and fate."""
        self.origin.answers["/a"] = answer(200, b"x" * 1000, {"Cache-Control": "max-age=100"})
        await self.shield()
        for _ in range(3):
            self.assertEqual((await self.get("/a")).status, 200)
        await self.get("/nothing")
        assert self.serving is not None
        self.serving._zones["main"].store.flush()  # entries count once they are committed
        status, text = await self.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        found = series(text)
        for key, value in {
            ("s3shield_requests_total", "MISS", "/", "GET", "200"): 1,
            ("s3shield_requests_total", "HIT", "/", "GET", "200"): 2,
            ("s3shield_requests_total", "MISS", "/", "GET", "404"): 1,
            ("s3shield_response_bytes_total", "/", "cache"): 2000,
            ("s3shield_request_duration_seconds_count", "HIT", "/"): 2,
            ("s3shield_store_entries", "main"): 1,
            ("s3shield_workers",): 1,
        }.items():
            self.assertEqual(found.get(key), value, key)
        origin = f"http://127.0.0.1:{self.origin.number}"
        self.assertEqual(found["s3shield_origin_responses_total", origin, "200"], 1)
        self.assertEqual(found["s3shield_origin_first_byte_seconds_count", origin], 2)
        self.assertGreaterEqual(found["s3shield_origin_received_bytes_total", origin], 1000)

        status, said = await self.ask("GET", "/status.json")
        self.assertEqual((status, said["version"]), (200, 1))
        (worker,) = said["workers"]
        self.assertEqual((worker["requests"], worker["hits"]), (4, 2))
        (connect,) = said["metrics"]["s3shield_origin_connect_seconds"]
        self.assertEqual(connect["count"], connect["buckets"]["+Inf"])
        self.assertEqual(sum(each["requests"] for each in said["objects"]), 4)

    async def test_first_byte(self) -> None:
        """A body with a slow end: its first byte was early, by the daemon's own clock."""
        held: list[OriginConnection] = []
        size = 100_000

        def slow(connection: OriginConnection, asked: Asked) -> None:
            held.append(connection)
            more = b"Cache-Control: no-store\r\n" if asked.target == "/private" else b""
            connection.send(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n" % (more, size))
            connection.send(b"x" * (size - 1))

        for name in ("/kept", "/private"):
            self.origin.answers[name] = slow
        late = 0.0
        self.clock = lambda: time.monotonic() + late
        await self.shield()
        for target in ("/kept", "/private"):
            client = await self.connect()
            client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target.encode())
            await until(partial(getattr, client, "buffer"), "the head")
            late += 20.0
            held.pop().send(b"x")
            got = await client.take()
            self.assertEqual((200, size), (got.status, len(got.body)))
        found = series((await self.ask("GET", "/metrics"))[1])
        name = "s3shield_request_{}_seconds_{}"
        for kind, early in (("first_byte", 2), ("duration", 0)):
            of = name.format(kind, "bucket"), "MISS"
            self.assertEqual(early, found[*of, "10.0", "/"], kind)
            self.assertEqual(2, found[*of, "+Inf", "/"], kind)
        self.assertLess(found[name.format("first_byte", "sum"), "MISS", "/"], 20.0)

    async def start(self, config: Any, **more: Any) -> None:
        """Serve by the test's clock, if it has one."""
        clock = getattr(self, "clock", None)
        await super().start(config, **more, **({} if clock is None else {"monotonic": clock}))


class GateScenario(AdminScenario):
    """Who may ask, and what probes are told."""

    more_options = ""

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Add options to `[s3shield]`."""
        text = super().config_text(location, cache, more)
        return text.replace("workers = 0", f"workers = 0\n{self.more_options}")

    async def test_token(self) -> None:
        """Without the token nothing is told but that it lives and is ready; with it, all is."""
        self.more_options = "admin_token = 0123456789abcdef"
        await self.shield()
        good = {"Authorization": "Bearer 0123456789abcdef"}
        for method, path in (
            ("GET", "/metrics"),
            ("GET", "/status.json"),
            ("GET", "/health"),
            ("POST", "/purge"),
            ("GET", "/nothing"),
        ):
            status, said = await self.ask(method, path)
            self.assertEqual((401, ["error"]), (status, list(said)), path)
        status, _ = await self.ask("GET", "/metrics", Authorization="Bearer 0123456789abcdeg")
        self.assertEqual(401, status)
        for path in ("/metrics", "/status.json", "/health"):
            self.assertEqual(200, (await self.ask("GET", path, **good))[0], path)
        self.assertEqual((200, {"live": True}), await self.ask("GET", "/live"))
        self.assertEqual((200, {"ready": True}), await self.ask("GET", "/ready"))
        told = {"ready": True, "reasons": []}
        self.assertEqual((200, told), await self.ask("GET", "/ready", **good))
        self.assertEqual(200, (await self.ask("POST", "/purge", {"all": True}, **good))[0])

    async def test_allow(self) -> None:
        """Who is not in admin_allow is refused, probes too, and told why."""
        self.more_options = "admin_allow = 10.0.0.0/8"
        await self.shield()
        for path in ("/metrics", "/live", "/ready"):
            status, said = await self.ask("GET", path)
            self.assertEqual(403, status)
            self.assertEqual("admin_allow does not let 127.0.0.1 in", said["error"])

    async def test_not_ready(self) -> None:
        """A cache whose directory is no longer one is a reason, told with 503."""
        self.more_options = "metrics = off"
        await self.shield()

        def spoil() -> bool:
            # Its directory alone would be made again, as soon as the store looks after it.
            shutil.rmtree(self.cache_path, ignore_errors=True)
            with contextlib.suppress(IsADirectoryError):
                Path(self.cache_path).write_text("a file")
            return Path(self.cache_path).is_file()

        await until(spoil, "a file in the place of the cache")
        status, said = await self.ask("GET", "/ready")
        self.assertEqual((503, False), (status, said["ready"]))
        (reason,) = said["reasons"]
        self.assertIn("cache main: cannot write in", reason)
        self.assertEqual((200, {"live": True}), await self.ask("GET", "/live"))
        self.assertEqual(404, (await self.ask("GET", "/metrics"))[0])

"""`/metrics` and `/status.json` of a real service."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from .admin import AdminScenario
from .harness import answer


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

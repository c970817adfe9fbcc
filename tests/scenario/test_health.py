"""The admin listener's health page and metrics, as a scoped key comes to its end."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from s3shield.config import load

from .admin import AdminScenario
from .test_keys import DAY, HOUR, START, Keys


class HealthTests(Keys, AdminScenario):
    async def left(self) -> float:
        """What the metrics say of the bucket's key."""
        status, text = await self.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        families = {each.name: each for each in text_string_to_metric_families(text.decode())}
        family = families["s3shield_signing_key_expires_seconds"]
        (sample,) = family.samples
        self.assertEqual({"bucket": "media"}, sample.labels)
        return sample.value

    async def test_end_of_a_key(self) -> None:
        """Well; then warned about; then an error, told to probes by the status; then mended."""
        self.rotate("--days", "1")
        path = self.folder / "s3shield.ini"
        path.write_text(self.config_text("", "", ""))
        await self.start(load(str(path)), clock=lambda: self.now)
        for since, status, word in (
            (0, 200, "ok"),
            (5 * DAY - 1, 200, "ok"),
            (5 * DAY + 1, 200, "warning"),
            (7 * DAY - 1, 200, "warning"),
            (7 * DAY, 503, "error"),
            (8 * DAY, 503, "error"),
        ):
            self.now = START + since
            answered, said = await self.ask("GET", "/health")
            self.assertEqual((status, word), (answered, said["status"]), since)
            bucket = said["buckets"]["media"]
            self.assertEqual((word, "2026-12-01T00:00:00Z"), tuple(bucket.values()))
            self.assertEqual(7 * DAY - since, await self.left())
            self.assertEqual((200, {"live": True}), await self.ask("GET", "/live"))
        self.rotate("--days", "1")
        await self.serving.keys.check()
        self.now += HOUR
        self.assertEqual(200, (await self.ask("GET", "/health"))[0])
        self.assertEqual(7 * DAY - HOUR, await self.left())

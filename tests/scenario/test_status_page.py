"""The status page on the admin listener: what it comes with, and who may use it."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from importlib.resources import files
from urllib.request import urlopen

from twisted.internet.threads import deferToThread

from .admin import AdminScenario
from .harness import answer

PAGE = files("s3shield.ops").joinpath("status.html").read_text()


class PageScenario(AdminScenario):
    """A real service; what a browser would send."""

    async def test_served(self) -> None:
        """Both paths give the page, its policy lets in what stands in it and nothing else."""
        await self.shield()
        for path in ("/", "/status"):
            status, text = await self.ask("GET", path, Sec_Fetch_Site="cross-site")
            self.assertEqual((status, text), (200, PAGE.encode()), path)
        self.assertEqual(405, (await self.ask("POST", "/", ""))[0])
        policy = await self.policy()
        self.assertEqual("'none'", policy.pop("default-src"))
        for tag in ("script", "style"):
            (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
            digest = b64encode(hashlib.sha256(inside.encode()).digest()).decode()
            self.assertEqual(f"'sha256-{digest}'", policy.pop(f"{tag}-src"))
        self.assertEqual("'self'", policy.pop("connect-src"))
        self.assertEqual({"'none'"}, {policy.pop("base-uri"), policy.pop("frame-ancestors")})

    async def policy(self) -> dict[str, str]:
        """The page's Content-Security-Policy, by directive."""

        def work() -> str:
            with urlopen(f"http://127.0.0.1:{self.admin}/", timeout=20) as got:
                return got.headers["Content-Security-Policy"]

        parts = (await deferToThread(work)).split("; ")
        return {name: value for name, _, value in (part.partition(" ") for part in parts)}

    async def test_summary(self) -> None:
        """Beside the metrics stands what the page shows, with prices."""
        self.origin.answers["/a"] = answer(200, b"x" * 1000, {"Cache-Control": "max-age=100"})
        self.daemon = "price_per_gb = 1000000\nprice_per_10k_requests = 10000"
        await self.shield()
        for _ in range(3):
            await self.get("/a")
        status, said = await self.ask("GET", "/status.json", Sec_Fetch_Site="same-origin")
        summary = said["summary"]
        self.assertEqual(200, status)
        self.assertEqual(
            (3, 2, 2), tuple(summary[n] for n in ("requests", "hits", "requests_saved"))
        )
        self.assertAlmostEqual(2000 / 1e9 * 1e6 + 2, summary["cost_avoided"])
        (store,) = summary["stores"]
        self.assertEqual("main", store["cache"])  # its entries are counted once committed
        (origin,) = summary["origins"]
        self.assertEqual((1, 0), (origin["answers"], origin["failures"]))

    def config_text(self, location: str, cache: str, more: str) -> str:
        """Add `daemon`."""
        text = super().config_text(location, cache, more)
        return text.replace("workers = 0", f"workers = 0\n{getattr(self, 'daemon', '')}")

    async def test_who(self) -> None:
        """Our own page may ask and purge; other pages, forms and foreign names may not."""
        await self.shield()
        own = f"http://127.0.0.1:{self.admin}"
        for method, path, body, fields, wanted in (
            ("GET", "/status.json", None, {}, 200),
            ("GET", "/status.json", None, {"Sec_Fetch_Site": "same-origin"}, 200),
            ("GET", "/status.json", None, {"Sec_Fetch_Site": "none"}, 200),
            ("GET", "/status.json", None, {"Sec_Fetch_Site": "same-site"}, 403),
            ("GET", "/status.json", None, {"Sec_Fetch_Site": "cross-site"}, 403),
            ("GET", "/metrics", None, {"Host": "localhost:9180"}, 200),
            ("GET", "/metrics", None, {"Host": "[::1]:9180"}, 200),
            ("GET", "/metrics", None, {"Host": "evil.example:9180"}, 403),
            ("GET", "/metrics", None, {"Host": "127.0.0.1.evil.example"}, 403),
            ("GET", "/metrics", None, {"Host": "evil.example", "Authorization": "Bearer x"}, 403),
            ("POST", "/purge", {"all": True}, {}, 200),
            ("POST", "/purge", {"all": True}, {"Origin": own}, 200),
            (
                "POST",
                "/purge",
                {"all": True},
                {"Origin": own, "Sec_Fetch_Site": "same-origin"},
                200,
            ),
            ("POST", "/purge", {"all": True}, {"Origin": own, "Sec_Fetch_Site": "cross-site"}, 403),
            ("POST", "/purge", {"all": True}, {"Origin": "http://127.0.0.1:3000"}, 403),
            ("POST", "/purge", {"all": True}, {"Origin": "null"}, 403),
            ("POST", "/purge", {"all": True}, {"Sec_Fetch_Site": "none"}, 403),
            ("POST", "/purge", "all=1", {"Origin": own}, 403),
            (
                "POST",
                "/purge",
                {"all": True},
                {"Origin": "http://evil.example", "Host": "evil.example"},
                403,
            ),
        ):
            status, _ = await self.ask(method, path, body, **fields)
            self.assertEqual(wanted, status, (method, path, body, fields))

    def test_nothing_becomes_markup(self) -> None:
        """What is shown is set as text; nothing in the page is a script, a style or a load apart."""
        for banned in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "DOMParser",
            "createContextualFragment",
            "srcdoc",
            "eval(",
            "Function(",
            "setAttribute('on",
        ):
            self.assertNotIn(banned, PAGE)
        self.assertNotRegex(PAGE, r"<[^>]*\s(on[a-z]+|style|src)=")
        urls = set(re.findall(r"(?:href|action|url\()\s*=?\s*[\"']?([^\"' )>]+)", PAGE))
        self.assertEqual({"data:,", "#main", "status.json", "metrics"}, urls)

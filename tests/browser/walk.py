"""A walk through the site: what a person would do, and what the browser says of it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser.ground import Ground

__all__ = ["NotSoError", "Walk"]

_PATIENCE: Final = 20.0
_FLAGS: Final = (
    "headless",
    "no-sandbox",
    "disable-gpu",
    "disable-quic",
    "no-first-run",
    "disable-background-networking",
    "disable-component-update",
    "disable-sync",
    "disable-dev-shm-usage",
    "window-size=1000,700",
    "host-resolver-rules=MAP *.site.test 127.0.0.1",
    "autoplay-policy=no-user-gesture-required",
)
_ENTRIES: Final = """
return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .map(each => each.toJSON());
"""
_SEEK: Final = """
const [source, places, done] = arguments;
const player = document.querySelector('video, audio');
const once = name => new Promise((yes, no) => {
    player.addEventListener(name, yes, {once: true});
    player.addEventListener('error', () => no(player.error.message), {once: true});
});
(async () => {
    const known = once('loadedmetadata');
    player.src = source;
    await known;
    const seen = [];
    for (const place of places) {
        const there = once('seeked');
        player.currentTime = place * player.duration;
        await there;
        seen.push(player.currentTime / player.duration);
    }
    const moved = once('timeupdate');
    await player.play();
    await moved;
    player.pause();
    done(seen);
})().catch(why => done(String(why)));
"""
# Without credentials, for with them a 401 opens a dialogue; past the browser's own cache.
_FETCH: Final = """
const [address, fields, done] = arguments;
fetch(address, {headers: fields, credentials: 'omit', cache: 'no-store'})
    .then(async got => done([got.status, await got.text(), got.headers.get('x-cache-status')]))
    .catch(why => done(String(why)));
"""


class NotSoError(Exception):
    """Something is not as it should be; the text says what."""


def _key_mark(certificate: Path) -> str:
    """Return what Chromium calls a key: with it, and nothing else, it trusts our certificate."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


class Walk:
    """One browser. ground: what it looks at. pictures: where the screenshots go."""

    def __init__(self, ground: Ground, chromium: str, driver: str, pictures: Path) -> None:
        self._ground, self._pictures = ground, pictures
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        mark = _key_mark(ground.directory / "site.pem")
        profile = ground.directory / "profile"
        for flag in (
            *_FLAGS,
            f"user-data-dir={profile}",
            f"ignore-certificate-errors-spki-list={mark}",
        ):
            options.add_argument(f"--{flag}")
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        self._browser = webdriver.Chrome(options=options, service=Service(driver))
        self._browser.set_page_load_timeout(_PATIENCE)
        self._browser.set_script_timeout(_PATIENCE)
        self._browser.get("about:blank")
        self._browser.get_log("performance")  # what the browser does by itself at its start

    def close(self) -> None:
        """End the browser."""
        self._browser.quit()

    def all(self) -> Iterator[str]:
        """Do everything; yield a line about each part. Raises NotSoError."""
        for part in (
            self.redirects,  # the first: later HSTS is in force, and http is not spoken any more
            self.home,
            self.again,
            self.application,
            self.missing,
            self.closed,
            self.listing,
            self.members,
            self.link,
            self.other_origin,
        ):
            self._events()  # what was before is not this part's
            yield f"{part.__name__.replace('_', ' '):<14}{part()}"
            self._browser.save_screenshot(str(self._pictures / f"{part.__name__}.png"))

    def redirects(self) -> str:
        """From http to https, and from a directory's name to the directory."""
        self._browser.get(f"http://www.site.test:{self._ground.port}/docs")
        self._titled("Docs")
        self._same(f"{self._ground.site}/docs/", self._browser.current_url, "the address")
        return "http -> https, /docs -> /docs/, its index document"

    def home(self) -> str:
        """The first page, its style, script and picture: over HTTP/2, compressed."""
        self._open("/", "Home")
        self._same("the script ran", self._text("#said"), "the script")
        colour = self._run("return getComputedStyle(document.querySelector('h1')).color")
        self._same("rgb(0, 90, 60)", colour, "the style")
        self._same(96, self._run("return document.querySelector('img').naturalWidth"), "picture")
        entries = self._run(_ENTRIES)
        for each in entries:
            self._same("h2", each["nextHopProtocol"], each["name"])
        small = [e for e in entries if e["name"].endswith((".css", ".js"))]
        for each in small:
            if each["encodedBodySize"] * 4 > each["decodedBodySize"]:
                raise NotSoError(f"{each['name']} is not compressed: {each}")
        self._statuses({200})
        return f"{len(entries)} answers over h2, style and script compressed"

    def again(self) -> str:
        """A reload asks with conditions: 304, and the page is there."""
        self._browser.refresh()
        self._titled("Home")
        self._same("the script ran", self._text("#said"), "the script")
        seen = self._events("Network.responseReceived")
        extra = self._events_of_last("Network.responseReceivedExtraInfo")
        codes = [each["statusCode"] for each in extra]
        if 304 not in codes or not seen:
            raise NotSoError(f"a reload was answered {codes}, without any 304")
        return f"{codes.count(304)} of {len(codes)} answers to a reload are 304"

    def application(self) -> str:
        """Any path of an application of one page."""
        self._open("/app/orders/17?sort=up", "The application")
        self._statuses({200})
        return "/app/orders/17 is the application"

    def missing(self) -> str:
        """The page for what is missing, with its status."""
        self._open("/no/such/page", "Nothing here")
        self._statuses({404, 200})
        status = self._run("return performance.getEntriesByType('navigation')[0].responseStatus")
        self._same(404, status, "the status")
        return "404, with the site's own page"

    def closed(self) -> str:
        """Nobody may come in there, however the browser asks."""
        self._open("/intern/plan.txt", "Nothing here")
        status = self._run("return performance.getEntriesByType('navigation')[0].responseStatus")
        self._same(403, status, "the status")
        for path in (
            "/%69ntern/plan.txt",
            "/intern/../intern/plan.txt",
            "/docs/..%2fintern/plan.txt",
        ):
            got = self._async(_FETCH, path, {"Range": "bytes=0-3"})
            if got[0] == 200 or got[0] == 206 or "SECRET" in got[1]:
                raise NotSoError(f"{path} was answered {got}")
        return "403, with the site's own page; by other names neither"

    def listing(self) -> str:
        """A listing: its names are links to what they name."""
        self._open("/pub/", None)
        names = [each.text for each in self._browser.find_elements(By.CSS_SELECTOR, "a")]
        for name in ("file-29.txt", "café.txt", "100%.txt", "sub dir/"):
            if name not in names:
                raise NotSoError(f"the listing has no {name}: {names}")
        self._browser.save_screenshot(str(self._pictures / "listing-top.png"))
        for name in ("café.txt", "100%.txt"):
            self._browser.find_element(By.LINK_TEXT, name).click()
            self._same(f"pub/{name}", self._text("body"), name)
            self._browser.back()
        self._browser.find_element(By.LINK_TEXT, "sub dir/").click()
        self._browser.save_screenshot(str(self._pictures / "listing-below.png"))
        self._browser.find_element(By.LINK_TEXT, "a & b <i>.txt").click()
        self._same("pub/sub dir/a & b <i>.txt", self._text("body"), "the object")
        self._browser.back()
        self._statuses({200})
        return f"{len(names)} links; café, 100%, a & b <i> lead where they say"

    def members(self) -> str:
        """Behind a password: not without, not with a wrong one, in with the right one."""
        self._open("/", "Home")
        got = self._async(_FETCH, "/members/", {"Authorization": "Basic YW5uOndyb25n"})
        self._same(401, got[0], "a wrong password")
        site = self._ground.site.removeprefix("https://")
        self._browser.get(f"https://ann:correct%20horse@{site}/members/")
        self._titled("Members")
        if not self._ground.tells(" ann ["):
            raise NotSoError("the access log does not name the user")
        return "401, then in, and the log has the user's name"

    def link(self) -> str:
        """A film that needs a link; the browser seeks in it by ranges."""
        path = f"/{self._ground.film}"
        self._open("/player.html", "Player")
        self._same(403, self._async(_FETCH, path, {})[0], "a film without a link")
        self._events()
        link = self._ground.sign(path)
        seen = self._async(_SEEK, link, [0.9, 0.1, 0.5])
        if isinstance(seen, str) or any(
            abs(a - b) > 0.02 for a, b in zip(seen, (0.9, 0.1, 0.5), strict=True)
        ):
            raise NotSoError(f"the film does not seek: {seen}")
        answers = [
            each["response"]
            for each in self._events("Network.responseReceived")
            if self._ground.film in each["response"]["url"]
        ]
        codes = {each["status"] for each in answers}
        self._same({206}, codes, "the film's statuses")
        if len(answers) < 3:
            raise NotSoError(f"only {len(answers)} ranges were asked for")
        self._same({"h2"}, {each["protocol"] for each in answers}, "the film's protocol")
        return f"{self._ground.film}: 403 without a link, {len(answers)} answers 206 for 3 seeks"

    def other_origin(self) -> str:
        """A script reads another origin after a preflight; one of a stranger may not."""
        self._open("/", "Home")
        data = f"https://api.site.test:{self._ground.tls_port}/data/it.json"
        for status in ("MISS", "HIT"):
            got = self._async(_FETCH, data, {"X-Asked-By": "browser"})
            if got != [200, '{"it": 1}', status]:
                raise NotSoError(f"the other origin was read as {got}")
        if not self._ground.tells('"OPTIONS /data/it.json HTTP/2.0" 204 '):
            raise NotSoError("no preflight is in the access log")
        refused = self._async(_FETCH, data, {"X-Other": "browser"})
        self._browser.get("data:text/html,<title>stranger</title>")
        stranger = self._async(_FETCH, data, {})
        for got in (refused, stranger):
            if "Failed to fetch" not in got:
                raise NotSoError(f"a script that may not read the other origin got {got}")
        return "preflight, MISS, HIT; a field or an origin that is not listed: refused"

    # What the parts are made of.

    def _open(self, path: str, title: str | None) -> None:
        self._browser.get(self._ground.site + path)
        if title is not None:
            self._titled(title)

    def _titled(self, title: str) -> None:
        self._same(title, self._browser.title, f"the title of {self._browser.current_url}")

    def _text(self, where: str) -> str:
        wait = WebDriverWait(self._browser, _PATIENCE)
        return wait.until(lambda it: it.find_element(By.CSS_SELECTOR, where).text)

    def _run(self, script: str) -> Any:
        return self._browser.execute_script(script)

    def _async(self, script: str, *words: Any) -> Any:
        return self._browser.execute_async_script(script, *words)

    def _events(self, method: str = "") -> list[dict[str, Any]]:
        """Return what the browser told of since the last time, of one kind."""
        lines = self._browser.get_log("performance")
        self._last = [json.loads(each["message"])["message"] for each in lines]
        for each in self._last:
            if each["method"] == "Network.loadingFailed" and not each["params"].get("canceled"):
                self._failed(each["params"])
        return self._events_of_last(method)

    def _events_of_last(self, method: str) -> list[dict[str, Any]]:
        return [each["params"] for each in self._last if each["method"] == method]

    def _failed(self, event: dict[str, Any]) -> None:
        """Raise unless it is a refusal of CORS, which one part wants to see."""
        if "corsErrorStatus" not in event and event.get("blockedReason") is None:
            raise NotSoError(f"the browser could not load something: {event}")

    def _statuses(self, expected: set[int]) -> None:
        got = {each["response"]["status"] for each in self._events("Network.responseReceived")}
        if not got or not got <= expected | {304}:
            raise NotSoError(f"there were answers {got}, not {expected}")

    def _same(self, expected: object, got: object, what: str) -> None:
        if expected != got:
            raise NotSoError(f"{what}: {got!r}, not {expected!r}")

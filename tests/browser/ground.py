"""What the browser stands on: a bucket with a site, a real S3 server, the real daemon."""

from __future__ import annotations

import io
import random
import shutil
import struct
import subprocess
import time
import wave
from pathlib import Path
from typing import Final

import attrs

from demo.daemon import environment_for, free_port, program, scoped_key
from demo.objects import Sample, samples
from demo.s3_servers import KINDS, RunningServer, ServerStartError, start, why_unavailable
from tests.ops.test_daemon import Running
from tests.wire.certificates import Authority

__all__ = ["BUCKET", "Ground", "prepare"]

BUCKET: Final = "site"
INI: Final = Path(__file__).with_name("site.ini")
LINK_KEY: Final = "a-key-for-this-run-alone"
USERS: Final = "ann:{SHA}L55TUjtiq8FBorTWAZ0jy6g129A=\n"
"""Her password is "correct horse"."""
_HTML: Final = "text/html; charset=utf-8"
_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="/style.css"><link rel="icon" href="/pictures/tile.png">
<h1>{title}</h1>
{body}
</html>
"""
STYLE: Final = (
    "body { font-family: sans-serif; margin: 2em; background: #eef }\n"
    "h1 { color: rgb(0, 90, 60) }\n" + "/* so long that it is compressed */\n" * 100
)
SCRIPT: Final = (
    "document.getElementById('said').textContent = 'the script ran';\n"
    + "// so long that it is compressed\n" * 100
)


def page(title: str, body: str = "") -> bytes:
    """Return a page of the site."""
    return _PAGE.format(title=title, body=body).encode()


def _film(directory: Path) -> Sample:
    """Return a film of some megabytes, or noise that sounds where there is no ffmpeg.

    The film's index is at its end, so that a browser has to seek before it can begin.
    """
    if shutil.which("ffmpeg"):
        path = directory / "film.mp4"
        picture = "testsrc2=size=640x360:rate=25:duration=40,noise=alls=20:allf=t"
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", picture]
        command += ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "4M", "-pix_fmt", "yuv420p"]
        subprocess.run([*command, str(path)], check=True, stdin=subprocess.DEVNULL)
        return Sample("films/film.mp4", "video/mp4", path.read_bytes())
    sound = io.BytesIO()
    with wave.open(sound, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(44100)
        chance = random.Random(1)
        loud = struct.pack("<h", 200)
        out.writeframes(
            b"".join(loud if chance.random() < 0.5 else b"\0\0" for _ in range(7 << 20))
        )
    return Sample("films/film.wav", "audio/wav", sound.getvalue())


def _objects(directory: Path) -> tuple[list[Sample], Sample]:
    """Return everything in the bucket, and the film among it."""
    film = _film(directory)
    tag = "video" if film.content_type.startswith("video") else "audio"
    home = (
        '<p id="said">no script</p><img src="/pictures/tile.png"><script src="/site.js"></script>'
    )
    player = f'<{tag} controls muted preload="metadata"></{tag}>'
    tile = next(each for each in samples(1) if each.key.endswith(".png"))
    names = [f"pub/file-{number:02}.txt" for number in range(30)]
    names += ["pub/sub dir/a & b <i>.txt", "pub/café.txt", "pub/100%.txt"]
    return [
        Sample("index.html", _HTML, page("Home", home)),
        Sample("docs/index.html", _HTML, page("Docs")),
        Sample("404.html", _HTML, page("Nothing here")),
        Sample("app/index.html", _HTML, page("The application", '<p id="where"></p>')),
        Sample("members/index.html", _HTML, page("Members")),
        Sample("player.html", _HTML, page("Player", player)),
        Sample("intern/plan.txt", "text/plain", b"SECRET plan\n"),
        Sample("data/it.json", "application/json", b'{"it": 1}'),
        Sample("style.css", "text/css", STYLE.encode()),
        Sample("site.js", "text/javascript", SCRIPT.encode()),
        *(Sample(name, "text/plain; charset=utf-8", f"{name}\n".encode()) for name in names),
        tile,
        attrs.evolve(tile, key="favicon.ico"),
        film,
    ], film


@attrs.define
class Ground:
    """What runs. film: its key. port, tls_port: of the daemon, without and with TLS."""

    directory: Path
    film: str
    port: int
    tls_port: int
    server: RunningServer
    daemon: Running

    @property
    def site(self) -> str:
        """Where the site is."""
        return f"https://www.site.test:{self.tls_port}"

    def sign(self, path: str) -> str:
        """Return the link that `s3shield sign-url` makes, as an operator would call it."""
        command = [*program("s3shield"), "sign-url", "--config", str(self.directory / "site.ini")]
        done = subprocess.run(
            [*command, "--expires", "1h", self.site + path],
            env=environment_for(),
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout.strip()

    def logged(self) -> list[str]:
        """Return the access log's lines."""
        return (self.directory / "access.log").read_text().splitlines()

    def tells(self, words: str) -> bool:
        """Return whether the access log, which is written in batches, comes to have the words."""
        deadline = time.monotonic() + 10
        while not any(words in line for line in self.logged()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def stop(self) -> None:
        """End what runs."""
        self.daemon.clean()
        self.server.stop()


def prepare(directory: Path, workers: int = 2) -> Ground:
    """Fill a bucket, start the daemon. Raises ServerStartError without an S3 server."""
    reasons = {kind: why_unavailable(kind, directory) for kind in KINDS}
    able = [kind for kind, reason in reasons.items() if reason is None]
    if not able:
        raise ServerStartError("; ".join(filter(None, reasons.values())))
    objects, film = _objects(directory)
    server = start(able[0], directory / "s3")
    server.make_bucket(BUCKET)
    for each in objects:
        server.put(BUCKET, each.key, each.body, each.content_type)
    key, scope = scoped_key(server)
    port, tls_port = free_port(), free_port()
    Authority().files(str(directory / "site"), "www.site.test", "api.site.test")
    text = INI.read_text().format(
        directory=directory,
        port=port,
        tls_port=tls_port,
        workers=workers,
        bucket=BUCKET,
        endpoint=server.endpoint,
        region=server.region,
        access_key=server.access_key,
        key=key,
        scope=scope,
        link_key=LINK_KEY,
    )
    for name, said in (("site.ini", text), ("users", USERS)):
        (directory / name).touch(mode=0o600)
        (directory / name).write_text(said)
    daemon = Running(directory, "-c", "site.ini")
    daemon.until("ready: listening on")
    return Ground(directory, film.key, port, tls_port, server, daemon)

"""An origin whose every byte is a function of name, version and offset, and which can fail."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
from typing import Any, ClassVar, Final

import attrs

__all__ = ["KINDS", "Kind", "Origin", "bytes_of"]

HOUR: Final = "max-age=3600"


@attrs.frozen
class Kind:
    """What an object is like. fresh: answers for an hour; else it must be asked about each time."""

    size: int
    fresh: bool = True
    etag: bool = True
    stored: bool = True
    vary: bool = False
    chunked: bool = False
    ranges: bool = True


KINDS: Final[dict[str, Kind]] = {
    "small": Kind(1_000),
    "empty": Kind(0),
    "file": Kind(90_000),
    "huge": Kind(700_123),  # eleven blocks
    "stale": Kind(20_000, fresh=False),
    "stalehuge": Kind(400_000, fresh=False),
    "nostore": Kind(5_000, stored=False),
    "vary": Kind(3_000, vary=True),
    "chunked": Kind(100_000, chunked=True, ranges=False),
    "bare": Kind(300_000, etag=False),
}


def bytes_of(name: str, version: int, start: int, end: int) -> bytes:
    """Bytes [start, end) of a version of an object."""
    first = start // 16
    label = f"{name[-4:]:>4}{version % 1000:03}"
    text = "".join([f"{label}{n:08x}\n" for n in range(first, (end + 15) // 16)])
    return text.encode()[start - 16 * first :][: end - start]


@attrs.define
class Thing:
    """One object at one path."""

    kind: Kind
    version: int = 1
    asked: int = 0


class Origin(http.server.ThreadingHTTPServer):
    """See the module's text. things: by path. fault: "", "refuse", "error" or "cut"."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.things: dict[str, Thing] = {}
        self.fault = ""
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def number(self) -> int:
        """Its port."""
        return int(self.server_address[1])

    def handle_error(self, *_words: object) -> None:
        """Clients leave; that is what they are for."""


class Answer(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Origin
    wbufsize: ClassVar[int] = 1 << 16

    def do_GET(self) -> None:
        """Answer, or fail as told."""
        with self.server.lock:
            thing = self.server.things[self.path]
            thing.asked += 1
            version, kind, fault = thing.version, thing.kind, self.server.fault
        if fault == "refuse":
            self.close_connection = True
            return
        if fault == "error":
            self.begin(503, [("Content-Length", "0")])
            return
        variant = self.headers.get("X-Kind", "") if kind.vary else ""
        name, tag = self.path + variant, f'"{version}{variant}"'
        fields = [("Cache-Tag", "model"), ("Cache-Control", self.control(kind))]
        if kind.etag:
            fields.append(("ETag", tag))
        if kind.vary:
            fields.append(("Vary", "X-Kind"))
        offered = re.findall(r'"[^"]*"', self.headers.get("If-None-Match", ""))
        if kind.etag and tag in offered:
            self.begin(304, fields)
            return
        if self.headers.get("If-Match", tag) != tag:
            self.begin(412, [("Content-Length", "0")])
            return
        status, start, end = 200, 0, kind.size
        found = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if found and kind.ranges:
            if found[1]:
                start = int(found[1])
                end = min(end, int(found[2]) + 1) if found[2] else end
            else:
                start = max(0, end - int(found[2]))
            if start >= kind.size:
                self.begin(
                    416, [("Content-Range", f"bytes */{kind.size}"), ("Content-Length", "0")]
                )
                return
            status = 206
            fields.append(("Content-Range", f"bytes {start}-{end - 1}/{kind.size}"))
        how = (
            ("Transfer-Encoding", "chunked")
            if kind.chunked
            else ("Content-Length", str(end - start))
        )
        self.begin(status, [*fields, how])
        if self.command == "HEAD":
            return
        stop = (start + end) // 2 if fault == "cut" and end - start > 1 else end
        self.send(name, version, start, stop, chunked=kind.chunked)
        if stop < end:
            self.close_connection = True
        elif kind.chunked:
            self.wfile.write(b"0\r\n\r\n")

    do_HEAD = do_GET

    def control(self, kind: Kind) -> str:
        """Cache-Control."""
        if not kind.stored:
            return "no-store"
        return HOUR if kind.fresh else "max-age=0"

    def send(self, name: str, version: int, start: int, stop: int, *, chunked: bool) -> None:
        """Send bytes in pieces."""
        for at in range(start, stop, 60_000):
            piece = bytes_of(name, version, at, min(stop, at + 60_000))
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)

    def begin(self, status: int, fields: list[tuple[str, str]]) -> None:
        """Send a head."""
        self.send_response(status)
        for field in fields:
            self.send_header(*field)
        self.end_headers()

    def handle(self) -> None:
        """See BaseHTTPRequestHandler; a client that has gone is no trouble."""
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        """See above."""
        with contextlib.suppress(OSError):
            super().finish()

    def log_message(self, *_words: Any) -> None:
        """Say nothing."""

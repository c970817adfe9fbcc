"""The walk through the bucket: each request, what must come back, and the table of it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Mapping
from typing import Final

import attrs

from demo.objects import Sample

__all__ = ["Answer", "MismatchError", "Walk", "fetch"]

_PIECE: Final = 1 << 20
_LABEL_WIDTH: Final = 44


class MismatchError(Exception):
    """An answer differs from what it must be; the text says which and how."""


@attrs.frozen
class Answer:
    """What came back. headers: lower-case name -> value. ms: until the last byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes = attrs.field(repr=False)
    ms: float


def fetch(port: int, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Send one request on a new connection; `path` goes out exactly as given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    started = time.perf_counter()
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        pieces = []
        while piece := response.read(_PIECE):
            pieces.append(piece)
        if response.length:  # read() of a size does not say when the body ends early
            raise MismatchError(f"{method} {path}: {response.length} bytes of the body are missing")
        names = {name.lower(): value for name, value in response.getheaders()}
        ms = (time.perf_counter() - started) * 1000
        return Answer(response.status, names, b"".join(pieces), ms)
    except (OSError, http.client.HTTPException) as problem:
        raise MismatchError(f"{method} {path}: no complete answer ({problem!r})") from problem
    finally:
        connection.close()


@attrs.define
class Walk:
    """The requests of the demo against one daemon. say: prints a line. count: how many so far."""

    port: int
    objects: list[Sample]
    say: Callable[[str], None]
    count: int = 0
    etags: dict[str, str] = attrs.Factory(dict)

    def heading(self) -> None:
        """Print the table's first line."""
        columns = f"{'status':>6}  {'X-Cache-Status':<14}  {'bytes':>9}  {'ms':>8}"
        self.say(f"{'request':<{_LABEL_WIDTH}}  {columns}")

    def twice(self) -> None:
        """Each object twice: the first asks S3, the second must not."""
        for each in self.objects:
            first = self.ask("GET", each.path, status=200, cache="MISS", body=each.body)
            second = self.ask("GET", each.path, status=200, cache="HIT", body=each.body)
            for answer in (first, second):
                self.expect(answer, "content-type", each.content_type, f"GET {each.path}")
            self.etags[each.key] = first.headers.get("etag", "")

    def all_hits(self) -> None:
        """Each object once; every one must come from the cache."""
        for each in self.objects:
            self.ask("GET", each.path, status=200, cache="HIT", body=each.body)

    def others(self) -> None:
        """What else a client may ask: HEAD, a range, 304, 405 and 416."""
        text, large = self.objects[0], max(self.objects, key=lambda each: len(each.body))
        size = len(large.body)
        head = self.ask("HEAD", text.path, status=200, cache="HIT", body=b"")
        self.expect(head, "content-length", str(len(text.body)), "HEAD")
        middle = size // 2
        span = {"Range": f"bytes={middle}-{middle + 999}"}
        part = self.ask(
            "GET", large.path, span, 206, cache="HIT", body=large.body[middle : middle + 1000]
        )
        self.expect(part, "content-range", f"bytes {middle}-{middle + 999}/{size}", "range")
        tag = {"If-None-Match": self.etags[text.key]}
        self.ask("GET", text.path, tag, 304, cache="HIT", body=b"")
        refused = self.ask("DELETE", text.path, status=405)
        self.expect(refused, "allow", "GET, HEAD", "DELETE")
        beyond = self.ask("GET", large.path, {"Range": f"bytes={size}-"}, 416)
        self.expect(beyond, "content-range", f"bytes */{size}", "range past the end")

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
        *,
        cache: str | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """Send one request, print its row, and compare. Raises MismatchError."""
        answer = fetch(self.port, method, path, headers)
        self.count += 1
        extra = "".join(f" ({name}: {value})" for name, value in (headers or {}).items())
        label = f"{method} {path}{extra}"
        if len(label) > _LABEL_WIDTH:
            label = label[: _LABEL_WIDTH - 1] + "…"
        word = answer.headers.get("x-cache-status", "-")
        columns = f"{answer.status:>6}  {word:<14}  {len(answer.body):>9}  {answer.ms:>8.1f}"
        self.say(f"{label:<{_LABEL_WIDTH}}  {columns}")
        what = f"{method} {path}{extra}"
        if answer.status != status:
            shown = answer.body[:300].decode(errors="replace")
            raise MismatchError(
                f"{what}: status {answer.status}, must be {status}. It said: {shown}"
            )
        if cache is not None and word != cache:
            raise MismatchError(f"{what}: X-Cache-Status is {word}, must be {cache}")
        if body is not None and answer.body != body:
            raise MismatchError(f"{what}: {_difference(answer.body, body)}")
        leaked = [name for name in answer.headers if name.startswith("x-amz-")]
        if leaked:
            raise MismatchError(f"{what}: the client sees S3's own {', '.join(leaked)}")
        return answer

    def expect(self, answer: Answer, name: str, value: str, what: str) -> None:
        """Compare one header. Raises MismatchError."""
        found = answer.headers.get(name)
        if found != value:
            raise MismatchError(f"{what}: {name} is {found!r}, must be {value!r}")


def _difference(found: bytes, wanted: bytes) -> str:
    if len(found) != len(wanted):
        return f"{len(found)} bytes came back, must be {len(wanted)}"
    where = next(at for at, (a, b) in enumerate(zip(found, wanted, strict=True)) if a != b)
    return f"the body differs from byte {where} on"

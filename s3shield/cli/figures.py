"""What `/status.json` tells, as lines of text: for `s3shield status` and `s3shield top`. Pure.

Names come from clients: control characters in them must not reach a terminal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

__all__ = ["lines", "printable"]

_NONE: Final = "-"
_SOON: Final = 48 * 3600


def printable(text: object) -> str:
    """Return text in which nothing moves a cursor: what is not printable is escaped."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(text))


def lines(
    now: Mapping[str, Any], before: Mapping[str, Any] | None, *, width: int = 80, height: int = 0
) -> list[str]:
    """Return the lines, none longer than `width`; at most `height`, 0: all.

    now, before: two answers of `/status.json`; rates are of the time between them, without
    `before` there are none. Raises LookupError or TypeError for what is no such answer.
    """
    found = [_cut(printable(line), width) for line in _all(now, before, width)]
    return found[:height] if height else found


def _cut(line: str, width: int) -> str:
    line = line.rstrip()
    return line if len(line) <= width else line[: max(0, width - 1)] + "~"


def _all(now: Mapping[str, Any], before: Mapping[str, Any] | None, width: int) -> Iterator[str]:
    said = now["summary"]
    pace = _Pace(now, before)
    yield (
        f"s3shield {now['s3shield']}   workers {len(now['workers'])}   "
        f"clients {_count(said['client_connections'])}   restarts {_count(said['worker_restarts'])}"
    )
    yield (
        f"requests  {pace.of('requests', _rate):>12}   {_count(said['requests'])} in all, "
        f"{_count(said['server_errors'])} with 5xx"
    )
    yield f"hits      {pace.ratio():>12}   {_percent(said['hit_ratio'])} in all"
    yield f"sent      {pace.of('sent_bytes', _bytes):>12}   {_bytes(said['sent_bytes'])} in all"
    cost = said["cost_avoided"]
    yield (
        f"saved     {pace.of('saved_bytes', _bytes):>12}   {_bytes(said['saved_bytes'])} in all"
        + ("" if cost is None else f", cost avoided {cost:.2f}")
    )
    yield from _table(
        ("WORKER", "PROCESS", "UP", "HEARD", "LATE", "MEMORY", "REQUESTS", "HITS"),
        [
            (
                str(each["worker"]),
                str(each["pid"]),
                _span(now["time"] - each["started"]),
                _span(each["silent"]),
                _seconds(each["lag"]),
                _bytes(each["resident"]),
                _count(each["requests"]),
                _percent(each["hits"] / each["requests"] if each["requests"] else None),
            )
            for each in now["workers"]
        ],
        width,
    )
    yield from _table(
        ("STORE", "BYTES", "LIMIT", "USED", "ENTRIES", "DISK FREE"),
        [
            (
                each["cache"],
                _bytes(each["bytes"]),
                _bytes(each["max_bytes"]),
                _percent(each["bytes"] / each["max_bytes"] if each["max_bytes"] else None),
                _count(each["entries"]),
                _bytes(each["disk_free"]),
            )
            for each in said["stores"]
        ],
        width,
    )
    yield from _table(
        ("KEYS", "WHAT", "END IN"),
        [(each["bucket"], each["kind"], _end(each)) for each in said["keys"]],
        width,
    )
    yield from _table(
        ("ORIGIN", "95% BELOW", "ANSWERS", "FAILURES"),
        [
            (
                each["origin"],
                (">" if each["more"] else "") + _seconds(each["p95"]),
                _count(each["answers"]),
                _count(each["failures"]),
            )
            for each in said["origins"][:5]
        ],
        width,
    )
    yield from _table(
        ("S3 ERRORS", "CODE", "TIMES"),
        [
            (each["bucket"], each["code"], _count(each["count"]))
            for each in sorted(said["errors"], key=lambda each: -each["count"])[:8]
        ],
        width,
    )
    yield from _table(
        ("TOP OBJECTS", "REQUESTS", "BYTES"),
        [(each["key"], _count(each["requests"]), _bytes(each["bytes"])) for each in now["objects"]],
        width,
    )


def _table(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield a blank line, the heads and the rows; nothing without rows.

    The first column takes what the others leave.
    """
    if not rows:
        return
    rows = [[printable(cell) for cell in row] for row in rows]
    sizes = [max(len(row[at]) for row in (names, *rows)) for at in range(len(names))]
    first = max(8, min(sizes[0], width - sum(sizes[1:]) - 2 * (len(names) - 1)))
    yield ""
    for row in (names, *rows):
        cells = [_cut(row[0], first).ljust(first)]
        cells += [cell.rjust(size) for cell, size in zip(row[1:], sizes[1:], strict=True)]
        yield "  ".join(cells)


class _Pace:
    """Rates between two answers."""

    def __init__(self, now: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
        self._now = now["summary"]
        self._seconds = 0.0
        if before is None:
            return
        self._before = before["summary"]
        # A counter that has become less is another daemon's.
        if self._now["requests"] >= self._before["requests"]:
            self._seconds = now["time"] - before["time"]

    def _more(self, name: str) -> float:
        return float(self._now[name] - self._before[name])

    def of(self, name: str, write: Any) -> str:
        """Return the rate of one sum."""
        if self._seconds <= 0:
            return _NONE
        return f"{write(self._more(name) / self._seconds)}/s"

    def ratio(self) -> str:
        """Return the hit ratio of the time between."""
        asked = self._more("cacheable") if self._seconds > 0 else 0
        return _percent(self._more("hits") / asked if asked > 0 else None)


def _scaled(value: float, units: Sequence[str]) -> str:
    at = 0
    while abs(value) >= 1000 and at < len(units) - 1:
        value /= 1000
        at += 1
    digits = 0 if at == 0 or value >= 100 else 1
    return f"{value:.{digits}f}{units[at]}"


def _count(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{value:.0f}" if value < 100_000 else _scaled(value, ("", "k", "M", "G", "T"))


def _bytes(value: float | None) -> str:
    return _NONE if value is None else _scaled(value, (" B", " kB", " MB", " GB", " TB", " PB"))


def _rate(value: float) -> str:
    return f"{value:.1f}" if value < 10 else _count(value)


def _percent(value: float | None) -> str:
    return _NONE if value is None else f"{100 * value:.1f}%"


def _seconds(value: float | None) -> str:
    if value is None:
        return _NONE
    return f"{1000 * value:.1f} ms" if value < 1 else f"{value:.1f} s"


def _span(seconds: float) -> str:
    for size, unit in ((172_800, "d"), (5400, "h"), (90, "min")):
        if seconds >= size:
            return f"{seconds / {'d': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _end(key: Mapping[str, Any]) -> str:
    left = key["seconds"]
    if left <= 0:
        return "ENDED" if key["kind"] != "no credentials" else "NOTHING TO SIGN WITH"
    return _span(left) + (" !" if key["kind"] == "signing key" and left < _SOON else "")

"""All the numbers at one moment, summed over the workers, as values and as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import attrs

from .board import Seat
from .families import FAMILIES, Family, Key

__all__ = ["VERSION", "Snapshot", "snapshot"]

VERSION: Final = 1
"""Of the JSON: goes up when something in it goes, or means another thing."""
_MOST_OBJECTS: Final = 20


@attrs.frozen
class Snapshot:
    """now: epoch seconds. series: by key; one number, or a histogram's sum and buckets.

    workers: what each tells, see `docs/metrics.rst`. objects: (key, requests, bytes), those
    asked for most first.
    """

    now: float
    release: str
    series: Mapping[Key, tuple[float, ...]]
    workers: tuple[Mapping[str, Any], ...]
    objects: tuple[tuple[str, float, float], ...]

    def families(self) -> Iterator[tuple[Family, list[tuple[dict[str, str], tuple[float, ...]]]]]:
        """Yield each family, with (labels, numbers) of its series."""
        of: dict[str, list[tuple[dict[str, str], tuple[float, ...]]]] = {}
        for key, numbers in sorted(self.series.items()):
            of.setdefault(key[0], []).append((_labels(key), numbers))
        for name, family in FAMILIES.items():
            yield family, of.get(name, [])

    def json(self) -> dict[str, Any]:
        """Return what `GET /status.json` tells."""
        return {
            "version": VERSION,
            "s3shield": self.release,
            "time": self.now,
            "metrics": {
                family.name: [
                    {"labels": labels, **_told(family, numbers)} for labels, numbers in found
                ]
                for family, found in self.families()
            },
            "workers": list(self.workers),
            "objects": [
                {"key": key, "requests": round(count), "bytes": round(sent)}
                for key, count, sent in self.objects
            ],
        }


def _labels(key: Key) -> dict[str, str]:
    family = FAMILIES[key[0]]
    names = (*family.labels, "worker") if family.merge == "each" else family.labels
    return dict(zip(names, key[1:], strict=True))


def _told(family: Family, numbers: tuple[float, ...]) -> dict[str, Any]:
    if family.kind != "histogram":
        return {"value": numbers[0]}
    total, *buckets = numbers
    bounds = [*map(str, family.bounds), "+Inf"]
    running, counts = 0.0, {}
    for bound, count in zip(bounds, buckets, strict=True):
        running += count
        counts[bound] = int(running)
    return {"count": int(running), "sum": total, "buckets": counts}


def snapshot(
    totals: Mapping[Key, tuple[float, ...]], seats: Iterable[Seat], now: float, release: str
) -> Snapshot:
    """Return the numbers of all. now: epoch seconds. release: this program's version."""
    series = {key: numbers for key, numbers in totals.items() if _known(key, numbers)}
    workers: list[dict[str, Any]] = []
    objects: dict[str, list[float]] = {}
    gauges: dict[Key, float] = {}
    for seat in seats:
        said = json.loads(seat.text)
        for name, value in said.pop("gauges"):
            _merge(gauges, tuple(name), value)
        for key, count, sent in said.pop("objects"):
            known = objects.setdefault(key, [0.0, 0.0])
            known[0] += count
            known[1] += sent
        silent = max(0.0, now - seat.written)
        workers.append({"worker": seat.number, "pid": seat.pid, "silent": silent, **said})
        for name, value in (
            ("started_seconds", said["started"]),
            ("silent_seconds", silent),
            ("lag_seconds", said["lag"]),
            ("resident_bytes", said["resident"]),
        ):
            gauges[f"s3shield_worker_{name}", str(seat.number)] = value
    gauges["s3shield_workers",] = len(workers)
    gauges["s3shield_build_info", release] = 1
    for gauge, value in gauges.items():
        if _known(gauge, (value,)):
            series[gauge] = (value - now if FAMILIES[gauge[0]].age else value,)
    best = sorted(objects.items(), key=lambda each: (-each[1][0], each[0]))[:_MOST_OBJECTS]
    return Snapshot(
        now,
        release,
        series,
        tuple(workers),
        tuple((key, count, sent) for key, (count, sent) in best),
    )


def _known(key: Key, numbers: tuple[float, ...]) -> bool:
    """Whether this program has such a series: another version may have begun it."""
    family = FAMILIES.get(key[0])
    if family is None:
        return False
    labels = len(family.labels) + (family.merge == "each")
    wanted = len(family.bounds) + 2 if family.kind == "histogram" else 1
    return len(key) - 1 == labels and len(numbers) == wanted


def _merge(gauges: dict[Key, float], key: Key, value: float) -> None:
    family, known = FAMILIES.get(key[0]), gauges.get(key)
    if family is None:
        return
    if known is None:
        gauges[key] = value
    elif family.merge == "max":
        gauges[key] = max(known, value)
    elif family.merge == "min":
        gauges[key] = min(known, value)
    else:
        gauges[key] = known + value

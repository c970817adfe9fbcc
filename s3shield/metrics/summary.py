"""What people look at, worked out of a snapshot: for the page and the terminal. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from s3shield.config import Prices

from .families import DURATION, Key
from .snapshot import Snapshot

__all__ = ["summary"]

_HITS: Final = frozenset({"HIT", "STALE", "UPDATING", "REVALIDATED"})
_UNASKED: Final = frozenset({"HIT", "STALE", "UPDATING"})
"""Hits for which nobody was asked: a REVALIDATED has been a request to S3."""
_GB: Final = 1e9


def summary(numbers: Snapshot, prices: Prices) -> dict[str, Any]:
    """Return what `docs/metrics.rst` tells of "summary"; counters since the daemon's start.

    hit_ratio: None before there were requests of which the cache took part. cost_avoided: None
    without prices.
    """
    by_status = _sums(numbers, "s3shield_requests_total", 3)
    by_fate = _sums(numbers, "s3shield_requests_total", 4)
    by_source = _sums(numbers, "s3shield_response_bytes_total", 2)
    cached = sum(count for fate, count in by_fate.items() if fate != "NONE")
    hits = sum(count for fate, count in by_fate.items() if fate in _HITS)
    unasked = sum(count for fate, count in by_fate.items() if fate in _UNASKED)
    saved = by_source.get("cache", 0.0)
    cost = saved / _GB * prices.per_gb + unasked / 10_000 * prices.per_10k_requests
    return {
        "requests": sum(by_fate.values()),
        "cacheable": cached,
        "hits": hits,
        "hit_ratio": hits / cached if cached else None,
        "sent_bytes": sum(by_source.values()),
        "saved_bytes": saved,
        "requests_saved": unasked,
        "cost_avoided": cost if prices != Prices() else None,
        "server_errors": sum(
            count for status, count in by_status.items() if status.startswith("5")
        ),
        "client_connections": _one(numbers, "s3shield_client_connections"),
        "worker_restarts": _one(numbers, "s3shield_worker_restarts_total") or 0,
        "stores": list(_stores(numbers)),
        "origins": list(_origins(numbers)),
        "errors": [
            {"bucket": bucket, "code": code, "count": count}
            for (_, bucket, code), (count,) in _of(numbers, "s3shield_s3_errors_total")
        ],
        "keys": list(_keys(numbers)),
    }


def _of(numbers: Snapshot, name: str) -> Iterator[tuple[Key, tuple[float, ...]]]:
    for key, values in sorted(numbers.series.items()):
        if key[0] == name:
            yield key, values


def _sums(numbers: Snapshot, name: str, label: int) -> dict[str, float]:
    """Return sums by the value of one label, counted from 1."""
    found: dict[str, float] = {}
    for key, (value, *_) in _of(numbers, name):
        found[key[label]] = found.get(key[label], 0.0) + value
    return found


def _one(numbers: Snapshot, *key: str) -> float | None:
    values = numbers.series.get(key)
    return None if values is None else values[0]


def _stores(numbers: Snapshot) -> Iterator[Mapping[str, Any]]:
    for (_, cache), (entries, *_) in _of(numbers, "s3shield_store_entries"):
        yield {
            "cache": cache,
            "entries": entries,
            **{
                name: _one(numbers, f"s3shield_{metric}", cache)
                for name, metric in (
                    ("bytes", "store_size_bytes"),
                    ("max_bytes", "store_max_size_bytes"),
                    ("disk_free", "disk_free_bytes"),
                    ("disk_bytes", "disk_size_bytes"),
                )
            },
        }


def _origins(numbers: Snapshot) -> Iterator[Mapping[str, Any]]:
    """Yield each, the slowest first, by the time in which 95 of 100 answers begin."""
    failures = _sums(numbers, "s3shield_origin_failures_total", 1)
    found: dict[str, dict[str, Any]] = {
        name: {"answers": 0.0, "seconds": 0.0, "p95": None, "more": False} for name in failures
    }
    for (_, name), (seconds, *buckets) in _of(numbers, "s3shield_origin_first_byte_seconds"):
        at, more = _quantile(buckets, 0.95)
        found[name] = {"answers": sum(buckets), "seconds": seconds, "p95": at, "more": more}
    rows = [
        {"origin": name, **row, "failures": failures.get(name, 0.0)} for name, row in found.items()
    ]
    yield from sorted(rows, key=lambda row: (-(row["p95"] or 0.0), row["origin"]))


def _quantile(buckets: list[float], part: float) -> tuple[float | None, bool]:
    """Return a bound below which that part is, and whether it is above the last bound."""
    running = list(accumulate(buckets))
    if not running or not running[-1]:
        return None, False
    at = bisect_left(running, part * running[-1])
    return (DURATION[at], False) if at < len(DURATION) else (DURATION[-1], True)


def _keys(numbers: Snapshot) -> Iterator[Mapping[str, Any]]:
    """Yield what ends, what ends first before the others; what is missing has ended."""
    rows = [
        {"bucket": bucket, "kind": kind, "seconds": seconds}
        for kind, name in (
            ("signing key", "s3shield_signing_key_expires_seconds"),
            ("credentials", "s3shield_credentials_expire_seconds"),
        )
        for (_, bucket), (seconds,) in _of(numbers, name)
    ]
    rows += [
        {"bucket": bucket, "kind": "no credentials", "seconds": 0.0}
        for (_, bucket), (lacks,) in _of(numbers, "s3shield_bucket_without_credentials")
        if lacks
    ]
    yield from sorted(rows, key=lambda row: (row["seconds"], row["bucket"]))

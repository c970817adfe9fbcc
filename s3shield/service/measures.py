"""Where the numbers of one process come from, but for the requests: stores, pools, buckets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from s3shield.exchange import Zone
from s3shield.metrics import Key

from .origins import Origins

__all__ = ["Measures"]

_KINDS = {"error": "connect", "error ": "cut", "error  ": "cut", "timeout": "timeout"}


@attrs.frozen
class Measures:
    """A `metrics.Source`.

    zones: by cache. most: `max_size` by cache, where there is one. keys_end, credentials_end:
    return epoch seconds by bucket. clients: returns how many connections there are. lost:
    returns how many lines of the access log are.
    """

    zones: Mapping[str, Zone]
    most: Mapping[str, int]
    origins: Origins
    keys_end: Callable[[], Mapping[str, float]]
    credentials_end: Callable[[], Mapping[str, float]]
    clients: Callable[[], int]
    lost: Callable[[], int]

    def counters(self) -> dict[Key, float]:
        """See `metrics.Source`."""
        found: dict[Key, float] = {("s3shield_access_log_lost_lines_total",): self.lost()}

        def add(name: str, *labels: str, value: float) -> None:
            # Several pools may have one address.
            key = (f"s3shield_{name}_total", *labels)
            found[key] = found.get(key, 0.0) + value

        for pool in self.origins.pools:
            origin, stats = str(pool.address), pool.stats()
            add("origin_connections_opened", origin, value=stats.opened)
            add("origin_retries", origin, value=stats.retried)
            add("origin_received_bytes", origin, value=pool.received)
            for status, times in pool.statuses.items():
                add("origin_responses", origin, str(status), value=times)
            for kind, times in pool.failures.items():
                add("origin_failures", origin, _KINDS.get(kind.value, "invalid"), value=times)
        for name, bucket in self.origins.buckets.items():
            for code, times in bucket.errors.items():
                add("s3_errors", name, code, value=times)
        for cache, zone in self.zones.items():
            held = zone.store.stats()
            add("store_commits", cache, value=held.commits)
            add("store_dropped", cache, value=held.dropped)
            for reason, times in held.evicted.items():
                add("evicted_entries", cache, reason, value=times)
        return found

    def additions(self) -> dict[Key, Sequence[float]]:
        """See `metrics.Source`."""
        found: dict[Key, Sequence[float]] = {}
        for pool in self.origins.pools:
            for name, durations in (("connect", pool.connect), ("first_byte", pool.first_byte)):
                key = (f"s3shield_origin_{name}_seconds", str(pool.address))
                numbers, known = durations.take(), found.get(key)
                found[key] = (
                    numbers
                    if known is None
                    else [one + other for one, other in zip(known, numbers, strict=True)]
                )
        return found

    def gauges(self) -> dict[Key, float]:
        """See `metrics.Source`."""
        found: dict[Key, float] = {("s3shield_client_connections",): self.clients()}

        def add(name: str, *labels: str, value: float) -> None:
            key = (f"s3shield_{name}", *labels)
            found[key] = found.get(key, 0.0) + value

        for pool in self.origins.pools:
            origin, stats = str(pool.address), pool.stats()
            for state in ("idle", "busy", "connecting"):
                add("origin_connections", origin, state, value=getattr(stats, state))
            add("origin_queue", origin, value=stats.queued)
        for name, breaker in self.origins.breakers.items():
            add("breaker_open", name, value=breaker.is_open)
        for name, bucket in self.origins.buckets.items():
            if bucket.lacks is not None:
                add("bucket_without_credentials", name, value=bucket.lacks())
        for name, end in self.keys_end().items():
            add("signing_key_expires_seconds", name, value=end)
        for name, end in self.credentials_end().items():
            add("credentials_expire_seconds", name, value=end)
        for cache, zone in self.zones.items():
            for key, value in self._of_cache(cache, zone):
                add(key, cache, value=value)
        return found

    def _of_cache(self, cache: str, zone: Zone) -> Iterable[tuple[str, float]]:
        stats = zone.store.stats()
        yield "store_entries", stats.entries
        yield "store_size_bytes", stats.size
        yield "store_pending_bytes", stats.pending_size
        yield "store_open_files", stats.open_files
        yield "store_index_used_bytes", stats.map_used
        yield "store_index_size_bytes", stats.map_size
        if cache in self.most:
            yield "store_max_size_bytes", self.most[cache]
        room = _room(zone.store.path)
        if room is not None:
            yield "disk_free_bytes", room.f_bavail * room.f_frsize
            yield "disk_size_bytes", room.f_blocks * room.f_frsize
        gaps = sum(len(sparse.gaps) for sparse in zone.sparse.values())
        yield "flights", len(zone.flights) + gaps
        yield "waiting_requests", sum(each.waiting() for each in zone.flights.values())


def _room(path: Any) -> os.statvfs_result | None:
    try:
        return os.statvfs(path)
    except OSError:
        return None  # deleted; the store reports it

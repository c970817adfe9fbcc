"""What the access log's records add up to. Pure.

Records are counted in batches, after they have been made and before they are written: a hit
pays for its record alone. Per record there is one look into a dictionary; what the metrics are
is worked out when the sums are taken.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import attrs

from s3shield.metrics import DURATION, Key, method_label
from s3shield.ops.log_variables import KEY, LogRecord, mask
from s3shield.policy import AnswerSeconds, CacheStatus, NoStoreReason

__all__ = ["Tally"]

_Name = tuple[str, int, bytes, bytes]
"""Location, status, cache status, method."""
_BUCKETS: Final = len(DURATION) + 1
_FIRST: Final = 5
"""A row: requests, bytes sent, of them cached, seconds, bytes sent with an origin asked, then
the buckets."""
_QUICK: Final = DURATION[0]
_EMPTY: Final = [0] * (_FIRST + _BUCKETS)
_HITS: Final = frozenset(
    each.value
    for each in (CacheStatus.HIT, CacheStatus.STALE, CacheStatus.UPDATING, CacheStatus.REVALIDATED)
)
_NOWHERE: Final = "none"
"""The location of what was refused before there was one."""
_FIRST_BYTE: Final = "s3shield_request_first_byte_seconds"
_LEFT: Final = 499
"""The status of clients that left before there was a first byte."""
_SPARE: Final = 64
"""Records in a batch above which only every 16th is looked at for its object."""
_SAMPLE: Final = 16
_MOST_OBJECTS: Final = 512


@attrs.define
class _Asked:
    """What an origin was asked for. buckets: of seconds."""

    seconds: float = 0.0
    buckets: list[int] = attrs.field(factory=lambda: [0] * _BUCKETS)


class Tally:
    """See the module's text.

    requests, hits, sent, cached: since it was made; bytes of bodies, those from the cache.
    """

    def __init__(self) -> None:
        self.requests = self.hits = self.sent = self.cached = 0
        self._rows: dict[_Name, list[float]] = {}
        self._asked: dict[str, _Asked] = {}
        self._reasons: dict[tuple[str, NoStoreReason], int] = {}
        self._earlier: dict[tuple[str, bytes], list[float]] = {}
        self._objects: dict[bytes, list[float]] = {}
        self._next = 0

    def take(self, records: Sequence[LogRecord]) -> None:
        """Count some."""
        groups: dict[_Name, list[LogRecord]] = {}
        for each in records:
            _, _, request, status, _, fate, _, _, _, _, location, _, _ = each
            # Not the enum itself: its hash is a function in Python.
            name = (location, status, fate._value_, request.method)
            group = groups.get(name)
            if group is None:
                groups[name] = [each]
            else:
                group.append(each)
        for name, group in groups.items():
            self._add(name, group)
        self._sample(records)

    def _add(self, name: _Name, group: list[LogRecord]) -> None:
        """Count records that have the same name, a column at a time."""
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = list(_EMPTY)
        _, _, _, _, sent, _, reasons, seconds, origins, _, _, _, cached = zip(*group, strict=True)
        row[0] += len(group)
        row[1] += sum(sent)
        row[2] += sum(cached)
        row[3] += sum(seconds)
        if max(seconds) <= _QUICK:
            row[_FIRST] += len(group)
        else:
            for each in seconds:
                row[_FIRST + bisect_left(DURATION, each)] += 1
        location = name[0]
        if AnswerSeconds in set(map(type, seconds)):
            for each in seconds:
                if isinstance(each, AnswerSeconds):
                    self._note_first(location, name[2], each)
        if origins.count(None) < len(group):
            for size, held, waited in zip(sent, cached, origins, strict=True):
                if waited is not None:
                    row[4] += size - held
                    self._note_origin(location, waited)
        if reasons.count(None) < len(group):
            for reason in reasons:
                if reason is not None:
                    place = location, reason
                    self._reasons[place] = self._reasons.get(place, 0) + 1

    def _note_origin(self, location: str, seconds: float) -> None:
        asked = self._asked.get(location)
        if asked is None:
            asked = self._asked[location] = _Asked()
        asked.seconds += seconds
        asked.buckets[bisect_left(DURATION, seconds)] += 1

    def _note_first(self, location: str, fate: bytes, seconds: AnswerSeconds) -> None:
        """Note by what the first byte came earlier than the last: mostly they are one write."""
        place = location, fate
        row = self._earlier.get(place)
        if row is None:
            row = self._earlier[place] = [0.0] * (1 + _BUCKETS)
        first = seconds.first_byte
        row[0] += first - seconds
        row[1 + bisect_left(DURATION, first)] += 1
        row[1 + bisect_left(DURATION, seconds)] -= 1

    # Objects

    def _sample(self, records: Sequence[LogRecord]) -> None:
        weight, chosen = 1, records
        if len(records) > _SPARE:
            weight, chosen = _SAMPLE, records[self._next :: _SAMPLE]
            self._next = (self._next + 7) % _SAMPLE
        objects = self._objects
        for record in chosen:
            found = objects.get(record[KEY])
            if found is None:
                if len(objects) >= _MOST_OBJECTS:
                    self._thin()
                found = objects[record[KEY]] = [0, 0]
            found[0] += weight
            found[1] += weight * record[4]

    def _thin(self) -> None:
        """Keep the better half, and count what was less: the list is of late."""
        kept = sorted(self._objects.items(), key=lambda each: -each[1][0])[: _MOST_OBJECTS // 2]
        self._objects.clear()
        self._objects.update({key: [count / 2, sent / 2] for key, (count, sent) in kept})

    def objects(self, most: int) -> list[tuple[str, float, float]]:
        """Return (key, requests, bytes) of those asked for most; the numbers are estimates."""
        best = sorted(self._objects.items(), key=lambda each: -each[1][0])[:most]
        return [
            (mask(key)[:500].decode("utf-8", "backslashreplace"), count, sent)
            for key, (count, sent) in best
            if key
        ]

    # Sums

    def drain(self) -> dict[Key, list[float]]:
        """Return what has come since the last time, as additions to series."""
        rows, self._rows = self._rows, {}
        asked, self._asked = self._asked, {}
        reasons, self._reasons = self._reasons, {}
        earlier, self._earlier = self._earlier, {}
        found: dict[Key, list[float]] = {}

        def add(key: Key, values: Sequence[float]) -> None:
            known = found.get(key)
            found[key] = (
                list(values)
                if known is None
                else [one + other for one, other in zip(known, values, strict=True)]
            )

        for (place, status, fate, method), row in rows.items():
            location, cache = place or _NOWHERE, fate.decode("ascii") or "NONE"
            count, sent, cached, seconds, asked_for = row[:_FIRST]
            requests = "s3shield_requests_total"
            add((requests, location, method_label(method), str(status), cache), [count])
            add(("s3shield_request_duration_seconds", location, cache), [seconds, *row[_FIRST:]])
            if status != _LEFT:
                add((_FIRST_BYTE, location, cache), [seconds, *row[_FIRST:]])
            # Where the cache took no part and nobody was asked, the words are ours.
            origin = sent - cached if fate else asked_for
            for source, size in (
                ("cache", cached),
                ("origin", origin),
                ("self", sent - cached - origin),
            ):
                if size:
                    add(("s3shield_response_bytes_total", location, source), [size])
            self.requests += int(count)
            self.sent += int(sent)
            self.cached += int(cached)
            if fate in _HITS:
                self.hits += int(count)
        for (place, fate), changes in earlier.items():
            add((_FIRST_BYTE, place or _NOWHERE, fate.decode("ascii") or "NONE"), changes)
        for place, one in asked.items():
            location = place or _NOWHERE
            add(("s3shield_request_origin_seconds", location), [one.seconds, *one.buckets])
        for (place, reason), times in reasons.items():
            name = reason.value.decode("ascii")
            add(("s3shield_no_store_total", place or _NOWHERE, name), [times])
        return found

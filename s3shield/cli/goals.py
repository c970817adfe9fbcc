"""What `s3shield warm` is to ask for: read from a list, a sitemap, a playlist, a bucket."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TextIO

import attrs

from s3shield.config import Config

from .bucket_keys import keys_of, path_to
from .dash import read_manifest
from .door import Door, Goal
from .hls import read_playlist
from .sitemap import MAX_SITEMAP, read_sitemap

__all__ = ["Source", "goals_of"]

_MAX_MANIFEST: Final = 32 << 20
_MOST_DOCUMENTS: Final = 10_000
"""Sitemaps of an index, playlists of a master."""
_LONGEST: Final = 8 << 10
"""Characters of a line of a list."""
_FILE: Final = "file:"

Skip = Callable[[str], None]


@attrs.frozen(kw_only=True)
class Source:
    """Where from; all but one are None. newer_than: seconds."""

    list: str | None
    sitemap: str | None
    hls: str | None
    dash: str | None
    bucket: str | None
    prefix: str = ""
    newer_than: float | None = None


def goals_of(
    source: Source, door: Door, config: Config | None, stdin: TextIO, now: float, skip: Skip
) -> Iterator[Goal]:
    """Yield the goals. skip: told what cannot be one, in a sentence. now: epoch seconds.

    Raises OSError, ValueError where nothing can be read at all.
    """
    if source.list is not None:
        yield from _of_list(source.list, door, stdin, skip)
    elif source.sitemap is not None:
        yield from _of_sitemap(source.sitemap, door, skip)
    elif source.hls is not None:
        yield from _of_hls(door.goal(source.hls), door, skip)
    elif source.dash is not None:
        goal = door.goal(source.dash)
        yield goal
        urls = read_manifest(door.read(goal, _MAX_MANIFEST), str(goal))
        yield from _each(urls, door, goal, skip)
    else:
        assert source.bucket is not None
        assert config is not None
        yield from _of_bucket(source, source.bucket, door, config, now, skip)


def _each(texts: Iterable[str], door: Door, base: Goal | None, skip: Skip) -> Iterator[Goal]:
    for text in texts:
        try:
            yield door.goal(text, base)
        except ValueError as why:
            skip(f"{text[:200]!a}: {why}")


def _of_list(name: str, door: Door, stdin: TextIO, skip: Skip) -> Iterator[Goal]:
    if name == "-":
        yield from _lines(stdin, door, skip)
        return
    with Path(name).open(encoding="utf-8", errors="surrogateescape") as file:
        yield from _lines(file, door, skip)


def _lines(lines: TextIO, door: Door, skip: Skip) -> Iterator[Goal]:
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            if len(text) > _LONGEST:
                raise ValueError("it is too long")
            yield door.goal(text)
        except ValueError as why:
            skip(f"line {number}: {text[:200]!a}: {why}")


def _of_sitemap(name: str, door: Door, skip: Skip) -> Iterator[Goal]:
    waiting: deque[Goal] = deque()
    seen: set[Goal] = set()

    def urls(document: bytes, base: Goal | None) -> Iterator[Goal]:
        found, is_index = read_sitemap(document)
        goals = _each(found, door, base, skip)
        if not is_index:
            yield from goals
            return
        for goal in goals:
            if goal not in seen and len(seen) < _MOST_DOCUMENTS:
                seen.add(goal)
                waiting.append(goal)

    if name.startswith(_FILE):
        path = Path(name.removeprefix(_FILE))
        with path.open("rb") as file:
            yield from urls(file.read(MAX_SITEMAP + 1), None)
    else:
        goal = door.goal(name)
        seen.add(goal)
        yield from urls(door.read(goal, MAX_SITEMAP), goal)
    while waiting:
        goal = waiting.popleft()
        try:
            yield from urls(door.read(goal, MAX_SITEMAP), goal)
        except ValueError as why:
            skip(f"sitemap {goal}: {why}")


def _of_hls(first: Goal, door: Door, skip: Skip) -> Iterator[Goal]:
    yield first
    top = read_playlist(door.read(first, _MAX_MANIFEST))
    yield from _each(top.parts, door, first, skip)
    waiting = deque(_each(top.playlists, door, first, skip))
    seen = {first}
    while waiting and len(seen) < _MOST_DOCUMENTS:
        goal = waiting.popleft()
        if goal in seen:
            continue
        seen.add(goal)
        yield goal
        try:
            inner = read_playlist(door.read(goal, _MAX_MANIFEST))
        except ValueError as why:
            skip(f"playlist {goal}: {why}")
            continue
        yield from _each(inner.parts, door, goal, skip)
        waiting.extend(_each(inner.playlists, door, goal, skip))


def _of_bucket(
    source: Source, name: str, door: Door, config: Config, now: float, skip: Skip
) -> Iterator[Goal]:
    bucket = config.buckets.get(name)
    if bucket is None:
        raise ValueError(f"{config.file}: there is no [bucket:{name}]")
    since = None if source.newer_than is None else now - source.newer_than
    lost = 0
    for listed in keys_of(bucket, source.prefix.encode("utf-8", "surrogateescape")):
        if since is not None and listed.modified is not None and listed.modified < since:
            continue
        path = path_to(config, name, door.own, listed.key)
        if path is None:
            lost += 1
            if lost == 1:
                key = ascii(listed.key.decode("utf-8", "backslashreplace"))
                skip(f"key {key}: no location gives it out at {door.own} (and others like it)")
            continue
        yield Goal(door.own, path)

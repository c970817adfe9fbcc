"""Entries of a cache as `s3shield cache` shows them. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from s3shield.policy import EntryFlag
from s3shield.store import Blocks, Entry

__all__ = ["as_json", "blocks_text", "line", "page", "shown", "time_text"]

_UNITS: Final = (("d", 86_400), ("h", 3600), ("m", 60))
_SIZES: Final = ("", "K", "M", "G", "T")
_KINDS: Final = (
    (EntryFlag.VARIANTS, "names the headers that select"),
    (EntryFlag.HIT_FOR_MISS, "hit-for-miss: not cacheable for now"),
    (EntryFlag.CODED, "compressed form"),
    (EntryFlag.FROM_HEAD, "of a HEAD, without a body"),
)
_RUNS: Final = 20


def shown(text: bytes) -> str:
    """Return text that no terminal obeys: what cannot be printed as an escape."""
    decoded = text.decode("utf-8", "backslashreplace")
    return re.sub(r"[^ -~\u00a1-\U0010ffff]", lambda found: f"\\x{ord(found[0]):02x}", decoded)


def size_text(size: int) -> str:
    """Return a size for people: 1.5M."""
    value = float(size)
    for unit in _SIZES:
        if value < 1024 or unit == _SIZES[-1]:
            return f"{value:.0f}{unit}" if value >= 10 or not unit else f"{value:.1f}{unit}"
        value /= 1024
    return str(size)


def time_text(seconds: float) -> str:
    """Return a time for people, in one unit: 90s, 3h."""
    for unit, length in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def _ttl(entry: Entry, now: float) -> str:
    left = entry.fresh_until - now
    return time_text(left) if left > 0 else "stale"


def _parts(entry: Entry) -> tuple[bytes, bytes]:
    """Return key and what selects the variant."""
    key, _, variant = entry.key.partition(b"\0")
    return key, variant


def line(entry: Entry, now: float) -> str:
    """Return one line of `ls`. now: epoch seconds."""
    key, variant = _parts(entry)
    age = time_text(now - entry.born)
    text = f"{size_text(entry.size):>6} {age:>5} {_ttl(entry, now):>5} {entry.status} {shown(key)}"
    if variant:
        text += f"  [{shown(variant)}]"
    if not entry.complete:
        text += f"  ({100 * entry.on_disk // max(1, entry.size)}%)"
    return text


def as_json(cache: str, entry: Entry, now: float) -> dict[str, Any]:
    """Return an entry's facts. Times in seconds, sizes in bytes."""
    key, variant = _parts(entry)
    text = "utf-8", "backslashreplace"
    return {
        "cache": cache,
        "key": key.decode(*text),
        "variant": variant.decode(*text) or None,
        "digest": entry.digest.hex(),
        "status": entry.status,
        "size": entry.size,
        "stored": entry.size if entry.blob is None else entry.on_disk,
        "complete": entry.complete,
        "age": round(now - entry.born),
        "ttl": round(max(-1e12, entry.fresh_until - now)),
        "etag": entry.etag.decode(*text) or None,
        "tags": [tag.decode(*text) for tag in entry.tags],
    }


def blocks_text(entry: Entry) -> str:
    """Say which blocks of the body are there."""
    if entry.blob is None:
        return "in the index"
    shift = entry.block_shift
    count = (entry.size + (1 << shift) - 1) >> shift
    of = f"blocks of {size_text(1 << shift)}"
    if entry.complete:
        return f"all {count} {of}"
    blocks = Blocks(entry.size, shift, entry.blocks)
    runs: list[str] = []
    start = None
    for block in range(count + 1):
        there = block < count and blocks.has(block)
        if there and start is None:
            start = block
        elif not there and start is not None:
            runs.append(str(start) if start == block - 1 else f"{start}-{block - 1}")
            start = None
    more = f" and {len(runs) - _RUNS} more runs" if len(runs) > _RUNS else ""
    listed = f": {', '.join(runs[:_RUNS])}{more}" if runs else ""
    return f"{count - blocks.missing} of {count} {of}{listed}"


def page(cache: str, entry: Entry, now: float) -> str:
    """Return what `stat` says of an entry."""
    key, variant = _parts(entry)
    kind = next((text for flag, text in _KINDS if entry.flags & flag), "response")
    lines = [f"{shown(key)}", f"  cache    {cache}"]
    if variant:
        lines.append(f"  variant  {shown(variant)}")
    lines.append(f"  kind     {kind}")
    if not entry.flags & EntryFlag.VARIANTS:
        lines.append(f"  status   {entry.status}")
        lines.append(f"  age      {time_text(now - entry.born)}, ttl {_ttl(entry, now)}")
    lines.append(f"  size     {size_text(entry.size)}; {blocks_text(entry)}")
    if entry.etag:
        lines.append(f"  etag     {shown(entry.etag)}")
    if entry.tags:
        lines.append(f"  tags     {' '.join(map(shown, entry.tags))}")
    if entry.blob is not None:
        name = entry.blob.hex()
        lines.append(f"  file     blobs/{name[:2]}/{name[2:4]}/{name}")
    lines.append(f"  digest   {entry.digest.hex()}")
    return "\n".join(lines)

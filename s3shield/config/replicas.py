"""How the options about replicas of buckets are read. All raise ValueError, in words."""

from __future__ import annotations

from typing import Final

from .errors import BadValueError
from .units import parse_choice, parse_millis
from .values import HealthConfig

__all__ = ["health", "replica_on"]

_ON: Final = ("http_403", "http_404")
_EVERY: Final = 30.0
_CONTROL: Final = "".join(map(chr, (*range(0x21), 0x7F)))


def replica_on(value: str) -> frozenset[int]:
    """`off`, or statuses in the words of nginx's proxy_next_upstream, or bare."""
    if value == "off":
        return frozenset()
    words = [word if word.startswith("http_") else f"http_{word}" for word in value.split()]
    found = {parse_choice(word, _ON) for word in words}
    return frozenset(int(word.removeprefix("http_")) for word in found)


def health(value: str) -> HealthConfig:
    """`/path [TIME]`: an object that is there, and how often it is asked for."""
    path, _, time = value.partition(" ")
    if not path.startswith("/") or len(path) < 2 or any(char in _CONTROL for char in path):
        raise BadValueError("it looks like /path 30s, of an object that is in the bucket", path)
    millis = parse_millis(time.strip()) if time.strip() else int(_EVERY * 1000)
    if millis < 1000:
        raise BadValueError("it is asked for once a second at most", time.strip())
    return HealthConfig(path, millis / 1000)

"""How it stands with the keys of each bucket: what the health page tells. Pure.

What is stored is served without any key; so a bucket that cannot be asked is an error, and
not the end of the process: `/live` goes on saying that it serves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Protocol

import attrs

__all__ = ["BucketState", "bucket_states", "health"]

_WARNING: Final = 48 * 3600
"""Seconds before the end of a key at which the log warns, too."""


@attrs.frozen
class BucketState:
    """One bucket.

    key_expires: float, epoch seconds at which its scoped keys end; None where it has none.
    without_credentials: a source of credentials has given none that are good now.
    """

    name: str
    key_expires: float | None = None
    without_credentials: bool = False

    def word(self, now: float) -> str:
        """Return `ok`, `warning` or `error`."""
        left = _WARNING if self.key_expires is None else self.key_expires - now
        if self.without_credentials or left <= 0:
            return "error"
        return "warning" if left < _WARNING else "ok"

    def told(self, now: float) -> dict[str, object]:
        """Return what the page says of it."""
        said: dict[str, object] = {"status": self.word(now)}
        if self.key_expires is not None:
            moment = datetime.fromtimestamp(self.key_expires, UTC)
            said["signing_key_expires"] = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
        if self.without_credentials:
            said["credentials"] = "none"
        return said


class Bucket(Protocol):
    """What there is to know of a bucket besides its keys."""

    lacks: Callable[[], bool] | None
    """Tells whether there is nothing good to sign with now."""


def bucket_states(
    buckets: Mapping[str, Bucket], expires: Callable[[], Mapping[str, float]]
) -> list[BucketState]:
    """Return each bucket's state now. expires: returns, by name, when scoped keys end."""
    ends = expires()
    return [
        BucketState(name, ends.get(name), bucket.lacks is not None and bucket.lacks())
        for name, bucket in sorted(buckets.items())
    ]


def health(states: Iterable[BucketState], now: float) -> tuple[int, dict[str, object]]:
    """Return the status of `GET /health` and its JSON object.

    200, also with warnings; 503 when some bucket's requests cannot be signed. now: epoch seconds.
    """
    states = list(states)
    words = {state.word(now) for state in states}
    worst = next(word for word in ("error", "warning", "ok") if word in words or word == "ok")
    buckets = {state.name: state.told(now) for state in states}
    return 503 if worst == "error" else 200, {"status": worst, "buckets": buckets}

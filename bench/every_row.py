"""All rows, in the table's order: importing this registers them."""

from __future__ import annotations

from typing import Final

from bench import (  # noqa: F401  registered by being imported
    rows_handshake,
    rows_hits,
    rows_latency,
    rows_memory,
    rows_million,
    rows_misses,
    rows_workers,
)
from bench.rows import ROWS, Row

__all__ = ["TABLE"]

_ORDER: Final = (
    "hit-1k",
    "hit-1k-million",
    "hit-64k",
    "hit-1m",
    "hit-16m",
    "range-64k",
    "not-modified",
    "tls-1k",
    "tls-1m",
    "tls-new",
    "miss-1k",
    "miss-1m",
    "mixed",
    "workers-2",
    "p99-busy",
    "idle-10k",
    "rss-million",
    "start-million",
    "fairness",
)

TABLE: Final[dict[str, Row]] = {name: ROWS[name] for name in _ORDER}
"""By name."""

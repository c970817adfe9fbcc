"""Row: two workers each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.rows import Bench, Measure, at_least, row
from bench.rows_hits import hits


@row("workers-2", "two workers against two workers, hits 1 KiB", at_least(1.25))
def workers_2(bench: Bench) -> Iterator[Mapping[str, Measure]]:
    """Small hits, two processes."""
    yield from hits(bench, "obj", workers=2)

"""`GET /metrics`: a snapshot in Prometheus' text format, version 0.0.4. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from .snapshot import Snapshot

if TYPE_CHECKING:
    from prometheus_client import Metric

__all__ = ["exposition"]


def exposition(what: Snapshot) -> bytes:
    """Return the text; prometheus_client escapes what stands in labels."""
    # A mebibyte, and more than one process has it: only where somebody asks.
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(what))
    return generate_latest(registry)


class _Collector:
    """What prometheus_client collects from."""

    def __init__(self, what: Snapshot) -> None:
        self._what = what

    def collect(self) -> Iterator[Metric]:
        """Yield the families, those without a series too: a graph then says 0, not nothing."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        for family, found in self._what.families():
            labels = [*family.labels, *(["worker"] if family.merge == "each" else [])]
            if family.kind == "histogram":
                histogram = HistogramMetricFamily(family.name, family.help, labels=labels)
                for names, numbers in found:
                    running = list(accumulate(numbers[1:]))
                    bounds = [*map(str, family.bounds), "+Inf"]
                    histogram.add_metric(
                        list(names.values()),
                        list(zip(bounds, running, strict=True)),
                        numbers[0],
                    )
                yield histogram
                continue
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=labels)
            for names, numbers in found:
                metric.add_metric(list(names.values()), numbers[0])
            yield metric

"""Prometheus text of what a process counted: `filter.dropped{duplicate}` is `weir_filter_dropped_total{reason=…}`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from weir.runtime.health import Totals

_KEY = re.compile(r"([^{]+)(?:\{(.*)\})?\Z", re.DOTALL)


class _Totals(Collector):
    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily] = {}
        for key, n in sorted(self._totals.collect().items()):
            match = _KEY.match(key)
            name, reason = (match[1], match[2] or "") if match else (key, "")
            if name.startswith("lost."):
                name, reason = "lost", key[len("lost.") :]
            metric = "weir_" + re.sub(r"\W", "_", name)
            family = families.setdefault(
                metric, CounterMetricFamily(metric, f"{name}, since the start of the process", labels=["reason"])
            )
            family.add_metric([reason], n)
        yield from families.values()
        lag = GaugeMetricFamily("weir_lag_records", "Records behind a partition's end", labels=["topic", "partition"])
        for where, n in self._totals.lag().items():
            lag.add_metric(where.rsplit("/", 1), n)
        yield lag


def metrics_text(totals: Totals) -> bytes:
    """The exposition of one process, text format 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Totals(totals))
    return generate_latest(registry)

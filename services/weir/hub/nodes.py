"""What each node sends to the bus, from heartbeats: MB/s now, GB a day at that rate, and the ceiling. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from weir.model.health import Heartbeat

CAPTURED = "capture.bytes"
"""Counter of bytes that `capture` hands to the bus."""
SHED = "lost.capture.ceiling"
"""Counter of packets that were left out for the ceiling's sake."""
MB = 1_000_000
DAY_S = 86_400


class NodeRate(msgspec.Struct, frozen=True, kw_only=True):
    """One node's part of the bus."""

    node: str
    mb_per_s: float
    """Captured bytes as they go to the bus, over the last heartbeats."""
    gb_per_day: float
    """At this rate."""
    ceiling_mb_per_s: float
    above: bool = False
    """The rate is at the ceiling, or conversations are shed for its sake."""


def node_rates(beats: Iterable[Heartbeat], ceiling_bytes_per_s: float) -> list[NodeRate]:
    """Of the nodes on which a capture process reports, by name; `beats` are those of processes that are up."""
    rates: dict[str, float] = {}
    shedding: set[str] = set()
    for beat in beats:
        if "capture" not in beat.stages:
            continue
        node = beat.node or beat.process
        rates[node] = rates.get(node, 0.0) + beat.rates.get(CAPTURED, 0.0)
        if beat.rates.get(SHED, 0.0) > 0:
            shedding.add(node)
    return [
        node_rate(node, rate, ceiling_bytes_per_s, shed=node in shedding) for node, rate in sorted(rates.items())
    ]


def node_rate(node: str, bytes_per_s: float, ceiling_bytes_per_s: float, *, shed: bool = False) -> NodeRate:
    return NodeRate(
        node=node, mb_per_s=mb(bytes_per_s), gb_per_day=gb_per_day(bytes_per_s),
        ceiling_mb_per_s=mb(ceiling_bytes_per_s),
        above=shed or bytes_per_s >= ceiling_bytes_per_s,
    )


def mb(bytes_per_s: float) -> float:
    return round(bytes_per_s / MB, 3)


def gb_per_day(bytes_per_s: float) -> float:
    return round(bytes_per_s * DAY_S / 1e9, 2)

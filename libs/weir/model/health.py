"""`weir.health`, `weir.dead`, `weir.flows`: how processes are, what could not be processed, where decode stands."""

from __future__ import annotations

import msgspec


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag="heartbeat", tag_field="t", omit_defaults=True):
    """How one process is. Key: process. A tombstone says that it ended on purpose."""

    v: int = 1
    process: str
    """Name that survives a restart: host name and stages."""
    stages: list[str]
    started_ns: int
    sent_ns: int
    interval_s: float = 2.0
    """When the next heartbeat is due; three missed ones mean that the process is gone."""
    mode: dict[str, str] = {}
    """How each part works and, after a fallback, why: `{"capture.source": "af_packet + classic BPF"}`."""
    counters: dict[str, int] = {}
    """Totals since the start: `stage.name` or `stage.name{reason}`."""
    rates: dict[str, float] = {}
    """The same per second, over the last interval."""
    lost: dict[str, int] = {}
    """Whatever was dropped, by `stage.reason`."""
    lag: dict[str, int] = {}
    """Records behind the end, by `topic/partition`."""
    cpu_s: float = 0.0
    rss_bytes: int = 0
    notes: list[str] = []
    """What a person should know now, e.g. `Kafka away for 12 s: Connection refused`."""
    node: str = ""
    """Node on which it runs."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, tag="dead", tag_field="t", omit_defaults=True):
    """A reference to what could not be processed; never its payload."""

    v: int = 1
    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    size: int = 0
    at_ns: int = 0


class SnapshotChunk(msgspec.Struct, frozen=True, kw_only=True, tag="flows", tag_field="t"):
    """A part of decode's state for one shard. Key: `<shard>/<slot>/<chunk>`.

    A snapshot is complete when all its chunks bear the same (shard, offset) and their number is `chunks`; two slots
    alternate, so that an interrupted snapshot leaves the previous one whole.
    """

    v: int = 1
    shard: int
    slot: int
    offset: int
    """The first offset of `weir.segments` that the state does not stand for."""
    chunk: int
    chunks: int
    data: bytes

"""A bus for stages that share a process: some topics in memory, all others on Kafka.

Only what nobody outside may need is joined in memory: packets where capture and filter share a process, and segments
where the whole chain from capture to decode does. Filter and decode without capture stay joined by Kafka, because a
conversation that two nodes saw has to meet in one decoder.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from weir.bus.api import Bus, OnAssigned, OnRevoked, Record, Start, Stream, Table, Topic
from weir.bus.topics import FLOWS, PACKETS, SEGMENTS


def local_topics(stages: Collection[str]) -> frozenset[str]:
    """Names of the topics that stay in a process with these stages."""
    local: set[str] = set()
    if {"capture", "filter"} <= set(stages):
        local.add(PACKETS.name)
        if "decode" in stages:
            # Snapshots name offsets of the log that they stand for: they live and die with it.
            local |= {SEGMENTS.name, FLOWS.name}
    return frozenset(local)


class JoinedBus:
    """Routes each topic to one of two buses."""

    def __init__(self, near: Bus, far: Bus, local: Collection[str]) -> None:
        self._near = near
        self._far = far
        self._local = frozenset(local)

    def _bus(self, topic: Topic) -> Bus:
        return self._near if topic.name in self._local else self._far

    def partitions(self, topic: Topic) -> int:
        return self._bus(topic).partitions(topic)

    async def start(self) -> None:
        await self._near.start()
        await self._far.start()

    async def publish(self, topic: Topic, records: Sequence[Record]) -> None:
        await self._bus(topic).publish(topic, records)

    def try_publish(self, topic: Topic, record: Record) -> bool:
        return self._bus(topic).try_publish(topic, record)

    def room(self) -> float:
        return min(self._near.room(), self._far.room())

    def outlives(self, topic: Topic) -> bool:
        return self._bus(topic).outlives(topic)

    async def flush(self) -> None:
        await self._near.flush()
        await self._far.flush()

    def stream(
        self,
        topic: Topic,
        *,
        group: str | None,
        member: str = "",
        start: Start = "earliest",
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> Stream:
        return self._bus(topic).stream(
            topic, group=group, member=member, start=start, on_assigned=on_assigned, on_revoked=on_revoked
        )

    async def table(self, topic: Topic) -> Table:
        return await self._bus(topic).table(topic)

    async def read_compacted(self, topic: Topic, partition: int) -> dict[bytes, Any]:
        return await self._bus(topic).read_compacted(topic, partition)

    def trouble(self) -> str:
        return self._far.trouble() or self._near.trouble()

    async def stop(self, deadline_s: float = 10.0) -> None:
        await self._near.stop(deadline_s)
        await self._far.stop(deadline_s)

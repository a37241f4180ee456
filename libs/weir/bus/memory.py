"""The bus of one process: bounded logs in memory with the partitions, groups and offsets of Kafka.

A log is bounded by what its groups have not read: whoever can wait waits in `publish`, `try_publish` refuses. What all
groups have read is freed at once. A topic that no group has read yet keeps its newest records within the same bound.
Nothing here polls or reads a clock but the one that is handed in, so that a simulation in virtual time repeats itself.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from weir.bus.api import OnAssigned, OnRevoked, Record, Start, Topic, Undecodable
from weir.bus.codec import OversizedValue, decode, encode
from weir.bus.memory_log import Limit, detached, weight
from weir.bus.memory_stream import MemoryStream, MemoryTable
from weir.bus.memory_topic import TopicState
from weir.bus.partition import partition_for
from weir.errors import BusError

MiB = 1 << 20
LIMITS: dict[str, Limit] = {"packets": Limit(8192, 64 * MiB), "segments": Limit(8192, 64 * MiB)}
"""For a whole topic, shared out to its partitions."""
DEFAULT_LIMIT = Limit(20_000, 64 * MiB)


class MemoryBroker:
    """The topics themselves; several buses on one broker are several processes (simulation, tests)."""

    def __init__(
        self,
        *,
        shards: int = 3,
        limits: Mapping[str, Limit] | None = None,
        redelivery: bool = False,
        retain_records: int = 0,
        session_timeout_s: float = 10.0,
        rebalance_timeout_s: float = 30.0,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.shards = shards
        self.session_timeout_s = session_timeout_s
        self.rebalance_timeout_s = rebalance_timeout_s
        self.now_ms = now_ms
        self._limits = {**LIMITS, **(limits or {})}
        self.redelivery = redelivery
        self._retain_records = retain_records
        self._topics: dict[str, TopicState] = {}
        self._streams = 0

    def partitions(self, topic: Topic) -> int:
        return self.shards if topic.sharded else 1

    def topic(self, instance: str, topic: Topic) -> TopicState:
        name = f"{instance}.{topic.name}"
        if name not in self._topics:
            partitions = self.partitions(topic)
            whole = self._limits.get(topic.name, DEFAULT_LIMIT)
            share = Limit(max(1, whole.records // partitions), max(1, whole.size // partitions))
            self._topics[name] = TopicState(
                topic, partitions, share, redelivery=self.redelivery, retain_records=self._retain_records,
            )
        return self._topics[name]

    def next_slot(self) -> str:
        """A name for a member that brings none; it sorts by age."""
        self._streams += 1
        return f"~{self._streams:08d}"

    def wake(self) -> None:
        for state in self._topics.values():
            state.wake()

    def close(self) -> None:
        """Let go of timers."""
        for state in self._topics.values():
            for group in state.groups.values():
                group.close()


class MemoryBus:
    """`weir.bus.api.Bus` in this process."""

    def __init__(
        self,
        instance: str = "weir",
        shards: int = 3,
        *,
        broker: MemoryBroker | None = None,
        roundtrip: bool = False,
        limits: Mapping[str, Limit] | None = None,
        redelivery: bool = False,
        retain_records: int = 0,
        linger_s: float = 0.0,
    ) -> None:
        """`roundtrip`: values travel encoded, as on Kafka. `linger_s`: what is published can be read by others after
        that time, or after `flush`; a crash before loses it, as on Kafka. `redelivery`: what was read but not marked is
        kept for the next owner. `retain_records`: so many records that were read are kept, for replay. With a `broker`,
        `shards`, `limits`, `redelivery` and `retain_records` are the broker's."""
        self.instance = instance
        self._own_broker = broker is None
        self.broker = broker or MemoryBroker(
            shards=shards, limits=limits, redelivery=redelivery, retain_records=retain_records,
        )
        self._roundtrip = roundtrip
        self._streams: list[MemoryStream] = []
        self._linger_s = linger_s
        self._lingering: deque[tuple[TopicState, int, bytes, Any, int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._live: dict[str, TopicState] = {}
        """Topics that were published to without waiting."""
        self._stopped = False

    def partitions(self, topic: Topic) -> int:
        return self.broker.partitions(topic)

    async def start(self) -> None:
        return None

    def expect(self, *topics: Topic) -> None:
        """A group will read these: keep everything for it, from the first record on."""
        for topic in topics:
            self._state(topic).expected = True

    async def publish(self, topic: Topic, records: Sequence[Record]) -> None:
        state = self._state(topic)
        for record in records:
            partition, value, size = self._prepare(topic, record)
            while not state.has_room(partition, size):
                self._check_running()
                await state.logs[partition].room()
            self._check_running()
            self._append(state, partition, record.key, value, size)

    def try_publish(self, topic: Topic, record: Record) -> bool:
        state = self._live[topic.name] = self._state(topic)
        partition, value, size = self._prepare(topic, record)
        if self._stopped or not state.has_room(partition, size):
            return False
        self._append(state, partition, record.key, value, size)
        return True

    def room(self) -> float:
        return min((state.free_share() for state in self._live.values()), default=1.0)

    def outlives(self, topic: Topic) -> bool:
        return not self._own_broker and self.broker.redelivery

    async def flush(self) -> None:
        self._check_running()
        self._arrive()

    def stream(
        self,
        topic: Topic,
        *,
        group: str | None,
        member: str = "",
        start: Start = "earliest",
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> MemoryStream:
        self._check_running()
        state = self._state(topic)
        joined = None
        if group is not None:
            joined = state.group(group, start, self.broker.session_timeout_s, self.broker.rebalance_timeout_s)
        stream = MemoryStream(
            state, partial(_decoded, topic),
            group=joined, slot=member or self.broker.next_slot(), static=bool(member), latest=start == "latest",
            on_assigned=on_assigned, on_revoked=on_revoked,
        )
        state.expected = state.expected and joined is None
        self._streams.append(stream)
        return stream

    async def table(self, topic: Topic) -> MemoryTable:
        self._check_running()
        return MemoryTable(self._state(topic), partial(_decoded, topic))

    async def read_compacted(self, topic: Topic, partition: int) -> dict[bytes, Any]:
        values: dict[bytes, Any] = {}
        for stored in self._state(topic).logs[partition]:
            value = _decoded(topic, stored.value)
            if isinstance(value, Undecodable):
                continue
            if value is None:
                values.pop(stored.key, None)
            else:
                values[stored.key] = value
        return values

    def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        """What retention does on Kafka: the records before an offset go, read or not."""
        state = self._state(topic)
        state.logs[partition].free(offset)
        state.wake()

    def trouble(self) -> str:
        return ""

    async def stop(self, deadline_s: float = 10.0) -> None:
        self._arrive()
        self._stopped = True
        for stream in self._streams:
            await stream.close()
        self._let_go()

    def crash(self) -> None:
        """End as a killed process does; the broker and other buses on it live on."""
        self._stopped = True
        for stream in self._streams:
            stream.crash()
        self._let_go()

    def _append(self, state: TopicState, partition: int, key: bytes, value: Any, size: int) -> None:
        if not self._linger_s:
            state.append(partition, key, value, self.broker.now_ms(), size)
            return
        self._lingering.append((state, partition, key, value, size))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._linger_s, self._arrive)

    def _arrive(self) -> None:
        """What lingered is in the logs from now on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._lingering:
            state, partition, key, value, size = self._lingering.popleft()
            state.append(partition, key, value, self.broker.now_ms(), size)

    def _let_go(self) -> None:
        self._lingering.clear()
        self._arrive()
        self._streams.clear()
        self.broker.wake()
        if self._own_broker:
            self.broker.close()

    def _state(self, topic: Topic) -> TopicState:
        return self.broker.topic(self.instance, topic)

    def _prepare(self, topic: Topic, record: Record) -> tuple[int, Any, int]:
        """Partition, value as it is kept, and its size."""
        partitions = self.partitions(topic)
        partition = partition_for(record.key, partitions) if record.partition is None else record.partition
        if not 0 <= partition < partitions:
            raise ValueError(f"{topic.name} has no partition {partition}")
        value, size = record.value, weight(record.value)
        if value is None:
            if topic.cleanup != "compact":
                raise ValueError(f"a tombstone on {topic.name}, which is not compacted")
        elif self._roundtrip:
            value = encode(topic, value)
            size = max(size, len(value))
        else:
            if 2 * size > topic.max_bytes:
                encode(topic, value)  # its size is an estimate; near the limit only the encoded size decides
            value = detached(value)
        return partition, value, size

    def _check_running(self) -> None:
        if self._stopped:
            raise BusError("the bus is stopped")


def _decoded(topic: Topic, value: Any) -> Any:
    return decode(topic, value) if type(value) is bytes else value


__all__ = ["DEFAULT_LIMIT", "LIMITS", "Limit", "MemoryBroker", "MemoryBus", "OversizedValue"]

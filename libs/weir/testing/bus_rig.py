"""What the bus contract runs on: a broker of one kind, with as many processes on it as a test wants."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from weir.bus.api import Batch, Bus, Received, Record, Topic
from weir.bus.kafka import KafkaBus
from weir.bus.memory import Limit, MemoryBroker, MemoryBus
from weir.bus.settings import BusSettings
from weir.bus.topics import ENDPOINTS, ENTRIES, PACKETS

SHARDS = 3
SESSION_S = 1.5
REBALANCE_S = 4.0
_instances = itertools.count(1)


class MemoryRig:
    """Processes on one MemoryBroker."""

    def __init__(self, *, roundtrip: bool, limits: dict[str, Limit] | None = None) -> None:
        self.kind = "roundtrip" if roundtrip else "memory"
        self.broker = MemoryBroker(
            shards=SHARDS, redelivery=True, limits=limits, session_timeout_s=0.2, rebalance_timeout_s=0.5,
        )
        self._roundtrip = roundtrip
        self._buses: list[MemoryBus] = []

    async def bus(self) -> MemoryBus:
        bus = MemoryBus(broker=self.broker, roundtrip=self._roundtrip)
        self._buses.append(bus)
        await bus.start()
        return bus

    async def crash(self, bus: Any) -> None:
        bus.crash()

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        self._buses[0].delete_before(topic, partition, offset)

    async def publish_raw(self, topic: Topic, key: bytes, value: bytes) -> None:
        """Foreign bytes on a topic."""
        self.broker.topic("weir", topic).append(0, key, value, 0, len(value))

    async def close(self) -> None:
        for bus in self._buses:
            await bus.stop()
        self.broker.close()


class KafkaRig:
    """Processes on a real Kafka, under an instance name of their own."""

    def __init__(
        self, bootstrap: str, topics: Sequence[Topic] = (ENTRIES, ENDPOINTS, PACKETS), **settings: Any
    ) -> None:
        self.kind = "kafka"
        self.instance = f"t{next(_instances)}"
        defaults = {"shards": SHARDS, "session_timeout_s": SESSION_S, "rebalance_timeout_s": REBALANCE_S}
        self.settings = BusSettings(url=bootstrap, **{**defaults, "request_timeout_s": 5.0, **settings})
        self._topics = topics
        self._buses: list[KafkaBus] = []

    async def bus(self) -> KafkaBus:
        bus = KafkaBus(self.settings, self.instance, topics=self._topics)
        self._buses.append(bus)
        await bus.start()
        return bus

    async def crash(self, bus: Any) -> None:
        await bus.crash()

    async def delete_before(self, topic: Topic, partition: int, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.url)
        await admin.start()
        try:
            where = TopicPartition(f"{self.instance}.{topic.name}", partition)
            await admin.delete_records({where: RecordsToDelete(before_offset=offset)})
        finally:
            await admin.close()

    async def publish_raw(self, topic: Topic, key: bytes, value: bytes) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.url, max_request_size=16 << 20)
        await producer.start()
        try:
            await producer.send_and_wait(f"{self.instance}.{topic.name}", value, key=key, partition=0)
        finally:
            await producer.stop()

    async def close(self) -> None:
        await asyncio.gather(*(bus.stop(4.0) for bus in self._buses))


Rig = MemoryRig | KafkaRig


class Member:
    """A member that reads in the background, keeps what it got, and marks it."""

    def __init__(
        self,
        bus: Bus,
        topic: Topic,
        *,
        marks: bool = True,
        handle: Callable[[Batch], Awaitable[None]] | None = None,
        starts: dict[int, int] | None = None,
        **options: Any,
    ) -> None:
        self.records: list[Received] = []
        self.assigned: list[list[int]] = []
        """Each assignment, in order."""
        self.revoked: list[list[int]] = []
        self.marks = marks
        self.mark_when_revoked: dict[int, int] = {}
        self._handle = handle
        self._starts = starts or {}
        self.changed = asyncio.Event()
        self.stream = bus.stream(
            topic, on_assigned=self._on_assigned, on_revoked=self._on_revoked, **{"group": "g", **options}
        )
        self.task = asyncio.ensure_future(self._run())

    @property
    def owned(self) -> frozenset[int]:
        return self.stream.assigned()

    def names(self) -> list[str]:
        """Ids of the entries it got."""
        return [record.value["id"] for record in self.records]

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20) -> None:
        """Wait for a condition on this member."""
        await until(condition, timeout_s, self.task)

    async def leave(self) -> None:
        await self.stream.close()
        await asyncio.wait({self.task}, timeout=5)

    async def _on_assigned(self, partitions: Sequence[int]) -> dict[int, int]:
        self.assigned.append(list(partitions))
        return {partition: start for partition, start in self._starts.items() if partition in partitions}

    async def _on_revoked(self, partitions: Sequence[int]) -> None:
        assert set(partitions) == self.owned
        for partition, offset in self.mark_when_revoked.items():
            await self.stream.mark(partition, offset)
        self.revoked.append(list(partitions))

    async def _run(self) -> None:
        async for batch in self.stream:
            if self._handle is not None:
                await self._handle(batch)
            self.records += batch.records
            if self.marks:
                await self.stream.mark(batch.partition, batch.next_offset)


async def until(condition: Callable[[], bool], timeout_s: float = 20, task: asyncio.Task[Any] | None = None) -> None:
    """Wait for a condition; fails with the task's error where it has one, and at the time limit."""
    end = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if task is not None and task.done():
            task.result()
        if asyncio.get_running_loop().time() > end:
            raise AssertionError(f"not within {timeout_s} s: {condition}")
        await asyncio.sleep(0.005)


def entry(name: str, **fields: Any) -> dict[str, Any]:
    return {"v": 1, "id": name, "timestamp": 1, **fields}


def entries(names: Iterable[str], partition: int | None = None) -> list[Record]:
    """One record for each name, keyed by it."""
    return [Record(name.encode(), entry(name), partition) for name in names]

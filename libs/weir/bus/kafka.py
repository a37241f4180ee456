"""The bus on a Kafka cluster, by aiokafka: the same interface and semantics as `memory`.

At-least-once with order in each partition; no idempotent producer and no auto-commit, because both hang in aiokafka
when the broker is gone. Whatever waits for the cluster has a deadline or ends with `stop`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from weir.bus.admin import ensure_on, missing_on
from weir.bus.api import OnAssigned, OnRevoked, Record, Start, Topic
from weir.bus.codec import encode
from weir.bus.kafka_link import CLUSTER, Away, Backoff, Link, abandon, dispose, within
from weir.bus.kafka_send import Budget, Lane, Parcel, parcel
from weir.bus.kafka_stream import ANEW, KafkaStream
from weir.bus.kafka_table import KafkaTable, read_compacted
from weir.bus.partition import partition_for
from weir.bus.settings import BusSettings
from weir.bus.topics import TOPICS
from weir.errors import BusError

T = TypeVar("T")
PULSE_S = 2.0
RECONNECT_S = 30.0
"""After so long without the cluster its addresses are looked up again."""


class KafkaBus:
    """`weir.bus.api.Bus` on Kafka."""

    def __init__(
        self, settings: BusSettings, instance: str = "weir", *, topics: Sequence[Topic] = TOPICS, create: bool = True
    ) -> None:
        """`topics` are checked, and created where they are missing, when the bus starts."""
        self.settings = settings
        self.instance = instance
        self._link = Link(settings, instance)
        self._topics = topics
        self._create = create
        self._producer: Any = None
        self._budget = Budget(settings.in_flight_bytes)
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._open: list[KafkaStream | KafkaTable] = []
        self._pulse: asyncio.Task[None] | None = None
        self._fatal: BusError | None = None
        self._stopped = False

    def partitions(self, topic: Topic) -> int:
        return self.settings.shards if topic.sharded else 1

    async def start(self) -> None:
        self._link.log.__enter__()
        try:
            self._producer = await self._persist(self._connect)
            await self._persist(lambda: ensure_on(self._link, self._create, self._topics))
        except BaseException:
            await self._let_go(1.0)
            raise
        self._link.well(CLUSTER)
        self._pulse = asyncio.ensure_future(self._watch())

    async def _connect(self) -> Any:
        producer = self._link.producer()
        await self._link.connect(producer)
        return producer

    async def _persist(self, step: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds; BusError (refused, misconfigured) ends it."""
        backoff = Backoff()
        while True:
            try:
                return await step()
            except Away:
                await backoff.pause()

    async def publish(self, topic: Topic, records: Sequence[Record]) -> None:
        budget = self._budget
        for record in records:
            lane, sent = self._prepare(topic, record)
            while not budget.has(sent.size):
                self._check()
                await budget.room()
            self._check()
            lane.put(sent)

    def try_publish(self, topic: Topic, record: Record) -> bool:
        if self._stopped or self._fatal is not None:
            return False
        lane, sent = self._prepare(topic, record)
        if not self._budget.has(sent.size):
            return False
        lane.put(sent)
        return True

    def room(self) -> float:
        return self._budget.share()

    def outlives(self, topic: Topic) -> bool:
        return True

    async def flush(self) -> None:
        self._check()
        await self._flush()

    async def _flush(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        pending = {future for lane in self._lanes.values() if (future := lane.flushed()) is not None}
        if pending:
            await asyncio.wait(pending)
        if self._fatal is not None:
            raise self._fatal
        if any(future.cancelled() for future in pending):
            raise BusError("the bus is stopped")

    def stream(
        self,
        topic: Topic,
        *,
        group: str | None,
        member: str = "",
        start: Start = "earliest",
        on_assigned: OnAssigned | None = None,
        on_revoked: OnRevoked | None = None,
    ) -> KafkaStream:
        self._check()
        stream = KafkaStream(
            self._link, topic, range(self.partitions(topic)),
            group=group, member=member, start=start, on_assigned=on_assigned, on_revoked=on_revoked,
        )
        self._open.append(stream)
        return stream

    async def table(self, topic: Topic) -> KafkaTable:
        self._check()
        table = KafkaTable(self._link, topic, self.partitions(topic))
        self._open.append(table)
        await table.load()
        return table

    async def read_compacted(self, topic: Topic, partition: int) -> dict[bytes, Any]:
        self._check()
        stream = KafkaStream(self._link, topic, [partition], group=None)
        self._open.append(stream)
        try:
            return await read_compacted(stream)
        finally:
            self._open.remove(stream)

    def trouble(self) -> str:
        return self._fatal.message if self._fatal is not None else self._link.trouble()

    async def stop(self, deadline_s: float = 10.0) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._budget.wake()
        try:
            with contextlib.suppress(TimeoutError, BusError):
                await asyncio.wait_for(self._flush(), 0.5 * deadline_s)
            await self._close_readers(0.25 * deadline_s)
        finally:
            await self._let_go(0.2 * deadline_s)

    async def crash(self) -> None:
        """End as a killed process does: nothing is flushed, marked or told to the broker. For tests."""
        self._stopped = True
        for reader in self._open:
            await reader.crash()
        self._open.clear()
        if self._producer is not None:
            await abandon(self._producer)
        await self._let_go(1.0)

    async def _let_go(self, deadline_s: float) -> None:
        for lane in self._lanes.values():
            lane.stop()
        if self._pulse is not None:
            self._pulse.cancel()
        self._link.log.__exit__()
        producer, self._producer = self._producer, None
        if producer is not None:
            await dispose(producer, deadline_s)

    async def _close_readers(self, deadline_s: float) -> None:
        closing = [asyncio.ensure_future(reader.close(0.5 * deadline_s)) for reader in self._open]
        self._open.clear()
        if closing:
            _, late = await asyncio.wait(closing, timeout=deadline_s)
            for task in late:
                task.cancel()

    def _prepare(self, topic: Topic, record: Record) -> tuple[Lane, Parcel]:
        partitions = self.settings.shards if topic.sharded else 1
        partition = partition_for(record.key, partitions) if record.partition is None else record.partition
        if not 0 <= partition < partitions:
            raise ValueError(f"{topic.name} has no partition {partition}")
        if record.value is None and topic.cleanup != "compact":
            raise ValueError(f"a tombstone on {topic.name}, which is not compacted")
        value = None if record.value is None else encode(topic, record.value)
        lane = self._lanes.get((topic.name, partition))
        return lane or self._open_lane(topic, partition), parcel(record.key, value)

    def _open_lane(self, topic: Topic, partition: int) -> Lane:
        lane = Lane(
            self._link, self._live_producer, self._budget, self._link.topic_name(topic.name), partition, self._fail
        )
        self._lanes[topic.name, partition] = lane
        return lane

    def _live_producer(self) -> Any:
        if self._producer is None:
            raise KafkaError("not connected")
        return self._producer

    def _fail(self, error: BusError) -> None:
        """Nothing that was handed over can be sent any more: whoever publishes, flushes or reads is told."""
        self._fatal = error
        for reader in self._open:
            reader.fail(error)
        for lane in self._lanes.values():
            lane.abandon_flushes()
        self._budget.wake()

    def _check(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        if self._stopped:
            raise BusError("the bus is stopped")

    async def _watch(self) -> None:
        """Notice an outage without traffic, and look for the cluster anew when it lasts."""
        seen = time.monotonic()
        while True:
            await asyncio.sleep(PULSE_S)
            troubled = bool(self._link.trouble())
            if await self._answers():
                if troubled:
                    await self._look_for_topics()
                self._link.well(CLUSTER)
                seen = time.monotonic()
                continue
            self._link.blame(CLUSTER)
            if time.monotonic() - seen > RECONNECT_S:
                await self._reconnect()

    async def _answers(self) -> bool:
        try:
            return bool(await within(self.settings.request_timeout_s, self._producer.client.force_metadata_update()))
        except (KafkaError, TimeoutError):
            return False

    async def _look_for_topics(self) -> None:
        """A cluster that came back without its data would be waited for in vain, and what this process remembers of
        offsets is not true of new topics. It ends; as it starts again the topics are made, and all state anew."""
        try:
            missing = await missing_on(self._link, self._topics)
        except (Away, BusError):
            return
        if missing:
            self._fail(BusError(f"topics that were there are gone: {', '.join(missing)}", hint=ANEW))

    async def _reconnect(self) -> None:
        try:
            fresh = await self._connect()
        except (Away, BusError):
            return
        old, self._producer = self._producer, fresh
        await dispose(old, 1.0)

"""Workers that are killed, rolled and hired at random on a real Kafka: everything is processed, nothing is left."""

from __future__ import annotations

import asyncio
import random

import pytest

from weir.bus.api import Record
from weir.bus.kafka import KafkaBus
from weir.bus.topics import ENTRIES, SEGMENTS
from weir.model.segments import SegmentBlock
from weir.testing.bus_rig import SHARDS, KafkaRig, entry, until
from weir.testing.pytest_kafka import SecuredKafka

pytestmark = pytest.mark.kafka
RECORDS = 1500


class Worker:
    """Turns each segment into an entry: publish, flush, mark."""

    def __init__(self, bus: KafkaBus, name: str) -> None:
        self.bus = bus
        self.stream = bus.stream(SEGMENTS, group="decode", member=name)
        self.task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        async for batch in self.stream:
            for record in batch.records:
                name = str(record.value.origin_offset)
                await self.bus.publish(ENTRIES, [Record(name.encode(), entry(name))])
            await self.bus.flush()
            await self.stream.mark(batch.partition, batch.next_offset)

    async def leave(self, kill: bool) -> None:
        if kill:
            self.task.cancel()
            await self.bus.crash()
        else:
            await self.stream.close()
            await self.bus.stop(3)
        await asyncio.wait({self.task}, timeout=3)


async def feed(bus: KafkaBus) -> None:
    for number in range(RECORDS):
        segment = SegmentBlock(
            node="n", ring=0, run=1, shard=0, shards=SHARDS, origin_partition=0, origin_offset=number, clock_ns=1,
            linktype=1,
        )
        await bus.publish(SEGMENTS, [Record(b"", segment, number % SHARDS)])
        await asyncio.sleep(0.003)  # so that there is work all the time


async def collect(bus: KafkaBus, done: set[str]) -> None:
    async for batch in bus.stream(ENTRIES, group="store"):
        done.update(record.value["id"] for record in batch.records)


async def test_everything_is_processed_whoever_dies(kafka: SecuredKafka) -> None:
    before = asyncio.all_tasks()
    chance = random.Random(1)
    rig = KafkaRig(kafka.bootstrap, (SEGMENTS, ENTRIES))
    source, done = await rig.bus(), set[str]()
    feeding, collecting = asyncio.ensure_future(feed(source)), asyncio.ensure_future(collect(source, done))
    workers = {name: Worker(await rig.bus(), name) for name in ("a", "b")}
    while not feeding.done():
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        name = chance.choice("abc")
        if name in workers:
            await workers.pop(name).leave(kill=chance.random() < 0.5)
        if chance.random() < 0.8:
            workers[name] = Worker(await rig.bus(), name if chance.random() < 0.7 else "")
    if not workers:
        workers["a"] = Worker(await rig.bus(), "a")
    await until(lambda: done == {str(number) for number in range(RECORDS)}, 30)
    await rig.close()
    await asyncio.wait({collecting, *(worker.task for worker in workers.values())}, timeout=3)
    await until(lambda: all(task.done() for task in asyncio.all_tasks() - before), 3)

"""Processes that are killed at any await, roll, come and go: what was published is processed, in every run alike."""

from __future__ import annotations

import asyncio
import random

import pytest

from weir.bus.api import Record
from weir.bus.memory import Limit, MemoryBroker, MemoryBus
from weir.bus.topics import ENTRIES, SEGMENTS
from weir.errors import BusError
from weir.model.segments import SegmentBlock
from weir.testing.bus_rig import entry, until

SHARDS = 3
RECORDS = 60


def segment(number: int) -> SegmentBlock:
    return SegmentBlock(
        node="n", ring=0, run=1, shard=0, shards=SHARDS, origin_partition=0, origin_offset=number, clock_ns=1,
        linktype=1,
    )


class Worker:
    """Turns each segment into an entry: publish, flush, mark."""

    def __init__(self, broker: MemoryBroker, chance: random.Random, name: str) -> None:
        self.bus = MemoryBus(broker=broker, roundtrip=chance.random() < 0.5, linger_s=0.002)
        self._chance = chance
        self.stream = self.bus.stream(
            SEGMENTS, group="decode", member=name, on_assigned=self._assigned, on_revoked=self._revoked
        )
        self.task = asyncio.ensure_future(self._work())

    async def _assigned(self, partitions: object) -> dict[int, int]:
        await self._dawdle()
        return {}

    async def _revoked(self, partitions: object) -> None:
        await self._dawdle()

    async def _dawdle(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    async def _work(self) -> None:
        async for batch in self.stream:
            await self._dawdle()
            for record in batch.records:
                number = record.value.origin_offset
                await self.bus.publish(ENTRIES, [Record(b"%d" % number, entry(str(number)))])
                await self._dawdle()
            await self.bus.flush()
            await self._dawdle()
            await self.stream.mark(batch.partition, batch.next_offset)

    async def kill(self) -> None:
        self.task.cancel()
        self.bus.crash()
        await asyncio.wait({self.task})
        if not self.task.cancelled() and not isinstance(self.task.exception(), (BusError, type(None))):
            self.task.result()

    async def roll(self) -> None:
        await self.stream.close()
        await asyncio.wait({self.task})
        await self.bus.stop()
        if not isinstance(self.task.exception(), (BusError, type(None))):
            self.task.result()


@pytest.mark.parametrize("seed", range(40))
async def test_everything_is_processed_whoever_dies(seed: int) -> None:
    chance = random.Random(seed)
    broker = MemoryBroker(
        shards=SHARDS, redelivery=True, session_timeout_s=0.005, rebalance_timeout_s=0.02,
        limits={"segments": Limit(30, 1 << 20)},
    )
    source = MemoryBus(broker=broker)
    done: set[str] = set()
    workers: dict[str, Worker] = {}

    def hire(name: str) -> None:
        workers[name] = Worker(broker, chance, name if chance.random() < 0.5 else "")

    async def feed() -> None:
        for number in range(RECORDS):
            await source.publish(SEGMENTS, [Record(b"", segment(number), number % SHARDS)])
            if chance.random() < 0.3:
                await asyncio.sleep(0)

    async def collect() -> None:
        async for batch in source.stream(ENTRIES, group="store"):
            done.update(record.value["id"] for record in batch.records)

    for name in ("decode-0", "decode-1"):
        hire(name)
    feeding, collecting = asyncio.ensure_future(feed()), asyncio.ensure_future(collect())
    for _ in range(12):
        for _ in range(chance.randrange(1, 15)):
            await asyncio.sleep(0)
        name = f"decode-{chance.randrange(3)}"
        if name in workers:
            await (workers.pop(name).kill() if chance.random() < 0.6 else workers.pop(name).roll())
        if chance.random() < 0.8:
            hire(name)
    for name in ("decode-0", "decode-1"):
        if name not in workers:
            hire(name)
    wanted = {str(number) for number in range(RECORDS)}
    await until(lambda: done == wanted, 10)
    await feeding
    for worker in workers.values():
        await worker.kill()
    await source.stop()
    await collecting
    broker.close()

"""Hosting stages: the drain follows the data, failures end the process, nothing is waited for beyond its deadline."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import msgspec
import pytest

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import DEAD, HEALTH
from weir.errors import SourceError
from weir.model.health import DeadLetter
from weir.runtime.run import Host
from weir.runtime.service import Service
from weir.runtime.settings import RuntimeSettings


class NoSettings(msgspec.Struct, frozen=True):
    pass


def letter(n: int) -> Record:
    return Record(b"k", DeadLetter(topic="t", partition=0, offset=n, stage="s", reason="r"))


class Maker(Service):
    name = "maker"
    title = "makes ten records"
    Settings = NoSettings
    produces = (DEAD,)

    async def run(self) -> None:
        for n in range(10):
            await self.context.bus.publish(DEAD, [letter(n)])
            self.context.counts.add("maker.records")


class Taker(Service):
    name = "taker"
    title = "takes them"
    Settings = NoSettings
    consumes = (DEAD,)
    taken: ClassVar[list[int]] = []

    async def run(self) -> None:
        stream = self.context.bus.stream(DEAD, group="takers")
        self.context.lags[DEAD.name] = stream.lag

        async def read() -> None:
            async for batch in stream:
                self.taken.extend(r.value.offset for r in batch.records)
                await stream.mark(batch.partition, batch.next_offset)

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(read())
            await self.context.stop.wait()
            await stream.close()
            await reading


class Failing(Service):
    name = "failing"
    title = "fails at once"
    Settings = NoSettings

    async def run(self) -> None:
        raise SourceError("no packets here", hint="look elsewhere")


class FailingInside(Failing):
    name = "inside"

    async def run(self) -> None:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
            outer.create_task(asyncio.Event().wait())
            inner.create_task(super().run())


class Stubborn(Service):
    name = "stubborn"
    title = "never ends by itself"
    Settings = NoSettings

    async def run(self) -> None:
        await asyncio.Event().wait()


def host(*stages: type[Service], drain_s: float = 5.0) -> Host:
    settings = RuntimeSettings(drain_s=drain_s, heartbeat_s=0.1)
    return Host(
        [(stage, NoSettings()) for stage in stages], MemoryBus(), settings, embedded=True, process="p", node="n"
    )


async def test_what_was_made_is_taken_before_the_process_ends() -> None:
    Taker.taken.clear()
    both = host(Maker, Taker)
    running = asyncio.ensure_future(both.run())
    await both.ready.wait()
    both.stop.set()
    await running
    assert Taker.taken == list(range(10))
    assert both.totals.counters["maker.records"] == 10
    assert both.totals.lost() == {}


async def test_it_ends_when_every_stage_came_to_its_end() -> None:
    await asyncio.wait_for(host(Maker).run(), 5)


@pytest.mark.parametrize("failing", [Failing, FailingInside])
async def test_a_failure_ends_the_process_and_is_told(failing: type[Service]) -> None:
    Taker.taken.clear()
    with pytest.raises(SourceError, match="no packets here"):
        await asyncio.wait_for(host(failing, Taker).run(), 5)


async def test_a_stage_that_does_not_end_is_cut_off_and_counted() -> None:
    stubborn = host(Stubborn, drain_s=0.05)
    running = asyncio.ensure_future(stubborn.run())
    await stubborn.ready.wait()
    stubborn.stop.set()
    await asyncio.wait_for(running, 5)
    assert stubborn.totals.lost() == {"stubborn.cut_off": 1}


async def test_heartbeats_tell_counters_and_end_with_a_tombstone() -> None:
    both = host(Maker, Stubborn, drain_s=0.05)
    running = asyncio.ensure_future(both.run())
    await both.ready.wait()
    table = await both.bus.table(HEALTH)
    version = await table.changed(0)
    while not (beat := table.get(b"p")) or not beat.counters:
        version = await table.changed(version)
    assert beat.stages == ["maker", "stubborn"]
    assert beat.counters["maker.records"] == 10
    assert beat.rss_bytes > 0
    both.stop.set()
    await asyncio.wait_for(running, 5)


class AwayBus(MemoryBus):
    async def start(self) -> None:
        await asyncio.Event().wait()

    def trouble(self) -> str:
        return "no broker answers"


async def test_a_bus_that_stays_away_does_not_keep_the_process() -> None:
    away = Host([(Maker, NoSettings())], AwayBus(), RuntimeSettings(), embedded=False, process="p", node="n")
    running = asyncio.ensure_future(away.run())
    away.stop.set()
    await asyncio.wait_for(running, 5)
    assert not away.ready.is_set()

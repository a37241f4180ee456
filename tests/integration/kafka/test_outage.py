"""A broker that is killed, frozen or never there: nothing is lost, nothing hangs, and the reason is told."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from weir.bus.api import Record
from weir.bus.kafka import KafkaBus
from weir.bus.settings import BusSettings
from weir.bus.topics import ENDPOINTS, ENTRIES, PACKETS
from weir.errors import BusError
from weir.testing.bus_rig import SHARDS, KafkaRig, Member, entries, entry, until
from weir.testing.kafka.realkafka import free_port
from weir.testing.pytest_kafka import SecuredKafka

pytestmark = pytest.mark.kafka
FIRST_S, AWAY_S = 4.0, 12.0


@pytest.fixture
async def rig(kafka: SecuredKafka) -> AsyncIterator[KafkaRig]:
    made = KafkaRig(kafka.bootstrap, request_timeout_s=2.0, stall_s=5.0)
    yield made
    await made.close()


def leftovers(before: set[asyncio.Task[object]]) -> list[str]:
    return [repr(task.get_coro()) for task in asyncio.all_tasks() - before if not task.done()]


async def test_a_broker_that_is_killed_and_returns(kafka: SecuredKafka, rig: KafkaRig) -> None:
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    table = await bus.table(ENDPOINTS)
    await bus.publish(ENTRIES, entries(f"before{i}" for i in range(50)))
    await reader.until(lambda: len(reader.records) == 50)
    kafka.kill()
    try:
        await bus.publish(ENTRIES, entries(f"during{i}" for i in range(50)))
        flushing = asyncio.ensure_future(bus.flush())
        await until(lambda: "refused" in bus.trouble() or "closed" in bus.trouble())
        assert kafka.bootstrap in bus.trouble()
        assert not flushing.done()
    finally:
        kafka.spawn()
    await asyncio.to_thread(kafka.wait_ready)
    await asyncio.wait_for(flushing, 30)
    await bus.publish(ENTRIES, entries(f"after{i}" for i in range(50)))
    wanted = {f"{when}{i}" for when in ("before", "during", "after") for i in range(50)}
    await reader.until(lambda: set(reader.names()) == wanted, 40)
    await bus.publish(ENDPOINTS, [Record(b"k", None)])
    await until(lambda: table.version > 0, 30)
    await until(lambda: bus.trouble() == "", 10)
    for partition in range(SHARDS):
        seen = [r.offset for r in reader.records if r.partition == partition]
        assert sorted(set(seen)) == list(range(max(seen) + 1))


async def test_a_broker_that_is_away_is_asked_for_seldom(
    kafka: SecuredKafka, rig: KafkaRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By one client of a process for all: on a cluster each attempt is names to look up, and flows to watch."""
    loop = asyncio.get_running_loop()
    tries: list[float] = []
    connect = loop.create_connection

    async def counted(*args: Any, **options: Any) -> Any:
        tries.append(loop.time())
        return await connect(*args, **options)

    bus = await rig.bus()
    readers = [Member(bus, topic, group=group) for topic in (ENTRIES, PACKETS) for group in ("g", None)]
    table = await bus.table(ENDPOINTS)
    await readers[0].until(lambda: all(len(reader.owned) == SHARDS for reader in readers))
    monkeypatch.setattr(loop, "create_connection", counted)
    kafka.kill()
    killed = loop.time()
    try:
        await bus.publish(ENTRIES, entries(f"during{i}" for i in range(SHARDS * 4)))
        await until(lambda: loop.time() - killed > AWAY_S, 2 * AWAY_S)
    finally:
        kafka.spawn()
    await asyncio.to_thread(kafka.wait_ready)
    early = [at for at in tries if at - killed <= FIRST_S]
    late = [at for at in tries if FIRST_S < at - killed <= AWAY_S]
    assert 3 <= len(early) < 40
    assert 1 <= len(late) < 1.5 * (AWAY_S - FIRST_S)
    assert "refused" in bus.trouble()
    version = table.version
    await bus.publish(ENDPOINTS, [Record(b"k", None)])
    await asyncio.wait_for(bus.flush(), 10)
    await until(lambda: table.version > version and len(readers[0].records) >= SHARDS * 4, 20)


async def test_a_frozen_broker_fills_the_queue_and_holds_publishers_back(kafka: SecuredKafka) -> None:
    rig = KafkaRig(kafka.bootstrap, in_flight_bytes=1 << 20, request_timeout_s=2.0)
    bus = await rig.bus()
    assert kafka.process is not None
    text = {"body": {"text": "x" * 50_000}}
    os.kill(kafka.process.pid, signal.SIGSTOP)
    try:
        sent = 0
        while bus.try_publish(ENTRIES, Record(b"k", entry(f"n{sent}", request=text))):
            sent += 1
        assert 15 <= sent <= 21
        assert bus.room() < 0.1
        waiting = asyncio.ensure_future(bus.publish(ENTRIES, [Record(b"k", entry("last", request=text))]))
        await until(lambda: bus.trouble() != "")
        assert not waiting.done()
    finally:
        os.kill(kafka.process.pid, signal.SIGCONT)
    await asyncio.wait_for(waiting, 20)
    await asyncio.wait_for(bus.flush(), 20)
    assert bus.room() == 1.0
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: "last" in reader.names())
    seen = list(dict.fromkeys(reader.names()))
    assert seen == [f"n{i}" for i in range(sent)] + ["last"]
    await rig.close()


async def test_stop_keeps_its_deadline_with_the_broker_gone(kafka: SecuredKafka, rig: KafkaRig) -> None:
    before = asyncio.all_tasks()
    bus = await rig.bus()
    readers = [Member(bus, ENTRIES), Member(bus, ENTRIES, group=None)]
    await bus.table(ENDPOINTS)
    await readers[0].until(lambda: len(readers[0].owned) == SHARDS)
    kafka.kill()
    try:
        await bus.publish(ENTRIES, entries(["lost"]))
        await readers[0].stream.mark(0, 0)
        start = time.monotonic()
        await bus.stop(4.0)
        assert time.monotonic() - start < 5.0
        await asyncio.wait([reader.task for reader in readers], timeout=1)
        await until(lambda: not leftovers(before), 3)
        with pytest.raises(BusError):
            await bus.flush()
    finally:
        kafka.spawn()
        await asyncio.to_thread(kafka.wait_ready)


async def test_start_waits_for_a_broker_that_is_away_and_says_so() -> None:
    before = asyncio.all_tasks()
    bus = KafkaBus(BusSettings(url=f"127.0.0.1:{free_port()}"))
    starting = asyncio.ensure_future(bus.start())
    await until(lambda: "connection refused" in bus.trouble())
    assert not starting.done()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await bus.stop(1.0)
    await until(lambda: not leftovers(before), 2)


async def test_an_unknown_host_is_named() -> None:
    bus = KafkaBus(BusSettings(url="no-such-host.invalid:9092"))
    starting = asyncio.ensure_future(bus.start())
    await until(lambda: "unknown host" in bus.trouble())
    assert "no-such-host.invalid" in bus.trouble()
    starting.cancel()
    await asyncio.wait({starting})
    await bus.stop(1.0)


async def test_readers_wait_for_the_broker_and_can_be_closed_meanwhile() -> None:
    before = asyncio.all_tasks()
    bus = KafkaBus(BusSettings(url=f"127.0.0.1:{free_port()}"))
    reader = Member(bus, ENTRIES)
    loading = asyncio.ensure_future(bus.table(ENDPOINTS))
    await until(lambda: bus.trouble() != "")
    assert not loading.done()
    assert not reader.task.done()
    loading.cancel()
    await bus.stop(2.0)
    await asyncio.wait_for(reader.task, 2)
    await until(lambda: not leftovers(before), 3)


async def test_a_reader_that_falls_silent_is_made_anew(kafka: SecuredKafka) -> None:
    rig = KafkaRig(kafka.bootstrap, stall_s=1.0)
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.owned) == SHARDS)
    silent = reader.stream._consumer
    silent.pause(*silent.assignment())
    await bus.publish(ENTRIES, entries(["heard"]))
    await reader.until(lambda: reader.names() == ["heard"])
    assert reader.stream._consumer is not silent
    await rig.close()


async def test_retention_overtakes_a_reader(kafka: SecuredKafka, rig: KafkaRig) -> None:
    bus = await rig.bus()
    gate = asyncio.Event()

    async def hold(_: object) -> None:
        await gate.wait()

    text = {"body": {"text": "x" * 10_000}}
    await bus.publish(ENTRIES, [Record(b"k", entry(f"n{i}", request=text), 0) for i in range(1000)])
    await bus.flush()
    reader = Member(bus, ENTRIES, handle=hold)
    await reader.until(lambda: len(reader.owned) == SHARDS)
    await rig.delete_before(ENTRIES, 0, 990)
    gate.set()
    await reader.until(lambda: bool(reader.records) and reader.records[-1].offset == 999)
    lost = sum(overtaken.records for overtaken in reader.stream.overtaken())
    assert len(reader.records) + lost == 1000

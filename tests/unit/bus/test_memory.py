from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from weir.bus.api import Overtaken, Record
from weir.bus.memory import Limit, MemoryBroker, MemoryBus
from weir.bus.topics import ENDPOINTS, ENTRIES, HEALTH, PACKETS
from weir.errors import BusError
from weir.model.control import EndpointRecord
from weir.model.packets import PacketBlock
from weir.testing.bus_rig import Member, entries, until


def block(size: int, sequence: int = 0) -> PacketBlock:
    return PacketBlock(node="n", ring=0, run=1, sequence=sequence, clock_ns=1, data=bytes(size))


def small(records: int = 10, size: int = 1 << 20, **options: Any) -> MemoryBus:
    limit = Limit(records * 3, size * 3)
    return MemoryBus(limits={"entries": limit, "packets": limit}, **options)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_publish_waits_for_a_group_that_is_behind() -> None:
    bus = small()
    stream = bus.stream(ENTRIES, group="g")
    publishing = asyncio.ensure_future(bus.publish(ENTRIES, entries((f"n{i}" for i in range(25)), 0)))
    await settle()
    assert not publishing.done()
    assert not bus.try_publish(ENTRIES, entries(["no room"], 0)[0])
    assert bus.room() == 0.0
    assert bus.try_publish(ENTRIES, entries(["other partition"], 1)[0])
    seen: list[str] = []
    while len(seen) < 26:
        seen += [record.value["id"] for record in (await anext(stream)).records]
    await publishing
    assert [name for name in seen if name.startswith("n")] == [f"n{i}" for i in range(25)]
    assert bus.room() == 1.0
    await bus.stop()


async def test_bytes_bound_a_log_too() -> None:
    bus = small(records=1000, size=100_000)
    stream = bus.stream(PACKETS, group="g")
    sent = 0
    while bus.try_publish(PACKETS, Record(b"", block(20_000, sent), 0)):
        sent += 1
    assert sent == 4
    await anext(stream)
    assert bus.try_publish(PACKETS, Record(b"", block(20_000), 0))
    await bus.stop()


async def test_one_record_always_has_room() -> None:
    bus = small(size=1000)
    bus.stream(PACKETS, group="g")
    assert bus.try_publish(PACKETS, Record(b"", block(50_000), 0))
    assert not bus.try_publish(PACKETS, Record(b"", block(10), 0))
    await bus.stop()


async def test_without_a_group_the_newest_records_are_kept() -> None:
    bus = small()
    await bus.publish(ENTRIES, entries((f"n{i}" for i in range(100)), 0))
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.records) == 10)
    assert reader.names() == [f"n{i}" for i in range(90, 100)]
    await bus.stop()


async def test_an_expected_group_finds_everything() -> None:
    bus = small()
    bus.expect(ENTRIES)
    publishing = asyncio.ensure_future(bus.publish(ENTRIES, entries((f"n{i}" for i in range(100)), 0)))
    await settle()
    assert not publishing.done()
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.records) == 100)
    await publishing
    await bus.stop()


async def test_what_every_group_has_read_is_freed() -> None:
    bus = small(records=1000)
    one, two = Member(bus, PACKETS, group="one"), Member(bus, PACKETS, group="two")
    for i in range(50):
        await bus.publish(PACKETS, [Record(b"", block(10_000, i), 0)])
    await until(lambda: len(one.records) == len(two.records) == 50)
    await settle()
    assert bus.broker.topic("weir", PACKETS).logs[0].size == 0
    await bus.stop()


async def test_a_retained_tail_can_be_replayed() -> None:
    bus = MemoryBus(retain_records=5)
    first = Member(bus, ENTRIES)
    await bus.publish(ENTRIES, entries((f"n{i}" for i in range(20)), 0))
    await first.until(lambda: len(first.records) == 20)
    await settle()
    replay = Member(bus, ENTRIES, group=None)
    await replay.until(lambda: len(replay.records) == 5)
    assert replay.names() == [f"n{i}" for i in range(15, 20)]
    await bus.stop()


async def test_a_reader_without_a_group_holds_nobody_back_and_is_told() -> None:
    bus = small()
    tail = bus.stream(ENTRIES, group=None)
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.owned) == 3)
    for i in range(50):
        await bus.publish(ENTRIES, entries([f"n{i}"], 0))
        await reader.until(lambda i=i: len(reader.records) == i + 1)
    batch = await anext(tail)
    assert [record.value["id"] for record in batch.records] == [f"n{i}" for i in range(40, 50)]
    assert tail.overtaken() == [Overtaken(0, 40)]
    await bus.stop()


async def test_an_unfinished_batch_goes_to_the_next_owner() -> None:
    bus = MemoryBus()
    gate = asyncio.Event()

    async def stuck(_: object) -> None:
        await gate.wait()

    first = Member(bus, ENTRIES, handle=stuck)
    await bus.publish(ENTRIES, entries(["a", "b"], 0))
    await first.until(lambda: sum(first.stream.lag().values()) == 0 and bool(first.owned))
    await first.stream.close()
    first.task.cancel()
    second = Member(bus, ENTRIES)
    await second.until(lambda: len(second.records) == 2)
    await bus.stop()


async def test_a_view_of_a_ring_is_copied_and_a_view_of_bytes_is_not() -> None:
    bus = MemoryBus()
    stream = bus.stream(PACKETS, group="g")
    ring = bytearray(b"first")
    fixed = memoryview(b"fixed")
    for data in (memoryview(ring), fixed):
        await bus.publish(PACKETS, [Record(b"", msgspec.structs.replace(block(0), data=data), 0)])
    ring[:] = b"later"
    received = [record.value for record in (await anext(stream)).records]
    assert received[0].data == b"first"
    assert received[1].data is fixed
    await bus.stop()


async def test_values_are_not_encoded_unless_asked() -> None:
    value = {"v": 1, "id": "x", "timestamp": 1}
    for roundtrip in (False, True):
        bus = MemoryBus(roundtrip=roundtrip)
        stream = bus.stream(ENTRIES, group="g")
        await bus.publish(ENTRIES, [Record(b"", value, 0)])
        [record] = (await anext(stream)).records
        assert record.value == value
        assert (record.value is value) is not roundtrip
        await bus.stop()


async def test_compaction_keeps_the_newest_of_each_key() -> None:
    bus = MemoryBus()
    for i in range(2000):
        value = EndpointRecord(address="a", uid=str(i))
        await bus.publish(ENDPOINTS, [Record(b"%d" % (i % 10), value), Record(b"gone", None if i % 2 else value)])
    log = bus.broker.topic("weir", ENDPOINTS).logs[0]
    assert len(list(log)) < 200
    assert log.end == 4000
    newest = await bus.read_compacted(ENDPOINTS, 0)
    assert {key: value.uid for key, value in newest.items()} == {b"%d" % i: str(1990 + i) for i in range(10)}
    reader = Member(bus, ENDPOINTS, group=None)
    await reader.until(lambda: bool(reader.records) and reader.records[-1].offset == 3999)
    assert [r.offset for r in reader.records] == sorted(r.offset for r in reader.records)
    await bus.stop()


async def test_waiting_publishers_are_released_by_stop() -> None:
    bus = small()
    bus.stream(ENTRIES, group="g")
    publishing = asyncio.ensure_future(bus.publish(ENTRIES, entries((f"n{i}" for i in range(25)), 0)))
    await settle()
    await bus.stop()
    with pytest.raises(BusError, match="stopped"):
        await publishing


async def test_a_second_process_under_the_same_name_replaces_the_first() -> None:
    broker = MemoryBroker(session_timeout_s=0.1)
    first_bus, second_bus = MemoryBus(broker=broker), MemoryBus(broker=broker)
    first = Member(first_bus, ENTRIES, member="decode-0")
    await first.until(lambda: len(first.owned) == 3)
    second = Member(second_bus, ENTRIES, member="decode-0")
    await second.until(lambda: len(second.owned) == 3)
    await asyncio.wait({first.task}, timeout=2)
    with pytest.raises(BusError, match="decode-0"):
        first.task.result()
    assert first.owned == frozenset()
    for bus in (first_bus, second_bus):
        await bus.stop()
    broker.close()


async def test_instances_do_not_see_each_other() -> None:
    broker = MemoryBroker()
    one, two = MemoryBus("one", broker=broker), MemoryBus("two", broker=broker)
    reader = Member(two, ENTRIES)
    await one.publish(ENTRIES, entries(["x"]))
    await two.publish(ENTRIES, entries(["y"]))
    await reader.until(lambda: len(reader.records) == 1)
    assert reader.names() == ["y"]
    for bus in (one, two):
        await bus.stop()


async def test_what_lingers_is_lost_in_a_crash_and_kept_by_flush() -> None:
    broker = MemoryBroker()
    reader = Member(MemoryBus(broker=broker), ENTRIES)
    doomed = MemoryBus(broker=broker, linger_s=10)
    await doomed.publish(ENTRIES, entries(["flushed"]))
    await doomed.flush()
    await doomed.publish(ENTRIES, entries(["lost"]))
    doomed.crash()
    quick = MemoryBus(broker=broker, linger_s=0.001)
    await quick.publish(ENTRIES, entries(["later"]))
    await reader.until(lambda: len(reader.records) == 2)
    assert sorted(reader.names()) == ["flushed", "later"]
    await reader.leave()
    await quick.stop()
    broker.close()


async def test_nothing_is_read_from_the_clock() -> None:
    ticks = iter(range(1000, 2000))
    bus = MemoryBus(broker=MemoryBroker(now_ms=lambda: next(ticks)))
    stream = bus.stream(HEALTH, group=None)
    table = await bus.table(ENTRIES)
    await bus.publish(ENTRIES, entries(["a", "b"], 0))
    assert len(table) == 2
    reader = bus.stream(ENTRIES, group=None)
    assert [record.timestamp_ms for record in (await anext(reader)).records] == [1000, 1001]
    await stream.close()
    await bus.stop()

"""What every bus keeps: run on both kinds of MemoryBus and on a real Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from weir.bus.api import Batch, Overtaken, Record, Undecodable
from weir.bus.codec import OversizedValue
from weir.bus.partition import partition_for
from weir.bus.topics import ENDPOINTS, ENTRIES, PACKETS
from weir.errors import BusError
from weir.model.control import EndpointRecord
from weir.model.packets import PacketBlock
from weir.testing.bus_rig import SHARDS, KafkaRig, Member, MemoryRig, Rig, entries, entry, until


@pytest.fixture(params=["memory", "roundtrip", pytest.param("kafka", marks=pytest.mark.kafka)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    made: Rig
    if request.param == "kafka":
        made = KafkaRig(request.getfixturevalue("kafka").bootstrap)
    else:
        made = MemoryRig(roundtrip=request.param == "roundtrip")
    yield made
    await made.close()


def names(count: int, prefix: str = "n") -> list[str]:
    return [f"{prefix}{i}" for i in range(count)]


def endpoint(address: str, name: str) -> EndpointRecord:
    return EndpointRecord(address=address, uid="static/0", name=name)


async def test_keys_choose_partitions_and_order_is_kept(rig: Rig) -> None:
    bus = await rig.bus()
    wanted = names(200)
    reader = Member(bus, ENTRIES, group=None)
    await bus.publish(ENTRIES, entries(wanted))
    await reader.until(lambda: len(reader.records) == 200)
    assert {r.partition for r in reader.records} == set(range(SHARDS))
    assert all(r.partition == partition_for(r.key, SHARDS) for r in reader.records)
    for partition in range(SHARDS):
        got = [r for r in reader.records if r.partition == partition]
        assert [r.value["id"] for r in got] == [n for n in wanted if partition_for(n.encode(), SHARDS) == partition]
        assert [r.offset for r in got] == list(range(len(got)))


async def test_a_partition_can_be_named(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10), partition=2))
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.records) == 10)
    assert {r.partition for r in reader.records} == {2}
    assert reader.names() == names(10)
    with pytest.raises(ValueError, match="no partition 3"):
        await bus.publish(ENTRIES, entries(["x"], partition=SHARDS))
    assert bus.partitions(ENTRIES) == SHARDS
    assert bus.partitions(ENDPOINTS) == 1


async def test_a_group_resumes_at_its_marks(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(20), partition=0))
    first = Member(bus, ENTRIES, marks=False)
    await first.until(lambda: len(first.records) == 20)
    await first.stream.mark(0, 12)
    await first.leave()
    second = Member(bus, ENTRIES)
    await second.until(lambda: len(second.records) == 8)
    assert second.names() == names(20)[12:]
    await second.leave()
    assert second.task.done()


async def test_what_was_not_marked_comes_again_after_a_crash(rig: Rig) -> None:
    source, victim = await rig.bus(), await rig.bus()
    await source.publish(ENTRIES, entries(names(20), partition=1))
    reader = Member(victim, ENTRIES, marks=False)
    await reader.until(lambda: len(reader.records) == 20)
    await reader.stream.mark(1, 5)
    await reader.leave()
    doomed = Member(victim, ENTRIES, marks=False)
    await doomed.until(lambda: len(doomed.records) == 15)
    await rig.crash(victim)
    heir = Member(await rig.bus(), ENTRIES)
    await heir.until(lambda: len(heir.records) == 15)
    assert heir.names() == names(20)[5:]


async def test_several_groups_each_get_everything(rig: Rig) -> None:
    bus = await rig.bus()
    readers = [Member(bus, ENTRIES, group=group) for group in ("store", "export")]
    await bus.publish(ENTRIES, entries(names(30)))
    for reader in readers:
        await reader.until(lambda reader=reader: len(reader.records) == 30)
        assert sorted(reader.names()) == sorted(names(30))


async def test_members_come_and_go(rig: Rig) -> None:
    bus = await rig.bus()
    one = Member(bus, ENTRIES)
    await one.until(lambda: len(one.owned) == SHARDS)
    two = Member(await rig.bus(), ENTRIES)
    await two.until(lambda: bool(two.owned) and len(one.owned) + len(two.owned) == SHARDS)
    assert not one.owned & two.owned
    assert one.revoked == [[0, 1, 2]]
    await bus.publish(ENTRIES, entries(names(90)))
    await until(lambda: len(one.records) + len(two.records) == 90)
    assert two.records
    assert {r.partition for r in two.records} == two.owned
    assert sorted(one.names() + two.names()) == sorted(names(90))
    await two.leave()
    await one.until(lambda: len(one.owned) == SHARDS)
    await bus.publish(ENTRIES, entries(names(30, "late")))
    await one.until(lambda: sum(n.startswith("late") for n in one.names()) == 30)


async def test_the_last_word_before_partitions_are_given_up(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10), 0) + entries(names(10), 1) + entries(names(10), 2))
    one = Member(bus, ENTRIES, marks=False)
    await one.until(lambda: len(one.records) == 30)
    one.mark_when_revoked = {0: 10, 1: 10, 2: 10}
    two = Member(await rig.bus(), ENTRIES)
    await two.until(lambda: bool(two.owned) and bool(one.owned))
    await bus.publish(ENTRIES, entries(["end"], 0) + entries(["end"], 1) + entries(["end"], 2))
    await until(lambda: (one.names() + two.names()).count("end") == 3)
    assert two.names() == ["end"] * len(two.owned)


async def test_a_rolled_member_gets_its_partitions_back(rig: Rig) -> None:
    bus, rolled = await rig.bus(), await rig.bus()
    a = Member(bus, ENTRIES, member="decode-0")
    await a.until(lambda: len(a.owned) == SHARDS)
    b = Member(rolled, ENTRIES, member="decode-1")
    await b.until(lambda: bool(b.owned) and len(a.owned) + len(b.owned) == SHARDS)
    held, revoked = b.owned, len(a.revoked)
    await b.leave()
    again = Member(await rig.bus(), ENTRIES, member="decode-1")
    await again.until(lambda: bool(again.owned))
    assert again.owned == held
    assert len(a.revoked) == revoked
    assert not a.owned & again.owned


async def test_a_static_member_that_stays_away_is_replaced(rig: Rig) -> None:
    bus, gone = await rig.bus(), await rig.bus()
    a = Member(bus, ENTRIES, member="decode-0")
    await a.until(lambda: len(a.owned) == SHARDS)
    b = Member(gone, ENTRIES, member="decode-1")
    await b.until(lambda: bool(b.owned))
    await rig.crash(gone)
    await a.until(lambda: len(a.owned) == SHARDS)


async def test_the_owner_says_where_to_start(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10), 0) + entries(names(10), 1))
    await bus.flush()
    reader = Member(bus, ENTRIES, starts={0: 7})
    await reader.until(lambda: len({(r.partition, r.offset) for r in reader.records}) == 13)
    assert {r.offset for r in reader.records if r.partition == 0} == {7, 8, 9}
    assert reader.assigned[-1] == [0, 1, 2]


async def test_readers_without_a_group_see_everything(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10)))
    early = Member(bus, ENTRIES, group=None)
    await early.until(lambda: len(early.records) == 10)
    late = Member(bus, ENTRIES, group=None, start="latest")
    await late.until(lambda: len(late.owned) == SHARDS)
    await bus.publish(ENTRIES, entries(names(5, "new")))
    await until(lambda: len(early.records) == 15 and len(late.records) == 5)
    assert sorted(late.names()) == names(5, "new")


async def test_a_new_group_can_begin_at_the_end(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10)))
    await bus.flush()
    reader = Member(bus, ENTRIES, start="latest")
    await reader.until(lambda: len(reader.owned) == SHARDS)
    await bus.publish(ENTRIES, entries(names(5, "new")))
    await reader.until(lambda: len(reader.records) == 5)
    assert sorted(reader.names()) == names(5, "new")


async def test_lag_is_what_is_not_read(rig: Rig) -> None:
    bus = await rig.bus()
    gate = asyncio.Event()

    async def hold(batch: Batch) -> None:
        await gate.wait()

    await bus.publish(ENTRIES, entries(names(3), 0))
    await bus.flush()
    reader = Member(bus, ENTRIES, handle=hold)
    await reader.until(lambda: reader.stream.lag() == {0: 0, 1: 0, 2: 0})
    assert not reader.records
    gate.set()
    await reader.until(lambda: len(reader.records) == 3)


async def test_a_table_is_read_to_its_end_and_follows(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENDPOINTS, [Record(b"a", endpoint("10.0.0.1", str(i))) for i in range(50)])
    await bus.publish(ENDPOINTS, [Record(b"b", endpoint("10.0.0.2", "b")), Record(b"c", endpoint("10.0.0.3", "c"))])
    await bus.publish(ENDPOINTS, [Record(b"b", None)])
    await bus.flush()
    table = await bus.table(ENDPOINTS)
    assert {key: value.name for key, value in table.items()} == {b"a": "49", b"c": "c"}
    assert len(table) == 2
    version = table.version
    waiting = asyncio.ensure_future(table.changed(version))
    await bus.publish(ENDPOINTS, [Record(b"c", None), Record(b"d", endpoint("10.0.0.4", "d"))])
    assert await asyncio.wait_for(waiting, 10) > version
    await until(lambda: table.get(b"c") is None and table.get(b"d") is not None)
    assert table.changes(version) == [b"c", b"d"]
    assert table.changes(table.version) == []
    assert sorted(table.changes(0) or ()) == [b"a", b"b", b"c", b"d"]
    assert table.changes(-1) is None
    await table.close()
    assert {k: v.name for k, v in (await bus.read_compacted(ENDPOINTS, 0)).items()} == {b"a": "49", b"d": "d"}


async def test_an_empty_table_is_ready_at_once(rig: Rig) -> None:
    bus = await rig.bus()
    table = await asyncio.wait_for(bus.table(ENDPOINTS), 5)
    assert len(table) == 0
    assert await bus.read_compacted(ENDPOINTS, 0) == {}


async def test_a_tombstone_needs_a_compacted_topic(rig: Rig) -> None:
    bus = await rig.bus()
    with pytest.raises(ValueError, match="tombstone"):
        await bus.publish(ENTRIES, [Record(b"k", None)])


async def test_a_value_may_be_as_large_as_its_topic_allows(rig: Rig) -> None:
    bus = await rig.bus()
    overhead = 400
    block = PacketBlock(node="n", ring=0, run=1, sequence=0, clock_ns=1, data=bytes(PACKETS.max_bytes - overhead))
    reader = Member(bus, PACKETS)
    await bus.publish(PACKETS, [Record(b"n/0", block)])
    await reader.until(lambda: len(reader.records) == 1)
    assert reader.records[0].value == block


async def test_a_larger_value_is_refused_by_the_sender(rig: Rig) -> None:
    bus = await rig.bus()
    block = PacketBlock(node="n", ring=0, run=1, sequence=0, clock_ns=1, data=bytes(PACKETS.max_bytes))
    with pytest.raises(OversizedValue) as caught:
        await bus.publish(PACKETS, [Record(b"n/0", block)])
    assert caught.value.limit == PACKETS.max_bytes
    with pytest.raises(OversizedValue):
        bus.try_publish(PACKETS, Record(b"n/0", block))


async def test_foreign_bytes_are_told_from_values(rig: Rig) -> None:
    if rig.kind == "memory":
        return  # values travel as they are: there are no bytes
    bus = await rig.bus()
    reader = Member(bus, PACKETS)
    for raw in (b"\xc1 garbage", b"\x82\xa1v\x02\xa1t\xa7packets", bytes(PACKETS.max_bytes + 1)):
        await rig.publish_raw(PACKETS, b"n/0", raw)
    await reader.until(lambda: len(reader.records) == 3)
    values = [r.value for r in reader.records]
    assert all(isinstance(value, Undecodable) for value in values)
    assert [value.newer for value in values] == [False, True, False]
    assert values[2].size == PACKETS.max_bytes + 1


async def test_marks_that_retention_has_overtaken(rig: Rig) -> None:
    bus = await rig.bus()
    await bus.publish(ENTRIES, entries(names(10), 0))
    await bus.flush()
    first = Member(bus, ENTRIES, marks=False)
    await first.until(lambda: len(first.records) == 10)
    await first.stream.mark(0, 2)
    await first.leave()
    await rig.delete_before(ENTRIES, 0, 6)
    second = Member(bus, ENTRIES)
    await second.until(lambda: len(second.records) == 4)
    assert [r.offset for r in second.records] == [6, 7, 8, 9]
    assert second.stream.overtaken() == [Overtaken(0, 4)]
    assert second.stream.overtaken() == []


async def test_a_batch_may_take_longer_than_any_poll_interval(rig: Rig) -> None:
    bus = await rig.bus()
    seconds = 4.0 if rig.kind == "kafka" else 0.01  # more than twice the session time-out

    async def slow(batch: Batch) -> None:
        await asyncio.sleep(seconds)

    reader = Member(bus, ENTRIES, handle=slow)
    await bus.publish(ENTRIES, entries(["only"], 0))
    await reader.until(lambda: len(reader.records) == 1)
    assert reader.owned == {0, 1, 2}
    assert reader.assigned == [[0, 1, 2]]
    await reader.leave()
    heir = Member(bus, ENTRIES)
    await bus.publish(ENTRIES, entries(["next"], 0))
    await heir.until(lambda: bool(heir.records))
    assert heir.names() == ["next"]


async def test_who_is_late_for_a_rebalance_loses_its_partitions(rig: Rig) -> None:
    bus = await rig.bus()
    gate = asyncio.Event()

    async def stuck(batch: Batch) -> None:
        await gate.wait()

    late = Member(bus, ENTRIES, handle=stuck)
    await bus.publish(ENTRIES, entries(["p0"], 0) + entries(["p1"], 1) + entries(["p2"], 2))
    await late.until(lambda: len(late.owned) == SHARDS)
    await late.until(lambda: sum(late.stream.lag().values()) < 3)
    other = Member(await rig.bus(), ENTRIES)
    await other.until(lambda: bool(other.owned))
    assert late.owned.isdisjoint(other.owned)
    assert late.revoked == []
    gate.set()
    await until(lambda: {"p0", "p1", "p2"} <= set(other.names() + late.names()))
    await until(lambda: len(late.owned) + len(other.owned) == SHARDS and bool(late.owned))


async def test_a_slow_consumer_loses_nothing(rig: Rig) -> None:
    bus = await rig.bus()

    async def slow(batch: Batch) -> None:
        await asyncio.sleep(0.02)

    reader = Member(bus, ENTRIES, handle=slow)
    body = {"body": {"text": "x" * 20_000}}
    records = [Record(b"k", entry(f"n{i}", request=body), 0) for i in range(2000)]
    await bus.publish(ENTRIES, records)
    await bus.flush()
    await reader.until(lambda: len(reader.records) == 2000, 30)
    assert reader.names() == names(2000)


async def test_flushed_records_are_there_for_others(rig: Rig) -> None:
    source = await rig.bus()
    await source.publish(ENTRIES, entries(names(500)))
    await source.flush()
    await rig.crash(source)
    reader = Member(await rig.bus(), ENTRIES)
    await reader.until(lambda: len(reader.records) == 500)


async def test_try_publish_hands_over_without_waiting(rig: Rig) -> None:
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    assert all(bus.try_publish(ENTRIES, record) for record in entries(names(100)))
    assert 0.5 < bus.room() <= 1.0
    await reader.until(lambda: len(reader.records) == 100)


async def test_a_closed_stream_ends_its_iteration(rig: Rig) -> None:
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.owned) == SHARDS)
    await reader.stream.close()
    await asyncio.wait_for(reader.task, 5)
    assert reader.owned == frozenset()
    await reader.stream.mark(0, 1)


async def test_a_stopped_bus_refuses_work_and_ends_its_readers(rig: Rig) -> None:
    bus = await rig.bus()
    reader = Member(bus, ENTRIES)
    await reader.until(lambda: len(reader.owned) == SHARDS)
    await bus.stop(5)
    await asyncio.wait_for(reader.task, 5)
    assert not bus.try_publish(ENTRIES, entries(["x"])[0])
    with pytest.raises(BusError):
        await bus.publish(ENTRIES, entries(["x"]))
    await bus.stop(5)


async def test_a_cancelled_reader_loses_nothing(rig: Rig) -> None:
    bus = await rig.bus()
    stream = bus.stream(ENTRIES, group="g")
    got: list[str] = []
    sent = 0
    for round_ in range(400):
        if round_ % 4 == 0 and sent < 200:
            await bus.publish(ENTRIES, entries([f"n{sent + i}" for i in range(10)], 0))
            sent += 10
        try:
            async with asyncio.timeout(0.001 if rig.kind != "kafka" else 0.02):
                batch = await anext(stream)
        except TimeoutError:
            continue
        got += [r.value["id"] for r in batch.records]
        if len(got) >= 200:
            break
    assert got == names(200)

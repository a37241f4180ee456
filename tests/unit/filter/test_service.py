from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import msgpack
import msgspec
import pytest

from weir.bus.api import Received, Record
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, DEAD, ENDPOINTS, PACKETS, SEGMENTS
from weir.errors import SettingsError
from weir.filter.service import FilterService
from weir.filter.settings import FilterSettings
from weir.model.control import Control, EndpointRecord
from weir.model.packets import PacketBlock
from weir.runtime.clock import Clock, SystemClock
from weir.runtime.service import Context
from weir.testing.packets import START_NS, Seen, block, ethernet, ipv4, rows, tcp


def packets(n: int, **fields: Any) -> PacketBlock:
    """A block with one data packet of a conversation with port 80 and one with port 81."""
    frames = [
        ethernet(ipv4("10.0.0.1", "10.0.0.2", 6, tcp(40000 + n, port, b"%d" % n, flags=0x18))) for port in (80, 81)
    ]
    return block(frames, **{"sequence": n, **fields})


async def publish(bus: MemoryBus, *blocks: PacketBlock, partition: int = 0) -> None:
    await bus.publish(PACKETS, [Record(b"node/0", b, partition) for b in blocks])


async def control(bus: MemoryBus, **fields: Any) -> None:
    document = Control(**{"generation": 1, "outline": False, "targets": ["all"], **fields})
    await bus.publish(CONTROL, [Record(b"weir", document)])


class Segments:
    """Reads what filter publishes."""

    def __init__(self, bus: MemoryBus) -> None:
        self._stream = bus.stream(SEGMENTS, group=None)
        self._task = asyncio.create_task(self._read())
        self.received: list[Received] = []

    async def _read(self) -> None:
        async for batch in self._stream:
            self.received.extend(batch.records)

    def payloads(self) -> list[bytes]:
        return sorted(row.payload for r in self.received for row in rows(r.value))

    async def close(self) -> None:
        await self._stream.close()
        await self._task


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(
    bus: MemoryBus, process: str = "weir", clock: Clock | None = None, **settings: Any
) -> AsyncIterator[Context]:
    """A filter that is told to stop at the end, and must come to its end."""
    context = Context(bus=bus, process=process, clock=clock or SystemClock())
    service = FilterService(FilterSettings(**settings), context)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(service.run())
        await until(lambda: "packets" in context.lags or task.done())
        yield context
        context.stop.set()


@pytest.fixture
async def bus() -> AsyncIterator[MemoryBus]:
    made = MemoryBus(shards=3, roundtrip=True)
    yield made
    await made.stop()


@pytest.fixture
async def segments(bus: MemoryBus) -> AsyncIterator[Segments]:
    made = Segments(bus)
    yield made
    await made.close()


async def test_packets_become_segments(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, generation=7)
    async with running(bus) as context:
        await publish(bus, *[packets(n) for n in range(5)])
        await until(lambda: len(segments.payloads()) == 10)
    assert segments.payloads() == sorted(b"%d" % n for n in range(5) for _ in range(2))
    assert all(r.partition == r.value.shard for r in segments.received)
    assert all(r.key == str(r.value.shard).encode() for r in segments.received)
    assert {r.value.generation for r in segments.received} == {7}
    assert {(r.value.origin_partition, r.value.origin_offset) for r in segments.received if r.value.count} == {
        (0, n) for n in range(5)
    }
    assert context.counts["filter.segments"] == 10
    assert context.gauges["filter.flows"]() == 10


async def test_without_a_control_document_there_is_an_outline(bus: MemoryBus, segments: Segments) -> None:
    async with running(bus) as context:
        await publish(bus, packets(0, end=True))
        await until(lambda: len(segments.received) == 3)
    assert segments.payloads() == []
    assert all(r.value.end for r in segments.received)
    assert context.counts["filter.dropped{outline}"] == 2


async def test_control_and_endpoints_take_effect(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, targets=["port:80"])
    async with running(bus) as context:
        await publish(bus, packets(0))
        await until(lambda: len(segments.payloads()) == 1)
        await control(bus, generation=2, targets=["port:80", "checkout"])
        await bus.publish(
            ENDPOINTS, [Record(b"1", EndpointRecord(address="10.0.0.2", uid="1", port=81, targeted=True))]
        )
        await publish(bus, packets(1))
        await until(lambda: len(segments.payloads()) == 3)
        assert "checkout" in context.notes["filter.control"]
        await bus.publish(ENDPOINTS, [Record(b"1", None)])
        await control(bus, generation=3, targets=["port:80"])
        await publish(bus, packets(2))
        await until(lambda: len(segments.payloads()) == 4)
        assert "filter.control" not in context.notes
    assert context.counts["filter.dropped{not_targeted}"] == 2


async def test_own_traffic(bus: MemoryBus, segments: Segments) -> None:
    await control(bus)
    async with running(bus, exclude=("10.0.0.2:81",)) as context:
        await publish(bus, packets(0))
        await until(lambda: segments.payloads() == [b"0"])
    assert context.counts["filter.dropped{own_traffic}"] == 1


async def test_a_wrong_setting_is_told(bus: MemoryBus) -> None:
    with pytest.raises(SettingsError, match=r"filter\.exclude"):
        await FilterService(FilterSettings(exclude=("port:80",)), Context(bus=bus)).run()


async def test_garbage_goes_to_the_dead_letters(bus: MemoryBus, segments: Segments) -> None:
    await control(bus)
    dead = bus.stream(DEAD, group=None)
    async with running(bus) as context:
        await publish(bus, packets(0))
        # What is no packet block cannot be published through the bus: another program wrote it.
        bus.broker.topic("weir", PACKETS).append(0, b"x", b"\xc1 garbage", 0, 9)
        await publish(bus, packets(1))
        await until(lambda: len(segments.payloads()) == 4)
    letter = (await anext(aiter(dead))).records[0].value
    assert (letter.topic, letter.partition, letter.offset, letter.stage) == ("packets", 0, 1, "filter")
    assert context.counts["lost.filter.undecodable"] == 1


async def test_what_was_marked_is_not_read_again() -> None:
    broker = MemoryBroker(shards=3, redelivery=True, retain_records=100)
    first = MemoryBus(broker=broker)
    await control(first)
    async with running(first):
        await publish(first, *[packets(n) for n in range(4)])
        group = broker.topic("weir", PACKETS).groups["weir.filter"]
        await until(lambda: group.marks.get(0) == 4)
    await first.stop()
    second = MemoryBus(broker=broker)
    async with running(second) as context:
        await publish(second, packets(9))
        await until(lambda: context.counts["filter.packets"] == 2)
    await second.stop()
    broker.close()


async def test_a_batch_that_was_not_marked_is_made_again_alike() -> None:
    broker = MemoryBroker(shards=3, redelivery=True, retain_records=100, session_timeout_s=0)
    bus = MemoryBus(broker=broker)
    await control(bus)
    outside = MemoryBus(broker=broker)
    segments = Segments(outside)
    await publish(bus, packets(0), packets(1))
    stalled = asyncio.Event()
    flush = bus.flush

    async def stuck() -> None:
        stalled.set()
        await asyncio.Event().wait()

    bus.flush = stuck  # type: ignore[method-assign]
    task = asyncio.create_task(FilterService(FilterSettings(), Context(bus=bus, process="a")).run())
    await stalled.wait()
    bus.crash()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bus.flush = flush  # type: ignore[method-assign]
    again = MemoryBus(broker=broker)
    async with running(again):
        await until(lambda: len(segments.payloads()) == 8)
    both = [(r.partition, r.value) for r in segments.received if r.value.count]
    assert len(both) == 8
    assert all(both.count(one) == 2 for one in both)
    await segments.close()
    await again.stop()
    await outside.stop()
    broker.close()


async def test_a_newer_block_is_waited_for_with_the_mark_held(bus: MemoryBus, segments: Segments) -> None:
    await control(bus)
    newer = msgpack.packb({"v": 2, "t": "packets"})
    async with running(bus) as context:
        await publish(bus, packets(0))
        bus.broker.topic("weir", PACKETS).append(0, b"x", newer, 0, len(newer))
        await publish(bus, packets(1))
        await until(lambda: "filter.packets" in context.notes)
    await until(lambda: segments.payloads() == [b"0", b"0"])
    assert bus.broker.topic("weir", PACKETS).groups["weir.filter"].marks == {0: 1}


async def test_two_filters_share_the_partitions() -> None:
    broker = MemoryBroker(shards=3)
    buses = [MemoryBus(broker=broker) for _ in range(3)]
    segments = Segments(buses[0])
    await control(buses[0])
    async with running(buses[1], "one") as one, running(buses[2], "other") as other:
        await until(lambda: all(len(c.lags["packets"]()) for c in (one, other)))
        for partition in range(3):
            await publish(buses[0], packets(partition, ring=partition), partition=partition)
        await until(lambda: len(segments.payloads()) == 6)
        assert one.counts["filter.segments"] > 0 < other.counts["filter.segments"]
    await segments.close()
    for bus in buses:
        await bus.stop()
    broker.close()


async def test_a_control_document_that_comes_late_is_waited_for(bus: MemoryBus, segments: Segments) -> None:
    async with running(bus) as context:
        await publish(bus, msgspec.structs.replace(packets(0), generation=1))
        await until(lambda: "filter.generation" in context.notes)
        await control(bus)
        await until(lambda: len(segments.payloads()) == 2)
    assert "filter.control_late" not in context.counts


async def test_what_is_held_when_told_to_stop_is_not_marked(bus: MemoryBus, segments: Segments) -> None:
    async with running(bus) as context:
        await publish(bus, msgspec.structs.replace(packets(0), generation=1))
        await until(lambda: "filter.generation" in context.notes)
        await publish(bus, packets(1))
    assert bus.broker.topic("weir", PACKETS).groups["weir.filter"].marks.get(0, 0) == 0
    assert segments.payloads() == []


RANGES = ["10.244.0.0/16"]
POD = "10.244.0.1"
SECOND = 1_000_000_000


def from_pod(n: int, at_s: float = 0.0, source: str = POD, **fields: Any) -> PacketBlock:
    ts_ns = START_NS + int(at_s * SECOND)
    frame = ethernet(ipv4(source, "10.0.0.2", 6, tcp(40000 + n, 80, b"%d" % n)))
    return block([Seen(frame, ts_ns)], **{"sequence": n, "clock_ns": ts_ns, **fields})


async def known(bus: MemoryBus, address: str, revision: int, **fields: Any) -> None:
    record = EndpointRecord(address=address, uid="u", since_ns=START_NS, revision=revision, **fields)
    await bus.publish(ENDPOINTS, [Record(f"{address}:0/u".encode(), record)])


def marks(bus: MemoryBus) -> dict[int, int]:
    return bus.broker.topic("weir", PACKETS).groups["weir.filter"].marks


async def test_what_waits_holds_the_mark_and_goes_on_when_it_is_known(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, pod_ranges=RANGES)
    async with running(bus) as context:
        await publish(bus, packets(0))
        await publish(bus, from_pod(1, ring=1))
        await publish(bus, packets(2))
        await until(lambda: len(segments.payloads()) == 4)
        await until(lambda: marks(bus).get(0) == 1)
        assert context.gauges["filter.waiting_bytes"]() > 0
        await known(bus, POD, 9, name="new")
        # Nothing more comes of its ring: it is looked after all the same.
        await until(lambda: len(segments.payloads()) == 5)
        await until(lambda: marks(bus).get(0) == 3)
    (late,) = [r.value for r in segments.received if b"1" in [row.payload for row in rows(r.value)]]
    assert (late.origin_offset, late.revision) == (1, 9)
    assert context.counts["filter.held"] == 1


async def test_at_the_end_everything_goes_on(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, pod_ranges=RANGES)
    async with running(bus):
        await publish(bus, from_pod(0))
        await publish(bus, packets(1, ring=1))
        await until(lambda: len(segments.payloads()) == 2)
    await until(lambda: segments.payloads() == [b"0", b"1", b"1"])
    assert marks(bus) == {0: 2}


async def test_at_the_end_what_waits_is_left_to_who_comes_next() -> None:
    broker = MemoryBroker(shards=3, redelivery=True, retain_records=100)
    first, second, outside = (MemoryBus(broker=broker) for _ in range(3))
    segments = Segments(outside)
    await control(outside, pod_ranges=RANGES)
    async with running(first):
        await publish(outside, from_pod(0), packets(1, ring=1))
        await until(lambda: len(segments.payloads()) == 2)
    assert marks(outside).get(0, 0) == 0
    await known(outside, POD, 3)
    async with running(second):
        await until(lambda: marks(outside).get(0) == 2)
    assert b"0" in segments.payloads()
    await segments.close()
    for bus in (first, second, outside):
        await bus.stop()
    broker.close()


async def test_a_ring_that_is_gone_is_not_waited_for(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, pod_ranges=RANGES)
    clock = Ahead()
    async with running(bus, clock=clock, hold_s=5):
        await publish(bus, from_pod(0))
        await until(lambda: clock.sleeping > 2)
        assert segments.payloads() == []
        clock.ahead_s += 61
        await until(lambda: segments.payloads() == [b"0"])


async def test_who_takes_over_reads_again_what_waited() -> None:
    broker = MemoryBroker(shards=3, redelivery=True, retain_records=100, session_timeout_s=0)
    first, outside = MemoryBus(broker=broker), MemoryBus(broker=broker)
    segments = Segments(outside)
    await control(outside, pod_ranges=RANGES)
    task = asyncio.create_task(FilterService(FilterSettings(), Context(bus=first, process="a")).run())
    await publish(outside, packets(0), from_pod(1, ring=1), packets(2))
    await until(lambda: len(segments.payloads()) == 4)
    first.crash()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await known(outside, POD, 3)
    again = MemoryBus(broker=broker)
    async with running(again):
        await until(lambda: b"1" in segments.payloads())
        await until(lambda: marks(outside).get(0) == 3)
    await segments.close()
    await again.stop()
    await outside.stop()
    broker.close()


async def test_with_the_kernel_filter_open_filter_stops_everything_and_says_so(
    bus: MemoryBus, segments: Segments
) -> None:
    """The fault of the layer before: it promises an exact selection, and everything passes."""
    clock = Ahead()
    await control(bus, targets=[], outline=True)
    async with running(bus, clock=clock) as context:
        at_ns = clock.now_ns() + 60 * SECOND
        await publish(bus, *[moved(packets(n, promise="exact"), at_ns + n) for n in range(10)])
        await publish(bus, packets(10, ring=1, end=True))
        await until(lambda: any(r.value.end for r in segments.received))
        assert context.counts["filter.leaked{outline}"] == 20
        assert context.counts["filter.dropped{outline}"] == 22
        assert context.notes["filter.leaked"].startswith("20 packets")
        clock.ahead_s += 60
        await until(lambda: "filter.leaked" not in context.notes)
    assert segments.payloads() == []


async def test_a_rule_that_was_removed_just_now_makes_no_leak(bus: MemoryBus, segments: Segments) -> None:
    clock = Ahead()
    await known(bus, "10.0.0.2", 1, targeted=True)
    await control(bus, targets=[], outline=True, pods=True)
    async with running(bus, clock=clock) as context:
        await publish(bus, moved(packets(0, promise="exact"), clock.now_ns()))
        await until(lambda: len(segments.payloads()) == 2)
        clock.ahead_s += 100
        await known(bus, "10.0.0.2", 2)
        await control(bus, generation=2, targets=[], outline=True)
        await publish(bus, moved(packets(1, promise="exact"), clock.now_ns() + 3 * SECOND))
        await publish(bus, moved(packets(2, promise="exact"), clock.now_ns() + 6 * SECOND))
        await until(lambda: context.counts["filter.leaked{outline}"] == 2)
        assert context.counts["filter.dropped{outline}"] == 4
    assert len(segments.payloads()) == 2


async def test_many_changes_of_the_endpoints_are_followed_one_by_one(bus: MemoryBus, segments: Segments) -> None:
    await control(bus, targets=[], outline=False)
    async with running(bus) as context:
        for n in range(20):
            await known(bus, "10.0.0.2", n + 1, targeted=n % 2 == 0)
            await publish(bus, packets(n))
            await until(partial(_all_is_marked, bus, n + 1))
        assert len(segments.payloads()) == context.counts["filter.dropped{not_targeted}"] == 20
    assert max(r.value.revision for r in segments.received) == 19


def _all_is_marked(bus: MemoryBus, end: int) -> bool:
    return marks(bus).get(0) == end


def moved(given: PacketBlock, ts_ns: int) -> PacketBlock:
    """As if it was captured then."""
    data = bytearray(given.data)
    at = 0
    while at < len(data):
        struct.pack_into("<II", data, at, *divmod(ts_ns, SECOND))
        at += 16 + struct.unpack_from("<I", data, at + 8)[0]
    return msgspec.structs.replace(given, data=bytes(data), clock_ns=ts_ns)


class Ahead(SystemClock):
    """A clock that can be moved on, and on which nobody has to wait."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.sleeping = 0

    def now_ns(self) -> int:
        return super().now_ns() + int(self.ahead_s * SECOND)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    async def sleep(self, seconds: float) -> None:
        self.sleeping += 1
        await super().sleep(seconds / 50)

from __future__ import annotations

import asyncio

from weir.bus.api import Batch, Received, Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS
from weir.model.control import Control, EndpointRecord
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock
from weir.runtime.generation import ControlGate, EndpointsGate, NewestRevision
from weir.runtime.service import Context


def batch(*generations: int) -> Batch:
    blocks = [PacketBlock(node="n", ring=0, run=1, sequence=0, clock_ns=1, generation=g) for g in generations]
    return Batch(0, [Received(0, 5 + n, b"", value) for n, value in enumerate(blocks)], 5 + len(blocks))


async def gate(wait_s: float = 5.0) -> tuple[MemoryBus, Context, ControlGate]:
    bus = MemoryBus()
    context = Context(bus=bus)
    return bus, context, ControlGate(context, "filter", await bus.table(CONTROL), wait_s)


async def publish(bus: MemoryBus, generation: int) -> None:
    await bus.publish(CONTROL, [Record(b"weir", Control(generation=generation))])


async def test_what_was_made_under_what_is_known_passes() -> None:
    bus, context, held = await gate()
    assert len((await held.hold(batch(0))).records) == 1
    await publish(bus, 3)
    assert len((await held.hold(batch(2, 3))).records) == 2
    assert not context.counts


async def test_a_batch_waits_for_its_document() -> None:
    bus, context, held = await gate()
    await publish(bus, 1)
    waiting = asyncio.ensure_future(held.hold(batch(1, 3)))
    await asyncio.sleep(0)
    assert context.notes["filter.generation"] == "waits for control document 3, has 1"
    await publish(bus, 2)
    await asyncio.sleep(0)
    assert not waiting.done()
    await publish(bus, 3)
    assert (await waiting).next_offset == 7
    assert not context.notes
    assert not context.counts


async def test_a_document_that_does_not_come_is_waited_for_once() -> None:
    _, context, held = await gate(0.01)
    assert len((await held.hold(batch(4))).records) == 1
    assert context.counts == {"filter.control_late": 1}
    assert len((await held.hold(batch(4))).records) == 1
    assert context.counts == {"filter.control_late": 1}


async def test_told_to_stop_nothing_of_it_is_taken() -> None:
    _, context, held = await gate()
    waiting = asyncio.ensure_future(held.hold(batch(0, 4)))
    await asyncio.sleep(0)
    context.stop.set()
    assert await waiting == Batch(0, [], 5)


async def test_a_batch_waits_for_its_endpoints() -> None:
    bus = MemoryBus()
    context = Context(bus=bus)
    held = EndpointsGate(context, "decode", await bus.table(ENDPOINTS), 5.0)
    assert (await held.hold(batch(7))).next_offset == 6
    waiting = asyncio.ensure_future(held.hold(segments(7)))
    await asyncio.sleep(0)
    assert context.notes["decode.revision"] == "waits for endpoints of revision 7, has 0"
    await publish_endpoint(bus, "a", 6)
    await asyncio.sleep(0)
    assert not waiting.done()
    await publish_endpoint(bus, "b", 7)
    assert (await waiting).next_offset == 6
    assert not context.counts


async def test_endpoints_that_do_not_come_are_waited_for_once() -> None:
    bus = MemoryBus()
    context = Context(bus=bus)
    held = EndpointsGate(context, "decode", await bus.table(ENDPOINTS), 0.01)
    assert (await held.hold(segments(3))).next_offset == 6
    assert (await held.hold(segments(2))).next_offset == 6
    assert context.counts == {"decode.endpoints_late": 1}


async def test_the_newest_revision_never_falls() -> None:
    bus = MemoryBus()
    table = await bus.table(ENDPOINTS)
    newest = NewestRevision(table)
    assert newest.read() == 0
    await publish_endpoint(bus, "a", 5)
    await publish_endpoint(bus, "b", 4)
    assert newest.read() == 5
    await bus.publish(ENDPOINTS, [Record(b"a", None)])
    assert newest.read() == 5
    await publish_endpoint(bus, "b", 6)
    assert newest.read() == 6
    assert NewestRevision(table).read() == 6


def segments(revision: int) -> Batch:
    block = SegmentBlock(
        node="n", ring=0, run=1, shard=0, shards=1, origin_partition=0, origin_offset=0, clock_ns=1, linktype=1,
        revision=revision,
    )
    return Batch(0, [Received(0, 5, b"", block)], 6)


async def publish_endpoint(bus: MemoryBus, key: str, revision: int) -> None:
    record = EndpointRecord(address="10.0.0.1", uid=key, revision=revision)
    await bus.publish(ENDPOINTS, [Record(key.encode(), record)])

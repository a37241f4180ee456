from __future__ import annotations

import asyncio
import struct
import time
import zlib
from collections.abc import AsyncGenerator, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS, PACKETS
from weir.capture import service as module
from weir.capture.ring import Ring
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.errors import SourceError
from weir.model.control import Control, EndpointRecord
from weir.model.packets import PacketBlock
from weir.runtime.service import Context
from weir.testing.capturefiles import Packet, pcap

START = 1_700_000_000_000_000_000


class Scripted:
    """A source that gives what a test wants."""

    name: ClassVar[str] = "scripted"
    live: ClassVar[bool] = True

    def __init__(self, settings: CaptureSettings, context: Context) -> None:
        self.context = context
        self.ring = Ring(node="n1", ring=2, run=1)
        self.controls: list[Control] = []
        self.endpoints: dict[bytes, EndpointRecord | None] = {}
        self.go = asyncio.Event()
        self.error: Exception | None = None

    @classmethod
    def fits(cls, settings: CaptureSettings) -> bool:
        return True

    def follow(self, control: Control) -> None:
        self.controls.append(control)

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        self.endpoints.update(changes)

    def refused(self, block: PacketBlock) -> None:
        self.ring.refused(block)

    async def blocks(self) -> AsyncGenerator[PacketBlock]:
        for n in range(3):
            yield self.ring.block(n, data=b"x" * 50, count=1)
        await self.go.wait()
        if self.error:
            raise self.error
        yield self.ring.block(9, end=True)


class AwayBus(MemoryBus):
    """A bus that has no room and takes nothing."""

    async def publish(self, topic: Any, records: Sequence[Record]) -> None:
        if topic is PACKETS:
            await asyncio.Event().wait()
        await super().publish(topic, records)

    def try_publish(self, topic: Any, record: Record) -> bool:
        return False


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[Scripted]:
    """The sources that services chose."""
    made: list[Scripted] = []

    class Kept(Scripted):
        def __init__(self, settings: CaptureSettings, context: Context) -> None:
            super().__init__(settings, context)
            made.append(self)

    monkeypatch.setattr(module, "choose", lambda settings: Kept)
    return made


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def documented(bus: Any) -> None:
    """What a file waits for."""
    await bus.publish(CONTROL, [Record(b"weir", Control(generation=1))])


async def published(bus: MemoryBus, count: int) -> list[tuple[int, Any]]:
    stream, found = bus.stream(PACKETS, group=None), []
    async with asyncio.timeout(5):
        async for batch in stream:
            found += [(batch.partition, r) for r in batch.records]
            if len(found) >= count:
                break
    await stream.close()
    return found


async def test_a_file_is_published_to_its_end_and_the_service_returns(tmp_path: Path) -> None:
    path = tmp_path / "checkout.pcap"
    path.write_bytes(pcap([Packet(START + n, b"frame") for n in range(10)]))
    bus = MemoryBus(instance="weir", shards=4)
    await documented(bus)
    context = Context(bus=bus)
    reading = asyncio.ensure_future(published(bus, 4))
    await asyncio.wait_for(CaptureService(CaptureSettings(files=(str(path),), rings=2), context).run(), 5)
    found = await reading
    assert {(p, r.key) for p, r in found} == {
        ((zlib.crc32(b"checkout") + ring) % 4, b"checkout/%d" % ring) for ring in range(2)
    }
    assert sum(r.value.count for _, r in found) == context.counts["capture.packets"] == 10
    assert context.counts["capture.blocks"] == len(found)


async def test_control_is_known_before_the_first_block_and_followed_from_then_on(scripted: list[Scripted]) -> None:
    bus = MemoryBus(instance="weir", shards=1)
    first = Control(generation=1, targets=["all"])
    await bus.publish(CONTROL, [Record(b"weir", first), Record(b"another", Control(generation=77))])
    context = Context(bus=bus)
    running = asyncio.ensure_future(CaptureService(CaptureSettings(), context).run())
    await until(lambda: scripted and context.counts["capture.blocks"] == 3)
    assert scripted[0].controls[-1] == first
    await bus.publish(CONTROL, [Record(b"weir", Control(generation=2))])
    await until(lambda: scripted[0].controls[-1].generation == 2)
    await bus.publish(CONTROL, [Record(b"weir", None)])
    await until(lambda: scripted[0].controls[-1].generation == 0)
    assert all(c.generation != 77 for c in scripted[0].controls)
    scripted[0].go.set()
    await asyncio.wait_for(running, 5)


async def test_what_a_full_bus_refuses_is_counted_and_told_later(
    scripted: list[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_WAIT_S", 0.1)
    context = Context(bus=AwayBus(instance="weir", shards=1))
    running = asyncio.ensure_future(CaptureService(CaptureSettings(), context).run())
    await until(lambda: context.counts["lost.capture.bus"] == 3)
    assert context.counts["capture.packets"] == 0
    assert scripted[0].ring.block(5).lost == 3
    context.stop.set()
    scripted[0].go.set()
    await asyncio.wait_for(running, 10)


async def test_a_file_does_not_hang_on_a_bus_that_is_away_when_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STOP_WAIT_S", 0.1)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Packet(START, b"frame")] * 7))
    context = Context(bus=AwayBus(instance="weir", shards=1))
    await documented(context.bus)
    running = asyncio.ensure_future(CaptureService(CaptureSettings(files=(str(path),)), context).run())
    await until(lambda: context.counts["capture.read"] == 7)
    await asyncio.sleep(0)
    assert not running.done()
    before = time.monotonic()
    context.stop.set()
    await asyncio.wait_for(running, 5)
    assert time.monotonic() - before < 2
    assert context.counts["lost.capture.bus"] == 7


async def test_a_source_that_fails_fails_the_service(scripted: list[Scripted]) -> None:
    context = Context(bus=MemoryBus(instance="weir", shards=1))
    running = asyncio.ensure_future(CaptureService(CaptureSettings(), context).run())
    await until(lambda: bool(scripted))
    scripted[0].error = SourceError("the interface was removed", hint="start again")
    scripted[0].go.set()
    with pytest.raises(SourceError, match="was removed"):
        await asyncio.wait_for(running, 5)


async def test_a_control_topic_that_fails_fails_the_service(scripted: list[Scripted]) -> None:
    class NoTable(MemoryBus):
        async def table(self, topic: Any) -> Any:
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await asyncio.wait_for(CaptureService(CaptureSettings(), Context(bus=NoTable(instance="weir"))).run(), 5)


async def test_a_bus_without_control_does_not_hold_capture_up(
    scripted: list[Scripted], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Silent(MemoryBus):
        async def table(self, topic: Any) -> Any:
            await asyncio.Event().wait()

    monkeypatch.setattr(module, "_CONFIGURATION_WAIT_S", 0.05)
    context = Context(bus=Silent(instance="weir", shards=1))
    running = asyncio.ensure_future(CaptureService(CaptureSettings(), context).run())
    await until(lambda: context.counts["capture.blocks"] == 3)
    assert scripted[0].controls == [Control(generation=0, bodies=False)]
    scripted[0].go.set()
    await asyncio.wait_for(running, 5)


async def test_a_file_waits_for_a_control_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONFIGURATION_WAIT_S", 0.0)
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Packet(START, b"frame")]))
    bus = MemoryBus(instance="weir", shards=1)
    context = Context(bus=bus)
    running = asyncio.ensure_future(CaptureService(CaptureSettings(files=(str(path),)), context).run())
    await until(lambda: "capture.control" in context.notes)
    assert not context.counts
    await documented(bus)
    await asyncio.wait_for(running, 5)
    assert context.counts["capture.packets"] == 1
    assert not context.notes


async def test_a_file_without_a_control_document_is_not_read_when_told_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Packet(START, b"frame")]))
    context = Context(bus=MemoryBus(instance="weir", shards=1))
    running = asyncio.ensure_future(CaptureService(CaptureSettings(files=(str(path),)), context).run())
    await until(lambda: "capture.control" in context.notes)
    context.stop.set()
    await asyncio.wait_for(running, 5)
    assert not context.counts


async def test_a_lying_file_ends_and_what_was_before_is_published(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Packet(START, b"frame")]) + struct.pack("<IIII", 0, 0, 1 << 31, 0))
    context = Context(bus=MemoryBus(instance="weir", shards=1))
    await documented(context.bus)
    await asyncio.wait_for(CaptureService(CaptureSettings(files=(str(path),)), context).run(), 5)
    assert context.counts["capture.packets"] == 1
    assert context.counts["lost.capture.length"] == 1


def test_its_declarations() -> None:
    assert CaptureService.produces == (PACKETS,)
    assert CaptureService.reads == (ENDPOINTS, CONTROL)
    assert CaptureService.consumes == ()

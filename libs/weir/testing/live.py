"""A capture service at work in a network namespace, for tests that look at what it gives. Needs root.

    async with capturing(right, Control(generation=1, targets=["all"])) as capture:
        send(left, [ethernet(...)])
        await capture.until(lambda: len(mine(capture)) == 1)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS, PACKETS
from weir.capture.own import OWN_ENDS
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.engine.frames import Frame, frames
from weir.model.control import Control, EndpointRecord
from weir.model.packets import TALLY, PacketBlock
from weir.runtime.service import Context
from weir.testing.netns import Namespace

ALL = Control(generation=1, outline=False, targets=["all"])
DEFAULTS: dict[str, Any] = {"ring_blocks": 8}
"""Settings of a capture, unless a test says otherwise."""

MINE = bytes.fromhex("020000000002020000000001")
"""Addresses of `weir.testing.packets.ethernet`: tells what a test sent from what the kernel says on its own."""


def mine(capture: Capture) -> list[bytes]:
    return [f for f in capture.frames() if f.startswith(MINE)]


def told(block: PacketBlock) -> list[Frame]:
    return [Frame(*f) for f in frames(block)] if block.layout == "tpacket3" else []


class Capture:
    """A capture service at work in a namespace, and what it gave."""

    def __init__(self, where: Namespace, settings: CaptureSettings, **shared: Any) -> None:
        self.where = where
        self.bus = MemoryBus(instance="weir", shards=2)
        self.context = Context(bus=self.bus, node="n1", shared=dict(shared))
        self.service = CaptureService(settings, self.context)
        self.blocks: list[PacketBlock] = []

    async def control(self, control: Control) -> None:
        """Put a document in force and wait until the source follows it."""
        await self.bus.publish(CONTROL, [Record(b"weir", control)])

    async def endpoints(self, *records: EndpointRecord, gone: tuple[EndpointRecord, ...] = ()) -> None:
        """Publish these, take those back, and wait until the kernel knows (with eBPF): the newest has the highest
        revision."""
        published = [Record(_key(record), record) for record in records]
        await self.bus.publish(ENDPOINTS, [*published, *(Record(_key(record), None) for record in gone)])
        if records:
            newest = max(record.revision for record in records)
            await self.until(lambda: self.context.gauges["capture.revision"]() >= newest)

    def tallies(self) -> dict[tuple[Any, ...], tuple[int, int, int, int]]:
        """By source, destination, ports and protocol: packets, bytes, TCP flags and flags of the last tally."""
        told: dict[tuple[Any, ...], tuple[int, int, int, int]] = {}
        for block in self.blocks:
            if block.layout == "tallies":
                for *tuple_, tcp, flags, _, _, _, packets, size in TALLY.iter_unpack(block.data):
                    told[tuple(tuple_)] = packets, size, tcp, flags
        return told

    async def collect(self) -> None:
        stream = self.bus.stream(PACKETS, group="test")
        async for batch in stream:
            self.blocks += [r.value for r in batch.records]
            await stream.mark(batch.partition, batch.next_offset)

    def frames(self) -> list[bytes]:
        return [bytes(b.data[f.at : f.at + f.captured]) for b in self.blocks for f in told(b)]

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 (conditions are about the kernel, which tells nobody)
                await asyncio.sleep(0.01)

    async def until_frames(self, count: int) -> None:
        await self.until(lambda: sum(len(told(b)) for b in self.blocks) >= count)

    def mode(self) -> str:
        return self.context.modes.get("capture.source", "")


@contextlib.asynccontextmanager
async def capturing(where: Namespace, control: Control | None = ALL, **settings: Any) -> AsyncIterator[Capture]:
    shared = {OWN_ENDS: settings.pop("own")} if "own" in settings else {}
    settings.setdefault("interfaces", (where.interface,))
    capture = Capture(where, CaptureSettings(source="af_packet", **(DEFAULTS | settings)), **shared)
    await capture.bus.start()
    if control is not None:
        await capture.control(control)
    with where.entered():
        running = asyncio.ensure_future(capture.service.run())
        collecting = asyncio.ensure_future(capture.collect())
        try:
            await capture.until(lambda: bool(capture.mode()) or running.done())
            yield capture
            before = time.monotonic()
            capture.context.stop.set()
            await asyncio.wait_for(running, 5)
            assert time.monotonic() - before < 1, "a source closes within a second"
            await capture.until(lambda: bool(capture.blocks) and all(last.end for last in _last(capture.blocks)))
        finally:
            capture.context.stop.set()
            for task in (running, collecting):
                task.cancel()
            await asyncio.gather(running, collecting, return_exceptions=True)
            await capture.bus.stop()


def _key(record: EndpointRecord) -> bytes:
    return f"{record.address}:{record.port}/{record.uid}".encode()


def _last(blocks: list[PacketBlock]) -> list[PacketBlock]:
    return list({b.ring: b for b in blocks}.values())


def send(where: Namespace, sent: list[bytes]) -> None:
    """Put frames on the wire at the namespace's end, as they are."""
    with where.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
        wire.bind((where.interface, 0))
        for frame in sent:
            wire.send(frame)


def connect(left: Namespace, right: Namespace, count: int, family: int = socket.AF_INET, size: int = 1000) -> int:
    """So many connections with a request of `size` bytes each; answers the server's port."""
    host = right.address if family == socket.AF_INET else right.address6
    with right.entered():
        server = socket.create_server((host, 0), family=family, backlog=count)
    port = int(server.getsockname()[1])
    with server:
        for _ in range(count):
            with left.entered():
                client = socket.create_connection((host, port))
            with client, server.accept()[0] as accepted:
                client.sendall(b"x" * size)
                got = 0
                while got < size:
                    got += len(accepted.recv(65536))
    return port

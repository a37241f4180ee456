"""What every capture source owes, whatever it reads: run over all of them."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import socket
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import dpkt
import pytest
import zstandard

from weir.bus.memory import MemoryBus
from weir.bus.topics import PACKETS
from weir.capture.settings import CaptureSettings
from weir.capture.sources import Source, choose, found
from weir.engine.frames import Frame, frames
from weir.model.control import Control
from weir.model.packets import PacketBlock
from weir.runtime.service import Context
from weir.testing.capturefiles import Packet, pcap, pcapng
from weir.testing.netns import joined, may_make_namespaces
from weir.testing.packets import ethernet, ipv4, udp

COUNT = 5000
FRAMES = [
    ethernet(ipv4("192.0.2.1", "192.0.2.2", 17, udp(1000 + n % 300, 4000, n.to_bytes(4, "big") + bytes(n % 900))))
    for n in range(COUNT)
]
MINE = FRAMES[0][:12]
START = 1_700_000_000_000_000_000


class Subject:
    """A source with what it is fed."""

    def __init__(self, source: Source, context: Context, feed: Callable[[], None]) -> None:
        self.source = source
        self.context = context
        self.feed = feed
        """Gives the source `FRAMES`; for a file they are there already."""


Open = Callable[[Path], contextlib.AbstractAsyncContextManager[Subject]]


def _subject(settings: CaptureSettings, feed: Callable[[], None]) -> Subject:
    context = Context(bus=MemoryBus(instance="weir", shards=2), node="n1")
    source = choose(settings)(settings, context)
    source.follow(Control(generation=3, outline=False, targets=["all"]))
    return Subject(source, context, feed)


def _file(name: str, content: Callable[[], bytes], **settings: Any) -> Open:
    @contextlib.asynccontextmanager
    async def open_file(folder: Path) -> AsyncIterator[Subject]:
        path = folder / name
        path.write_bytes(content())
        yield _subject(CaptureSettings(files=(str(path),), **settings), lambda: None)

    return open_file


def _live(**settings: Any) -> Open:
    @contextlib.asynccontextmanager
    async def open_live(folder: Path) -> AsyncIterator[Subject]:
        with joined() as (left, right), left.entered(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:
            wire.bind((left.interface, 0))

            def feed() -> None:
                for frame in FRAMES:
                    wire.send(frame)

            interfaces = settings.pop("interfaces", (right.interface,))
            with right.entered():
                yield _subject(CaptureSettings(source="af_packet", interfaces=interfaces, **settings), feed)

    return open_live


def _packets() -> list[Packet]:
    return [Packet(START + n * 1000, frame) for n, frame in enumerate(FRAMES)]


ROOT = [pytest.mark.root, pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2")]
SOURCES = [
    pytest.param(_file("x.pcap", lambda: pcap(_packets())), id="pcap"),
    pytest.param(_file("x.pcap", lambda: pcap(_packets(), order=">", nano=True), rings=3), id="pcap in rings"),
    pytest.param(_file("x.pcapng", lambda: pcapng(_packets())), id="pcapng"),
    pytest.param(_file("x.gz", lambda: gzip.compress(pcap(_packets()), 1)), id="pcap in gzip"),
    pytest.param(_file("x.zst", lambda: zstandard.compress(pcap(_packets()), 1)), id="pcap in zstd"),
    pytest.param(_live(), id="af_packet", marks=ROOT),
    pytest.param(_live(rings=2, interfaces=("any",)), id="af_packet on any in rings", marks=ROOT),
]


async def run(subject: Subject, upto: int = COUNT) -> list[PacketBlock]:
    """Everything up to the end; a live source is stopped once it gave `upto` of what was fed."""
    blocks: list[PacketBlock] = []
    fed = seen = 0
    async with asyncio.timeout(20), contextlib.aclosing(subject.source.blocks()) as given:
        async for block in given:
            if not fed:
                subject.feed()
                fed = 1
            blocks.append(block)
            seen += sum(f.startswith(MINE) for f in shown(block))
            if subject.source.live and seen >= upto:
                subject.context.stop.set()
    return blocks


def shown(block: PacketBlock) -> list[bytes]:
    return [bytes(block.data[f.at : f.at + f.captured]) for f in told(block)]


def told(block: PacketBlock) -> list[Frame]:
    return [Frame(*f) for f in frames(block)]


def test_every_source_is_here() -> None:
    assert set(found()) == {"pcap", "af_packet"}


@pytest.mark.parametrize("open_source", SOURCES)
async def test_it_gives_every_packet_once_and_keeps_their_order_in_a_ring(open_source: Open, tmp_path: Path) -> None:
    async with open_source(tmp_path) as subject:
        blocks = await run(subject)
    rings = {b.ring for b in blocks}
    given = {n: [f for b in blocks if b.ring == n for f in shown(b) if f.startswith(MINE)] for n in rings}
    position = {frame: n for n, frame in enumerate(FRAMES)}
    assert sorted((f for ring in given.values() for f in ring), key=position.__getitem__) == FRAMES
    for ring in given.values():
        assert [position[f] for f in ring] == sorted(position[f] for f in ring)
    ports: dict[bytes, set[int]] = {}
    for number, ring in given.items():
        for f in ring:
            ports.setdefault(f[34:36], set()).add(number)
    assert all(len(numbers) == 1 for numbers in ports.values()), "a conversation is in one ring, whole"


@pytest.mark.parametrize("open_source", SOURCES)
async def test_its_books_add_up(open_source: Open, tmp_path: Path) -> None:
    async with open_source(tmp_path) as subject:
        blocks = await run(subject)
    for number in {b.ring for b in blocks}:
        mine = [b for b in blocks if b.ring == number]
        assert [b.sequence for b in mine] == list(range(len(mine)))
        assert len({(b.node, b.run) for b in mine}) == 1
        packets = 0
        for b in mine:
            assert b.first_index == packets
            assert len(told(b)) == b.count
            assert len(b.data) < 900_000 < PACKETS.max_bytes
            assert b.generation == 3
            packets += b.count
        assert [b.end for b in mine] == [False] * (len(mine) - 1) + [True]
        assert sum(b.lost for b in mine) == 0
    assert subject.context.modes["capture.source"]


@pytest.mark.parametrize("open_source", SOURCES)
async def test_its_clock_goes_forward_and_is_never_ahead_of_a_packet(open_source: Open, tmp_path: Path) -> None:
    async with open_source(tmp_path) as subject:
        blocks = await run(subject)
    clocks: dict[int, int] = {}
    for b in blocks:
        clock = clocks.get(b.ring, 0)
        stamps = [f.ts_ns for f in told(b)]
        assert stamps == sorted(stamps)
        assert all(stamp >= clock for stamp in stamps)
        assert b.clock_ns >= clock
        clocks[b.ring] = b.clock_ns
    assert all(clock > START for clock in clocks.values())


@pytest.mark.parametrize("open_source", SOURCES)
async def test_what_the_bus_refuses_is_told_by_the_rings_next_block(open_source: Open, tmp_path: Path) -> None:
    async with open_source(tmp_path) as subject:
        refused: dict[int, int] = {}
        lost: dict[int, int] = {}
        fed = False
        async with asyncio.timeout(20), contextlib.aclosing(subject.source.blocks()) as given:
            async for block in given:
                if not fed:
                    subject.feed()
                    fed = True
                lost[block.ring] = lost.get(block.ring, 0) + block.lost
                if block.count and block.ring not in refused:
                    refused[block.ring] = block.count
                    lost[block.ring] -= block.lost
                    subject.source.refused(block)
                    if subject.source.live:
                        subject.context.stop.set()
    assert refused
    assert {ring: lost[ring] for ring in refused} == refused


@pytest.mark.parametrize("open_source", SOURCES)
async def test_it_closes_within_a_second(open_source: Open, tmp_path: Path) -> None:
    async with open_source(tmp_path) as subject:
        blocks = []
        async with asyncio.timeout(20):
            async for block in subject.source.blocks():
                if not blocks:
                    subject.context.stop.set()
                    before = time.monotonic()
                blocks.append(block)
        assert time.monotonic() - before < 1
    assert all(last.end for last in {b.ring: b for b in blocks}.values())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
async def test_a_file_is_replayed_as_an_independent_reader_sees_it(order: str, nano: bool, tmp_path: Path) -> None:
    content = pcap(_packets(), order=order, nano=nano)
    async with _file("x.pcap", lambda: content)(tmp_path) as subject:
        blocks = await run(subject)
    assert [(f.ts_ns, data) for b in blocks for f, data in zip(told(b), shown(b), strict=True)] == [
        (round(stamp * 10**9), data) for stamp, data in _read_by_dpkt(content)
    ]


def _read_by_dpkt(content: bytes) -> list[tuple[Any, bytes]]:
    """Stamps as decimals (dpkt gives floats for microseconds, which keep them)."""
    reader = dpkt.pcap.Reader(io.BytesIO(content))
    return [(round(Decimal(repr(stamp) if isinstance(stamp, float) else stamp), 9), data) for stamp, data in reader]

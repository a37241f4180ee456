from __future__ import annotations

import asyncio
import functools
import gzip
import os
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from weir.bus.memory import MemoryBus
from weir.capture.settings import CaptureSettings
from weir.capture.sources import choose, found
from weir.capture.sources.pcap import Hold, PcapSource, stem
from weir.errors import SettingsError, SourceError
from weir.model.control import Control
from weir.model.packets import PacketBlock
from weir.net.records import Records, packets
from weir.runtime.service import Context
from weir.testing.capturefiles import Packet, block, interface, option, pcap, pcapng, section
from weir.testing.packets import ethernet, ipv4, tcp

START = 1_700_000_000_000_000_000


@functools.cache
def frame(port: int) -> bytes:
    return ethernet(ipv4("10.0.0.1", "10.0.0.2", 6, tcp(port, 80, bytes(100))))


def conversation(count: int) -> list[Packet]:
    rng = random.Random(count)
    return [Packet(START + n * 1_000_000, frame(rng.randrange(1, 500))) for n in range(count)]


def context() -> Context:
    return Context(bus=MemoryBus(instance="weir", shards=4))


async def read(surroundings: Context, *files: Path | str, **settings: Any) -> list[PacketBlock]:
    source = PcapSource(CaptureSettings(files=tuple(map(str, files)), **settings), surroundings)
    source.follow(Control(generation=5))
    return [b async for b in source.blocks()]


def given(blocks: list[PacketBlock]) -> list[tuple[int, int, bytes]]:
    return [p for b in blocks for p in packets(b.data)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "checkout.pcap"
    path.write_bytes(pcap(conversation(20_000)))
    return path


async def test_a_file_is_one_ring_of_blocks(file: Path) -> None:
    surroundings = context()
    blocks = await read(surroundings, file)
    assert given(blocks) == [(p.ts_ns, len(p.frame), p.frame) for p in conversation(20_000)]
    assert {(b.node, b.ring, b.layout, b.linktype, b.generation) for b in blocks} == {("checkout", 0, "records", 1, 5)}
    assert [b.end for b in blocks] == [False] * (len(blocks) - 1) + [True]
    assert 200_000 < max(len(b.data) for b in blocks) < 900_000
    assert surroundings.modes["capture.source"] == f"{file}: pcap, little-endian, µs"
    assert not surroundings.notes


async def test_rings_share_the_clock_of_the_file_and_each_packet_is_in_one(file: Path) -> None:
    blocks = await read(context(), file, rings=4)
    assert sorted(given(blocks)) == sorted(given(await read(context(), file)))
    for number in range(4):
        mine = [b for b in blocks if b.ring == number]
        assert [b.sequence for b in mine] == list(range(len(mine)))
        assert mine[-1].end
        assert mine[-1].clock_ns == START + 19_999_000_000
        assert [b.clock_ns for b in mine] == [b.clock_ns for b in blocks if b.ring == 0]


async def test_processes_that_take_a_ring_each_give_together_what_one_gives(file: Path) -> None:
    whole = await read(context(), file, rings=3)
    for number in range(3):
        share = await read(context(), file, rings=3, ring=number)
        assert {b.ring for b in share} == {number}
        assert given(share) == given([b for b in whole if b.ring == number])
        assert [b.clock_ns for b in share] == [b.clock_ns for b in whole if b.ring == number]


async def test_a_ring_without_packets_tells_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([Packet(START + n, ethernet(ipv4("10.0.0.1", "10.0.0.2", 6, tcp(1, 2)))) for n in range(5)]))
    blocks = await read(context(), path, rings=2)
    ticks = [b for b in blocks if not b.count and not b.end]
    assert len(ticks) == 1
    assert ticks[0].clock_ns == max(b.clock_ns for b in blocks)


async def test_the_clock_is_never_ahead_of_a_packet_that_is_a_little_late(tmp_path: Path) -> None:
    shuffled = conversation(20_000)
    rng = random.Random(3)
    shuffled.sort(key=lambda p: p.ts_ns + rng.randrange(50_000_000))
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap(shuffled))
    clock = 0
    for b in await read(context(), path):
        assert all(t >= clock for t, _, _ in packets(b.data))
        assert b.clock_ns >= clock
        clock = b.clock_ns


async def test_files_are_read_in_order_each_its_own_run(tmp_path: Path) -> None:
    names = ["b.pcap", "a.pcapng.gz"]
    (tmp_path / names[0]).write_bytes(pcap(conversation(3)))
    (tmp_path / names[1]).write_bytes(gzip.compress(pcapng(conversation(4))))
    blocks = await read(context(), *(tmp_path / n for n in names))
    told = [(b.node, b.count, b.end) for b in blocks]
    assert told == [("b", 3, False), ("b", 0, True), ("a", 4, False), ("a", 0, True)]
    assert blocks[0].run < blocks[2].run
    assert {b.node for b in await read(context(), *(tmp_path / n for n in names), node="edge")} == {"edge"}


async def test_link_types_are_not_mixed_in_a_block(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    path.write_bytes(pcapng([Packet(START + n, b"x" * 20, interface=n % 2) for n in range(10)], linktypes=(1, 101)))
    blocks = await read(context(), path)
    assert [(b.linktype, b.count) for b in blocks[:2]] == [(1, 5), (101, 5)]
    assert blocks[0].clock_ns <= START, "packets of the second block may be as old as the first"


async def test_a_cut_file_gives_its_packets_and_a_counted_loss(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap(conversation(50))[:-10])
    surroundings = context()
    blocks = await read(surroundings, path)
    assert len(given(blocks)) == 49
    assert (blocks[-1].end, blocks[-1].lost) == (True, 1)
    assert surroundings.counts["lost.capture.truncated"] == 1
    assert "breaks off" in surroundings.notes["capture.source"]
    assert "49 packets were read before it" in surroundings.notes["capture.source"]


async def test_a_lying_file_gives_what_is_before_the_lie(tmp_path: Path) -> None:
    path = tmp_path / "lie.pcap"
    path.write_bytes(pcap(conversation(50)) + struct.pack("<IIII", 0, 0, 0x7FFFFFFF, 0x7FFFFFFF) + bytes(5000))
    surroundings = context()
    assert len(given(await read(surroundings, path))) == 50
    assert surroundings.counts["lost.capture.length"] == 1
    assert "2147483647" in surroundings.notes["capture.source"]


async def test_compression_that_breaks_off_is_a_counted_loss(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap.gz"
    path.write_bytes(gzip.compress(pcap([Packet(START, random.Random(1).randbytes(60_000))] * 40))[:-5000])
    surroundings = context()
    assert 30 < len(given(await read(surroundings, path))) < 40
    assert surroundings.counts["lost.capture.unreadable"] == 1


async def test_among_processes_that_share_a_file_one_tells_the_loss(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(pcap(conversation(50))[:-10])
    for ring, lost in ((0, 1), (1, 0)):
        surroundings = context()
        blocks = await read(surroundings, path, rings=2, ring=ring)
        assert surroundings.counts["lost.capture.truncated"] == lost
        assert blocks[-1].lost == lost


async def test_what_the_recorder_lost_is_told(tmp_path: Path) -> None:
    statistics = block(5, struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 12)))
    path = tmp_path / "x.pcapng"
    path.write_bytes(section() + interface() + statistics)
    surroundings = context()
    blocks = await read(surroundings, path)
    assert (blocks[-1].lost, surroundings.counts["lost.capture.recorder"]) == (12, 12)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello world, this is no capture", "is not a capture file"),
        (pcap([])[:10], "ends inside its file header"),
        (pcap([]) + struct.pack("<IIII", 0, 0, 1 << 30, 1 << 30), "claims 1073741824 captured bytes"),
        (b"\x1f\x8b garbage, not deflated at all", "compressed data"),
        (pcap(conversation(1))[:-5], "breaks off"),
        (None, "there is no file"),
    ],
)
async def test_a_bad_file_is_found_before_anything_is_given(content: bytes | None, words: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.pcap", tmp_path / "bad.pcap"
    good.write_bytes(pcap(conversation(3)))
    if content is not None:
        bad.write_bytes(content)
    source = PcapSource(CaptureSettings(files=(str(good), str(bad))), context())
    with pytest.raises(SourceError) as caught:
        await anext(source.blocks())
    assert words in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 3


async def test_a_file_without_packets_is_only_an_end(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap([]))
    assert [(b.count, b.end) for b in await read(context(), path)] == [(0, True)]


async def test_stop_ends_a_file_where_it_is(file: Path) -> None:
    surroundings = context()
    source = PcapSource(CaptureSettings(files=(str(file), str(file))), surroundings)
    blocks = []
    async for b in source.blocks():
        blocks.append(b)
        surroundings.stop.set()
    assert blocks[-1].end
    assert 0 < len(given(blocks)) < 20_000
    assert not surroundings.notes


async def test_a_quiet_pipe_gives_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    monkeypatch.setattr("weir.capture.streams._open", lambda path: reading)
    surroundings = context()
    source = PcapSource(CaptureSettings(files=("-",)), surroundings)
    os.write(writing, pcap(conversation(3)))
    blocks = source.blocks()
    first = await asyncio.wait_for(anext(blocks), 5)
    assert (first.node, first.count) == ("stdin", 3)
    os.write(writing, pcap(conversation(2))[24:])
    assert (await asyncio.wait_for(anext(blocks), 5)).count == 2
    os.close(writing)
    assert [b.end async for b in blocks] == [True]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (CaptureSettings(source="pcap"), "nothing to read"),
        (CaptureSettings(files=("x",), rings=2, ring=2), "no ring 2 of 2"),
        (CaptureSettings(files=("-", "-")), "only once"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: CaptureSettings, words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        PcapSource(settings, context())
    assert caught.value.hint


@pytest.mark.parametrize(
    ("path", "name"),
    [("/a/checkout.pcap.zst", "checkout"), ("x.PCAPNG.gz", "x"), ("-", "stdin"), ("/a/b.c.cap", "b.c"), ("d", "d")],
)
def test_the_stem_names_the_node(path: str, name: str) -> None:
    assert stem(path) == name


def _records(low: int, high: int, linktype: int = 1) -> Records:
    return Records(linktype=linktype, data=b"", count=1, low_ns=low, high_ns=high)


def test_hold_tells_a_clock_that_what_follows_is_not_behind() -> None:
    hold = Hold()
    assert hold.put([_records(10, 20)]) == []
    assert [clock for _, clock in hold.put([_records(15, 30)])] == [15]
    assert [clock for _, clock in hold.put([_records(5, 8)])] == [15]
    assert [clock for _, clock in hold.put([_records(40, 50), _records(45, 60, 101)])] == [30]
    assert [clock for _, clock in hold.take()] == [30, 60]
    assert hold.take() == []


def test_sources_are_found_in_their_folder() -> None:
    assert set(found()) == {"pcap", "af_packet"}
    assert choose(CaptureSettings(files=("x",))).name == "pcap"
    assert choose(CaptureSettings()).name == "af_packet"
    assert choose(CaptureSettings(source="af_packet", files=("x",))).name == "af_packet"
    with pytest.raises(SettingsError, match="no source 'pf_ring'") as caught:
        choose(CaptureSettings(source="pf_ring"))
    assert "af_packet, pcap" in caught.value.hint

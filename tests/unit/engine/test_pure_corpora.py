"""Foreign captures, many of which once crashed a dissector: nothing raises, every packet is accounted for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dpkt
import pytest

from weir.engine.api import Decision, Drop
from weir.engine.frames import frames
from weir.engine.pure import PureHeaderEngine
from weir.errors import SourceError
from weir.model.flow import DirectedFlow, address_text
from weir.model.packets import PacketBlock, Promise
from weir.net.pcapfile import CaptureFile
from weir.testing.packets import rows

SHARED = Path(__file__).resolve().parents[4] / "shared"
FOLDERS = ("tcpdump", "packetbeat", "deepflow")

pytestmark = [
    pytest.mark.corpora,
    pytest.mark.skipif(not (SHARED / "corpora").is_dir(), reason="no folder `../shared/corpora` beside the project"),
]


class All:
    generation = 0
    revision = 0
    version = 0

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        return Decision(flow)

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        return False

    def excused(self, flow: DirectedFlow, promise: Promise, ts_ns: int) -> bool:
        return False


def captures(folder: str) -> list[Path]:
    return sorted(p for p in (SHARED / "corpora" / folder).rglob("*") if p.suffix in (".pcap", ".pcapng", ".cap"))


def blocks(path: Path) -> Iterator[PacketBlock]:
    capture = CaptureFile(path.name)
    with path.open("rb") as file:
        while size := file.readinto(capture.room()):  # type: ignore[attr-defined]
            for n, records in enumerate(capture.took(size)):
                yield PacketBlock(
                    node=path.name, ring=0, run=1, sequence=n, linktype=records.linktype, count=records.count,
                    clock_ns=records.high_ns, data=records.data,
                )


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_packet_is_accounted_for(folder: str) -> None:
    read = files = 0
    for path in captures(folder):
        short, general = (PureHeaderEngine(All(), shards=3, short_cut=s) for s in (True, False))
        packets = segments = 0
        try:
            for n, block in enumerate(blocks(path)):
                made = short.segments(block, 0, n)
                assert made == general.segments(block, 0, n), path
                packets += block.count
                segments += sum(len(rows(m)) for m in made)
        except SourceError:
            continue
        counts = short.counts
        dropped = {name[15:-1]: n for name, n in counts.items() if name.startswith("filter.dropped{")}
        assert set(dropped) <= set(Drop)
        assert (counts["filter.packets"], counts["filter.segments"]) == (packets, segments), path
        assert packets == segments + sum(dropped.values()), path
        assert counts == general.counts
        files += 1
        read += packets
    assert files > {"tcpdump": 350, "packetbeat": 30, "deepflow": 35}[folder]
    assert read > 400


@pytest.mark.parametrize("folder", ["packetbeat", "deepflow"])
def test_another_implementation_sees_the_same_segments(folder: str) -> None:
    """dpkt's opinion on plain TCP and UDP over Ethernet."""
    compared = 0
    for path in captures(folder):
        try:
            found = list(blocks(path))
        except SourceError:
            continue
        for n, block in enumerate(found):
            if block.linktype != 1:
                continue
            ours = {
                row.packet: (row.src, row.sport, row.dst, row.dport, row.payload)
                for made in PureHeaderEngine(All(), shards=1).segments(block, 0, n)
                for row in rows(made)
            }
            for index, (_, at, captured, *_) in enumerate(frames(block)):
                theirs = second_opinion(bytes(block.data[at : at + captured]))
                if theirs is not None:
                    assert ours[index] == theirs, (path, index)
                    compared += 1
    assert compared > 400


def second_opinion(frame: bytes) -> tuple[str, int, str, int, bytes] | None:
    ip = dpkt.ethernet.Ethernet(frame).data
    if not isinstance(ip, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(ip.data, dpkt.tcp.TCP | dpkt.udp.UDP):
        return None
    segment = ip.data
    return address_text(ip.src), segment.sport, address_text(ip.dst), segment.dport, bytes(segment.data)

from __future__ import annotations

import pytest

from weir.engine.frames import NOT_IP_LINK, SECOND_COPY, Frame, frames
from weir.model.packets import LINKTYPE_BY_HATYPE, LINKTYPE_ETHERNET, LINKTYPE_RAW, PacketBlock
from weir.testing.packets import START_NS, Seen, block


def read(packets: PacketBlock) -> list[Frame]:
    return [Frame(*f) for f in frames(packets)]


def shown(packets: PacketBlock) -> list[bytes]:
    return [bytes(packets.data[f.at : f.at + f.captured]) for f in read(packets)]


SEEN = [Seen(b"first", START_NS, 9, interface=3), Seen(b"second", START_NS + 1), Seen(b"", START_NS + 2, 70)]


@pytest.mark.parametrize("layout", ["records", "tpacket3"])
def test_frames(layout: str) -> None:
    packets = block(SEEN, layout=layout)
    assert shown(packets) == [b"first", b"second", b""]
    found = read(packets)
    assert [f.ts_ns for f in found] == [START_NS, START_NS + 1, START_NS + 2]
    assert [f.wire for f in found] == [9, 6, 70]
    assert [f.interface for f in found] == ([0, 0, 0] if layout == "records" else [3, 1, 1])
    assert {f.link for f in found} == {LINKTYPE_ETHERNET}
    assert {f.tag for f in found} == {0}


@pytest.mark.parametrize("layout", ["records", "tpacket3"])
def test_a_block_that_is_cut_ends_early(layout: str) -> None:
    whole = block(SEEN[:2], layout=layout)
    for size in range(len(whole.data)):
        cut = block([], layout=layout, count=2, data=whole.data[:size])
        assert shown(cut) == [b"first", b"second"][: len(read(cut))]
    assert read(block([], layout=layout, count=5, data=b"")) == []


@pytest.mark.parametrize("layout", ["records", "tpacket3"])
def test_no_more_than_the_block_announces(layout: str) -> None:
    whole = block(SEEN, layout=layout)
    assert len(read(block([], layout=layout, count=2, data=whole.data))) == 2
    assert read(block([], layout=layout, count=-1, data=whole.data)) == []


def test_the_wire_is_never_shorter_than_what_was_captured() -> None:
    assert [f.wire for f in read(block([Seen(b"12345", wire=2)]))] == [5]


def test_a_ring_that_leads_nowhere_ends() -> None:
    whole = bytearray(block(SEEN, layout="tpacket3").data)
    whole[0:4] = b"\0\0\0\0"
    assert len(read(block([], layout="tpacket3", count=3, data=bytes(whole)))) == 1


def test_loopback_shows_each_packet_twice() -> None:
    both = [Seen(b"out", hatype=772, pkttype=4, interface=1), Seen(b"in", hatype=772, interface=1)]
    assert [f.interface for f in read(block(both, layout="tpacket3"))] == [SECOND_COPY, 1]


def test_a_ring_of_many_interfaces() -> None:
    seen = [
        Seen(b"ethernet"),
        Seen(b"loopback", hatype=772),
        Seen(b"\x45tunnel", hatype=65534, link_header=0),
        Seen(b"PPPP\x60ip6", hatype=512, link_header=4, protocol=0x86DD, wire=100),
        Seen(b"other", hatype=801, link_header=2, protocol=0x00F5),
        Seen(b"short", hatype=801, link_header=90),
    ]
    packets = block(seen, layout="tpacket3", linktype=LINKTYPE_BY_HATYPE)
    assert shown(packets) == [b"ethernet", b"loopback", b"\x45tunnel", b"\x60ip6", b"her", b""]
    assert [f.link for f in read(packets)] == [
        LINKTYPE_ETHERNET, LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_RAW, NOT_IP_LINK, LINKTYPE_RAW,
    ]
    assert read(packets)[3].wire == 96

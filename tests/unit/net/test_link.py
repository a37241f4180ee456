from __future__ import annotations

import struct

import pytest

from weir.model import packets
from weir.net.link import CUT, NOT_IP, UNKNOWN_LINK, network_header, synthetic_header
from weir.testing.packets import ethernet

V4, V6 = b"\x45" + bytes(19), b"\x60" + bytes(39)
LLC_SNAP = b"\xaa\xaa\x03\x00\x00\x00\x08\x00"

CASES = [
    ("ethernet", packets.LINKTYPE_ETHERNET, ethernet(V4), 0x0800, 14),
    ("ethernet v6", packets.LINKTYPE_ETHERNET, ethernet(V6, 0x86DD), 0x86DD, 14),
    ("arp", packets.LINKTYPE_ETHERNET, ethernet(bytes(28), 0x0806), NOT_IP, None),
    ("802.1Q", packets.LINKTYPE_ETHERNET, ethernet(V4, tags=[(0x8100, 5)]), 0x0800, 18),
    ("QinQ", packets.LINKTYPE_ETHERNET, ethernet(V4, tags=[(0x88A8, 5), (0x8100, 6)]), 0x0800, 22),
    ("old QinQ", packets.LINKTYPE_ETHERNET, ethernet(V4, tags=[(0x9100, 5), (0x8100, 6)]), 0x0800, 22),
    ("tags without end", packets.LINKTYPE_ETHERNET, ethernet(V4, tags=[(0x8100, 5)] * 20), NOT_IP, None),
    ("LLC/SNAP", packets.LINKTYPE_ETHERNET, ethernet(LLC_SNAP + V4, 28), 0x0800, 22),
    ("LLC, not SNAP", packets.LINKTYPE_ETHERNET, ethernet(b"\x42\x42\x03" + bytes(32), 35), NOT_IP, None),
    ("cooked", packets.LINKTYPE_LINUX_SLL, bytes(14) + b"\x08\x00" + V4, 0x0800, 16),
    ("cooked v1, VLAN", packets.LINKTYPE_LINUX_SLL, bytes(14) + b"\x81\x00\x00\x05\x86\xdd" + V6, 0x86DD, 20),
    ("cooked v2", packets.LINKTYPE_LINUX_SLL2, b"\x86\xdd" + bytes(18) + V6, 0x86DD, 20),
    ("raw v4", packets.LINKTYPE_RAW, V4, 0x0800, 0),
    ("raw v6", packets.LINKTYPE_IPV6, V6, 0x86DD, 0),
    ("raw, neither", packets.LINKTYPE_RAW, b"\x15" + bytes(30), NOT_IP, None),
    ("null, little endian", packets.LINKTYPE_NULL, struct.pack("<I", 2) + V4, 0x0800, 4),
    ("null, big endian", packets.LINKTYPE_NULL, struct.pack(">I", 2) + V4, 0x0800, 4),
    ("null, Darwin", packets.LINKTYPE_NULL, struct.pack("<I", 30) + V6, 0x86DD, 4),
    ("null, FreeBSD, big endian", packets.LINKTYPE_NULL, struct.pack(">I", 28) + V6, 0x86DD, 4),
    ("loop", packets.LINKTYPE_LOOP, struct.pack(">I", 24) + V6, 0x86DD, 4),
    ("loop, not IP", packets.LINKTYPE_LOOP, struct.pack(">I", 7) + V6, NOT_IP, None),
    ("unknown", 147, V4, UNKNOWN_LINK, None),
]


@pytest.mark.parametrize(("link", "frame", "kind", "at"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.parametrize("before", [0, 7])
def test_network_header(link: int, frame: bytes, kind: int, at: int | None, before: int) -> None:
    data = bytes(before) + frame + b"\xff" * 9
    found, offset = network_header(link, data, before, before + len(frame))
    assert found == kind
    if at is not None:
        assert offset == before + at


@pytest.mark.parametrize("link", sorted({c[1] for c in CASES if c[0] != "unknown"}))
def test_a_cut_header_is_told(link: int) -> None:
    assert network_header(link, b"", 0, 0)[0] == CUT


def test_a_cut_tag_is_told() -> None:
    frame = ethernet(b"", tags=[(0x8100, 1)])[:15]
    assert network_header(packets.LINKTYPE_ETHERNET, frame, 0, len(frame))[0] == CUT


@pytest.mark.parametrize("link", [packets.LINKTYPE_ETHERNET, packets.LINKTYPE_LINUX_SLL, packets.LINKTYPE_LINUX_SLL2,
                                  packets.LINKTYPE_RAW, packets.LINKTYPE_NULL, packets.LINKTYPE_LOOP])
@pytest.mark.parametrize(("version", "packet", "kind"), [(4, V4, 0x0800), (6, V6, 0x86DD)])
def test_a_synthetic_header_is_read_back(link: int, version: int, packet: bytes, kind: int) -> None:
    head = synthetic_header(link, version)
    assert network_header(link, head + packet, 0, len(head + packet)) == (kind, len(head))

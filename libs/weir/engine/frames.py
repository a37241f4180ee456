"""The packets of a block, whatever its layout: where each frame lies and when it was seen."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from weir.model.packets import LINKTYPE_BY_HATYPE, LINKTYPE_ETHERNET, LINKTYPE_RAW, PacketBlock

SECOND_COPY = -1
"""In place of an interface: the loopback device shows each packet twice, going out and coming in."""
NOT_IP_LINK = -1
"""In place of a link type: what the interface carries is not IP."""


FrameTuple = tuple[int, int, int, int, int, int, int]
"""A `Frame` as it is yielded: a plain tuple is made in a third of the time."""


class Frame(NamedTuple):
    """What `frames` tells of a packet."""

    ts_ns: int
    at: int
    """Offset in the block's data."""
    captured: int
    wire: int
    """Length on the wire; never less than `captured`."""
    interface: int
    """Index of the interface that showed it, 0 if that is unknown, or `SECOND_COPY`."""
    link: int
    """LINKTYPE_*, or `NOT_IP_LINK`."""
    tag: int
    """VLAN tag (TPID << 16 | TCI) that the kernel took out of the frame, 0 for none."""


_RECORD = struct.Struct("<IIII")
_RING = struct.Struct("<IIIIIIHHxxxxIH")
_SOCKADDR = struct.Struct("<HxxiHB")
_SLL_PROTOCOL = struct.Struct("!H")
_SOCKADDR_AT = 48
"""TPACKET_ALIGN(sizeof(struct tpacket3_hdr)), linux/if_packet.h."""
_ETHER, _LOOPBACK = 1, 772
"""ARPHRD_ETHER and ARPHRD_LOOPBACK, linux/if_arp.h."""
_OUTGOING = 4
"""PACKET_OUTGOING, linux/if_packet.h."""
_VLAN_VALID, _VLAN_TPID_VALID = 0x10, 0x40
"""Of tp_status: the packet had a VLAN tag, and tp_vlan_tpid tells its type."""
_IP = frozenset((0x0800, 0x86DD))


def frames(block: PacketBlock) -> Iterator[FrameTuple]:
    """`Frame` after `Frame`, at most `block.count`; ends early where the data contradicts itself."""
    return _ring(block) if block.layout == "tpacket3" else _records(block)


def _records(block: PacketBlock) -> Iterator[FrameTuple]:
    data, link, size, at = block.data, block.linktype, len(block.data), 0
    unpack = _RECORD.unpack_from
    for _ in range(block.count):
        start = at + 16
        if start > size:
            return
        sec, nsec, captured, wire = unpack(data, at)
        at = start + captured
        if at > size:
            return
        yield sec * 1_000_000_000 + nsec, start, captured, wire if wire > captured else captured, 0, link, 0


def _ring(block: PacketBlock) -> Iterator[FrameTuple]:
    data, size, at = block.data, len(block.data), 0
    for left in range(block.count, 0, -1):
        if at + _SOCKADDR_AT + _SOCKADDR.size > size:
            return
        after, sec, nsec, captured, wire, status, mac, net, tci, tpid = _RING.unpack_from(data, at)
        family_at = at + _SOCKADDR_AT
        _, interface, hatype, pkttype = _SOCKADDR.unpack_from(data, family_at)
        link, start, tag = block.linktype, at + mac, 0
        if status & _VLAN_VALID:
            tag = (tpid if status & _VLAN_TPID_VALID else 0x8100) << 16 | tci & 0xFFFF
        if start + captured > size or mac < _SOCKADDR_AT:
            return
        if hatype == _LOOPBACK and pkttype == _OUTGOING:
            interface = SECOND_COPY
        if link == LINKTYPE_BY_HATYPE:
            link = LINKTYPE_ETHERNET
            if hatype not in (_ETHER, _LOOPBACK):
                # Only Ethernet is worth its header; of all others the kernel tells where the network header begins.
                skip = min(max(net - mac, 0), captured)
                start, captured, wire = start + skip, captured - skip, max(wire - skip, 0)
                link = LINKTYPE_RAW if _SLL_PROTOCOL.unpack_from(data, family_at + 2)[0] in _IP else NOT_IP_LINK
        yield sec * 1_000_000_000 + nsec, start, captured, max(wire, captured), interface, link, tag
        if left > 1 and after < _SOCKADDR_AT:
            return
        at += after

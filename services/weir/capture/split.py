"""Spreads the packets of a file over rings, each conversation into one. Pure.

For live capture the kernel does this (PACKET_FANOUT_HASH). A file has nobody who could, so here, and only here,
capture looks at headers, and no further than the ports: the hash need not be right about what a packet is, only the
same for all packets of a conversation. Fragments carry no ports behind the first one, and the outer port of a tunnel
differs by direction; both are sorted by their addresses alone, as the kernel sorts fragments. What is not IP, and IPv6
behind extension headers in part (its ports are not looked for), goes by what is known of it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from weir.model.packets import (
    LINKTYPE_ETHERNET,
    LINKTYPE_IPV4,
    LINKTYPE_IPV6,
    LINKTYPE_LINUX_SLL,
    LINKTYPE_LINUX_SLL2,
    LINKTYPE_LOOP,
    LINKTYPE_NULL,
    LINKTYPE_RAW,
)
from weir.net.records import Records

_Unpack = Callable[[bytes, int], tuple[int, ...]]

_TYPE: _Unpack = struct.Struct("!H").unpack_from
_PLAIN: _Unpack = struct.Struct("!12xHBxxxxxHxBxxIIHH").unpack_from
_V4: _Unpack = struct.Struct("!BxxxxxHxBxxII").unpack_from
_V6: _Unpack = struct.Struct("!4xxxBxQQQQ").unpack_from
_PORTS: _Unpack = struct.Struct("!HH").unpack_from
_CAPLEN: _Unpack = struct.Struct("<I").unpack_from

_VLAN = frozenset((0x8100, 0x88A8, 0x9100))
_TCP, _UDP, _SCTP = 6, 17, 132
_TUNNELS = frozenset((4789, 6081, 8472))
"""UDP ports of VXLAN, Geneve, and VXLAN as Linux first had it."""

_IP_AT = {
    LINKTYPE_RAW: 0, LINKTYPE_IPV4: 0, LINKTYPE_IPV6: 0, LINKTYPE_NULL: 4, LINKTYPE_LOOP: 4,
    LINKTYPE_LINUX_SLL: 16, LINKTYPE_LINUX_SLL2: 20,
}
"""Where the IP header begins. Whether it is one is told by its version field: a wrong guess costs nothing."""


def split(records: Records, rings: int) -> list[tuple[bytes, int]]:
    """For each ring its packets in layout `records`, in order, and their number."""
    if rings == 1:
        return [(records.data, records.count)]
    data, position, end = records.data, 0, len(records.data)
    parts: list[list[bytes]] = [[] for _ in range(rings)]
    key = _ethernet if records.linktype == LINKTYPE_ETHERNET else _offset(_IP_AT.get(records.linktype, -1))
    while position < end:
        start = position + 16
        stop = start + _CAPLEN(data, position + 8)[0]
        # The upper bits of the product: consecutive ports must not fall into step with the number of rings.
        parts[(key(data, start, stop) * 0x9E3779B1 >> 20) % rings].append(data[position:stop])
        position = stop
    return [(b"".join(part), len(part)) for part in parts]


def _ethernet(data: bytes, at: int, stop: int) -> int:
    if at + 38 <= stop:
        # TCP straight behind IPv4 without options is nearly everything: one look instead of four.
        kind, first, fragment, protocol, src, dst, sport, dport = _PLAIN(data, at)
        if kind == 0x800 and first == 0x45 and protocol == _TCP and not fragment & 0x3FFF:
            return src + dst + (sport + dport) * 0x10001 + _TCP
    kind_at = at + 12
    while kind_at + 2 <= stop and _TYPE(data, kind_at)[0] in _VLAN:
        kind_at += 4
    return _ip(data, kind_at + 2, stop) if kind_at + 2 <= stop and _TYPE(data, kind_at)[0] in (0x800, 0x86DD) else 0


def _offset(offset: int) -> Callable[[bytes, int, int], int]:
    if offset < 0:
        return lambda data, at, stop: 0
    return lambda data, at, stop: _ip(data, at + offset, stop)


def _ip(data: bytes, at: int, stop: int) -> int:
    """The same number for both directions; sums commute."""
    if at >= stop:
        return 0
    version = data[at] >> 4
    if version == 4 and at + 20 <= stop:
        first, fragment, protocol, src, dst = _V4(data, at)
        ports = 0 if fragment & 0x3FFF else _ports(data, at + (first & 15) * 4, stop, protocol)
        return src + dst + ports
    if version == 6 and at + 40 <= stop:
        protocol, src_high, src_low, dst_high, dst_low = _V6(data, at)
        addresses = src_high + dst_high + src_low + dst_low
        return (addresses & 0xFFFFFFFF) + (addresses >> 32) + _ports(data, at + 40, stop, protocol)
    return 0


def _ports(data: bytes, at: int, stop: int, protocol: int) -> int:
    if protocol not in (_TCP, _UDP, _SCTP) or at + 4 > stop:
        return 0
    sport, dport = _PORTS(data, at)
    if protocol == _UDP and (sport in _TUNNELS or dport in _TUNNELS):
        return 0
    return (sport + dport) * 0x10001 + protocol

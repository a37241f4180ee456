"""Link layers: where the network header begins in a frame, and what it is.

Ethernet with any stack of VLAN tags and LLC/SNAP, Linux cooked v1 and v2, raw IP, BSD loopback. What lies behind an
EtherType that is not IP is of no interest here.
"""

from __future__ import annotations

import struct

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

Buffer = bytes | memoryview

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
ETHERTYPE_TEB = 0x6558
"""Transparent Ethernet bridging: a whole Ethernet frame inside GRE or Geneve."""
NOT_IP = 0
"""Some other protocol than IP."""
CUT = -1
"""The captured bytes end within the link header."""
UNKNOWN_LINK = -2
"""A link type that is not known here."""

_HEADERS = {LINKTYPE_ETHERNET: (14, 12), LINKTYPE_LINUX_SLL: (16, 14), LINKTYPE_LINUX_SLL2: (20, 0)}
"""Link type: length of its header, and where the EtherType lies in it."""
_VLAN = frozenset((0x8100, 0x88A8, 0x9100, 0x9200))
_MAX_TAGS = 8
"""Provider bridges stack two tags; a longer stack is made to keep parsers busy."""
_SNAP = b"\xaa\xaa\x03\x00\x00\x00"
_FAMILIES = {2: ETHERTYPE_IPV4, 10: ETHERTYPE_IPV6, 24: ETHERTYPE_IPV6, 28: ETHERTYPE_IPV6, 30: ETHERTYPE_IPV6}
"""AF_INET, and AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, and Darwin."""
_U16 = struct.Struct("!H")


def network_header(link: int, data: Buffer, at: int, end: int) -> tuple[int, int]:
    """EtherType and offset of the network header of the frame `data[at:end]`.

    In place of an EtherType also `NOT_IP`, `CUT` or `UNKNOWN_LINK`; the offset then means nothing.
    """
    known = _HEADERS.get(link)
    if known is not None:
        length, kind_at = known
        if end - at < length:
            return CUT, at
        return _untag(_U16.unpack_from(data, at + kind_at)[0], data, at + length, end)
    if link in (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6):
        return (_by_version(data[at]), at) if at < end else (CUT, at)
    if link in (LINKTYPE_NULL, LINKTYPE_LOOP):
        return _loopback(data, at, end)
    return UNKNOWN_LINK, at


def synthetic_header(link: int, version: int) -> bytes:
    """A link header without addresses, for an IP packet that has none of its own on a link of this type."""
    kind = _U16.pack(ETHERTYPE_IPV4 if version == 4 else ETHERTYPE_IPV6)
    if link in _HEADERS:
        length, kind_at = _HEADERS[link]
        return bytes(kind_at) + kind + bytes(length - kind_at - 2)
    if link == LINKTYPE_LOOP:
        return struct.pack("!I", 2 if version == 4 else 30)
    if link == LINKTYPE_NULL:
        return struct.pack("<I", 2 if version == 4 else 30)
    return b""


def _untag(kind: int, data: Buffer, at: int, end: int) -> tuple[int, int]:
    for _ in range(_MAX_TAGS):
        if kind not in _VLAN:
            break
        if end - at < 4:
            return CUT, at
        kind = _U16.unpack_from(data, at + 2)[0]
        at += 4
    if kind < 0x0600 and bytes(data[at : at + 6]) == _SNAP and end - at >= 8:
        # IEEE 802.3: the field is a length; RFC 1042 puts the EtherType behind LLC and SNAP.
        kind = _U16.unpack_from(data, at + 6)[0]
        at += 8
    return (kind if kind in (ETHERTYPE_IPV4, ETHERTYPE_IPV6) else NOT_IP), at


def _by_version(first: int) -> int:
    return {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(first >> 4, NOT_IP)


def _loopback(data: Buffer, at: int, end: int) -> tuple[int, int]:
    """The address family in the byte order of the host that captured (NULL) or of the network (LOOP)."""
    if end - at < 4:
        return CUT, at
    family = int.from_bytes(data[at : at + 4], "little")
    if family > 0xFFFF:
        family = int.from_bytes(data[at : at + 4], "big")
    return _FAMILIES.get(family, NOT_IP), at + 4

"""IPv4 and IPv6 headers: addresses, what follows, how far it reaches, and whether it is a fragment.

Lengths are told by the header, as they were on the wire; how much of that was captured is the caller's to compare.
Joining fragments is `weir.engine.fragments`.
"""

from __future__ import annotations

import struct
from enum import Enum
from typing import NamedTuple

from weir.net.link import Buffer

IPIP, IPV6_IN_IP, GRE = 4, 41, 47
_HOP, _ROUTING, _FRAGMENT, _AH, _DESTINATION, _MOBILITY, _HIP, _SHIM6 = 0, 43, 44, 51, 60, 135, 139, 140
_EXTENSIONS = frozenset((_HOP, _ROUTING, _DESTINATION, _MOBILITY, _HIP, _SHIM6))
_MAX_EXTENSIONS = 16
"""RFC 8200 §4.1 has at most seven; more are made to keep a parser busy or to hide what follows."""

_V4 = struct.Struct("!BxHHHxBxx4s4s")
_V6 = struct.Struct("!IHBx16s16s")
_FRAGMENT_HEADER = struct.Struct("!BxHI")


class Flaw(Enum):
    """Why a header could not be read."""

    CUT = "cut"
    """Fewer bytes were captured than were on the wire, and the header is not whole."""
    MALFORMED = "malformed"
    """The header contradicts itself or does not fit where it stands."""


class Fragment(NamedTuple):
    """What joins a fragment with the others of its datagram."""

    ident: int
    offset: int
    """Position of its payload in the datagram's payload, bytes."""
    more: bool
    next_at: int
    """Offset of the byte that names the protocol of what follows when the fragment header is taken out."""
    header_end: int
    """Where the part ends that every fragment repeats (the headers before a fragment header)."""


class Ip(NamedTuple):
    """An IP header with its extension headers. All offsets are into the buffer that was read."""

    version: int
    at: int
    protocol: int
    src: bytes
    dst: bytes
    payload_at: int
    stop: int
    """Where the payload ended on the wire; may lie beyond what was captured."""
    fragment: Fragment | None = None


def parse_ip(data: Buffer, at: int, end: int, wire_end: int) -> Ip | Flaw:
    """The IP header at `at` in a packet of which `data[at:end]` was captured, and which on the wire went to `wire_end`.

    A length field of 0 (segmentation offload and “BIG TCP”, where 16 bits do not suffice) means: as far as the packet
    went on the wire.
    """
    if at >= end:
        return Flaw.CUT if wire_end > at else Flaw.MALFORMED
    version = data[at] >> 4
    if version == 4:
        return _ipv4(data, at, end, wire_end)
    if version == 6:
        return _ipv6(data, at, end, wire_end)
    return Flaw.MALFORMED


def _short(stop: int, need: int) -> Flaw:
    """The bytes up to offset `need` are not there: cut off by the snap length, or never sent?"""
    return Flaw.CUT if need <= stop else Flaw.MALFORMED


def _ipv4(data: Buffer, at: int, end: int, wire_end: int) -> Ip | Flaw:
    """RFC 791 §3.1."""
    if at + 20 > end:
        return _short(wire_end, at + 20)
    first, total, ident, frag, protocol, src, dst = _V4.unpack_from(data, at)
    payload_at = at + (first & 15) * 4
    stop = at + total if total else wire_end
    if payload_at < at + 20 or payload_at > stop:
        return Flaw.MALFORMED
    if payload_at > end:
        return _short(wire_end, payload_at)
    fragment = None
    if frag & 0x3FFF:
        fragment = Fragment(ident, (frag & 0x1FFF) * 8, bool(frag & 0x2000), at + 9, payload_at)
    elif protocol == _AH:
        skipped = _skip(data, payload_at, end, stop, _AH)
        if isinstance(skipped, Flaw):
            return skipped
        protocol, payload_at = skipped
    return Ip(4, at, protocol, src, dst, payload_at, stop, fragment)


def _ipv6(data: Buffer, at: int, end: int, wire_end: int) -> Ip | Flaw:
    """RFC 8200 §3 and §4. A jumbo payload option (RFC 2675) goes with length 0 and is not read: the wire tells."""
    if at + 40 > end:
        return _short(wire_end, at + 40)
    _, length, protocol, src, dst = _V6.unpack_from(data, at)
    stop = at + 40 + length if length else wire_end
    next_at, payload_at = at + 6, at + 40
    for _ in range(_MAX_EXTENSIONS):
        if protocol == _FRAGMENT:
            if payload_at + 8 > min(end, stop):
                return _short(min(stop, wire_end), payload_at + 8)
            protocol, field, ident = _FRAGMENT_HEADER.unpack_from(data, payload_at)
            if field & 0xFFF9:
                fragment = Fragment(ident, field & 0xFFF8, bool(field & 1), next_at, payload_at)
                return Ip(6, at, protocol, src, dst, payload_at + 8, stop, fragment)
            # An atomic fragment (RFC 6946) is whole; it waits for nothing.
            next_at, payload_at = payload_at, payload_at + 8
        elif protocol in _EXTENSIONS or protocol == _AH:
            skipped = _skip(data, payload_at, end, stop, protocol)
            if isinstance(skipped, Flaw):
                return skipped
            next_at = payload_at
            protocol, payload_at = skipped
        else:
            return Ip(6, at, protocol, src, dst, payload_at, stop)
    return Flaw.MALFORMED


def _skip(data: Buffer, at: int, end: int, stop: int, kind: int) -> tuple[int, int] | Flaw:
    """What follows an extension header, and where. RFC 8200 §4.2; AH counts in words of four bytes (RFC 4302 §2.2)."""
    if at + 2 > min(end, stop):
        return _short(stop, at + 2)
    length = (data[at + 1] + 2) * 4 if kind == _AH else (data[at + 1] + 1) * 8
    if at + length > stop:
        return Flaw.MALFORMED
    if at + length > end:
        return Flaw.CUT
    return data[at], at + length


def checksum(header: bytes) -> int:
    """The Internet checksum (RFC 1071) of a header whose checksum field is zero."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)

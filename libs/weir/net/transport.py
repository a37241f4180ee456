"""TCP, UDP and ICMP headers, and the outer headers of tunnels that ride on UDP or GRE."""

from __future__ import annotations

import struct
from typing import NamedTuple

from weir.net.ip import Flaw
from weir.net.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEB, Buffer

VXLAN_PORTS = frozenset((4789, 8472))
"""IANA's, and the one that Linux had before there was one (flannel and Cilium still use it)."""
GENEVE_PORT = 6081
DNS_PORT = 53

_ICMP_ERRORS = frozenset((3, 4, 5, 11, 12))
_ICMP6_ERRORS = frozenset((1, 2, 3, 4))

_TCP = struct.Struct("!HHIIBB")
_UDP = struct.Struct("!HHHH")
_PORTS = struct.Struct("!HH")
_GRE = struct.Struct("!HH")
_GENEVE = struct.Struct("!BBH")


class Segment(NamedTuple):
    """A TCP or UDP header; for UDP the TCP fields are 0."""

    sport: int
    dport: int
    payload_at: int
    stop: int
    """Where the payload ended on the wire."""
    flags: int = 0
    seq: int = 0
    ack: int = 0


def parse_tcp(data: Buffer, at: int, end: int, stop: int) -> Segment | Flaw:
    """RFC 9293 §3.1. `ack` is 0 where the flag ACK is not set."""
    if at + 20 > stop:
        return Flaw.MALFORMED
    if at + 20 > end:
        return Flaw.CUT
    sport, dport, seq, ack, words, flags = _TCP.unpack_from(data, at)
    payload_at = at + (words >> 4) * 4
    if payload_at < at + 20 or payload_at > stop:
        return Flaw.MALFORMED
    if payload_at > end:
        return Flaw.CUT
    return Segment(sport, dport, payload_at, stop, flags, seq, ack if flags & 0x10 else 0)


def parse_udp(data: Buffer, at: int, end: int, stop: int) -> Segment | Flaw:
    """RFC 768; a length of 0 (offload, jumbograms) means: to the end of the IP payload."""
    if at + 8 > stop:
        return Flaw.MALFORMED
    if at + 8 > end:
        return Flaw.CUT
    sport, dport, length, _ = _UDP.unpack_from(data, at)
    if length and length < 8:
        return Flaw.MALFORMED
    return Segment(sport, dport, at + 8, min(stop, at + length) if length else stop)


def icmp_error(version: int, kind: int) -> bool:
    """Whether an ICMP type (RFC 792, RFC 4443) is an error, which quotes the packet it is about."""
    return kind in (_ICMP_ERRORS if version == 4 else _ICMP6_ERRORS)


def parse_ports(data: Buffer, at: int, end: int) -> tuple[int, int] | Flaw:
    """Source and destination port of a quoted TCP or UDP header."""
    if at + 4 > end:
        return Flaw.CUT
    sport, dport = _PORTS.unpack_from(data, at)
    return sport, dport


def udp_tunnel(dport: int, data: Buffer, at: int, end: int) -> tuple[int, int] | None:
    """EtherType and offset of what a VXLAN (RFC 7348 §5) or Geneve (RFC 8926 §3.4) datagram carries, else None.

    The port alone proves nothing: the header has to be one.
    """
    if at + 8 > end:
        return None
    if dport in VXLAN_PORTS:
        # Flags with only I set (group policy uses two reserved bits), the last byte zero.
        return (ETHERTYPE_TEB, at + 8) if data[at] & 0x7F == 0x08 and data[at + 7] == 0 else None
    if dport == GENEVE_PORT:
        first, _, kind = _GENEVE.unpack_from(data, at)
        inner = at + 8 + (first & 0x3F) * 4
        if first >> 6 == 0 and inner <= end and kind in (ETHERTYPE_TEB, ETHERTYPE_IPV4, ETHERTYPE_IPV6):
            return kind, inner
    return None


def gre_tunnel(data: Buffer, at: int, end: int) -> tuple[int, int] | None:
    """EtherType and offset of what a GRE packet of version 0 carries (RFC 2784, RFC 2890), else None."""
    if at + 4 > end:
        return None
    flags, kind = _GRE.unpack_from(data, at)
    if flags & 0x4007 or kind not in (ETHERTYPE_TEB, ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        return None
    inner = at + 4 + 4 * (bool(flags & 0x8000) + bool(flags & 0x2000) + bool(flags & 0x1000))
    return (kind, inner) if inner <= end else None

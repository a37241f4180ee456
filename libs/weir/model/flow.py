"""Who talks to whom on the wire: five-tuples, their identity in both directions, Community ID."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import struct
from enum import IntEnum

import msgspec

ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
TRANSPORTS = {ICMP: "icmp", TCP: "tcp", UDP: "udp", ICMP6: "icmp6"}


class Side(IntEnum):
    """The two ends of a conversation."""

    CLIENT = 0
    SERVER = 1

    @property
    def other(self) -> Side:
        return Side(1 - self)


class DirectedFlow(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a conversation, and what `filter` decided on it."""

    scope: str = ""
    protocol: int
    """IP protocol number."""
    src: bytes
    """4 or 16 bytes, network order."""
    sport: int = 0
    dst: bytes
    dport: int = 0
    sample_rate: float = 1.0
    """The share of conversations that was kept when this one was; its weight is 1 / rate."""
    outline: bool = False
    """Only openings and closings of this conversation are wanted: no payload is decoded but DNS."""
    bare: bool = False
    """Outline of a view that another one doubles (in front of a NAT, or on the other node): not even DNS is read."""

    def key(self) -> bytes:
        """The same bytes for both directions: scope, protocol, and the two ends in order."""
        here, there = self.src + _PORT.pack(self.sport), self.dst + _PORT.pack(self.dport)
        if there < here:
            here, there = there, here
        return self.scope.encode() + b"\0" + bytes((self.protocol,)) + here + there

    def reversed(self) -> DirectedFlow:
        return msgspec.structs.replace(self, src=self.dst, sport=self.dport, dst=self.src, dport=self.sport)


_PORT = struct.Struct("!H")


def flow_id(key: bytes) -> str:
    """A conversation's name in entries: 20 hexadecimal digits over `DirectedFlow.key`."""
    return hashlib.blake2b(key, digest_size=10).hexdigest()


def address_text(packed: bytes) -> str:
    """`10.0.0.1` or `2001:db8::1`; an IPv4-mapped IPv6 address is told as what it is."""
    return str(ipaddress.ip_address(packed))


def community_id(flow: DirectedFlow, seed: int = 0) -> str:
    """Community ID v1, as Zeek, Suricata and Packetbeat compute it (https://github.com/corelight/community-id-spec)."""
    src, dst, sport, dport = flow.src, flow.dst, flow.sport, flow.dport
    if (dst, dport) < (src, sport):
        src, dst, sport, dport = dst, src, dport, sport
    data = struct.pack("!H", seed) + src + dst + bytes((flow.protocol, 0))
    if flow.protocol in (TCP, UDP):
        data += struct.pack("!HH", sport, dport)
    return "1:" + base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()

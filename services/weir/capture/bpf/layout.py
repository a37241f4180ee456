"""Keys, values and flags of the maps in `kernel/weir.bpf.c`, as Python sees them. Pure.

Addresses are 16 bytes, IPv4 as IPv4-mapped; ports are in network order.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag
from typing import NamedTuple

MAPPED = bytes(10) + b"\xff\xff"
_END_KEY = struct.Struct("=16s2s2x")
_END = struct.Struct("=I4xQ")
_NET_KEY = struct.Struct("=I2sB16sx")
_FLOW_KEY = struct.Struct("=16s16s2s2sBB2x")
FLOW = struct.Struct("=QQQQQIBB2xI4x")
_CONFIG = struct.Struct("=QIII4x")
_STATS = struct.Struct("=12Q")
STATE = struct.Struct("=Q")
WORD = struct.Struct("=I")
FLOW_KEY_BYTES = _FLOW_KEY.size


class End(IntFlag):
    """What is known of an end."""

    TARGETED = 1
    FRONT = 2
    CAPTURED = 4
    KNOWN = 8
    CHOSEN = 16
    EXCLUDED = 32
    OWN = 64
    UNSURE = 128
    LOCAL = 256


class Mode(IntFlag):
    """Bits of the configuration."""

    CLOSED = 1
    EVERYTHING = 2
    OUTLINE = 4
    PODS = 8
    NETS = 16
    PORTS = 32
    ASIDES = 64


class Verdict(IntEnum):
    """What happens to a directed flow."""

    PASS = 0
    SHED = 1
    HOLD = 2
    SHAPE = 3
    BARE = 4
    NONE = 5
    MINE = 6


class Stats(NamedTuple):
    """Totals since the program was loaded, over all CPUs."""

    seen: int = 0
    passed: int = 0
    passed_bytes: int = 0
    copies: int = 0
    own: int = 0
    outline: int = 0
    """Packets of outlines, those that are only counted included."""
    shed: int = 0
    shed_bytes: int = 0
    untracked: int = 0
    """Packets for which the table of flows had no room."""
    odd: int = 0
    """Packets that are not IP, or whose headers make no sense."""
    created: int = 0
    """Flows that were put into the table."""
    payload_bytes: int = 0
    """Of conversations that passed whole."""


class Flow(NamedTuple):
    """One directed flow in the kernel's table; times on the monotonic clock, in ns."""

    packets: int
    bytes: int
    first: int
    last: int
    state: int
    owner: int
    tcp_flags: int
    verdict: int
    next: int = 0
    """Behind the last sequence number that its owner showed."""


class FlowKey(NamedTuple):
    src: bytes
    dst: bytes
    sport: int
    dport: int
    protocol: int
    fragment: int = 0


def wide(address: bytes) -> bytes:
    """16 bytes of an address of 4 or 16."""
    return address if len(address) == 16 else MAPPED + address


def end_key(address: bytes, port: int) -> bytes:
    return _END_KEY.pack(wide(address), port.to_bytes(2, "big"))


def end_value(flags: int, node: int = 0) -> bytes:
    return _END.pack(flags, node)


def end_fields(value: bytes) -> tuple[int, int]:
    """Flags and node."""
    flags, node = _END.unpack(value)
    return flags, node


def net_key(address: bytes, length: int, port: int) -> bytes:
    """Key of a network; `length` counts bits of the address as it is given (4 or 16 bytes)."""
    four = len(address) == 4
    return _NET_KEY.pack(
        24 + length + (96 if four else 0), port.to_bytes(2, "big"), 4 if four else 6, wide(address)
    )


def port_key(port: int) -> bytes:
    """The kernel reads the two bytes of the wire as a little-endian number."""
    return WORD.pack(int.from_bytes(port.to_bytes(2, "big"), "little"))


def config_value(*, node: int, flags: int, share: int, snaplen: int) -> bytes:
    return _CONFIG.pack(node, flags, share, snaplen)


def flow_key(key: FlowKey) -> bytes:
    return _FLOW_KEY.pack(
        key.src, key.dst, key.sport.to_bytes(2, "big"), key.dport.to_bytes(2, "big"), key.protocol, key.fragment
    )


def flow_key_fields(data: bytes) -> FlowKey:
    src, dst, sport, dport, protocol, fragment = _FLOW_KEY.unpack(data)
    return FlowKey(src, dst, int.from_bytes(sport, "big"), int.from_bytes(dport, "big"), protocol, fragment)


def stats_sum(per_cpu: bytes) -> Stats:
    """The value of a per-CPU map, added up."""
    return Stats(*(sum(column) for column in zip(*_STATS.iter_unpack(per_cpu), strict=True)))

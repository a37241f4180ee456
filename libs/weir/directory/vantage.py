"""Where the payload of a conversation is kept when it is seen in several places.

Every node computes the answer alike, from the endpoints alone and without state; the eBPF filter of capture computes
the same from a map of addresses (a test holds the two to each other), so nothing here may need more than one
look-up for each end and some arithmetic on 32 bits.
"""

from __future__ import annotations

import hashlib
import struct
from enum import IntEnum
from functools import lru_cache

from weir.model.control import EndpointRecord

_MAPPED = bytes(10) + b"\xff\xff"
_WORDS = struct.Struct("<4I")
_MASK = 0xFFFFFFFF


class View(IntEnum):
    """What one place keeps of a conversation that is targeted (PAYLOAD, else OUTLINE) or not."""

    PAYLOAD = 0
    """All of it, if it is targeted; if not, its outline with DNS."""
    BARE = 1
    """Only openings, closings and totals: another view has the rest, DNS included."""


@lru_cache(maxsize=4096)
def node_number(name: str) -> int:
    """64 bits that stand for a node; nodes are ordered by it."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, person=b"weir.node").digest(), "little")


def pair_bit(one: bytes, other: bytes) -> int:
    """0 or 1, the same for both orders of the two addresses (4 or 16 bytes each)."""
    return _mix(_fold(one) + _fold(other) & _MASK) >> 16 & 1


def view(
    src: bytes, src_end: EndpointRecord | None, dst: bytes, dst_end: EndpointRecord | None, node: str
) -> View:
    """What `node` keeps of a conversation between these addresses, whose ends are known as `src_end` and `dst_end`.

    In front of a service's NAT only totals are kept: the view behind it, on the same node, has the pods.
    Between two nodes that both capture, a symmetric hash of the pair of addresses picks one. Whoever is neither of
    both (a mirror port, a capture file), or does not know both, keeps payload: nobody else can be relied upon to have
    it. Towards the outside that leaves the pod's node.
    """
    if (src_end is not None and src_end.front) or (dst_end is not None and dst_end.front):
        return View.BARE
    here, there = _place(src_end), _place(dst_end)
    if not here or not there or here == there:
        return View.PAYLOAD
    mine = node_number(node)
    if mine not in (here, there):
        return View.PAYLOAD
    chosen = min(here, there) if pair_bit(src, dst) else max(here, there)
    return View.PAYLOAD if mine == chosen else View.BARE


def _place(end: EndpointRecord | None) -> int:
    return node_number(end.node) if end is not None and end.captured and end.node else 0


def _fold(address: bytes) -> int:
    """An address as 32 well mixed bits; an IPv4 address as its IPv4-mapped form."""
    first, second, third, fourth = _WORDS.unpack(address if len(address) == 16 else _MAPPED + address)
    return _mix(_mix(_mix(_mix(first) ^ second) ^ third) ^ fourth)


def _mix(h: int) -> int:
    """The finalizer of MurmurHash3 (fmix32)."""
    h ^= h >> 16
    h = h * 0x85EBCA6B & _MASK
    h ^= h >> 13
    h = h * 0xC2B2AE35 & _MASK
    return h ^ h >> 16

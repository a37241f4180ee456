"""Totals of directed flows, as the kernel's table gives them (`weir.model.packets.TALLY`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from weir.engine.api import Drop
from weir.engine.shard import scope_of
from weir.model.flow import TCP, UDP, DirectedFlow
from weir.model.packets import TALLY, TALLY_LAST, PacketBlock
from weir.model.segments import Tally

_MAPPED = bytes(10) + b"\xff\xff"
_MOST = (1 << 63) - 1
"""No honest counter is larger; MessagePack readers in other languages have signed 64 bits."""


class Total(NamedTuple):
    """One record of the table."""

    flow: DirectedFlow
    packets: int
    bytes: int
    flags: int
    first_ns: int
    last_ns: int
    last: bool

    def tally(self, flow: int) -> Tally:
        """With the place of its flow in a segment block."""
        _, packets, size, flags, first_ns, last_ns, last = self
        return Tally(flow, packets, size, flags, first_ns, last_ns, last)


def totals(block: PacketBlock) -> Iterator[Total | Drop]:
    """`block.count` records, or why one is none. What the data has beyond whole records is not looked at."""
    data, size = block.data, TALLY.size
    count = max(block.count, 0)
    whole = min(count, len(data) // size)
    for n in range(whole):
        yield _total(block, TALLY.unpack_from(data, n * size))
    for _ in range(min(count - whole, 1)):
        yield Drop.MALFORMED_BLOCK


def _total(block: PacketBlock, values: tuple[bytes, bytes, int, int, int, int, int, int, int, int, int, int]) -> (
    Total | Drop
):
    src, dst, sport, dport, protocol, flags, kind, _, first_ns, last_ns, packets, size = values
    if protocol not in (TCP, UDP):
        return Drop.OTHER_TRANSPORT
    if not 0 <= first_ns <= last_ns or not 0 < packets <= _MOST or size > _MOST:
        return Drop.MALFORMED_BLOCK
    src, dst = _short(src), _short(dst)
    if len(src) != len(dst):
        return Drop.MALFORMED_IP
    flow = DirectedFlow(
        scope=scope_of(block, src, dst), protocol=protocol, src=src, sport=sport, dst=dst, dport=dport
    )
    return Total(flow, packets, size, flags, first_ns, last_ns, bool(kind & TALLY_LAST))


def _short(address: bytes) -> bytes:
    return address[12:] if address[:12] == _MAPPED else address

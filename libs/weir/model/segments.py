"""`weir.segments`: the packets of wanted conversations, with columns that say where everything lies."""

from __future__ import annotations

import msgspec

from weir.model.buffer import Buffer
from weir.model.flow import DirectedFlow

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10


class Tally(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Totals of one directed flow, from the kernel's table (see `weir.model.packets.TALLY`)."""

    flow: int
    """Index into the block's `flows`."""
    packets: int
    bytes: int
    """IP length of all its packets."""
    flags: int
    """All TCP flags so far."""
    first_ns: int
    last_ns: int
    last: bool = False
    """The kernel forgets the flow: nothing follows."""


class SegmentBlock(msgspec.Struct, frozen=True, kw_only=True, tag="segments", tag_field="t"):
    """What one packet block held for one shard; without segments it passes the ring's clock on.

    Columns hold one native little-endian value for each segment, in the order of the packets; read them with
    `memoryview(column).cast(code)`. `frames` holds the frames one after the other (a datagram that was joined from
    fragments is one frame).
    """

    v: int = 1
    node: str
    ring: int
    run: int
    source: str = ""
    """Which capture source gave the packets."""
    shard: int
    shards: int
    """How many shards there are in this generation of topics."""
    origin_partition: int
    origin_offset: int
    """The packet block this was made of: partition and offset on `weir.packets`. One packet block gives at most one
    segment block for each shard, and those of one ring's run come in the order of their offsets, so node, ring, run and
    offset tell a repetition. Offsets of different rings come in any order."""
    generation: int = 0
    clock_ns: int
    end: bool = False
    lost: int = 0
    """Packets lost before this block (told by the packet block)."""
    revision: int = 0
    """The newest `EndpointRecord.revision` that was known when it was decided what is wanted."""
    tallies: list[Tally] = []
    linktype: int
    flows: list[DirectedFlow] = []
    """The directed flows that occur, each once; the column `flow` points into this list."""

    count: int = 0
    flow: bytes = b""
    """`I`: index into `flows`."""
    ts_ns: bytes = b""
    """`q`: capture time, ns since epoch."""
    protocol: bytes = b""
    """`B`: 6 TCP, 17 UDP, 1 or 58 for an ICMP error about the flow."""
    flags: bytes = b""
    """`H`: TCP flags; for an ICMP error type << 8 | code."""
    seq: bytes = b""
    """`I`: TCP sequence number."""
    ack: bytes = b""
    """`I`: TCP acknowledgement number (0 where ACK is not set)."""
    payload_at: bytes = b""
    """`I`: offset of the transport payload in `frames`."""
    payload_len: bytes = b""
    """`I`: payload bytes that were captured."""
    payload_wire: bytes = b""
    """`I`: payload bytes that were on the wire (by the IP length; larger than captured for snapped packets)."""
    frame_at: bytes = b""
    """`I`: offset of the frame in `frames`."""
    frame_len: bytes = b""
    """`I`: captured length of the frame."""
    frame_wire: bytes = b""
    """`I`: length of the frame on the wire."""
    index: bytes = b""
    """`I`: index of the packet within its packet block."""
    frames: Buffer = b""

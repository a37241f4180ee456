"""Which shard a conversation belongs to, and the segment block that a shard gets of one packet block."""

from __future__ import annotations

import struct
from itertools import accumulate
from zlib import crc32

from weir.model.flow import DirectedFlow
from weir.model.packets import LINKTYPE_BY_HATYPE, LINKTYPE_ETHERNET, PacketBlock
from weir.model.segments import SegmentBlock, Tally

Row = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]
"""One segment: the columns of `SegmentBlock` in their order, with offsets into the builder's source."""

COLUMNS = (
    ("flow", "I"), ("ts_ns", "q"), ("protocol", "B"), ("flags", "H"), ("seq", "I"), ("ack", "I"), ("payload_at", "I"),
    ("payload_len", "I"), ("payload_wire", "I"), ("frame_at", "I"), ("frame_len", "I"), ("frame_wire", "I"),
    ("index", "I"),
)
_FRAME_LEN = 10
ROW_BYTES = sum(struct.calcsize("<" + code) for _, code in COLUMNS)
FLOW_BYTES = 128
"""What a directed flow takes in an encoded block, at most, beside its scope."""
_LOOPBACK_6 = bytes(15) + b"\x01"


def scope_of(block: PacketBlock, src: bytes, dst: bytes) -> str:
    """The network in which these addresses mean something: 127.0.0.1 and link-local addresses of two nodes are not
    the same ends, all others are (unless the block says otherwise)."""
    return block.scope or (block.node if _is_local(src) or _is_local(dst) else "")


def _is_local(address: bytes) -> bool:
    """Loopback and link-local: 127.0.0.0/8, 169.254.0.0/16, ::1 and fe80::/10 (RFC 6890)."""
    if len(address) == 4:
        return address[0] == 127 or address[:2] == b"\xa9\xfe"
    return address == _LOOPBACK_6 or (address[0] == 0xFE and address[1] & 0xC0 == 0x80)


def shard_of(flow: DirectedFlow, shards: int) -> int:
    """The same for both directions of a conversation, for the ICMP errors about it, and in every twin."""
    return crc32(flow.key()) % shards


class ShardBuilder:
    """Collects the rows of one shard. The source is the packet block's data, with what was joined or made behind it."""

    __slots__ = ("_places", "flows", "rows", "tallies", "trimmed")

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.flows: list[DirectedFlow] = []
        self.tallies: list[Tally] = []
        self._places: dict[DirectedFlow, int] = {}
        self.trimmed = False
        """Some frame was cut: the source holds bytes that must not travel."""

    def flow_index(self, flow: DirectedFlow) -> int:
        place = self._places.get(flow)
        if place is None:
            place = self._places[flow] = len(self.flows)
            self.flows.append(flow)
        return place

    def overhead(self, flow_bytes: int) -> int:
        """Bytes that the block takes beside its frames, at most."""
        return len(self.rows) * ROW_BYTES + len(self.flows) * flow_bytes

    def cut_to(self, max_bytes: int, flow_bytes: int) -> int:
        """Drop the last rows until the encoded block fits; answers how many."""
        size = flows = kept = 0
        for row in self.rows:
            size += ROW_BYTES + row[_FRAME_LEN] + (flow_bytes if row[0] == flows else 0)
            if size > max_bytes:
                break
            flows = max(flows, row[0] + 1)
            kept += 1
        dropped = len(self.rows) - kept
        del self.rows[kept:]
        del self.flows[flows:]
        self.trimmed = True
        return dropped


def segment_block(
    built: ShardBuilder,
    block: PacketBlock,
    source: bytes | memoryview,
    *,
    shard: int,
    shards: int,
    origin: tuple[int, int],
    generation: int,
    revision: int,
) -> SegmentBlock:
    """The block of one shard.

    Frames are copied together, except where everything in the packet block is wanted by this one shard: then its data
    serves as it is, with its packet headers in between.
    """
    columns: dict[str, bytes] = {}
    frames: bytes | memoryview = b""
    rows = built.rows
    if rows:
        taken = list(zip(*rows, strict=True))
        frames = source
        if len(rows) < block.count or built.trimmed or len(source) > len(block.data):
            frames = _gather(taken, source)
        for (name, code), values in zip(COLUMNS, taken, strict=True):
            columns[name] = struct.pack(f"<{len(rows)}{code}", *values)
    return SegmentBlock(
        source=block.source,
        node=block.node,
        ring=block.ring,
        run=block.run,
        shard=shard,
        shards=shards,
        origin_partition=origin[0],
        origin_offset=origin[1],
        generation=generation,
        revision=revision,
        tallies=built.tallies,
        clock_ns=block.clock_ns,
        end=block.end,
        lost=block.lost,
        linktype=frame_link(block.linktype),
        flows=built.flows,
        count=len(rows),
        frames=frames,
        **columns,  # type: ignore[arg-type]
    )


def frame_link(linktype: int) -> int:
    """Link type of the frames: those of a ring of many interfaces are made Ethernet where they are not."""
    return LINKTYPE_ETHERNET if linktype == LINKTYPE_BY_HATYPE else linktype


def _gather(columns: list[tuple[int, ...]], source: bytes | memoryview) -> bytes:
    """Copy the frames one after the other, and move the offsets along."""
    payload_at, starts, lengths = columns[6], columns[9], columns[10]
    places = (0, *accumulate(lengths[:-1]))
    columns[6] = tuple([p - s + a for p, s, a in zip(payload_at, starts, places, strict=True)])
    columns[9] = places
    return b"".join([source[s : s + n] for s, n in zip(starts, lengths, strict=True)])

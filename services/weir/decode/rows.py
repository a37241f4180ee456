"""The columns of a segment block as rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from weir.model.segments import SegmentBlock


class Malformed(ValueError):
    """A segment block's columns do not fit together."""


_Code = Literal["B", "H", "I", "q"]


def read_rows(block: SegmentBlock) -> Iterator[tuple[int, ...]]:
    """Flow, time, protocol, flags, sequence number, acknowledgement, where the payload lies, its captured
    and true length, length of the frame on the wire."""
    columns: tuple[tuple[bytes, _Code, int], ...] = (
        (block.flow, "I", 4), (block.ts_ns, "q", 8), (block.protocol, "B", 1), (block.flags, "H", 2),
        (block.seq, "I", 4), (block.ack, "I", 4), (block.payload_at, "I", 4), (block.payload_len, "I", 4),
        (block.payload_wire, "I", 4), (block.frame_wire, "I", 4),
    )
    for column, _, width in columns:
        if len(column) != block.count * width:
            raise Malformed(f"a column of {len(column)} bytes for {block.count} segments")
    flows = memoryview(block.flow).cast("I")
    if block.count and max(flows) >= len(block.flows):
        raise Malformed(f"a segment of flow {max(flows)} of {len(block.flows)}")
    if any(not 0 <= tally.flow < len(block.flows) for tally in block.tallies):
        raise Malformed(f"a tally of a flow beyond {len(block.flows)}")
    return zip(*(memoryview(column).cast(code) for column, code, _ in columns), strict=True)

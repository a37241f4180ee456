"""TCP conversations and datagrams as segment blocks, without packets: what decode's tests are written in.

A `Connection` writes segments as a well-behaved (or ill-behaved) pair of hosts would; `block` packs segments of any
conversations into a `SegmentBlock`, as `filter` does.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from weir.model.flow import TCP, UDP, DirectedFlow, Side
from weir.model.segments import ACK, FIN, PSH, RST, SYN, SegmentBlock, Tally

NS = 1_000_000_000
START = 1_700_000_000 * NS
"""When tests begin, ns since epoch."""
HEADERS = 54
"""Bytes of a frame around a TCP payload."""
WIDTHS = {
    "flow": 4, "ts_ns": 8, "protocol": 1, "flags": 2, "seq": 4, "ack": 4, "payload_at": 4, "payload_len": 4,
    "payload_wire": 4, "frame_at": 4, "frame_len": 4, "frame_wire": 4, "index": 4,
}
"""Bytes of one value of each column."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a segment block, with its flow and payload."""

    flow: DirectedFlow
    ts_ns: int
    payload: bytes = b""
    flags: int = 0
    seq: int = 0
    ack: int = 0
    wire: int = -1
    """Payload bytes on the wire; -1: as many as there are."""
    protocol: int = -1
    """-1: the flow's."""

    @property
    def length(self) -> int:
        return len(self.payload) if self.wire < 0 else self.wire

    def snapped(self, length: int) -> Segment:
        """The same with only the first `length` payload bytes captured."""
        return msgspec.structs.replace(self, payload=self.payload[:length], wire=self.length)

    def at(self, ts_ns: int) -> Segment:
        return msgspec.structs.replace(self, ts_ns=ts_ns)


def directed(
    src: str = "10.0.0.1", sport: int = 40000, dst: str = "10.0.0.2", dport: int = 8080, *, protocol: int = TCP,
    scope: str = "", outline: bool = False, bare: bool = False, sample_rate: float = 1.0,
) -> DirectedFlow:
    """A directed flow between addresses given as text."""
    return DirectedFlow(
        scope=scope, protocol=protocol, src=ipaddress.ip_address(src).packed, sport=sport,
        dst=ipaddress.ip_address(dst).packed, dport=dport, outline=outline or bare, bare=bare,
        sample_rate=sample_rate,
    )


class Connection:
    """Makes the segments of a TCP connection; each call moves the clock on by `step` ns."""

    def __init__(
        self,
        flow: DirectedFlow | None = None,
        *,
        isn: tuple[int, int] = (1000, 5_000_000),
        ts_ns: int = START,
        step: int = 1_000_000,
    ) -> None:
        forth = directed() if flow is None else flow
        self.flows = (forth, forth.reversed())
        self.next = [isn[0], isn[1]]
        """By side: next sequence number."""
        self.ts_ns = ts_ns
        self.step = step

    def segment(
        self, side: Side, payload: bytes = b"", flags: int = ACK, *, seq: int | None = None, move: bool = True
    ) -> Segment:
        """A segment of this side; `seq` (absolute) repeats or skips, `move=False` does not count it as sent."""
        number = self.next[side] if seq is None else seq & 0xFFFFFFFF
        made = Segment(
            flow=self.flows[side], ts_ns=self.ts_ns, payload=payload, flags=flags, seq=number,
            ack=self.next[1 - side] if flags & ACK else 0,
        )
        if move and seq is None:
            taken = len(payload) + bool(flags & SYN) + bool(flags & FIN)
            self.next[side] = (number + taken) & 0xFFFFFFFF
        self.ts_ns += self.step
        return made

    def open(self) -> list[Segment]:
        """The handshake."""
        return [
            self.segment(Side.CLIENT, flags=SYN), self.segment(Side.SERVER, flags=SYN | ACK),
            self.segment(Side.CLIENT),
        ]

    def send(self, side: Side, data: bytes, size: int = 1448) -> list[Segment]:
        """`data` in segments of at most `size` bytes."""
        return [self.segment(side, data[at:at + size], ACK | PSH) for at in range(0, len(data), size)]

    def close(self, side: Side = Side.CLIENT) -> list[Segment]:
        """Both FINs, `side` first, and the last acknowledgement."""
        return [
            self.segment(side, flags=FIN | ACK), self.segment(side.other, flags=FIN | ACK), self.segment(side),
        ]

    def reset(self, side: Side = Side.CLIENT) -> Segment:
        return self.segment(side, flags=RST | ACK)


def datagram(flow: DirectedFlow, payload: bytes, ts_ns: int = START) -> Segment:
    """A UDP datagram; `flow` must be one of UDP."""
    if flow.protocol != UDP:
        raise ValueError("not a UDP flow")
    return Segment(flow=flow, ts_ns=ts_ns, payload=payload)


def block(
    segments: Iterable[Segment] = (),
    *,
    offset: int = 0,
    partition: int = 0,
    node: str = "node-a",
    ring: int = 0,
    run: int = 1,
    clock_ns: int | None = None,
    end: bool = False,
    shard: int = 0,
    shards: int = 1,
    generation: int = 0,
    revision: int = 0,
    tallies: Sequence[tuple[DirectedFlow, Tally]] = (),
) -> SegmentBlock:
    """A segment block of these segments in this order. `offset` is that of its packet block and must rise. Tallies
    come with their flow, whatever number they say."""
    rows = list(segments)
    numbers: dict[DirectedFlow, int] = {}
    flows = [numbers.setdefault(row.flow, len(numbers)) for row in rows]
    totals = [
        msgspec.structs.replace(tally, flow=numbers.setdefault(flow, len(numbers))) for flow, tally in tallies
    ]
    frames = b"".join(b"\0" * HEADERS + row.payload for row in rows)
    starts = []
    at = 0
    for row in rows:
        starts.append(at)
        at += HEADERS + len(row.payload)
    latest = max((row.ts_ns for row in rows), default=START)
    return SegmentBlock(
        node=node, ring=ring, run=run, shard=shard, shards=shards, origin_partition=partition, origin_offset=offset,
        clock_ns=latest if clock_ns is None else clock_ns, end=end, linktype=1, flows=list(numbers), count=len(rows),
        generation=generation, revision=revision, tallies=totals,
        flow=_column("I", flows),
        ts_ns=_column("q", [row.ts_ns for row in rows]),
        protocol=_column("B", [row.flow.protocol if row.protocol < 0 else row.protocol for row in rows]),
        flags=_column("H", [row.flags for row in rows]),
        seq=_column("I", [row.seq for row in rows]),
        ack=_column("I", [row.ack for row in rows]),
        payload_at=_column("I", [start + HEADERS for start in starts]),
        payload_len=_column("I", [len(row.payload) for row in rows]),
        payload_wire=_column("I", [row.length for row in rows]),
        frame_at=_column("I", starts),
        frame_len=_column("I", [HEADERS + len(row.payload) for row in rows]),
        frame_wire=_column("I", [HEADERS + row.length for row in rows]),
        index=_column("I", range(len(rows))),
        frames=frames,
    )


def blocks(segments: Sequence[Segment], size: int, *, first_offset: int = 0, **options: object) -> list[SegmentBlock]:
    """The segments in blocks of `size`, with rising offsets; the options are those of `block`."""
    return [
        block(segments[at:at + size], offset=first_offset + number, **options)  # type: ignore[arg-type]
        for number, at in enumerate(range(0, len(segments), size))
    ]


def sliced(whole: SegmentBlock, size: int, first_offset: int) -> Iterator[SegmentBlock]:
    """A block as several of at most `size` segments, under offsets of their own; the last one tells the clock."""
    for number, start in enumerate(range(0, max(whole.count, 1), size)):
        stop = min(start + size, whole.count)
        last = stop == whole.count
        columns = {name: getattr(whole, name)[start * width:stop * width] for name, width in WIDTHS.items()}
        yield msgspec.structs.replace(
            whole, origin_offset=first_offset + number, count=stop - start, end=whole.end and last,
            clock_ns=whole.clock_ns if last else 0, **columns,
        )


def _column(code: str, values: Iterable[int]) -> bytes:
    row = list(values)
    return struct.pack(f"={len(row)}{code}", *row)

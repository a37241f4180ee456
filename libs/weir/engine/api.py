"""What an engine does, for whoever calls it and for every twin of it.

A header engine turns one packet block into segment blocks. What is wanted is not its business: it asks a `Policy`
once for each directed flow and remembers the answer. It knows no clock and no topic; its counters are read from
`counts` by whoever runs it:

    filter.packets              packets read
    filter.segments             packets that were passed on
    filter.dropped{reason}      packets that were not, by `Drop`
    filter.tunnel               packets that were found inside a tunnel and counted as themselves
    filter.flows_forgotten      directed flows whose cached decision and owner went because there were too many
    filter.leaked{reason}       packets with payload that their source had promised to keep back, by `Drop` or `bare`
    filter.tallies              totals of directed flows that were passed on
    filter.tallies_dropped{reason}  totals that were not, by `Drop` or `wanted_whole` (its packets are passed)
    lost.filter.fragments       fragments whose datagram was never completed

At all times packets = segments + all that was dropped. A fragment counts as dropped (`fragment_held`) when it comes;
the one that completes its datagram becomes the segment.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from weir.model.counts import Counts
from weir.model.flow import DirectedFlow
from weir.model.packets import PacketBlock, Promise
from weir.model.segments import SegmentBlock


class Drop(StrEnum):
    """Every reason for which a packet goes no further."""

    MALFORMED_BLOCK = "malformed_block"
    """The block announced packets that are not in its data."""
    UNKNOWN_LINK = "unknown_link"
    MALFORMED_LINK = "malformed_link"
    NOT_IP = "not_ip"
    MALFORMED_IP = "malformed_ip"
    MALFORMED_TRANSPORT = "malformed_transport"
    SNAPPED_HEADERS = "snapped_headers"
    """Fewer bytes were captured than its headers have."""
    OTHER_TRANSPORT = "other_transport"
    """Neither TCP nor UDP nor ICMP."""
    ICMP_OTHER = "icmp_other"
    """An ICMP message that is not an error about a TCP or UDP packet."""
    FRAGMENT_HELD = "fragment_held"
    """Waits for the others of its datagram, whether they come or not."""
    FRAGMENT_OVERLAP = "fragment_overlap"
    """Its datagram has contradicting fragments and is refused as a whole (RFC 5722, RFC 8900)."""
    FRAGMENT_REFUSED = "fragment_refused"
    """It cannot be joined: snapped, beyond 65,535 bytes, or one of too many."""
    DUPLICATE = "duplicate"
    """Another interface owns this directed flow, and shows the same packet."""
    OWN_TRAFFIC = "own_traffic"
    """weir's own connection."""
    NOT_TARGETED = "not_targeted"
    OUTLINE = "outline"
    """Payload of a conversation of which only openings and closings are wanted."""
    SAMPLED_OUT = "sampled_out"
    BLOCK_FULL = "block_full"
    """The segment block would be larger than its topic allows."""


class Decision(NamedTuple):
    """What is to become of a directed flow."""

    flow: DirectedFlow
    """With `sample_rate`, `outline` and `bare` filled in."""
    refused: Drop | None = None
    elsewhere: bool = False
    """It is targeted, and bare here because another vantage shows the same packets."""


class Policy(Protocol):
    """What is wanted. Its answers may depend on anything but the packet's payload."""

    @property
    def generation(self) -> int:
        """Of the control document in force; stamped on segment blocks."""
        ...

    @property
    def revision(self) -> int:
        """The newest of the endpoint records that are known; stamped likewise."""
        ...

    @property
    def version(self) -> int:
        """Rises whenever an answer may have changed; engines then ask again, flow by flow."""
        ...

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        """Whether the answer on a flow (seen at `ts_ns`) is worth waiting for."""
        ...

    def excused(self, flow: DirectedFlow, promise: Promise, ts_ns: int) -> bool:
        """Whether a source may have passed payload of a flow that is not wanted whole, in spite of its promise: the
        answer changed a moment ago, or it cannot know better. What it passed of a flow that is targeted is taken then:
        the other vantage may not have had it yet."""
        ...

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        """Asked when a directed flow is first seen (at `ts_ns`, on `node`), or again after a change."""
        ...


class EngineLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Ceilings; each is there because somebody's packets would otherwise make memory grow without end."""

    flows: int = 131_072
    """Directed flows that are remembered; of more, all are forgotten."""
    rings: int = 4096
    """Rings and scopes that are remembered, likewise."""
    fragment_ns: int = 30_000_000_000
    """How long a fragment waits for the others of its datagram (as Linux: net.ipv4.ipfrag_time)."""
    fragment_datagrams: int = 1024
    """Datagrams that may be incomplete at once; of more, the oldest is given up."""
    fragment_bytes: int = 4 << 20
    """Bytes of fragments that may wait, likewise."""
    segment_bytes: int = (4 << 20) - 65_536
    """Bytes of an encoded segment block; packets beyond are dropped (`block_full`)."""


class Passage(Protocol):
    """A packet block on its way through an engine. Blocks of one ring go through one after the other."""

    @property
    def waits(self) -> tuple[DirectedFlow, int]:
        """After `go` gave None: the flow that is not settled, and when its packet was seen."""
        ...

    def go(self) -> list[SegmentBlock] | None:
        """Go on to the end, or to a packet (or total) of a flow that is not settled: then None, and nothing of the
        block is given out yet."""
        ...


class HeaderEngine(Protocol):
    counts: Counts

    def held(self) -> dict[str, int]:
        """What it remembers: `flows`, `fragments` (datagrams that are incomplete) and `fragment_bytes`."""
        ...

    def passage(self, block: PacketBlock, partition: int, offset: int) -> Passage:
        """Begin with `block`, which lay at `partition` and `offset` of `weir.packets`."""
        ...

    def segments(self, block: PacketBlock, partition: int, offset: int) -> list[SegmentBlock]:
        """What `block` holds for each shard, decided by what is known now.

        At most one segment block for each shard. Blocks without segments pass the ring's clock on; they are left out
        while the last one of this ring for that shard is younger than half a second, unless the ring ends or lost
        packets.
        """
        ...

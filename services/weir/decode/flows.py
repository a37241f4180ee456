"""What decode keeps of a conversation: plain values, saved and restored as they are.

Ends are numbered by their order in `DirectedFlow.key` (0 is the lower address and port), so that nothing here depends
on who is thought to be the client; `Flow.client` says that. Nothing here acts: `core` does, and `timers` say when.
"""

from __future__ import annotations

from itertools import islice
from typing import Any, Literal

import msgspec

from weir.dissect.flow_fields import FIRST_BYTES
from weir.engine.reassembly import Direction
from weir.model.flow import TCP, TRANSPORTS, DirectedFlow

Phase = Literal["identify", "decoded", "counted"]
"""identify: the first bytes are shown to dissectors; decoded: one reads it; counted: nobody does."""

REMEMBERED = 32
"""Datagrams whose copies are recognised after the conversation's end."""

class Early(msgspec.Struct, array_like=True, gc=False):
    """Bytes that came before it was known who reads them."""

    end: int
    offset: int
    data: bytes
    timestamp: int


class Tallied(msgspec.Struct, array_like=True, gc=False):
    """What the kernel's table says of one direction."""

    packets: int = 0
    bytes: int = 0
    """IP length of all its packets."""
    last: int = 0
    """Capture time of the latest packet in it, ns since epoch."""
    over: bool = False
    """The kernel has forgotten it."""
    base_packets: int = 0
    """What was counted before the kernel forgot it and began anew."""
    base_bytes: int = 0


class Kept(msgspec.Struct, omit_defaults=True, gc=False):
    """What is kept of an open conversation, the dissector's state apart."""

    key: bytes
    wire: DirectedFlow
    """From end 0 to end 1."""
    vantage: str
    """node/ring that showed it first: its timers run on that ring's packet time."""
    node: str
    first: int
    """Capture time of its first packet, ns since epoch."""
    last: int
    """Capture time of the owner's latest packet of it."""
    due: int
    """Owner's time at which a timer may have run out; never later than the true one."""
    low: Direction
    high: Direction
    seen_at: list[str]
    """By end: node/ring that showed this direction first; empty while none did. Other copies are not counted."""
    source: str = ""
    """Capture source that showed it first."""
    others: dict[str, int] = {}
    """Other node/rings that show it, with the time of the first packet that each showed."""
    touched: int = 0
    """Owner's time of what another vantage showed, as far as it can be told: of a packet in a direction of its own, and
    of what came out of turn or ends the flow."""
    closed: bool = False

    client: int = -1
    """Which end asks; -1 while that is unknown."""
    direction: str = ""
    """Evidence for `client`: syn, listener, protocol, port."""
    opener: int = -1
    """The end whose packet was seen first."""
    syn_at: int = 0
    syn_ack_at: int = 0
    rtt: int = -1
    """From the SYN to its end's answer to the SYN+ACK, µs (to the SYN+ACK where the answer was not captured)."""
    answered: bool = False
    """The SYN+ACK was seen."""
    ending: str = ""
    """fin or rst, once it is over; it is kept for one reorder window more."""
    ending_at: int = 0
    reset_by: int = -1
    """The end that sent the RST, if that was its ending."""
    told: int = 0
    """Bit for each end whose FIN was reached and told."""
    published: bool = False
    """Its opening was (outline)."""
    entry_id: str = ""
    """Id of its own entry, once one was made."""
    tallied: list[Tallied] = []
    """By end: what the kernel counted; empty if it did not."""
    tell_at: int = 0
    """Owner's time at which its entry is to be made again, because the kernel counted more; 0 for never."""
    told_at: int = 0
    """When that was done last."""
    judged: int = 0
    """Version of what is known of targets for which its payload is wanted; -1 if that is to be found out again."""
    probing: int = 0
    """1 while all that was read in it was asked by the kubelet, to see whether a pod is well; -1 if some was not."""

    phase: Phase = "identify"
    why: str = ""
    """Why nobody reads it (phase counted)."""
    dissector: str = ""
    midstream: bool = False
    """The beginning was not seen."""
    early: list[Early] = []
    probes: int = 0
    leaves: int = 0
    found: list[str] = []
    """Protocols of its entries, in order of appearance."""
    heads: list[bytes] = []
    """By end: first bytes, once nobody reads it."""
    weird: list[str] = []

    counts: list[int] = []
    """Datagrams so far, by end (UDP)."""
    digests: dict[int, bytes] = {}
    """Digests of the last datagrams, by `number * 2 + end` (UDP)."""
    sightings: dict[bytes, tuple[int, str]] = {}
    """When and by whom these datagrams were captured last, by digest (UDP)."""
    snapped: bool = False
    """The datagram that is being read was cut by the snap length."""


class Flow(Kept, omit_defaults=True, gc=False):
    """An open conversation."""

    state: Any = None
    """The dissector's own."""

    @property
    def transport(self) -> str:
        name = TRANSPORTS.get(self.wire.protocol, "icmp")
        return "icmp" if name == "icmp6" else name

    def ends(self) -> tuple[Direction, Direction]:
        return self.low, self.high

    def ports(self) -> tuple[int, int]:
        return self.wire.sport, self.wire.dport


class SavedFlow(Kept, omit_defaults=True, gc=False):
    """A flow as a snapshot gives it back: the dissector's state is still to be read as its `State`."""

    state: msgspec.Raw = msgspec.Raw()


class Tomb(msgspec.Struct, array_like=True, gc=False):
    """A conversation that is over: recognises what still comes of it (another node's copy, the last ACK)."""

    vantage: str
    until: int
    """Owner's time until which it is remembered."""
    next: tuple[int, int]
    """By end: sequence number behind everything delivered, -1 if nothing was seen (TCP)."""
    isn: tuple[int, int]
    sightings: dict[bytes, tuple[int, str]]
    """As `Flow.sightings` (UDP)."""
    lasts: int = 0
    """For how much longer another node/ring may go on with it than it has begun, ns."""
    others: dict[str, int] = {}
    """Node/rings that show it, too, and their time until which it is remembered for them."""
    depth: int = 2
    """As `depth_of` its flow."""


def depth_of(wire: DirectedFlow) -> int:
    """How much is shown of a conversation: 0 totals, openings and closings, 1 DNS, too (outline), 2 payload."""
    return 2 if not wire.outline else int(not wire.bare)


def new_flow(key: bytes, wire: DirectedFlow, vantage: str, node: str, opener: int, now: int) -> Flow:
    """`wire` in the direction of its first packet, which end `opener` sent at `now`."""
    tcp = wire.protocol == TCP
    return Flow(
        key=key,
        wire=wire.reversed() if opener else wire,
        vantage=vantage,
        node=node,
        first=now,
        last=now,
        due=now,
        low=Direction(),
        high=Direction(),
        seen_at=["", ""],
        opener=opener,
        counts=[] if tcp else [0, 0],
    )


def end_of(flow: DirectedFlow) -> int:
    """Number of the end that sends: 0 if it is the lower one."""
    return int((flow.dst, flow.dport) < (flow.src, flow.sport))


def wants_first_bytes(flow: Flow, end: int) -> bool:
    """Whether nobody reads it, but its entry is to show more of what this end sent first."""
    return bool(flow.heads) and len(flow.heads[end]) < FIRST_BYTES


def tomb_of(flow: Flow, until: int) -> Tomb:
    low, high = flow.low, flow.high
    lasts = until - flow.first
    return Tomb(
        vantage=flow.vantage,
        until=until,
        next=(_behind(low), _behind(high)),
        isn=(low.isn, high.isn),
        sightings=dict(islice(reversed(flow.sightings.items()), REMEMBERED)),
        lasts=lasts,
        others={name: first + lasts for name, first in flow.others.items()},
        depth=depth_of(flow.wire),
    )


def totals(flow: Flow, end: int) -> tuple[int, int]:
    """Packets and bytes that an end sent: as the kernel counted them (bytes are IP lengths then), if it saw no fewer
    packets than were captured (bytes are lengths of frames then)."""
    direction = flow.high if end else flow.low
    if flow.tallied:
        known = flow.tallied[end]
        packets = known.base_packets + known.packets
        if packets and packets >= direction.packets:
            return packets, known.base_bytes + known.bytes
    return direction.packets, direction.on_wire


def _behind(direction: Direction) -> int:
    """The FIN takes a number, too (RFC 9293 section 3.4)."""
    return direction.seq + 1 & 0xFFFFFFFF if direction.ended else direction.seq

"""Totals of flows from the kernel's table (`weir.model.segments.Tally`), put beside what was counted from packets.

The table counts everything, packets are only openings and closings where an outline is kept. A total never shrinks:
where the kernel forgot a flow and began anew, what it had counted until then is added.
"""

from __future__ import annotations

from weir.decode.flows import Flow, Tallied
from weir.model.flow import TCP, DirectedFlow
from weir.model.segments import FIN, RST, Tally

SLACK_NS = 1_000_000_000
"""The kernel's times and those of packets come from different clocks, and are compared no finer than this."""


def take(flow: Flow, end: int, tally: Tally) -> bool:
    """Put what the kernel says into the flow; whether that is news."""
    if not flow.tallied:
        flow.tallied = [Tallied(), Tallied()]
    known = flow.tallied[end]
    earlier = tally.first_ns < flow.first - SLACK_NS
    if earlier and flow.direction == "syn":
        # Of an earlier connection between the same ports, too.
        return False
    known.over = tally.last
    if tally.packets < known.packets or (known.last and tally.first_ns > known.last + SLACK_NS):
        known.base_packets, known.base_bytes = known.base_packets + known.packets, known.base_bytes + known.bytes
        known.packets = known.bytes = 0
    if tally.packets <= known.packets:
        return False
    known.packets, known.bytes, known.last = tally.packets, max(tally.bytes, known.bytes), tally.last_ns
    if earlier:
        flow.first = tally.first_ns
    flow.last = max(flow.last, tally.last_ns)
    return True


def tell_at(flow: Flow, tally: Tally, now: int, update: int) -> int:
    """When to tell the news in a total that came at `now`, if it is told every `update` ns at most. Not before the
    packets that were counted: the table is read while the block that holds them is still open."""
    return max(flow.told_at + update, now, min(tally.last_ns, now + update))


def opens(wire: DirectedFlow, tally: Tally) -> bool:
    """Whether a conversation of which nothing else is known is told of. One that is over is not: its closing was seen,
    or its last total came late."""
    return wire.protocol != TCP or not tally.flags & (FIN | RST)


def all_over(flow: Flow) -> bool:
    """The kernel has said its last word on each direction that it knew."""
    return bool(flow.tallied) and all(known.over or not known.packets for known in flow.tallied)

"""What still comes of conversations that are over: late copies, last acknowledgements. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from weir.decode.datagrams import Datagrams, digest_of
from weir.decode.flows import Tomb
from weir.decode.vantages import Vantage
from weir.engine.reassembly import MASK
from weir.model.flow import TCP, UDP
from weir.model.segments import SYN


def is_late(
    tomb: Tomb, vantage: Vantage, end: int, row: tuple[int, ...], frames: bytes, depth: int, datagrams: Datagrams
) -> bool:
    """Whether a packet belongs to the conversation that is over: nothing in it is new."""
    _, ts, protocol, flags, seq, _, at, captured, length, _ = row
    if tomb.vantage == vantage.name and tomb.until < ts:
        return False
    if tomb.depth != depth and tomb.vantage != vantage.name:
        return depth < tomb.depth
    if protocol == UDP:
        return datagrams.is_copy(tomb.sightings.get(digest_of(frames[at:at + captured])), vantage.name, ts)
    if protocol != TCP:
        return True
    if flags & SYN:
        return seq == tomb.isn[end]
    expected = tomb.next[end]
    return not length or (expected >= 0 and (expected - seq - length) & MASK < 1 << 30)


def goes_on(tomb: Tomb, vantages: Mapping[str, Vantage]) -> bool:
    """Whether another vantage that began to show the conversation is behind, and will show its end, too."""
    for name, until in tomb.others.items():
        other = vantages.get(name)
        if other is not None and not other.over and other.clock <= until:
            return True
    return False

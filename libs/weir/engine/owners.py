"""What is known of a directed flow, and which interface of its node shows it.

A conversation is visible on several interfaces of a node. The first one that shows a directed flow owns it, until a
second after its last packet (directed, because routes differ by direction; short, because interfaces fail). The eBPF
filter of capture does the same.
"""

from __future__ import annotations

from weir.engine.api import Decision
from weir.model.flow import DirectedFlow
from weir.model.segments import FIN, RST, SYN

OWNERSHIP_NS = 1_000_000_000
"""How long an interface owns a directed flow after its last packet, unless another one has news."""
_SEQUENCE = 0xFFFFFFFF
_AHEAD = 0x7FFFFFFF
"""Sequence numbers up to this far ahead are later ones."""


class Known:
    """A directed flow: what was decided, and who owns it."""

    __slots__ = ("decision", "flow", "last_ns", "next", "owner", "reset", "shard", "tunnelled", "version")

    def __init__(self, flow: DirectedFlow, shard: int) -> None:
        self.flow = flow
        """As it is asked about."""
        self.decision: Decision
        self.shard = shard
        self.version = -1
        self.owner = 0
        self.last_ns = 0
        self.next = -1
        """Behind the last sequence number that its owner showed; -1 if it has none."""
        self.reset = 0
        """RST, once its owner showed one."""
        self.tunnelled = False
        """It was seen inside a tunnel."""

    def owned_by(self, interface: int, ts_ns: int, behind: int, flags: int, sure: bool = False) -> bool:
        """Whether a packet on this interface is the one to take; `behind` as in `sequence_behind`, -1 without TCP.
        `sure`: the kernel's filter has chosen it, which sees all interfaces in the order of their packets, where
        blocks of several rings come in any; but it does not look into tunnels.

        A packet meets the owner before all others on its way. So an interface that shows what the owner has not owns
        the flow from now on: the owner failed, or the way has changed. The distance in time counts both ways: a clock
        that was set back must not keep the others out.
        """
        if self.owner != interface:
            if (
                self.owner and (self.tunnelled or not sure) and abs(ts_ns - self.last_ns) <= OWNERSHIP_NS
                and not self._is_news(behind, flags)
            ):
                return False
            self.owner = interface
        self.last_ns = ts_ns
        if behind >= 0:
            if flags & SYN or self.next < 0 or 0 < (behind - self.next & _SEQUENCE) <= _AHEAD:
                self.next = behind
            self.reset |= flags & RST
        return True

    def _is_news(self, behind: int, flags: int) -> bool:
        if behind < 0 or self.next < 0:
            return False
        ahead = behind - self.next & _SEQUENCE
        return 0 < ahead <= _AHEAD or bool(flags & SYN and ahead) or bool(flags & RST & ~self.reset)


def sequence_behind(seq: int, length: int, flags: int) -> int:
    """The sequence number behind a TCP segment with so many bytes (RFC 9293 §3.4)."""
    return seq + length + (flags & FIN) + (flags >> 1 & 1) & _SEQUENCE

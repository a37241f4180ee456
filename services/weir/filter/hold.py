"""Blocks that wait because one of their addresses may be a new pod's.

The first packets of a pod come before its address has gone through the API to `weir.endpoints`. Their block stops where
the first of them is, and the blocks of its ring line up behind it; all other rings go on. It goes on when the address
is known, or when the ring's clock (told by blocks and ticks alike) is `hold_s` beyond the packet: so a ring is delayed
by that much at most, however many addresses are unknown, and never slowed down. What a ring gives stays in order, and
each block is passed on once and whole: who reads segments sees what there would be to see had everything been known.
"""

from __future__ import annotations

from collections import deque

import msgspec

from weir.bus.api import Received
from weir.engine.api import HeaderEngine, Passage
from weir.filter.policy import FilterPolicy
from weir.model.counts import Counts
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock

_OVERHEAD = 1024
"""Bytes that a waiting block takes beside its data: ticks must not pile up unseen."""


class _Line(msgspec.Struct):
    """The blocks of one ring that wait, the oldest first."""

    passage: Passage
    """Of the first block."""
    blocks: deque[Received]
    clock_ns: int
    heard_s: float
    over: bool = False
    """Nothing more comes that could move its clock: the ring ended."""

    @property
    def run(self) -> int:
        run: int = self.blocks[-1].value.run
        return run


class Hold:
    """Lets blocks through, and keeps those that have to wait.

        filter.held                 packets of blocks that waited
        filter.hold_late            times that an address did not become known in time
        filter.hold_full            packets of blocks that went on undecided because too many bytes waited
    """

    def __init__(
        self, engine: HeaderEngine, policy: FilterPolicy, *, hold_ns: int, max_bytes: int, counts: Counts
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._hold_ns = hold_ns
        self._max_bytes = max_bytes
        self._counts = counts
        self._lines: dict[tuple[str, int], _Line] = {}
        """By node and ring."""
        self.bytes = 0
        """That wait now."""

    def __len__(self) -> int:
        """Blocks that wait."""
        return sum(len(line.blocks) for line in self._lines.values())

    def take(self, received: Received, now_s: float) -> list[SegmentBlock]:
        """What a block makes, and those before it in its ring for which the time is over with it."""
        block: PacketBlock = received.value
        ring = block.node, block.ring
        line = self._lines.get(ring)
        out: list[SegmentBlock] = []
        if line is not None and line.run != block.run:
            out = self._through(ring, line)
            line = None
        if line is None:
            passage = self._engine.passage(block, received.partition, received.offset)
            if (made := passage.go()) is not None:
                return out + made
            line = self._lines[ring] = _Line(passage, deque(), block.clock_ns, now_s)
        line.blocks.append(received)
        line.clock_ns = max(line.clock_ns, block.clock_ns)
        line.heard_s = now_s
        line.over = block.end
        self.bytes += _size(block)
        self._counts.add("filter.held", block.count)
        out += self._advance(ring, line)
        while self.bytes > self._max_bytes:
            first = next(iter(self._lines))
            out += self._force(first, self._lines[first])
        return out

    def release(self, silent_before_s: float | None = None) -> list[SegmentBlock]:
        """What has become known since, and everything of rings that were last heard of before that time."""
        out: list[SegmentBlock] = []
        for ring, line in list(self._lines.items()):
            silent = silent_before_s is not None and line.heard_s < silent_before_s
            out += self._through(ring, line) if silent else self._advance(ring, line)
        return out

    def drain(self) -> list[SegmentBlock]:
        """Everything, decided by what is known now."""
        return [made for ring, line in list(self._lines.items()) for made in self._through(ring, line)]

    def first(self, partition: int) -> int | None:
        """The lowest offset of a partition that waits."""
        firsts = (line.blocks[0] for line in self._lines.values())  # a ring is in one partition, in order
        return min((first.offset for first in firsts if first.partition == partition), default=None)

    def forget(self, partitions: frozenset[int]) -> None:
        """Others work on these partitions now, and read again what was not marked."""
        for ring, line in list(self._lines.items()):
            if line.blocks[0].partition in partitions:
                self.bytes -= sum(_size(received.value) for received in line.blocks)
                del self._lines[ring]

    def _advance(self, ring: tuple[str, int], line: _Line, *, force: bool = False) -> list[SegmentBlock]:
        """As far as it goes: through what is settled, and what is overdue. With `force`, the first block at least."""
        out: list[SegmentBlock] = []
        while True:
            made = line.passage.go()
            if made is None:
                flow, ts_ns = line.passage.waits
                overdue = line.over or line.clock_ns - ts_ns >= self._hold_ns
                if not (overdue or force):
                    return out
                self._policy.settle(flow, ts_ns)
                if overdue:
                    self._counts.add("filter.hold_late")
                continue
            out += made
            force = False
            self.bytes -= _size(line.blocks.popleft().value)
            if not line.blocks:
                del self._lines[ring]
                return out
            after = line.blocks[0]
            line.passage = self._engine.passage(after.value, after.partition, after.offset)

    def _through(self, ring: tuple[str, int], line: _Line) -> list[SegmentBlock]:
        line.over = True
        return self._advance(ring, line)

    def _force(self, ring: tuple[str, int], line: _Line) -> list[SegmentBlock]:
        self._counts.add("filter.hold_full", line.blocks[0].value.count)
        return self._advance(ring, line, force=True)


def _size(block: PacketBlock) -> int:
    return len(block.data) + _OVERHEAD

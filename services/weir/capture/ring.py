"""The books of one ring: numbers its blocks and packets, keeps its clock, remembers its losses. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from weir.model.packets import LINKTYPE_ETHERNET, Layout, PacketBlock, Promise


class Ring:
    """One ring within one capture run."""

    def __init__(self, *, node: str, ring: int, run: int, source: str = "", layout: Layout = "records") -> None:
        self.node = node
        self.number = ring
        self.run = run
        self.source = source
        self.generation = 0
        """Of the control document in force."""
        self.promise: Promise = ""
        """Of the kernel filter in force."""
        self.clock_ns = 0
        """What the last block told."""
        self.packets = 0
        """Packets that were given, those that the bus refused included: a packet keeps its index."""
        self._layout: Layout = layout
        self._sequence = 0
        self._lost = 0

    def block(
        self,
        clock_ns: int,
        *,
        linktype: int = LINKTYPE_ETHERNET,
        data: bytes = b"",
        count: int = 0,
        interfaces: Mapping[int, str] | None = None,
        end: bool = False,
        layout: Layout | None = None,
    ) -> PacketBlock:
        """The ring's next block; without packets it is a tick. Tallies are no packets of the ring."""
        self.clock_ns = max(self.clock_ns, clock_ns)
        block = PacketBlock(
            node=self.node, ring=self.number, run=self.run, sequence=self._sequence, source=self.source,
            layout=layout or self._layout, linktype=linktype, first_index=self.packets, count=count,
            clock_ns=self.clock_ns, lost=self._lost, promise=self.promise, generation=self.generation,
            end=end, interfaces=dict(interfaces or {}), data=data,
        )
        self._sequence += 1
        self.packets += count if block.layout != "tallies" else 0
        self._lost = 0
        return block

    def lose(self, packets: int) -> None:
        """Told by the next block."""
        self._lost += packets

    def refused(self, block: PacketBlock) -> None:
        """The bus had no room for this block: its packets are lost, and what it told of losses has to be told again."""
        self._lost += block.lost + (block.count if block.layout != "tallies" else 0)

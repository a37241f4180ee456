"""Where packets are seen: the rings of the nodes, with their clocks and timers."""

from __future__ import annotations

from weir.decode.timers import Timers


class Vantage:
    """A ring of a node: its clock as its blocks tell it (not as its packets do, which may lie), and its timers."""

    def __init__(
        self, name: str, node: str, run: int = 0, clock: int = 0, over: bool = False, tallies: bool = False
    ) -> None:
        self.name = name
        self.node = node
        self.source = ""
        self.run = run
        self.clock = clock
        self.over = over
        """Its capture has ended."""
        self.tallies = tallies
        """It gives totals of flows from the kernel's table."""
        self.timers = Timers()

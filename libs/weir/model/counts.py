"""Counting in cores that know no metrics: whatever is dropped has a place and a reason."""

from __future__ import annotations

from collections import Counter


class Counts(Counter[str]):
    """Totals by `name` or `name{reason}`; a core adds, the process around it collects with `take`.

    Names that begin with `lost.` are losses: they are shown to whoever looks at the result.
    """

    def add(self, name: str, n: int = 1, reason: str = "") -> None:
        if n:
            self[f"{name}{{{reason}}}" if reason else name] += n

    def lose(self, reason: str, n: int = 1) -> None:
        """Count `n` things that were dropped and are missing from the result."""
        self.add("lost." + reason, n)

    def take(self) -> dict[str, int]:
        """What was counted since the last call."""
        taken = dict(self)
        self.clear()
        return taken

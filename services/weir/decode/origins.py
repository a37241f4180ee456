"""Which packet blocks a shard has taken, so that segments which `filter` publishes again after a crash are recognised.

The blocks of one ring come in the order of their offsets; those of different rings do not (a ring waits while `filter`
holds a new pod's packets, the others of its partition go on), and where capture and filter share a process, each has
offsets of its own that begin anew with each run. So what was taken is told by ring and run.
"""

from __future__ import annotations

import msgspec

from weir.model.segments import SegmentBlock

MAX_RINGS = 16_384
"""Of more, those are forgotten that were heard of least recently."""
MAX_RUNS = 4
"""Of one ring: what is published again is of its latest runs."""


class Origins(msgspec.Struct):
    """By ring (`node/number`) and run the last offset that was taken."""

    taken: dict[str, dict[int, int]] = msgspec.field(default_factory=dict)

    def has(self, block: SegmentBlock) -> bool:
        runs = self.taken.get(f"{block.node}/{block.ring}")
        return runs is not None and block.origin_offset <= runs.get(block.run, -1)

    def take(self, block: SegmentBlock) -> None:
        ring = f"{block.node}/{block.ring}"
        runs = self.taken.pop(ring, {})
        runs[block.run] = block.origin_offset
        if len(runs) > MAX_RUNS:
            del runs[next(iter(runs))]
        self.taken[ring] = runs
        if len(self.taken) > MAX_RINGS:
            del self.taken[next(iter(self.taken))]

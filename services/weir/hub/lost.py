"""When things went missing: what heartbeats count, laid out in time. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from weir.model.health import Heartbeat

KEPT = 300
"""Marks; of more the oldest are forgotten, their sums stay in the heartbeats."""
LONGEST_NS = 60 * 10**9
"""What goes on longer is told in pieces of this length, so that minutes differ."""


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """Something went missing within a stretch of time."""

    from_ns: int
    to_ns: int
    what: str
    """`stage.reason`."""
    count: int


class LossLog:
    """Remembers the newest losses of all processes."""

    def __init__(self) -> None:
        self._marks: deque[Lost] = deque(maxlen=KEPT)
        self._seen: dict[str, Heartbeat] = {}
        self._looked = False

    def take(self, beats: Iterable[Heartbeat]) -> None:
        """Look at the newest heartbeat of each process."""
        newest = {beat.process: beat for beat in beats}
        for beat in newest.values():
            for mark in self._fresh(beat):
                self._add(mark)
        self._seen = newest
        self._looked = True

    def marks(self) -> list[Lost]:
        return list(self._marks)

    def _fresh(self, beat: Heartbeat) -> Iterator[Lost]:
        before = self._seen.get(beat.process)
        if before is None and not self._looked:
            # Of what was lost before the first look it is known that it was, not when; but for what is lost now.
            begin = beat.sent_ns - int(beat.interval_s * 1e9)
            counts = {what: round(beat.rates.get(f"lost.{what}", 0.0) * beat.interval_s) for what in beat.lost}
        elif before is None or before.started_ns != beat.started_ns:
            begin, counts = beat.started_ns, beat.lost
        else:
            begin = before.sent_ns
            counts = {what: count - before.lost.get(what, 0) for what, count in beat.lost.items()}
        for what, count in sorted(counts.items()):
            if count > 0:
                yield Lost(from_ns=begin, to_ns=beat.sent_ns, what=what, count=count)

    def _add(self, mark: Lost) -> None:
        """As a part of the last mark of its kind, where it goes on from there."""
        for number in range(len(self._marks) - 1, -1, -1):
            last = self._marks[number]
            if last.what != mark.what:
                continue
            begin, end = min(last.from_ns, mark.from_ns), max(last.to_ns, mark.to_ns)
            if mark.from_ns <= last.to_ns and end - begin <= LONGEST_NS:
                self._marks[number] = Lost(from_ns=begin, to_ns=end, what=mark.what, count=last.count + mark.count)
                return
            break
        self._marks.append(mark)

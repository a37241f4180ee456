"""How a page of entries is gathered: which stretches of time are asked one after the other, and what was found. Pure.

A filter that few entries fit is answered from the end of the archive that the page begins at, a stretch at a time, each
some times as long as all before it: ClickHouse, asked for the newest of everything at once, begins to read every part
of every hour, and filters most of what it reads for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from weir.archive.api import Page
from weir.archive.codec import decode_entry
from weir.model.entry import EntryMap
from weir.query.structured import Position, Query, cursor_of

FIRST_ROWS = 100_000
"""Rows in the first stretch."""
FACTOR = 4
"""Rows of a stretch and all before it, of those before it."""

Copy = tuple[Any, ...]
"""A copy of an entry: `questions.RANK`, and the entry."""


class Hour(msgspec.Struct, frozen=True):
    """What the archive holds of an hour."""

    begin_ns: int
    last_ns: int
    """Time of its newest row."""
    rows: int


class Walk:
    """A page that is being gathered."""

    def __init__(self, query: Query, room: int) -> None:
        self.query = query
        self.room = room
        """Bytes of entries that it may still take."""
        self.found: list[tuple[Position, EntryMap]] = []
        self.best: dict[str, Copy] = {}
        self.cut = False
        """It ended for its size."""

    @property
    def full(self) -> bool:
        return self.cut or len(self.found) > self.query.limit

    def position(self, row: Sequence[Any], failed: bool | None) -> Position:
        lead = row[3] if self.query.order == "slowest" else int(bool(failed))
        return Position(row[0], row[1], lead)

    def add(self, rank: tuple[Any, ...], failed: bool | None) -> None:
        """A candidate, if it is the best copy of its entry."""
        copy = self.best.get(rank[1])
        if copy is not None and copy[:-1] == rank:
            self.found.append((self.position(rank, failed), decode_entry(copy[-1])))

    def page(self) -> Page:
        shown = self.found[: self.query.limit]
        return Page([entry for _, entry in shown], cursor_of(shown[-1][0], self.query.order) if self.full else "")


def parts(query: Query, before: Position | None) -> tuple[bool | None, ...]:
    """Parts of the query's order that follow one another: what failed and what did not, or all in one."""
    if query.order != "failed":
        return (None,)
    return (True, False) if before is None or before.lead else (False,)


def fitting(rows: Sequence[tuple[Any, ...]], room: int) -> Sequence[tuple[Any, ...]]:
    """The first rows, which end with a size, whose entries fit together; at least one."""
    for number, row in enumerate(rows):
        room -= row[-1]
        if room < 0 and number:
            return rows[:number]
    return rows


def stretches(query: Query, before: Position | None, hours: Sequence[Hour]) -> list[Query]:
    """The query for one stretch of time after the other, in its order (of time); together they ask for the same.

    Rows are taken to be spread evenly over their hour: if they are not, a stretch is longer or shorter, no more."""
    back = query.order != "oldest"
    seams = list(_seams(_within(hours, *_range(query, before, back=back)), back=back))
    begins, ends = [query.since_ns, *sorted(seams)], [*sorted(seams), query.until_ns]
    asked = [
        msgspec.structs.replace(query, since_ns=begin, until_ns=end) for begin, end in zip(begins, ends, strict=True)
    ]
    return asked[::-1] if back else asked


def _range(query: Query, before: Position | None, *, back: bool) -> tuple[int, int]:
    """Times in which there may be rows of this page and those behind it; 0: no end."""
    since, until = query.since_ns, query.until_ns
    if before is None:
        return since, until
    if back:
        return since, min(until or before.timestamp + 1, before.timestamp + 1)
    return max(since, before.timestamp), until


def _within(hours: Sequence[Hour], since: int, until: int) -> list[Hour]:
    """What the hours hold in a range of time."""
    held = []
    for hour in hours:
        begin, end = max(hour.begin_ns, since), min(hour.last_ns + 1, until or hour.last_ns + 1)
        if begin < end:
            rows = hour.rows * (end - begin) // (hour.last_ns + 1 - hour.begin_ns)
            held.append(Hour(begin, end - 1, rows))
    return sorted(held, key=lambda hour: hour.begin_ns)


def _seams(hours: Sequence[Hour], *, back: bool) -> Iterator[int]:
    """Times at which one stretch ends and the next begins."""
    passed, target = 0, FIRST_ROWS
    left = sum(hour.rows for hour in hours)
    for hour in reversed(hours) if back else hours:
        # A stretch that would leave next to nothing takes the rest.
        while hour.rows and passed + hour.rows > target and left > target + target // FACTOR:
            part = max((hour.last_ns + 1 - hour.begin_ns) * (target - passed) // hour.rows, 1)
            yield hour.last_ns + 1 - part if back else hour.begin_ns + part
            target *= FACTOR
        passed += hour.rows

"""Collects entries into inserts, by number, size and age, and knows what may be marked after each. No I/O."""

from __future__ import annotations

from typing import Any

import msgspec

from weir.bus.api import Batch, Undecodable
from weir.model.counts import Counts
from weir.model.entry import EntryMap

OVERHEAD = 400
"""Bytes that an entry's keys and numbers take, about."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    entries: int
    bytes: int
    age_s: float


class Insert(msgspec.Struct, frozen=True):
    """Entries, and the marks that hold once they are kept."""

    entries: list[EntryMap]
    marks: dict[int, int]
    """Next offset by partition."""
    bytes: int
    """Size of the entries, about."""


class Batches:
    """Records in, inserts out."""

    def __init__(self, limits: Limits, counts: Counts) -> None:
        self._limits = limits
        self._counts = counts
        self._entries: list[EntryMap] = []
        self._marks: dict[int, int] = {}
        self._bytes = 0
        self._since = 0.0
        self.newer = ""
        """Why nothing more may be taken: a newer weir wrote what follows. Its mark is held."""

    def add(self, batch: Batch, now: float) -> None:
        """Take a batch, from which garbage was removed; `now` in seconds of a clock that never jumps."""
        if self.newer:
            return
        if not self._marks:
            self._since = now
        for record in batch.records:
            if isinstance(record.value, Undecodable):
                self.newer = f"{record.value.reason} (partition {batch.partition}, offset {record.offset})"
                self._marks[batch.partition] = record.offset
                return
            self._take(record.value)
        self._marks[batch.partition] = batch.next_offset

    def _take(self, entry: Any) -> None:
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
            self._counts.lose("store.no_id")
            return
        self._entries.append(entry)
        self._bytes += weigh(entry)

    @property
    def empty(self) -> bool:
        return not self._marks

    @property
    def held(self) -> int:
        return len(self._entries)

    def full(self) -> bool:
        return len(self._entries) >= self._limits.entries or self._bytes >= self._limits.bytes

    def due_in(self, now: float) -> float:
        """Seconds until what is held has waited long enough."""
        return max(self._since + self._limits.age_s - now, 0.0)

    def take(self) -> Insert:
        insert = Insert(self._entries, self._marks, self._bytes)
        self._entries, self._marks, self._bytes = [], {}, 0
        return insert


def weigh(value: Any, depth: int = 8) -> int:
    """Bytes of an entry, about: texts and bytes in full, `OVERHEAD` for what is around them."""
    return OVERHEAD + _texts(value, depth)


def _texts(value: Any, depth: int) -> int:
    kind = type(value)
    if kind is str or kind is bytes:
        return len(value)
    if depth and (kind is dict or kind is list):
        size = 8 * len(value)
        for inner in value.values() if kind is dict else value:
            inner_kind = type(inner)
            if inner_kind is str or inner_kind is bytes:
                size += len(inner)
            elif inner_kind is dict or inner_kind is list:
                size += _texts(inner, depth - 1)
        return size
    return 0

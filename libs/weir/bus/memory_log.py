"""One partition in memory: a bounded run of records with Kafka's offsets, freed as its readers move on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, get_args, get_origin

import msgspec

from weir.bus.api import Cleanup

RECORD_OVERHEAD = 256
"""Bytes counted for a record besides its bulk data."""
ENTRY_OVERHEAD = 2048
"""Bytes counted for an entry besides its bodies."""
ITEM_OVERHEAD = 256
"""Bytes counted for an element of a list."""
_COMPACT_SLACK = 64


class Limit(msgspec.Struct, frozen=True):
    """How much of one partition may wait to be read."""

    records: int
    size: int
    """Bytes, by `weight`."""


class Stored(msgspec.Struct, frozen=True):
    offset: int
    key: bytes
    value: Any
    """The value itself, or its bytes where the bus encodes; None for a tombstone."""
    timestamp_ms: int
    weight: int


class Log:
    """Records `first` to `end` of one partition. It knows no readers: they say what is read and what may go."""

    def __init__(self, cleanup: Cleanup, limit: Limit) -> None:
        self.limit = limit
        self.cleanup = cleanup
        self.first = 0
        """Offset of the oldest record that can still be read."""
        self.end = 0
        """Offset of the next record."""
        self.size = 0
        self._records: deque[Stored] = deque()
        self._waiting: list[asyncio.Future[None]] = []
        self._compact_at = _COMPACT_SLACK
        self._compacted_end = 0

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._records)

    def append(self, key: bytes, value: Any, timestamp_ms: int, weight: int) -> Stored:
        stored = Stored(self.end, key, value, timestamp_ms, weight)
        self._records.append(stored)
        self.end += 1
        self.size += weight
        if self.cleanup == "compact" and len(self._records) >= self._compact_at:
            self._compact()
        return stored

    def unread(self, unread_from: int) -> tuple[int, int]:
        """Records and bytes from an offset on."""
        records = max(0, self.end - max(unread_from, self.first))
        read = len(self._records) - records
        return records, self.size - sum(stored.weight for stored in islice(self._records, read))

    def full(self, unread_from: int, weight: int) -> bool:
        """Whether a record of this weight has no room beside what is unread. One always has room in an empty log."""
        if self.cleanup == "compact" or self._fits(weight):
            return False
        records, size = self.unread(unread_from)
        return records > 0 and (records >= self.limit.records or size + weight > self.limit.size)

    def free_share(self, unread_from: int) -> float:
        if self.cleanup == "compact":
            return 1.0
        records, size = self.unread(unread_from)
        return max(0.0, 1.0 - max(records / self.limit.records, size / self.limit.size))

    def trim(self, keep_from: int, weight: int) -> None:
        """Make room for a record of this weight by freeing the oldest ones, but nothing from `keep_from` on."""
        if self.cleanup == "compact":
            return
        records = self._records
        while records and records[0].offset < keep_from and not self._fits(weight):
            self._drop_oldest()

    def free(self, before: int) -> None:
        """Let go of the records before this offset, whoever has read them."""
        while self._records and self._records[0].offset < before:
            self._drop_oldest()
        self.first = max(self.first, min(before, self.end))

    def read(self, position: int, records: int, size: int) -> list[Stored]:
        """Consecutive records from a position on, at least one if there is one."""
        taken: list[Stored] = []
        for stored in islice(self._records, self._index(position), None):
            size -= stored.weight
            if taken and (size < 0 or len(taken) >= records):
                break
            taken.append(stored)
        return taken

    async def room(self) -> None:
        """Wait until readers moved on."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def _fits(self, weight: int) -> bool:
        return not self._records or (
            len(self._records) < self.limit.records and self.size + weight <= self.limit.size
        )

    def _drop_oldest(self) -> None:
        oldest = self._records.popleft()
        self.size -= oldest.weight
        self.first = oldest.offset + 1

    def _index(self, position: int) -> int:
        """Where the first record at or after a position lies; compaction leaves holes in the offsets."""
        if self.cleanup == "delete":
            return max(0, position - self.first)
        low, high = 0, len(self._records)
        while low < high:
            middle = (low + high) // 2
            if self._records[middle].offset < position:
                low = middle + 1
            else:
                high = middle
        return low

    def _compact(self) -> None:
        """Keep the newest record of each key. Tombstones live through one more compaction, for slow readers."""
        newest = {stored.key: stored.offset for stored in self._records}
        self._records = deque(
            stored
            for stored in self._records
            if newest[stored.key] == stored.offset
            and (stored.value is not None or stored.offset >= self._compacted_end)
        )
        self.size = sum(stored.weight for stored in self._records)
        self._compacted_end = self.end
        self._compact_at = 2 * len(self._records) + _COMPACT_SLACK


def weight(value: Any) -> int:
    """About how many bytes a value holds: its bulk data and an allowance for the rest."""
    if value is None:
        return RECORD_OVERHEAD
    if type(value) is dict:
        total = ENTRY_OVERHEAD
        for side in ("request", "response"):
            message = value.get(side)
            body = message.get("body") if type(message) is dict else None
            if type(body) is dict:
                total += len(body.get("text") or body.get("data") or b"")
        return total
    total = RECORD_OVERHEAD
    for name, factor in _measures(type(value)):  # type: ignore[arg-type]
        total += len(getattr(value, name)) * factor
    return total


def detached(value: Any) -> Any:
    """The value without views of memory that its maker may use again (a ring); views of immutable bytes stay."""
    changes = {}
    for name, factor in _measures(type(value)) if isinstance(value, msgspec.Struct) else ():
        data = getattr(value, name) if factor == 1 else None
        if type(data) is memoryview and type(data.obj) is not bytes:
            changes[name] = bytes(data)
    return msgspec.structs.replace(value, **changes) if changes else value


@lru_cache(maxsize=64)
def _measures(value_type: type) -> tuple[tuple[str, int], ...]:
    """The fields of a struct that can be large, with the bytes counted for each element."""
    found = []
    for field in msgspec.structs.fields(value_type):
        if field.type is bytes or bytes in get_args(field.type):
            found.append((field.name, 1))
        elif get_origin(field.type) is list:
            found.append((field.name, ITEM_OVERHEAD))
    return tuple(found)

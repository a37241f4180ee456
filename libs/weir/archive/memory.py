"""The archive of one process: a ring in memory, bounded by count and bytes, read by the Python predicate.

Entries are held as MessagePack beside their row: a third of what Python's dicts take, and a size that can be counted.
"""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from weir.archive.api import MAX_VALUES, PAGE_BYTES, VALUES_OF, Page, Statistics, Trimmed
from weir.archive.codec import decode_entry, entry_json
from weir.archive.statistics import Summing, key_order
from weir.model.entry import EntryMap
from weir.query.group import Key, groupings, values_of
from weir.query.match import entry_predicate, predicate
from weir.query.row import OK_NO, Row, clean, row_of
from weir.query.structured import Position, Query, cursor_of, position_of

DEFAULT_ENTRIES = 100_000
DEFAULT_BYTES = 256 << 20
ROW_BYTES = 1024
"""What a row, its keys and their places in the containers take, about."""
SLICE = 2000
"""Rows that are looked at before the loop may do something else."""
INSERT_SLICE = 500
"""The same for entries that are taken in."""

Order = tuple[int, str]


class _Kept(msgspec.Struct, frozen=True, gc=False):
    row: Row
    data: bytes

    @property
    def order(self) -> Order:
        return self.row.timestamp, self.row.id

    @property
    def size(self) -> int:
        return len(self.data) + len(self.row.search) + ROW_BYTES


class MemoryArchive:
    """See `weir.archive.api.Archive`. The oldest entries make room for new ones; `dropped` is told how many."""

    def __init__(
        self,
        max_entries: int = DEFAULT_ENTRIES,
        max_bytes: int = DEFAULT_BYTES,
        *,
        dropped: Callable[[int], None] | None = None,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._dropped = dropped
        self.page_bytes = PAGE_BYTES
        self._by_id: dict[str, _Kept] = {}
        self._order: list[Order] = []
        self._bytes = 0

    async def insert(self, entries: Sequence[EntryMap]) -> None:
        for start in range(0, len(entries), INSERT_SLICE):
            for entry in entries[start : start + INSERT_SLICE]:
                self._keep(_Kept(row_of(entry), entry_json(entry)))
            self._evict(self._max_entries, self._max_bytes)
            await asyncio.sleep(0)

    def _keep(self, new: _Kept) -> None:
        old = self._by_id.get(new.row.id)
        if old is not None:
            if _rank(new.row) <= _rank(old.row):
                return
            self._remove(old)
        self._by_id[new.row.id] = new
        self._bytes += new.size
        insort(self._order, new.order)

    def _remove(self, old: _Kept) -> None:
        del self._by_id[old.row.id]
        del self._order[bisect_left(self._order, old.order)]
        self._bytes -= old.size

    def _evict(self, max_entries: int, max_bytes: int) -> Trimmed:
        count, freed = 0, 0
        while count < len(self._order) and (
            len(self._order) - count > max_entries or self._bytes - freed > max_bytes
        ):
            freed += self._by_id[self._order[count][1]].size
            count += 1
        return self._drop(count)

    def _drop(self, count: int) -> Trimmed:
        """Remove the oldest `count`."""
        freed = sum(self._by_id.pop(entry_id).size for _, entry_id in self._order[:count])
        del self._order[:count]
        self._bytes -= freed
        if count and self._dropped is not None:
            self._dropped(count)
        return Trimmed(count, freed)

    async def _matching(
        self, query: Query, top: Position | None = None, *, failed: bool | None = None
    ) -> AsyncIterator[_Kept]:
        """Newest first, `failed` or others alone where that is asked; lets the loop run between slices and finds its
        place again by key, whatever came or went."""
        wanted = _wanted(query, failed)
        before: Order | None = (top.timestamp, top.id) if top else None
        if query.until_ns and (before is None or before[0] >= query.until_ns):
            before = (query.until_ns, "")
        while True:
            end = len(self._order) if before is None else bisect_left(self._order, before)
            part = self._order[max(end - SLICE, 0) : end]
            for order in reversed(part):
                if order[0] < query.since_ns:
                    return
                if (kept := self._kept(order)) is not None and wanted(kept):
                    yield kept
            if not part or end <= SLICE:
                return
            before = part[0]
            await asyncio.sleep(0)

    async def _oldest(self, query: Query, after: Position | None) -> AsyncIterator[_Kept]:
        """The same the other way round."""
        wanted = _wanted(query, None)
        start = bisect_left(self._order, (query.since_ns, ""))
        if after is not None:
            start = max(start, bisect_right(self._order, (after.timestamp, after.id)))
        while part := self._order[start : start + SLICE]:
            for order in part:
                if query.until_ns and order[0] >= query.until_ns:
                    return
                if (kept := self._kept(order)) is not None and wanted(kept):
                    yield kept
            await asyncio.sleep(0)
            start = bisect_right(self._order, part[-1])

    async def _slowest(self, query: Query, after: Position | None) -> AsyncIterator[_Kept]:
        behind = (after.lead, after.timestamp, after.id) if after is not None else None
        keys = [(kept.row.elapsed_time, *kept.order) async for kept in self._matching(query)]
        for key in heapq.nlargest(query.limit + 1, (key for key in keys if behind is None or key < behind)):
            if (kept := self._kept(key[1:])) is not None:
                yield kept

    def _kept(self, order: Order) -> _Kept | None:
        """What lies at this place, if it still does."""
        kept = self._by_id.get(order[1])
        return kept if kept is not None and kept.row.timestamp == order[0] else None

    async def _ordered(self, query: Query) -> AsyncIterator[tuple[_Kept, Position]]:
        """From the query's cursor on, with their positions."""
        after = position_of(query.cursor, query.order) if query.cursor else None
        if query.order != "failed":
            walks = {"oldest": self._oldest, "slowest": self._slowest}
            walk = walks[query.order](query, after) if query.order in walks else self._matching(query, after)
            async for kept in walk:
                lead = kept.row.elapsed_time if query.order == "slowest" else 0
                yield kept, Position(kept.row.timestamp, kept.row.id, lead)
            return
        if after is None or after.lead:
            async for kept in self._matching(query, after, failed=True):
                yield kept, Position(kept.row.timestamp, kept.row.id, 1)
            after = None
        async for kept in self._matching(query, after, failed=False):
            yield kept, Position(kept.row.timestamp, kept.row.id)

    async def query(self, query: Query) -> Page:
        found: list[_Kept] = []
        last = Position(0, "")
        size = 0
        async for kept, position in self._ordered(query):
            size += len(kept.data)
            if len(found) == query.limit or (found and size > self.page_bytes):
                return Page([decode_entry(one.data) for one in found], cursor_of(last, query.order))
            found.append(kept)
            last = position
        return Page([decode_entry(one.data) for one in found])

    async def values(self, query: Query, name: str) -> list[tuple[Key, int]]:
        of = values_of(name)
        read, count = of.of_row, 0
        seen: Counter[Key] = Counter()
        async for kept in self._matching(query):
            if read is not None:
                seen[read(kept.row)] += 1
            elif of.of_entry is not None:
                value = of.of_entry(decode_entry(kept.data))
                seen.update(value if of.many else [value])
            count += 1
            if count == VALUES_OF:
                break
        return sorted(seen.items(), key=lambda item: (-item[1], key_order(item[0])))[:MAX_VALUES]

    async def get(self, entry_id: str) -> EntryMap | None:
        kept = self._by_id.get(clean(entry_id))
        return decode_entry(kept.data) if kept is not None else None

    async def statistics(
        self, query: Query, *, group_by: Sequence[str] = (), bucket_ns: int = 0, limit: int = 1000
    ) -> list[Statistics]:
        summing = Summing(groupings(group_by), bucket_ns)
        async for kept in self._matching(msgspec.structs.replace(query, cursor="")):
            summing.add(kept.row, decode_entry(kept.data) if summing.whole else None)
        return summing.groups(limit)

    async def count(self, query: Query) -> int:
        count = 0
        async for _ in self._matching(msgspec.structs.replace(query, cursor="")):
            count += 1
        return count

    async def trim(self, *, before_ns: int = 0, max_bytes: int = 0) -> Trimmed:
        old = self._drop(bisect_left(self._order, (before_ns, "")))
        surplus = self._evict(self._max_entries, max_bytes or self._max_bytes)
        return Trimmed(old.entries + surplus.entries, old.bytes + surplus.bytes)

    async def size_bytes(self) -> int:
        return self._bytes

    def describe(self) -> str:
        return f"memory, the newest {self._max_entries:,} entries"

    async def close(self) -> None:
        self._by_id.clear()
        self._order.clear()
        self._bytes = 0


def _wanted(query: Query, failed: bool | None) -> Callable[[_Kept], bool]:
    """By its row first; only what passes is unpacked for what rows do not have."""
    asked, of_entry = predicate(query), entry_predicate(query)
    of_row = asked
    if failed is not None:
        part = failed

        def of_row(row: Row) -> bool:
            return (row.ok == OK_NO) is part and asked(row)

    if of_entry is None:
        return lambda kept: of_row(kept.row)
    return lambda kept: of_row(kept.row) and of_entry(decode_entry(kept.data))


def _rank(row: Row) -> tuple[int, int, int, int]:
    """Of two copies of an entry the higher one counts."""
    return row.version, -row.timestamp, row.elapsed_time, row.request_size + row.response_size

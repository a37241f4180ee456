"""The archive as services see it.

What an archive holds is a set of entries by id. A copy with a higher version replaces a poorer one; of two copies of
one version the earlier stays, and of two with the same time the one that lasted longer or counts more bytes (a flow
that is still open is told again and again), so that the order of arrival does not matter. Every answer is about that
set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from weir.errors import ArchiveError
from weir.model.entry import EntryMap
from weir.query.group import Key
from weir.query.structured import Query

MAX_GROUPS = 10_000
"""Groups in one answer: the largest ones."""

VALUES_OF = 20_000
"""Entries, the newest ones, that `values` looks at."""

MAX_VALUES = 5000
"""Values in one answer: the most frequent ones."""

PAGE_BYTES = 32 << 20
"""A page ends early when its entries are this large: one entry may be megabytes, and a page is held in memory."""


class ArchiveAway(ArchiveError):
    """The archive cannot be reached or cannot write now; the same call may succeed later."""


class TooLong(ArchiveError):
    """A question took longer than it may, and was stopped."""


class Page(msgspec.Struct, frozen=True):
    entries: list[EntryMap]
    """In the query's order; of one time by id."""
    next: str = ""
    """Cursor of the next page; empty when there is none. Entries that arrive meanwhile do not shift it."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """One group. All numbers are weighted: an entry stands for 1 / sample_rate conversations."""

    key: tuple[Key, ...] = ()
    """Values of `group_by`, in its order; `ok` is 1, 0 or -1 for unknown."""
    since_ns: int = 0
    """Begin of the time bucket; 0 without buckets."""
    count: float
    """Estimated number of conversations' entries; whole where nothing was sampled."""
    entries: int
    """Entries that this rests on."""
    errors: float
    """Those whose `ok` is false."""
    p50_us: int
    """Elapsed time; entries without one are left out. 0 if there is none."""
    p95_us: int
    p99_us: int
    bytes: int
    """Request and response, as on the wire."""
    flow_bytes: int = 0
    """What both ends of the flows among them sent, as on the wire; a flow's exchanges are in `bytes` once more."""
    protocols: list[str] = []
    """Protocols of its entries, in order."""


class Trimmed(msgspec.Struct, frozen=True):
    """What `trim` removed."""

    entries: int = 0
    bytes: int = 0


class Archive(Protocol):
    async def insert(self, entries: Sequence[EntryMap]) -> None:
        """Keep entries; safe to repeat. ArchiveAway if that cannot be done now: then any part may have been kept."""
        ...

    async def query(self, query: Query) -> Page:
        """At most `query.limit` entries, fewer if they are very large, at least one if there is one."""
        ...

    async def get(self, entry_id: str) -> EntryMap | None: ...

    async def statistics(
        self, query: Query, *, group_by: Sequence[str] = (), bucket_ns: int = 0, limit: int = 1000
    ) -> list[Statistics]:
        """`group_by` holds names or expressions of the filter language (`weir.query.group`); QueryError for others.

        Groups by time bucket, then by size, the largest first; at most `limit` for all. No entries: no groups."""
        ...

    async def values(self, query: Query, name: str) -> list[tuple[Key, int]]:
        """Values of a field among the newest `VALUES_OF` entries that match, the most frequent first: of a list its
        items, of a map its keys. Rough where an entry has several copies. QueryError if it has no values to list."""
        ...

    async def count(self, query: Query) -> int:
        """Entries (not weighted) that match."""
        ...

    async def trim(self, *, before_ns: int = 0, max_bytes: int = 0) -> Trimmed:
        """Remove what is older than a time, and the oldest above a size (bytes on disk or in memory); 0: no limit.

        An archive removes whole units: nothing newer than the limit is removed by age, and what is older goes
        when its whole hour is.
        """
        ...

    async def size_bytes(self) -> int:
        """Bytes on disk or in memory."""
        ...

    def describe(self) -> str:
        """What and where, for people; without secrets."""
        ...

    async def close(self) -> None: ...

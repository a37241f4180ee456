"""Statistics over rows in Python, exactly as ClickHouse computes them in `clickhouse`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from weir.archive.api import Statistics
from weir.model.entry import EntryMap
from weir.query.group import Grouping, Key
from weir.query.row import FLOW, OK_NO, WEIGHT_UNIT, Row

LEVELS = (0.5, 0.95, 0.99)


class _Group:
    __slots__ = ("bytes", "elapsed", "entries", "errors", "flow_bytes", "protocols", "weight")

    def __init__(self) -> None:
        self.entries = self.weight = self.errors = self.bytes = self.flow_bytes = 0
        self.elapsed: Counter[int] = Counter()
        self.protocols: set[str] = set()


class Summing:
    """Rows in, groups out."""

    def __init__(self, group_by: Sequence[Grouping], bucket_ns: int) -> None:
        self._readers = [_reader(one) for one in group_by]
        self.whole = any(one.whole for one in group_by)
        """A row alone does not tell the groups."""
        self._bucket = bucket_ns
        self._groups: dict[tuple[int, tuple[Key, ...]], _Group] = {}

    def add(self, row: Row, entry: EntryMap | None = None) -> None:
        """`entry` is needed where `whole` says so."""
        bucket = row.timestamp // self._bucket * self._bucket if self._bucket else 0
        key = bucket, tuple([read(row, entry) for read in self._readers])
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.entries += 1
        group.weight += row.weight
        group.protocols.add(row.protocol)
        size = (row.request_size + row.response_size) * row.weight
        if row.kind == FLOW:
            group.flow_bytes += size
        else:
            group.bytes += size
        if row.ok == OK_NO:
            group.errors += row.weight
        if row.elapsed_time:
            group.elapsed[row.elapsed_time] += row.weight

    def groups(self, limit: int) -> list[Statistics]:
        made = [_statistics(bucket, key, group) for (bucket, key), group in self._groups.items()]
        made.sort(key=lambda one: (one.since_ns, -one.count, tuple(map(key_order, one.key))))
        return made[:limit]


def _reader(grouping: Grouping) -> Callable[[Row, EntryMap | None], Key]:
    of_row, of_entry = grouping.of_row, grouping.of_entry
    if of_row is not None:
        return lambda row, entry: of_row(row)
    if of_entry is None:
        raise ValueError(f"{grouping.name} has no reader")
    return lambda row, entry: of_entry(entry or {})


def key_order(key: Key) -> tuple[int, str]:
    """Numbers and texts in one order, as ClickHouse has each of them."""
    return (key, "") if isinstance(key, int) else (0, key)


def _statistics(bucket: int, key: tuple[Key, ...], group: _Group) -> Statistics:
    p50, p95, p99 = quantiles(group.elapsed)
    return Statistics(
        key=key, since_ns=bucket, entries=group.entries,
        count=group.weight / WEIGHT_UNIT, errors=group.errors / WEIGHT_UNIT, bytes=group.bytes // WEIGHT_UNIT,
        flow_bytes=group.flow_bytes // WEIGHT_UNIT,
        p50_us=p50, p95_us=p95, p99_us=p99, protocols=sorted(group.protocols),
    )


def quantiles(weights: Counter[int]) -> tuple[int, ...]:
    """The smallest values whose weight and that of all smaller ones reach the levels (`quantileExactWeighted`)."""
    total = sum(weights.values())
    found: list[int] = []
    reached = 0
    wanted = [math.ceil(total * level) for level in LEVELS]
    for value in sorted(weights):
        reached += weights[value]
        while len(found) < len(wanted) and reached >= wanted[len(found)]:
            found.append(value)
    return tuple(found) if total else (0,) * len(LEVELS)

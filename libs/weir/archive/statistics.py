"""Statistics over rows in Python, exactly as ClickHouse computes them in `clickhouse`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from weir.archive.api import GROUPS, Key, Statistics
from weir.query.row import FLOW, OK_NO, WEIGHT_UNIT, Row
from weir.query.structured import QueryError

LEVELS = (0.5, 0.95, 0.99)


def check_groups(group_by: Sequence[str]) -> tuple[str, ...]:
    """The columns to group by; QueryError for an unknown one."""
    for name in group_by:
        if name not in GROUPS:
            raise QueryError(f"entries cannot be grouped by {name!r}", hint="one of: " + ", ".join(GROUPS))
    return tuple(dict.fromkeys(group_by))


class _Group:
    __slots__ = ("bytes", "elapsed", "entries", "errors", "flow_bytes", "weight")

    def __init__(self) -> None:
        self.entries = self.weight = self.errors = self.bytes = self.flow_bytes = 0
        self.elapsed: Counter[int] = Counter()


class Summing:
    """Rows in, groups out."""

    def __init__(self, group_by: Sequence[str], bucket_ns: int) -> None:
        self._columns = check_groups(group_by)
        self._bucket = bucket_ns
        self._groups: dict[tuple[int, tuple[Key, ...]], _Group] = {}

    def add(self, row: Row) -> None:
        bucket = row.timestamp // self._bucket * self._bucket if self._bucket else 0
        key = bucket, tuple([getattr(row, column) for column in self._columns])
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group()
        group.entries += 1
        group.weight += row.weight
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
        made.sort(key=lambda one: (one.since_ns, -one.count, tuple(map(_order, one.key))))
        return made[:limit]


def _order(key: Key) -> tuple[int, str]:
    return (key, "") if isinstance(key, int) else (0, key)


def _statistics(bucket: int, key: tuple[Key, ...], group: _Group) -> Statistics:
    p50, p95, p99 = quantiles(group.elapsed)
    return Statistics(
        key=key, since_ns=bucket, entries=group.entries,
        count=group.weight / WEIGHT_UNIT, errors=group.errors / WEIGHT_UNIT, bytes=group.bytes // WEIGHT_UNIT,
        flow_bytes=group.flow_bytes // WEIGHT_UNIT,
        p50_us=p50, p95_us=p95, p99_us=p99,
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

"""The archive's questions as ClickHouse SQL. Pure.

Copies of one entry are told apart here and not by the table's engine: the engine folds rows with equal sorting key when
it merges, at a time of its own, and the sorting key must be the time, which two vantages see differently by
microseconds. So a page takes candidates in order of time and keeps those that are the best copy of their id, and
statistics leave ids with several copies out of the plain scan and add their best copies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from weir.archive.statistics import LEVELS
from weir.query.row import OK_NO, WEIGHT_UNIT
from weir.query.sql import condition
from weir.query.structured import Position, Query

SPREAD_NS = 120 * 10**9
"""Copies of one id lie closer together than this: the id holds the minute of its first byte."""
BEST = "ORDER BY version DESC, timestamp ASC"
"""Which of several copies counts is the first in this order."""

COLUMNS = (
    "timestamp, id, version, protocol, kind, flow_id, transport, node_name, elapsed_time, src_ip, src_name, "
    "src_namespace, src_service, src_workload, dst_ip, dst_port, dst_name, dst_namespace, dst_service, dst_workload, "
    "method, path, status_code, ok, request_size, response_size, weight, search"
)


class Question(msgspec.Struct, frozen=True):
    sql: str
    parameters: dict[str, Any]


def candidates(table: str, query: Query, before: Position | None, limit: int) -> Question:
    """Rows (ns, id, version) that match, newest first, every copy of an entry one by one."""
    asked = condition(query)
    parameters = asked.parameters | {"rows": limit}
    where = asked.sql
    if before is not None:
        # The first term says nothing new, but the primary index understands it.
        where += (
            " AND timestamp <= fromUnixTimestamp64Nano({before_ns:Int64})"
            " AND (timestamp, id) < (fromUnixTimestamp64Nano({before_ns:Int64}), {before_id:String})"
        )
        parameters |= {"before_ns": before.timestamp, "before_id": before.id}
    return Question(
        f"SELECT toUnixTimestamp64Nano(timestamp), id, version FROM {table} WHERE {where} "
        "ORDER BY timestamp DESC, id DESC LIMIT {rows:UInt32}",
        parameters,
    )


def best(table: str, ids: Sequence[str]) -> Question:
    """The best copy of each id: (id, ns, version, entry)."""
    return Question(
        f"SELECT id, toUnixTimestamp64Nano(timestamp), version, entry FROM {table} "
        f"WHERE id IN {{ids:Array(String)}} {BEST} LIMIT 1 BY id",
        {"ids": list(ids)},
    )


def count(table: str, query: Query) -> Question:
    rows, parameters = _matching(table, query)
    return Question(f"SELECT count() FROM ({rows})", parameters)


def statistics(table: str, query: Query, group_by: Sequence[str], bucket_ns: int, limit: int) -> Question:
    """Groups: the keys, bucket, entries, weight, errors, bytes (each in thousandths), quantiles."""
    rows, parameters = _matching(table, query)
    bucket = "toInt64(0)"
    if bucket_ns:
        bucket = "intDiv(toUnixTimestamp64Nano(timestamp), {bucket:Int64}) * {bucket:Int64}"
        parameters |= {"bucket": bucket_ns}
    keys = "".join(f"{name} AS key{number}, " for number, name in enumerate(group_by))
    groups = ", ".join(["bucket", *(f"key{number}" for number in range(len(group_by)))])
    order = ", ".join(["bucket", "weights DESC", *(f"key{number}" for number in range(len(group_by)))])
    levels = ", ".join(map(str, LEVELS))
    return Question(
        f"SELECT {keys}{bucket} AS bucket, count(), sum(weight) AS weights, sumIf(weight, ok = {OK_NO}), "
        f"toString(intDiv(sum(toUInt128(request_size + response_size) * weight), {WEIGHT_UNIT})), "
        f"quantilesExactWeightedIf({levels})(elapsed_time, weight, elapsed_time > 0) "
        f"FROM ({rows}) GROUP BY {groups} ORDER BY {order} LIMIT {{groups:UInt32}}",
        parameters | {"groups": limit},
    )


def _matching(table: str, query: Query) -> tuple[str, dict[str, Any]]:
    """Rows that match, each entry once."""
    asked = condition(query)
    near = condition(_near(query))
    parameters = asked.parameters | {f"near_{name}": value for name, value in near.parameters.items()}
    copies = f"SELECT id FROM {table} WHERE {near.sql.replace('{', '{near_')} GROUP BY id HAVING count() > 1"
    rows = (
        f"SELECT {COLUMNS} FROM {table} WHERE {asked.sql} AND id NOT IN ({copies}) UNION ALL "
        f"SELECT {COLUMNS} FROM (SELECT {COLUMNS} FROM {table} WHERE id IN ({copies}) {BEST} LIMIT 1 BY id) "
        f"WHERE {asked.sql}"
    )
    return rows, parameters


def _near(query: Query) -> Query:
    """The time range with all copies of its entries, whatever else is asked for."""
    return Query(
        since_ns=max(query.since_ns - SPREAD_NS, 0),
        until_ns=query.until_ns + SPREAD_NS if query.until_ns else 0,
    )

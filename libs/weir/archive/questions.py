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
from weir.query.filter.clickhouse import ENTRY
from weir.query.group import Grouping
from weir.query.row import FLOW, OK_NO, WEIGHT_UNIT
from weir.query.sql import condition
from weir.query.structured import Position, Query

SPREAD_NS = 120 * 10**9
"""Copies of one id lie closer together than this: the id holds the minute of its first byte."""
BEST = "ORDER BY version DESC, timestamp ASC, elapsed_time DESC, request_size + response_size DESC"
"""Which of several copies counts is the first in this order."""
RANK = "toUnixTimestamp64Nano(timestamp), id, version, elapsed_time, request_size + response_size"
"""What tells copies apart."""
HASH = "cityHash64(id)"
"""Of eight bytes, so that looking for copies takes a quarter of the time."""
MAX_COPIES = 4000
"""Hashes that are sent back as a parameter; ClickHouse takes 128 KiB by default."""

COLUMNS = (
    "timestamp, id, version, protocol, kind, flow_id, transport, node_name, elapsed_time, src_ip, src_port, src_name, "
    "src_namespace, src_service, src_workload, dst_ip, dst_port, dst_name, dst_namespace, dst_service, dst_workload, "
    "method, path, status_code, ok, request_size, response_size, weight, summary, search, tags, src_role, dst_role"
)


class Question(msgspec.Struct, frozen=True):
    sql: str
    parameters: dict[str, Any]


def hours(table: str) -> Question:
    """What there is of each hour: its begin (s), the time of its newest row (ns), rows. ClickHouse keeps these figures
    for each part, and reads nothing else."""
    return Question(
        "SELECT toUnixTimestamp(toStartOfHour(timestamp)) AS hour, toUnixTimestamp64Nano(max(timestamp)), count() "
        f"FROM {table} GROUP BY hour",
        {},
    )


def candidates(
    table: str, query: Query, before: Position | None, limit: int, *, failed: bool | None = None
) -> Question:
    """Rows (ns, id, version, elapsed time, bytes, size) that match, every copy of an entry one by one, in the query's
    order; `failed` is the part that is asked for where that order has parts, each of them newest first."""
    asked = condition(query)
    parameters = asked.parameters | {"rows": limit}
    where = asked.sql
    if failed is not None:
        where += f" AND ok {'=' if failed else '!='} {OK_NO}"
    if before is not None:
        where += f" AND {_BEHIND.get(query.order, _OLDER)}"
        parameters |= {"before_ns": before.timestamp, "before_id": before.id}
        if query.order == "slowest":
            parameters |= {"before_lead": before.lead}
    return Question(
        f"SELECT {RANK}, entry_size FROM {table} WHERE {where} "
        f"ORDER BY {_ORDERS.get(query.order, _NEWEST)} LIMIT {{rows:UInt32}}",
        parameters,
    )


# The first term says nothing new, but the primary index understands it.
_OLDER = (
    "timestamp <= fromUnixTimestamp64Nano({before_ns:Int64})"
    " AND (timestamp, id) < (fromUnixTimestamp64Nano({before_ns:Int64}), {before_id:String})"
)
_BEHIND = {
    "oldest": _OLDER.replace("<", ">"),
    "slowest": "elapsed_time <= {before_lead:UInt64} AND (elapsed_time, timestamp, id) < "
    "({before_lead:UInt64}, fromUnixTimestamp64Nano({before_ns:Int64}), {before_id:String})",
}
_NEWEST = "timestamp DESC, id DESC"
_ORDERS = {"oldest": "timestamp, id", "slowest": f"elapsed_time DESC, {_NEWEST}"}


def best(table: str, ids: Sequence[str], times: Sequence[int] = ()) -> Question:
    """The best copy of each id: (ns, id, version, elapsed time, bytes, entry). `times` (ns) of any copy of each
    tell where to look."""
    where, parameters = "id IN {ids:Array(String)}", {"ids": list(ids)}
    if times:
        near = condition(_near(Query(hidden=True, since_ns=max(min(times), 1), until_ns=max(times) + 1)))
        where, parameters = f"{near.sql} AND {where}", parameters | near.parameters
    return Question(f"SELECT {RANK}, entry FROM {table} WHERE {where} {BEST} LIMIT 1 BY id", parameters)


def values(table: str, query: Query, of: Grouping, scanned: int, limit: int) -> Question:
    """Values of the newest rows that match, and how often each is there, the most frequent first."""
    asked = condition(query)
    value = "arrayJoin(value)" if of.many else "value"
    return Question(
        f"SELECT {value} AS one, count() AS times FROM (SELECT {of.sql} AS value FROM {table} WHERE {asked.sql} "
        f"ORDER BY {_NEWEST} LIMIT {{scanned:UInt32}}) GROUP BY one ORDER BY times DESC, one LIMIT {{limit:UInt32}}",
        asked.parameters | of.bound | {"scanned": scanned, "limit": limit},
    )


def copies(table: str, query: Query) -> Question:
    """Hashes of ids of which there are several rows in the query's time range, whatever else is asked for; at most
    one more than `MAX_COPIES`. Of a hash two ids may share nothing is lost: both are looked at by id."""
    where = condition(_near(query))
    return Question(f"{_copies(table, where.sql)} LIMIT {MAX_COPIES + 1}", where.parameters)


def copies_of(table: str, query: Query) -> Question:
    """The same for the entries that match alone: the quicker, the fewer they are."""
    near, asked = condition(_near(query)), condition(query)
    where = f"{near.sql.replace('{', '{near_')} AND {HASH} IN (SELECT {HASH} FROM {table} WHERE {asked.sql})"
    bound = asked.parameters | {f"near_{name}": value for name, value in near.parameters.items()}
    return Question(f"{_copies(table, where)} LIMIT {MAX_COPIES + 1}", bound)


def count(table: str, query: Query, known: Sequence[int]) -> Question:
    """Entries that match; `known` is the answer to `copies`."""
    rows, parameters = _matching(table, query, known)
    return Question(f"SELECT count() FROM ({rows})", parameters)


def statistics(
    table: str, query: Query, known: Sequence[int], group_by: Sequence[Grouping], bucket_ns: int, limit: int
) -> Question:
    """Groups: the keys, bucket, entries, weight and errors in thousandths, bytes, bytes of flows, quantiles,
    protocols."""
    rows, parameters = _matching(table, query, known, whole=any(one.whole for one in group_by))
    bucket = "toInt64(0)"
    if bucket_ns:
        bucket = "intDiv(toUnixTimestamp64Nano(timestamp), {bucket:Int64}) * {bucket:Int64}"
        parameters |= {"bucket": bucket_ns}
    keys = [f"key{number}" for number in range(len(group_by))]
    named = "".join(f"{one.sql} AS {key}, " for one, key in zip(group_by, keys, strict=True))
    for one in group_by:
        parameters |= one.bound
    levels = ", ".join(map(str, LEVELS))
    return Question(
        f"SELECT {named}{bucket} AS bucket, count(), sum(weight) AS weights, sumIf(weight, ok = {OK_NO}), "
        f"{_bytes('!=')}, {_bytes('=')}, "
        f"quantilesExactWeightedIf({levels})(elapsed_time, weight, elapsed_time > 0), "
        f"arraySort(groupUniqArray(protocol)) "
        f"FROM ({rows}) GROUP BY {', '.join(['bucket', *keys])} "
        f"ORDER BY {', '.join(['bucket', 'weights DESC', *keys])} LIMIT {{groups:UInt32}}",
        parameters | {"groups": limit},
    )


def _bytes(flows: str) -> str:
    """Bytes of what is a flow (`=`) or is none (`!=`)."""
    size = "toUInt128(request_size + response_size) * weight"
    return f"toString(intDiv(sumIf({size}, kind {flows} '{FLOW}'), {WEIGHT_UNIT}))"


def _matching(
    table: str, query: Query, known: Sequence[int], *, whole: bool = False
) -> tuple[str, dict[str, Any]]:
    """Rows that match, each entry once; `whole`: with the entry itself."""
    asked = condition(query)
    parameters = dict(asked.parameters)
    # A filter looks into the whole entry where it asks for what has no column.
    columns = f"{COLUMNS}, {ENTRY}" if query.filter or whole else COLUMNS
    shown = f"{COLUMNS}, {ENTRY}" if whole else COLUMNS
    plain = f"SELECT {shown} FROM {table} WHERE {asked.sql}"
    if not known:
        return plain, parameters
    if len(known) <= MAX_COPIES:
        several = "{copies:Array(UInt64)}"
        parameters["copies"] = list(known)
    else:
        near = condition(_near(query))
        several = f"({_copies(table, near.sql.replace('{', '{near_'))})"
        parameters |= {f"near_{name}": value for name, value in near.parameters.items()}
    rows = (
        f"{plain} AND {HASH} NOT IN {several} UNION ALL SELECT {shown} FROM "
        f"(SELECT {columns} FROM {table} WHERE {HASH} IN {several} {BEST} LIMIT 1 BY id) WHERE {asked.sql}"
    )
    return rows, parameters


def _copies(table: str, where: str) -> str:
    return f"SELECT {HASH} AS hash FROM {table} WHERE {where} GROUP BY hash HAVING count() > 1"


def _near(query: Query) -> Query:
    """The time range with all copies of its entries."""
    return Query(
        hidden=True,
        since_ns=max(query.since_ns - SPREAD_NS, 0),
        until_ns=query.until_ns + SPREAD_NS if query.until_ns else 0,
    )

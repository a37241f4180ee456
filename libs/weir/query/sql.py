"""The ClickHouse reader of a query: a condition on the columns of `row.Row`, with bound parameters only. No text of a
person ever becomes part of the SQL. Its twin is `match`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from weir.query.filter import clickhouse as filters
from weir.query.match import checked, needle_of
from weir.query.row import clean
from weir.query.structured import HIDDEN, Query


class Condition(msgspec.Struct, frozen=True):
    """A boolean SQL expression in parentheses, and its parameters by name, as ClickHouse binds them (`{name:Type}`)."""

    sql: str
    parameters: dict[str, Any]


def condition(query: Query) -> Condition:
    """Rows that are asked for; `limit` and `cursor` are not looked at."""
    terms: list[str] = []
    bound: dict[str, Any] = {}

    def add(sql: str, **parameters: Any) -> None:
        terms.append(sql)
        bound.update(parameters)

    if not query.hidden:
        tagged = "hasAny(tags, {hidden:Array(String)})"
        add(tagged if query.hidden is None else f"NOT {tagged}", hidden=list(HIDDEN))
    if query.since_ns:
        add("timestamp >= fromUnixTimestamp64Nano({since:Int64})", since=query.since_ns)
    if query.until_ns:
        add("timestamp < fromUnixTimestamp64Nano({until:Int64})", until=query.until_ns)
    if query.protocols:
        add("protocol IN {protocols:Array(String)}", protocols=_clean(query.protocols))
    if query.kinds:
        add("kind IN {kinds:Array(String)}", kinds=_clean(query.kinds))
    if query.flow_id:
        add("flow_id = {flow_id:String}", flow_id=clean(query.flow_id))
    if query.ok is not None:
        add("ok = {ok:Int8}", ok=int(query.ok))
    if query.names:
        columns = ("src_name", "dst_name", "src_service", "dst_service")
        add(_either(columns, "names"), names=_clean(query.names))
    if query.namespaces:
        add(_either(("src_namespace", "dst_namespace"), "namespaces"), namespaces=_clean(query.namespaces))
    if query.text:
        add("position(search, {text:String}) > 0", text=needle_of(query.text))
    if query.filter:
        written, values = filters.condition(checked(query))
        add(written, **values)
    return Condition("(" + " AND ".join(terms or ["1"]) + ")", bound)


def _either(columns: tuple[str, ...], parameter: str) -> str:
    return "(" + " OR ".join(f"{column} IN {{{parameter}:Array(String)}}" for column in columns) + ")"


def _clean(values: Iterable[str]) -> list[str]:
    return [clean(value) for value in values]

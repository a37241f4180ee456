"""What statistics group by: a column of `row.Row`, or any value that the filter language can work out of an entry.

    src.service.name        status_code / 100        src.name == "" ? src.ip : src.name

Both readers give the same keys: texts (cut at `MAX_KEY` where they come from the whole entry) and whole numbers;
conditions are 1 and 0, and `ok` alone is 1, 0, or -1 where it cannot be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from weir.model.entry import EntryMap
from weir.query.filter import clickhouse, python
from weir.query.filter.check import typed
from weir.query.filter.narrow import knows
from weir.query.filter.tree import BOOL, INT, STRING, STRINGS, FilterError, Kind, Node
from weir.query.row import Row
from weir.query.structured import QueryError

Key = str | int

COLUMNS: tuple[str, ...] = (
    "protocol", "kind", "transport", "node_name", "method", "path", "status_code", "ok",
    "src_ip", "src_name", "src_namespace", "src_service", "src_workload", "src_role",
    "dst_ip", "dst_port", "dst_name", "dst_namespace", "dst_service", "dst_workload",
    "dst_role",
)
"""Columns that are grouped by as they are; each may also be named with a dot after `src` or `dst`."""
MAX_KEY = 512
"""Characters of a key."""
MAX_GROUPINGS = 8

_COMMON = ("src.service", "dst.service", "src.namespace", "dst.namespace", "src.workload", "protocol", "status_code")
_BY_NAME = {
    **{column: column for column in COLUMNS},
    **{column.replace("_", ".", 1): column for column in COLUMNS if column[:4] in ("src_", "dst_")},
    "src.service.name": "src_service", "dst.service.name": "dst_service",
}


class Grouping(msgspec.Struct, frozen=True, kw_only=True):
    """One key of a group, for every reader."""

    name: str
    sql: str
    bound: dict[str, Any] = {}
    whole: bool = False
    """It takes the whole entry; a row does not tell."""
    of_row: Callable[[Row], Key] | None = None
    of_entry: Callable[[EntryMap], Any] | None = None
    many: bool = False
    """It stands for a list of keys."""


def groupings(names: Sequence[str]) -> tuple[Grouping, ...]:
    """The keys that names or expressions stand for, in their order; QueryError for what cannot be grouped by."""
    if len(names) > MAX_GROUPINGS:
        raise QueryError(f"entries are grouped by {MAX_GROUPINGS} values at most", hint="leave some out")
    return tuple(_grouping(name, number) for number, name in enumerate(names))


@lru_cache(maxsize=256)
def _grouping(name: str, number: int) -> Grouping:
    column = _BY_NAME.get(name)
    if column is not None:
        return Grouping(name=name, sql=column, of_row=_reader(column))
    node = _node(name)
    sql, bound = clickhouse.value(node, prefix=f"g{number}_")
    if node.type == STRING:
        sql = f"substringUTF8({sql}, 1, {MAX_KEY})"
    elif node.type == BOOL:
        sql = f"toInt64({sql})"
    of_row = python.row_value(node) if knows(node, python.on_rows) else None
    return Grouping(
        name=name, sql=sql, bound=bound, whole=of_row is None,
        of_row=_keyed(of_row) if of_row is not None else None,
        of_entry=None if of_row is not None else _keyed(python.value(node)),
    )


def values_of(name: str) -> Grouping:
    """What a field's values are: keys as of groups; of a list its items, of a map its keys (then `of_entry` gives a
    list)."""
    node = _typed(name) if name not in _BY_NAME else None
    if node is None or node.type.kind not in (Kind.LIST, Kind.MAP) or node.type.item is not Kind.STRING:
        return groupings((name,))[0]
    read = python.value(node)
    keys = Node("keys", STRINGS, (node,)) if node.type.kind is Kind.MAP else node
    sql, bound = clickhouse.value(keys, prefix="v")
    return Grouping(
        name=name, sql=f"arrayMap(s -> substringUTF8(s, 1, {MAX_KEY}), {sql})", bound=bound, whole=True, many=True,
        of_entry=lambda entry: [one[:MAX_KEY] for one in read(entry)],
    )


def _node(name: str) -> Node:
    node = _typed(name)
    if node.type not in (STRING, INT, BOOL):
        hint = "an item of it can: dns_question_types[0]" if node.type.kind is Kind.LIST else (
            'a value of it can: request.headers["user-agent"]' if node.type.kind is Kind.MAP else
            f"for example {', '.join(_COMMON)}")
        raise QueryError(f"entries cannot be grouped by {name!r:.200}, a {node.type}", hint=hint)
    return node


def _typed(name: str) -> Node:
    try:
        return typed(name)
    except FilterError as error:
        raise QueryError(f"entries have no value {name!r:.200}: {error.message}", hint=error.hint) from None


def _reader(column: str) -> Callable[[Row], Key]:
    def read(row: Row) -> Key:
        value: Key = getattr(row, column)
        return value

    return read


def _keyed(read: Callable[[Any], Any]) -> Callable[[Any], Key]:
    def key(of: Any) -> Key:
        value = read(of)
        return value[:MAX_KEY] if type(value) is str else int(value)

    return key

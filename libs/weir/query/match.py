"""The Python reader of a query: a predicate on rows. Its twin is `sql`; one suite holds both to the same answers."""

from __future__ import annotations

from collections.abc import Callable

from weir.model.entry import EntryMap
from weir.query.filter import python as filters
from weir.query.filter.check import check
from weir.query.filter.narrow import narrow
from weir.query.filter.python import on_rows
from weir.query.filter.tree import Node
from weir.query.row import Row, clean
from weir.query.structured import HIDDEN, Query

Predicate = Callable[[Row], bool]

_HIDDEN = frozenset(HIDDEN)


def checked(query: Query) -> Node:
    """The query's filter, `true` without one; raises FilterError."""
    return check(query.filter, macros=query.macros, now_ns=query.now_ns)


def entry_predicate(query: Query) -> Callable[[EntryMap], bool] | None:
    """What `predicate` leaves open: whether an entry fits the query's filter. None if its row tells all."""
    if not query.filter:
        return None
    node = checked(query)
    return None if narrow(node, on_rows) == node else filters.predicate(node)


def predicate(query: Query) -> Predicate:
    """Whether a row is asked for, as far as a row can tell (see `entry_predicate`); `limit` and `cursor` are not looked
    at."""
    tests = _tests(query)
    if query.filter:
        tests.append(filters.row_predicate(narrow(checked(query), on_rows)))
    if not tests:
        return lambda row: True
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _tests(query: Query) -> list[Predicate]:
    tests: list[Predicate] = []
    if query.hidden is None:
        tests.append(lambda row: bool(row.tags) and not _HIDDEN.isdisjoint(row.tags))
    elif not query.hidden:
        # Few have tags at all.
        tests.append(lambda row: not row.tags or _HIDDEN.isdisjoint(row.tags))
    if query.since_ns:
        since = query.since_ns
        tests.append(lambda row: row.timestamp >= since)
    if query.until_ns:
        until = query.until_ns
        tests.append(lambda row: row.timestamp < until)
    if query.protocols:
        protocols = frozenset(map(clean, query.protocols))
        tests.append(lambda row: row.protocol in protocols)
    if query.kinds:
        kinds = frozenset(map(clean, query.kinds))
        tests.append(lambda row: row.kind in kinds)
    if query.flow_id:
        flow_id = clean(query.flow_id)
        tests.append(lambda row: row.flow_id == flow_id)
    if query.ok is not None:
        ok = int(query.ok)
        tests.append(lambda row: row.ok == ok)
    if query.names:
        tests.append(_either_name(frozenset(map(clean, query.names))))
    if query.namespaces:
        spaces = frozenset(map(clean, query.namespaces))
        tests.append(lambda row: row.src_namespace in spaces or row.dst_namespace in spaces)
    if query.text:
        needle = needle_of(query.text)
        tests.append(lambda row: needle in row.search)
    return tests


def _either_name(names: frozenset[str]) -> Predicate:
    def test(row: Row) -> bool:
        return (
            row.src_name in names or row.dst_name in names or row.src_service in names or row.dst_service in names
        )

    return test


def needle_of(text: str) -> str:
    """A searched text in the form of `Row.search`."""
    return clean(text.lower())

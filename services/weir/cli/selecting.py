"""Entries of files that fit the options, by the readers that the archive in memory has. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from weir.cli.conditions import FilterRefused
from weir.model.entry import EntryMap
from weir.query.filter.check import check
from weir.query.filter.tree import FilterError, Node
from weir.query.match import entry_predicate, predicate
from weir.query.row import row_of
from weir.query.structured import Query

FLOWS = frozenset({"kind", "conn", "flow", "protocol", "transport", "tcp", "udp", "icmp"})
"""Variables of a filter that may ask for flows."""

Wanted = Callable[[EntryMap], bool]


def query_of(
    text: str, protocols: Iterable[str] = (), needle: str = "", *, hidden: bool = True, now_ns: int = 0
) -> Query:
    """A query that was checked; FilterRefused for a filter that is none."""
    checked(text, now_ns)
    return Query(filter=text, now_ns=now_ns, protocols=tuple(protocols), text=needle, hidden=hidden)


def checked(text: str, now_ns: int = 0) -> Node:
    """The tree of a filter."""
    try:
        return check(text, now_ns=now_ns)
    except FilterError as error:
        raise FilterRefused(error.message, error.hint, text, error.start, error.end - error.start) from None


def wanted(query: Query) -> Wanted:
    """Whether an entry fits."""
    if query == Query(hidden=True, now_ns=query.now_ns):
        return lambda entry: True
    of_row, of_entry = predicate(query), entry_predicate(query)
    if of_entry is None:
        return lambda entry: of_row(row_of(entry))
    return lambda entry: of_row(row_of(entry)) and of_entry(entry)


def asks_for_flows(text: str) -> bool:
    """Whether a filter that was checked says anything about flows; then what it lets through is not narrowed again."""
    return any(name in FLOWS or name.startswith(("conn_", "flow_")) for name in _names(checked(text)))


def _names(node: Node) -> Iterable[str]:
    if node.op == "field":
        yield node.value.name
    for arg in node.args:
        yield from _names(arg)

from __future__ import annotations

import pytest

from weir.query.match import predicate
from weir.query.row import row_of
from weir.query.sql import condition
from weir.query.structured import Position, Query, QueryError, cursor_of, position_of

ROW = row_of({
    "id": "a", "timestamp": 100, "protocol": "http", "kind": "exchange", "flow_id": "f", "ok": False,
    "summary": "GET /Ärger", "src": {"name": "cart", "namespace": "shop"}, "dst": {"service": {"name": "pay"}},
})

YES = [
    Query(), Query(protocols=("dns", "http")), Query(kinds=("exchange",)), Query(since_ns=100), Query(until_ns=101),
    Query(text="ÄRGER"), Query(text="get /"), Query(flow_id="f"), Query(names=("pay",)), Query(names=("x", "cart")),
    Query(namespaces=("shop",)), Query(ok=False), Query(since_ns=1, until_ns=200, text="cart", protocols=("http",)),
]
NO = [
    Query(protocols=("dns",)), Query(kinds=("flow",)), Query(since_ns=101), Query(until_ns=100), Query(text="nothing"),
    Query(flow_id="g"), Query(names=("other",)), Query(namespaces=("pay",)), Query(ok=True),
    Query(text="cart", protocols=("dns",)),
]


@pytest.mark.parametrize("query", YES)
def test_a_matching_row(query: Query) -> None:
    assert predicate(query)(ROW)


@pytest.mark.parametrize("query", NO)
def test_another_row(query: Query) -> None:
    assert not predicate(query)(ROW)


@pytest.mark.parametrize("query", YES + NO)
def test_no_value_becomes_sql(query: Query) -> None:
    """The SQL depends on which conditions there are, never on what they hold."""
    hostile = Query(
        protocols=query.protocols and ("' OR 1=1", "x"), kinds=query.kinds and ("'; DROP",),
        since_ns=query.since_ns, until_ns=query.until_ns, text=query.text and "{x:String}'",
        flow_id=query.flow_id and "'",
        names=query.names and ("`",), namespaces=query.namespaces and ("\\",), ok=query.ok,
    )
    assert condition(hostile).sql == condition(query).sql
    for name in condition(query).parameters:
        assert f"{{{name}:" in condition(query).sql


def test_a_cursor_is_its_position() -> None:
    for position in (Position(0, ""), Position(2**63 - 1, "a:b/ü"), Position(5, "x" * 300)):
        assert position_of(cursor_of(position)) == position
        assert cursor_of(position).replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("cursor", ["x", "%%", "ä", "LTU6YQ", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTphCg", "YWJj", "a" * 5001])
def test_what_is_no_cursor(cursor: str) -> None:
    with pytest.raises(QueryError):
        position_of(cursor)

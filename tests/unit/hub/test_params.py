from __future__ import annotations

import pytest

from weir.hub.params import query_of, time_of, values_of
from weir.query.structured import Position, Query, QueryError, cursor_of

NOW = 1_800_000_000 * 10**9


def test_every_parameter() -> None:
    cursor = cursor_of(Position(1, "a"))
    values = {
        "protocol": ["http,dns", "grpc"], "kind": ["flow"], "since": ["15m"], "until": ["2027-01-15T08:00:00Z"],
        "text": ["a,b"], "flow_id": ["f"], "name": ["cart"], "namespace": ["shop"], "ok": ["false"], "limit": ["7"],
        "cursor": [cursor],
    }
    assert query_of(values, NOW) == Query(
        protocols=("http", "dns", "grpc"), kinds=("flow",), since_ns=NOW - 900 * 10**9, until_ns=NOW, text="a,b",
        flow_id="f", names=("cart",), namespaces=("shop",), ok=False, limit=7, cursor=cursor,
    )


def test_nothing_asks_for_everything() -> None:
    assert query_of({}, NOW) == Query()
    assert query_of({"text": [""], "protocol": [""], "limit": [""]}, NOW) == Query()


@pytest.mark.parametrize(("name", "value"), [
    ("limit", "0"), ("limit", "1001"), ("limit", "-1"), ("limit", "x"), ("limit", "\uff11"), ("limit", "9" * 30),
    ("since", "yesterday"), ("since", "2026-01-01"), ("since", "9" * 30), ("until", "-5m"), ("ok", "yes"),
    ("cursor", "nonsense"), ("text", "x" * 600), ("protocl", "http"), ("protocol", ",".join("abcdefghij" * 6)),
])
def test_wrong_values_are_told_by_name(name: str, value: str) -> None:
    with pytest.raises(QueryError) as refused:
        query_of({name: [value]}, NOW)
    assert name in refused.value.message or name == "cursor"


def test_a_parameter_that_is_given_twice() -> None:
    with pytest.raises(QueryError, match="2 times"):
        query_of({"text": ["a", "b"]}, NOW)


@pytest.mark.parametrize(("value", "expected"), [
    ("", 0), ("5", 5), ("250ms", NOW - 250 * 10**6), ("2d", NOW - 2 * 86400 * 10**9), ("999999999d", 1),
    ("2027-01-15T09:00:00.5+01:00", NOW + 500_000_000), ("9" * 19, 2**63 - 1),
    ("0001-01-01T00:00:00+23:59", 1),
])
def test_times(value: str, expected: int) -> None:
    assert time_of("since", value, NOW) == expected


def test_a_filter_message_has_the_shape_of_parameters() -> None:
    assert values_of({"protocol": ["http", "dns"], "text": "x", "ok": True, "since": 5, "name": ""}) == {
        "protocol": ["http", "dns"], "text": ["x"], "ok": ["true"], "since": ["5"], "name": [],
    }
    with pytest.raises(QueryError, match="text"):
        values_of({"text": {"a": 1}})

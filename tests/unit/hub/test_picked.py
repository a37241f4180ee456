from __future__ import annotations

from typing import Any

import pytest

from weir.hub.picked import Picked
from weir.query.structured import QueryError

ENTRY: dict[str, Any] = {
    "id": "x", "timestamp": 5, "protocol": "http", "method": "GET", "src": {"name": "a", "ip": "1.2.3.4"},
    "request": {"headers": {"cookie": "k=v"}, "size": 3},
}


def test_nothing_named_is_everything() -> None:
    assert Picked([]).of(ENTRY) is ENTRY
    assert not Picked([])


def test_what_is_named_keeps_its_form() -> None:
    assert Picked(["src.name", "method"]).of(ENTRY) == {
        "id": "x", "timestamp": 5, "src": {"name": "a"}, "method": "GET"
    }


def test_groups_and_what_is_worked_out_can_be_named() -> None:
    found = Picked(["src", "src.name", "request.cookies", "http", "namespaces"]).of(ENTRY)
    assert found["src"] == ENTRY["src"]
    assert found["request"] == {"cookies": {"k": "v"}}
    assert (found["http"], found["namespaces"]) == (True, [])
    assert "cookies" not in ENTRY["request"]


@pytest.mark.parametrize("entry", [{}, {"id": 3, "src": "text", "request": None}])
def test_any_map_is_picked_from(entry: dict[str, Any]) -> None:
    Picked(["src.name", "request.headers", "request.cookies"]).of(entry)


def test_an_unknown_field_has_a_hint() -> None:
    with pytest.raises(QueryError) as caught:
        Picked(["status_cod"])
    assert caught.value.hint == "status_code"

from __future__ import annotations

from typing import Any

import pytest

from weir.cli.conditions import FilterRefused
from weir.cli.selecting import asks_for_flows, query_of, wanted

CALL: dict[str, Any] = {
    "v": 1, "id": "a", "timestamp": 1, "protocol": "http", "kind": "exchange", "path": "/cart", "status_code": 500,
    "ok": False, "summary": "GET /cart → 500", "src": {"ip": "10.0.0.1"}, "dst": {"ip": "10.0.0.2"},
    "request": {"headers": {"host": "shop"}},
}
PROBE = CALL | {"tags": ["probe"]}


@pytest.mark.parametrize(
    ("options", "fits"),
    [
        ({"text": ""}, True), ({"text": "http && status_code >= 500"}, True), ({"text": "dns"}, False),
        ({"text": 'request.headers["host"] == "shop"'}, True), ({"text": 'request.headers["host"] == "x"'}, False),
        ({"text": "", "protocols": ["dns", "http"]}, True), ({"text": "", "protocols": ["dns"]}, False),
        ({"text": "", "needle": "CART"}, True), ({"text": "http", "needle": "basket"}, False),
    ],
)
def test_entries_are_chosen_as_the_archive_does(options: dict[str, Any], fits: bool) -> None:
    assert wanted(query_of(**options))(CALL) is fits


def test_probes_are_left_out_where_the_hub_does() -> None:
    assert wanted(query_of("http"))(PROBE)
    assert not wanted(query_of("http", hidden=False))(PROBE)


def test_a_wrong_filter_is_pointed_at() -> None:
    with pytest.raises(FilterRefused) as caught:
        query_of("http && status_cod == 500")
    assert "        ^^^^^^^^^^" in str(caught.value)
    assert caught.value.hint == "status_code"


@pytest.mark.parametrize("text", ["conn", "kind == 'flow'", "tcp && dst.port == 80", "conn_state == 'closed' || http"])
def test_who_asks_for_flows_gets_them(text: str) -> None:
    assert asks_for_flows(text)


@pytest.mark.parametrize("text", ["", "http", "dst.port == 80", "[80, 81].exists(p, p == dst.port)"])
def test_who_does_not_gets_calls(text: str) -> None:
    assert not asks_for_flows(text)


def test_where_nothing_is_asked_entries_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("weir.cli.selecting.row_of")
    assert wanted(query_of("", now_ns=5))({"id": "a"})

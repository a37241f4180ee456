from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weir.query.row import MAX_NS, MAX_SIZE, MAX_TEXT, MAX_WEIGHT, Row, row_of, weight_of

ENTRY = {
    "id": "a", "timestamp": 5, "protocol": "http", "kind": "exchange", "flow_id": "f", "method": "GET",
    "path": "/Pay", "url": "shop/Pay?x=1", "status_code": 404, "summary": "GET /Pay 404", "elapsed_time": 7,
    "ok": False,
    "src": {"ip": "10.0.0.1", "port": 1, "name": "Cart", "namespace": "shop", "workload": "deployment/cart"},
    "dst": {"ip": "10.0.0.2", "port": 80, "service": {"name": "pay", "namespace": "shop"}},
    "request": {"size": 10}, "response": {"size": 20}, "sample_rate": 0.25,
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["ip", "port", "size", "name"]), inner),
    max_leaves=6,
)


def test_a_row_holds_what_lists_and_filters_look_at() -> None:
    row = row_of(ENTRY)
    assert (row.timestamp, row.id, row.version, row.protocol, row.kind) == (5, "a", 1, "http", "exchange")
    assert (row.src_name, row.src_workload, row.dst_service, row.dst_port) == ("Cart", "deployment/cart", "pay", 80)
    assert (row.status_code, row.ok, row.request_size, row.response_size) == (404, 0, 10, 20)
    assert row.weight == 4000
    assert row.transport == "tcp"
    for text in ("get /pay 404", "shop/pay?x=1", "404", "10.0.0.1", "10.0.0.2", "cart", "pay", "shop"):
        assert text in row.search


def test_absent_fields_have_typed_defaults() -> None:
    row = row_of({})
    assert row == Row(
        0, "", 1, "", "", "", "tcp", "", 0, "", 0, "", "", "", "", "", 0, "", "", "", "", "", "", 0, -1,
        0, 0, 1000, "", "", "", "", [],
    )


def test_long_texts_are_cut_and_numbers_clamped() -> None:
    row = row_of({"path": "x" * 10**6, "timestamp": 2**80, "request": {"size": 2**80}, "src": {"port": -3}})
    assert len(row.path) == MAX_TEXT
    assert row.timestamp == MAX_NS
    assert row.request_size == MAX_SIZE
    assert row.src_port == 0


def test_weights_are_whole_thousandths_and_nonsense_counts_as_one() -> None:
    assert [weight_of(rate) for rate in (1.0, 0.5, 0.3, 0.01)] == [1000, 2000, 3333, 100_000]
    for nonsense in (0, -1, 2.0, float("nan"), float("inf"), "x", None, True):
        assert weight_of(nonsense) == 1000
    assert weight_of(1e-300) == MAX_WEIGHT


@given(st.dictionaries(st.sampled_from(sorted(ENTRY)), values))
def test_any_map_gives_a_row_that_can_be_sent(entry: dict[str, Any]) -> None:
    row = row_of(entry)
    again = msgspec.convert(msgspec.msgpack.decode(msgspec.msgpack.encode(row)), Row)
    assert again == row
    assert row.search == row.search.lower()


def test_a_flow_tells_what_each_end_sent() -> None:
    tcp = row_of({"kind": "flow", "conn_local_bytes": 5, "conn_remote_bytes": 7, "request": {"size": 1}})
    assert (tcp.request_size, tcp.response_size) == (5, 7)
    udp = row_of({"kind": "flow", "flow_local_bytes": 3, "flow_remote_bytes": "x"})
    assert (udp.request_size, udp.response_size) == (3, 0)


def test_roles_and_tags_of_any_map() -> None:
    row = row_of({"src": {"role": "pod"}, "dst": {"role": 5}, "tags": ["probe", 1, "x" * 1000, *["y"] * 50]})
    assert (row.src_role, row.dst_role) == ("pod", "")
    assert row.tags[:2] == ["probe", "x" * 512]
    assert len(row.tags) <= 16
    assert row_of({"tags": "probe"}).tags == []

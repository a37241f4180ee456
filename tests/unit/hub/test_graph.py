from __future__ import annotations

from typing import Any

import pytest

from weir.archive.memory import MemoryArchive
from weir.hub.graph import GROUPINGS, MapAnswer, edge_keys, node_keys, service_map
from weir.query.structured import Query

BASE = 1_700_000_000 * 10**9


def end(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "namespace": namespace, "role": "pod", "ip": "10.0.0.1", "node": "n1",
        "workload": f"deployment/{name.rpartition('-')[0]}",
    } | more


CART = end("cart-1")
PAY = end("pay-1", service={"name": "pay", "namespace": "shop"}, node="n2")
OUTSIDE = {"ip": "93.184.216.34", "role": "outside"}


def entry(number: int, src: dict[str, Any], dst: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": f"e{number}", "timestamp": BASE + number, "protocol": "http", "kind": "exchange", "src": src, "dst": dst,
        "elapsed_time": 1000 * number, "ok": number % 2 > 0, "request": {"size": 10}, "response": {"size": 30},
    } | more


ENTRIES = [
    *(entry(n, CART, PAY) for n in range(1, 5)),
    entry(5, CART, PAY, protocol="grpc"),
    entry(6, CART, PAY, kind="flow", protocol="tcp", conn_local_bytes=100, conn_remote_bytes=200),
    entry(7, CART, OUTSIDE, kind="flow", protocol="tcp", ok=True, sample_rate=0.5),
    entry(8, OUTSIDE, CART, protocol="tls", kind="handshake", ok=True),
]


async def map_of(group: Any, limit: int = 100, entries: list[dict[str, Any]] = ENTRIES) -> MapAnswer:
    archive = MemoryArchive()
    await archive.insert(entries)
    edges = await archive.statistics(Query(), group_by=edge_keys(group))
    nodes = await archive.statistics(Query(), group_by=node_keys(group))
    return service_map(group, edges, nodes, limit, 0, BASE)


async def test_calls_count_and_flows_only_where_there_are_no_calls() -> None:
    found = await map_of("service")
    busiest = found.edges[0]
    assert (busiest.count, busiest.errors, busiest.protocols) == (5, 2, ["grpc", "http"])
    assert (busiest.bytes, busiest.flow_bytes, busiest.p50_us, busiest.p99_us) == (200, 300, 3000, 5000)
    [only_flows] = [one for one in found.edges if one.protocols == ["tcp"]]
    assert only_flows.count == 2


async def test_nodes_have_what_they_answered() -> None:
    found = await map_of("service")
    nodes = {one.name: one for one in found.nodes}
    assert set(nodes) == {"deployment/cart", "pay", "93.184.216.34"}
    assert (nodes["pay"].count, nodes["pay"].errors, nodes["pay"].role) == (5, 2, "service")
    assert {one.src for one in found.edges} | {one.dst for one in found.edges} == {one.id for one in found.nodes}


@pytest.mark.parametrize(("group", "names"), [
    ("pod", {"cart-1", "pay-1", "93.184.216.34"}), ("workload", {"deployment/cart", "deployment/pay", "93.184.216.34"}),
    ("namespace", {"shop", ""}), ("node", {"n1", "n2", ""}),
])
async def test_ends_are_grouped_as_asked(group: str, names: set[str]) -> None:
    assert {one.name for one in (await map_of(group)).nodes} == names


@pytest.mark.parametrize("group", GROUPINGS)
async def test_the_filter_of_an_edge_selects_its_entries(group: str) -> None:
    archive = MemoryArchive()
    strange = [entry(20, end('a"\\\n\'é', "x"), end("", "", ip="fe80::1", role=""), elapsed_time=1),
               entry(21, end("node-7", "", role="host", workload=""), CART)]
    await archive.insert([*ENTRIES, *strange])
    found = await map_of(group, entries=[*ENTRIES, *strange])
    total = 0
    for edge in found.edges:
        selected = await archive.count(Query(filter=f"({edge.filter}) && call"))
        flows = await archive.count(Query(filter=f"({edge.filter}) && !call"))
        assert selected == edge.count if selected else flows
        total += selected + flows
    assert total == len(ENTRIES) + len(strange)


@pytest.mark.parametrize("group", GROUPINGS)
async def test_the_filter_of_a_node_selects_what_it_sends_and_takes(group: str) -> None:
    archive = MemoryArchive()
    strange = [entry(20, end('a"\\\n\'é', "x"), end("", "", ip="fe80::1", role=""), elapsed_time=1)]
    await archive.insert([*ENTRIES, *strange])
    found = await map_of(group, entries=[*ENTRIES, *strange])
    of_edges = {(edge.src, edge.dst): await archive.count(Query(filter=edge.filter)) for edge in found.edges}
    for node in found.nodes:
        selected = await archive.count(Query(filter=node.filter))
        assert selected == sum(count for ends, count in of_edges.items() if node.id in ends)


async def test_what_is_beyond_the_limit_is_counted() -> None:
    found = await map_of("service", limit=1)
    assert len(found.edges) == 1
    assert len(found.nodes) == 2
    assert (found.left_out.edges, found.left_out.nodes) == (2, 1)


async def test_nothing_gives_an_empty_map() -> None:
    found = await map_of("pod", entries=[])
    assert (found.nodes, found.edges) == ([], [])

from __future__ import annotations

from typing import Any

from weir.archive.api import Statistics
from weir.hub.nodes import node_rate
from weir.hub.selection import Narrowing, Picture, flow_rates, picture, preview, rule_states
from weir.model.control import EndpointRecord, Rule
from weir.model.entry import Named

NOW = 1_700_000_000_000_000_000


def record(name: str, number: int = 1, namespace: str = "prod", **more: Any) -> EndpointRecord:
    values: dict[str, Any] = {
        "address": f"10.1.0.{number}", "uid": f"{namespace}/{name}", "namespace": namespace, "role": "pod",
        "node": f"n{number}", "pod": Named(name, namespace), "workload": f"deployment/{name.partition('-')[0]}",
    }
    return EndpointRecord(**values | more)


def shop() -> Picture:
    return picture([
        record("web-1", 1), record("web-1", 1, address="2001:db8::1"), record("web-1", 1, port=80),
        record("web-2", 2), record("db-1", 1, targeted=True, rules=["db"]), record("gone-1", 3, until_ns=NOW),
        EndpointRecord(address="10.96.0.1", uid="service/1", role="service", namespace="quiet"),
    ])


def test_a_pod_is_counted_once_whatever_addresses_it_has() -> None:
    [web] = rule_states([Rule(name="web", pod="web.*")], shop(), NOW)
    assert (web.pods, web.nodes, web.names, web.warnings, web.expires_in_s) == (
        2, 2, ["prod/web-1", "prod/web-2"], [], None
    )


def test_warnings_and_ends() -> None:
    told = {
        one.rule.name: one for one in rule_states(
            [
                Rule(name="all", pod=".*"), Rule(name="none", pod="x"),
                Rule(name="lease", pod="web-1", until_ns=NOW + 10**9),
                Rule(name="quiet", namespaces=["quiet"], pod="x"), Rule(name="space", namespaces=["nope"], pod="x"),
                Rule(name="newer", pod="("), Rule(name="net", target="10.1.0.0/24"), Rule(name="any", target="all"),
            ], shop(), NOW,
        )
    }
    assert list(told) == sorted(told)
    assert told["all"].warnings == ["selects every pod (3)"]
    assert told["none"].warnings == ["selects no pod"]
    assert told["space"].warnings == ["selects no pod", "nothing is known in namespace nope: does it exist?"]
    assert told["quiet"].warnings == ["selects no pod"]
    assert told["lease"].expires_in_s == 1.0
    assert "regular expression" in told["newer"].warnings[0]
    assert (told["net"].pods, told["any"].warnings) == (3, ["targets all traffic"])
    assert "no pods are known" in rule_states([Rule(name="a", pod="x")], picture([]), NOW)[0].warnings[0]


def flows(src: str, dst: str, size: int) -> Statistics:
    return Statistics(
        key=("prod", src, "prod", dst), count=1, entries=1, errors=0, p50_us=0, p95_us=0, p99_us=0, bytes=5,
        flow_bytes=size,
    )


def test_bytes_of_a_conversation_count_for_both_ends_and_once_for_one() -> None:
    rates = flow_rates([flows("web-1", "db-1", 1000), flows("web-1", "web-1", 10), flows("x", "web-1", 90)], 10)
    assert rates == {("prod", "web-1"): 110, ("prod", "db-1"): 100, ("prod", "x"): 9}


def test_a_preview_adds_what_is_not_targeted_yet_to_what_flows_now() -> None:
    rates = {("prod", "web-1"): 3e6, ("prod", "web-2"): 1e6, ("prod", "db-1"): 5e6}
    nodes = [node_rate("n1", 9e6, 20e6), node_rate("n9", 1e6, 20e6)]
    told = preview(Rule(name="p", pod=".*"), shop(), rates, 60, nodes, 10e6)
    assert (told.pods, told.fresh, told.mb_per_s) == (3, 2, 9.0)
    assert [(one.node, one.mb_per_s) for one in told.nodes] == [("n1", 12.0), ("n2", 1.0), ("n9", 1.0)]
    assert [one.pod for one in told.listed] == ["prod/db-1", "prod/web-1", "prod/web-2"]
    assert told.gb_per_day == 777.6
    assert told.warnings[0] == "selects every pod (3)"
    assert told.warnings[1].startswith("n1 would be above its ceiling of 10 MB/s")
    assert told.workloads == {"deployment/web": 2, "deployment/db": 1}


def call(src: dict[str, Any], dst: dict[str, Any]) -> dict[str, Any]:
    return {"src": src, "dst": dst}


def test_what_is_followed_are_conversations_with_a_selected_end() -> None:
    web = {"ip": "10.1.0.1", "port": 80, "pod": {"name": "web-1", "namespace": "prod"}}
    other = {"ip": "10.9.0.1", "port": 4000, "pod": {"name": "web-1", "namespace": "test"}}
    by_name = Narrowing(Rule(name="r", pod="web.*"), shop())
    assert by_name.pods == 2
    assert by_name.wants(call(web, other))
    assert by_name.wants(call(other, web))
    assert not by_name.wants(call(other, other))
    for odd in ({}, {"src": 7}, {"src": {"pod": 7}}, {"src": {"pod": {"name": ["x"], "namespace": "prod"}}}):
        assert not by_name.wants(odd)
    by_port = Narrowing(Rule(name="r", pod="web.*", port=81), shop())
    assert not by_port.wants(call(web, other))
    assert by_port.wants(call(web | {"port": 81}, other))
    by_address = Narrowing(Rule(name="r", target="10.1.0.0/24"), shop())
    assert by_address.wants(call(other, web))
    assert not by_address.wants(call(other, {"ip": "nonsense", "port": "x"}))
    assert not Narrowing(None, shop()).wants(call(web, web))


def test_a_pod_that_has_just_ended_is_still_followed() -> None:
    records = [record("web-1", until_ns=NOW - 10)]
    rule, gone = Rule(name="r", pod="web.*"), call({"pod": {"name": "web-1", "namespace": "prod"}}, {})
    assert Narrowing(rule, picture(records, NOW - 60)).wants(gone)
    assert not Narrowing(rule, picture(records, NOW)).wants(gone)
    assert not Narrowing(rule, picture(records)).wants(gone)

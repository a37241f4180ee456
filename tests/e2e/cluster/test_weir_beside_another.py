"""Two releases on the same nodes know nothing of each other: names, ports, Kafkas, rules and leases are of each one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from weir.testing.cluster.installation import Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

VALUES = str(Path(__file__).with_name("values.yaml"))
RULE = {"name": "catalog", "namespaces": ["demo"], "pod": "catalog-.*"}
CALLED = "catalog.demo.svc.cluster.local"


@pytest.fixture(scope="module")
def other(cluster: Any, weir: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A second one, of another name in another namespace, beside the first; it alone reads payload, the catalog's."""
    second = Installation("second", "elsewhere", tmp_path_factory.mktemp("second"))
    try:
        second.install("--values", VALUES, "--set-json", f"rules={json.dumps([RULE])}")
        yield second
    finally:
        second.uninstall()


def ports(weir: Installation) -> set[int]:
    """On the nodes, of all pods that use a node's network or a port of it."""
    return {
        port["hostPort"]
        for pod in weir.pods()
        for container in pod["spec"]["containers"]
        for port in container.get("ports", ())
        if "hostPort" in port
    }


def nodes_that_report(weir: Installation) -> set[str]:
    """Nodes with a capture process that this hub hears of."""
    return {one["process"] for one in weir.api("health")["processes"] if "capture" in one["process"]}


def objects_of_the_cluster(cluster: Any, release: str) -> list[str]:
    """Those that are in no namespace."""
    found = cluster.kubectl(
        "get", "clusterroles,clusterrolebindings", "-l", f"app.kubernetes.io/instance={release}", "-o", "name"
    )
    return list(found.split())


def test_both_have_a_capture_on_each_node_and_ports_of_their_own(
    weir: Installation, other: Installation, wait_until: Any
) -> None:
    for one in (weir, other):
        wait_until("a capture on each node", lambda one=one: len(nodes_that_report(one)) == 2, 60)
    assert len(ports(weir)) == len(ports(other)) == 1
    assert ports(weir).isdisjoint(ports(other))


def test_payload_is_read_by_the_one_that_has_a_rule(
    weir: Installation, other: Installation, cluster: Any, wait_until: Any
) -> None:
    trace = uuid.uuid4().hex
    source = cluster.call("deployment/visitors", CALLED, "/items/3", [trace])
    wait_until("the call", lambda: other.entries(protocol="http", text=trace), 60)
    wait_until("its flow", lambda: set(source) <= {
        entry["src"]["port"] for entry in weir.entries(kind="flow", name="catalog")
    }, 60)
    assert weir.entries(text=trace) == []
    assert [rule["rule"]["name"] for rule in other.api("rules")["rules"]] == ["catalog"]
    assert weir.api("rules")["rules"] == []


def test_each_has_a_lease_of_its_own(weir: Installation, other: Installation, cluster: Any) -> None:
    for one in (weir, other):
        leases = cluster.get("leases", "-n", one.namespace)["items"]
        assert [lease["spec"]["holderIdentity"].startswith(f"{one.release}-targets") for lease in leases] == [True]


def test_the_one_goes_on_when_the_other_is_gone(
    weir: Installation, other: Installation, cluster: Any, wait_until: Any
) -> None:
    restarts = {pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in weir.pods()}
    other.uninstall()
    assert objects_of_the_cluster(cluster, other.release) == []
    assert objects_of_the_cluster(cluster, weir.release)
    source = cluster.call("deployment/visitors", CALLED, "/items/3", [uuid.uuid4().hex])
    wait_until("a flow", lambda: set(source) <= {
        entry["src"]["port"] for entry in weir.entries(kind="flow", name="catalog")
    }, 60)
    assert restarts == {
        pod["metadata"]["name"]: pod["status"]["containerStatuses"][0]["restartCount"] for pod in weir.pods()
    }

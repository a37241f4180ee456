from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weir.targets.kube.objects import EndpointSlice, Kind, Node, Pod, Port, Service, ServicePort, kind_of
from weir.targets.kube.values import RESOURCES

RECORDED = Path(__file__).parent / "recorded"
SECOND = 1_000_000_000


def recorded(kind: Kind) -> dict[str, Any]:
    items = json.loads((RECORDED / f"{kind}.json").read_text())
    values = [RESOURCES[kind].read(json.dumps(item).encode()) for item in items]
    assert all(kind_of(value) == kind for value in values)
    return {value.name: value for value in values}


def read(kind: Kind, **fields: Any) -> Any:
    return RESOURCES[kind].read(json.dumps({"metadata": {"name": "x", "uid": "u"}, **fields}).encode())


def test_pods_of_a_real_server() -> None:
    pods: dict[str, Pod] = recorded("pods")
    workloads = {name: pod.workload for name, pod in pods.items()}
    assert sorted(set(workloads.values())) == [
        "cronjob/report", "daemonset/logs", "deployment/agent", "deployment/checkout", "job/load", "pod/shell",
        "statefulset/db",
    ]  # fmt: skip
    checkout = next(pod for name, pod in pods.items() if name.startswith("checkout"))
    assert (checkout.namespace, checkout.phase, checkout.ready, checkout.host_network) == (
        "shop",
        "Running",
        True,
        False,
    )
    assert checkout.labels["app"] == "checkout"
    assert checkout.ports == (Port(number=8080),)
    assert [address.startswith("10.128.") for address in checkout.addresses] == [True]
    assert checkout.node in ("n0", "n1")
    assert checkout.owner is not None
    assert checkout.owner.kind == "ReplicaSet"
    assert checkout.created_ns % SECOND == 0
    assert checkout.started_ns >= checkout.created_ns > 0
    assert (checkout.ended, checkout.ended_ns, checkout.deleted_ns) == (False, 0, 0)

    job = next(pod for pod in pods.values() if pod.workload == "job/load")
    assert job.ended
    assert job.ended_ns >= job.started_ns > 0

    agent = next(pod for pod in pods.values() if pod.workload == "deployment/agent")
    assert agent.host_network

    shell = pods["shell"]
    assert (shell.addresses, shell.node, shell.phase, shell.ready, shell.owner) == ((), "", "Pending", False, None)


def test_services_of_a_real_server() -> None:
    services: dict[str, Service] = recorded("services")
    assert services["db"].cluster_addresses == ()
    assert services["db"].selector == {"app": "other"}
    outer = services["outer"]
    assert outer.type == "NodePort"
    assert outer.ports == (ServicePort(number=80, node_port=30080, target="http"),)
    assert len(outer.cluster_addresses) == 1
    balanced = services["balanced"]
    assert balanced.balancer_addresses == ("192.0.2.8",)
    assert balanced.balancer_names == ("lb.example.test",)
    assert balanced.external_addresses == ("192.0.2.7",)
    payments = services["payments"]
    assert (payments.type, payments.external_name, payments.cluster_addresses) == (
        "ExternalName", "pay.example.test", ()
    )  # fmt: skip


def test_slices_of_a_real_server() -> None:
    slices: dict[str, EndpointSlice] = recorded("endpointslices")
    pods: dict[str, Pod] = recorded("pods")
    by_service = {value.service: value for value in slices.values()}
    assert set(by_service) == {"checkout", "outer", "db", "balanced", "nobody"}
    checkout = by_service["checkout"]
    assert checkout.ports == (Port(name="main", number=8080),)
    assert {backend.uid for backend in checkout.backends} == {
        pod.uid for pod in pods.values() if pod.workload == "deployment/checkout"
    }
    assert all(backend.ready and backend.serving and not backend.terminating for backend in checkout.backends)
    assert all(backend.kind == "Pod" and backend.name in pods and backend.node for backend in checkout.backends)
    # Written as `"endpoints": null`.
    assert by_service["nobody"].backends == ()


def test_nodes_and_namespaces_of_a_real_server() -> None:
    nodes: dict[str, Node] = recorded("nodes")
    assert set(nodes) == {"n0", "n1"}
    assert {node.pod_ranges for node in nodes.values()} == {("10.128.0.0/24",), ("10.128.1.0/24",)}
    assert all(node.ready and node.internal_addresses == ("127.0.0.1",) for node in nodes.values())
    shop = recorded("namespaces")["shop"]
    assert shop.labels["team"] == "river"


def test_dual_stack_and_networked_pod() -> None:
    pod = read(
        "pods",
        status={
            "podIP": "10.1.0.7",
            "podIPs": [{"ip": "10.1.0.7"}, {"ip": "fd00::7"}],
            "conditions": [
                {
                    "type": "PodReadyToStartContainers",
                    "status": "True",
                    "lastTransitionTime": "2026-01-02T03:04:05Z",
                }
            ],
        },
    )
    assert pod.addresses == ("10.1.0.7", "fd00::7")
    assert pod.networked_ns == 1767323045 * SECOND
    assert read("pods", status={"podIP": "10.1.0.7"}).addresses == ("10.1.0.7",)


def test_a_pod_that_failed_without_containers_has_no_end() -> None:
    assert read("pods", status={"phase": "Failed"}).ended_ns == 0
    ended = {"state": {"terminated": {"finishedAt": "2026-01-02T03:04:05Z"}}}
    assert read("pods", status={"phase": "Running", "containerStatuses": [ended]}).ended_ns == 0
    assert read("pods", status={"phase": "Failed", "containerStatuses": [ended]}).ended_ns == 1767323045 * SECOND


def test_conditions_of_an_endpoint_that_says_nothing_mean_ready() -> None:
    slices = read(
        "endpointslices",
        endpoints=[
            {"addresses": ["10.0.0.1"], "conditions": {}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "terminating": True}},
            {"addresses": ["10.0.0.3"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        ],
        ports=[{"name": "", "port": None}],
    )
    assert [(b.ready, b.serving, b.terminating) for b in slices.backends] == [
        (True, True, False), (False, False, True), (False, True, True),
    ]  # fmt: skip
    assert slices.ports == (Port(number=0),)


@pytest.mark.parametrize("kind", list(RESOURCES))
def test_nulls_and_unknown_fields_are_nothing(kind: Kind) -> None:
    value = read(kind, spec={"unheard": [1]}, status={"of": None}, more=1)
    assert value.uid == "u"
    for text in (b"{}", b'{"metadata":{"labels":null,"creationTimestamp":null,"ownerReferences":null}}'):
        assert RESOURCES[kind].read(text).name == ""


@pytest.mark.parametrize("text", [b"", b"[]", b'{"metadata":7}', b'{"metadata":{"name":{}}}', b"\xff\xfe"])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        RESOURCES["pods"].read(text)


def test_paths() -> None:
    assert RESOURCES["pods"].path() == "/api/v1/pods"
    assert RESOURCES["pods"].path("shop") == "/api/v1/namespaces/shop/pods"
    assert RESOURCES["endpointslices"].path() == "/apis/discovery.k8s.io/v1/endpointslices"

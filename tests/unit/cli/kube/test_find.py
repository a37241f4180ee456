from __future__ import annotations

from typing import Any

import pytest

from weir.cli.kube.find import INSTALL, Installation, choose, installations, place_of
from weir.errors import ClusterError, HubError


def service(instance: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{instance}-hub", "namespace": namespace,
                     "labels": {"app.kubernetes.io/instance": instance}},
        "spec": {"selector": {"a": "b"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]} | spec,
    }


def pod(name: str, ready: str = "True", phase: str = "Running", **container: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8899}]} | container]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
    }


HERE = Installation(instance="weir", namespace="ops", service="weir-hub", selector={"a": "b"}, port="http")


def test_services_become_installations() -> None:
    odd = [{}, {"spec": {}}, service("c", "x", selector=None), service("c", "x", ports=[])]
    found = installations([service("b", "x"), service("a", "x"), service("a", "w"), *odd])
    assert [(one.instance, one.namespace) for one in found] == [("a", "w"), ("a", "x"), ("b", "x")]
    [plain] = installations([service("b", "x", ports=[{"port": 81}])])
    assert plain.port == "81"


def test_the_one_that_is_meant() -> None:
    one = installations([service("weir", "ops")])
    both = installations([service("weir", "ops"), service("other", "ops")])
    twins = installations([service("weir", "a"), service("weir", "b")])
    assert choose(one, "", "here") is one[0]
    assert choose(both, "other", "here").instance == "other"
    assert choose(twins, "b/weir", "here").namespace == "b"
    with pytest.raises(HubError, match="not installed in here") as refused:
        choose([], "", "here")
    assert refused.value.hint == INSTALL
    with pytest.raises(HubError, match="2 installations") as refused:
        choose(both, "", "here")
    assert refused.value.hint == "name one: --instance other"
    with pytest.raises(HubError) as refused:
        choose(twins, "weir", "here")
    assert refused.value.hint == "name one: --instance a/weir"
    with pytest.raises(HubError, match="no installation 'nope'") as refused:
        choose(both, "nope", "here")
    assert refused.value.hint == "there are: other, weir"


def test_a_ready_pod_and_its_port() -> None:
    gone = pod("h0")
    gone["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    place = place_of(HERE, [gone, pod("h3"), pod("h1", ready="False"), pod("h2")])
    assert (place.pod, place.port, place.namespace) == ("h2", 8899, "ops")
    assert (place.secret, place.key) == ("weir-hub-token", "token")


def test_the_token_is_where_the_hub_itself_has_it_from() -> None:
    env = [{"name": "A", "value": "b"},
           {"name": "WEIR_HUB_TOKEN", "valueFrom": {"secretKeyRef": {"name": "mine", "key": "t"}}}]
    place = place_of(HERE, [pod("h", env=env)])
    assert (place.secret, place.key) == ("mine", "t")


def test_no_pod_and_no_port() -> None:
    with pytest.raises(ClusterError, match=r"h is Pending") as refused:
        place_of(HERE, [pod("h", phase="Pending")])
    assert "kubectl -n ops get pods" in refused.value.hint
    with pytest.raises(ClusterError, match="there is none"):
        place_of(HERE, [])
    with pytest.raises(ClusterError, match="no port 'http'"):
        place_of(HERE, [pod("h", ports=[])])

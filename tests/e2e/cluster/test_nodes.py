"""The two nodes are a cluster: pods, Services, names. That one fails and comes back: test_weir_faults.py."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CALL = """
import urllib.request
with urllib.request.urlopen("http://{name}:8080/products/3", timeout=5) as answer:
    print(answer.status, answer.read().decode()[:60])
"""


def test_both_nodes_are_ready_and_know_their_pods_addresses(cluster: Any) -> None:
    assert cluster.ready_nodes() == {"n1", "n2"}
    ranges = {node["metadata"]["name"]: node["spec"]["podCIDR"] for node in cluster.get("nodes")["items"]}
    assert ranges == {"n1": "10.244.1.0/24", "n2": "10.244.2.0/24"}


def test_a_pod_calls_another_node_by_the_name_of_a_service(cluster: Any, shop: str, wait_until: Any) -> None:
    (caller,) = cluster.pods(shop, "app=visitors")
    (called,) = cluster.pods(shop, "app=frontend")
    assert (caller["spec"]["nodeName"], called["spec"]["nodeName"]) == ("n1", "n2")
    assert called["status"]["podIP"].startswith("10.244.2.")
    service = cluster.get("service", "frontend", "-n", shop)["spec"]["clusterIP"]
    look = "import socket; print(socket.gethostbyname('frontend.demo.svc.cluster.local'))"
    assert cluster.python_in("deployment/visitors", look) == service
    code = CALL.format(name="frontend.demo.svc.cluster.local")
    answer = wait_until("an answer", lambda: cluster.python_in("deployment/visitors", code), 30)
    assert answer.startswith("200 ")


def test_the_shop_is_on_both_nodes(cluster: Any, shop: str) -> None:
    assert {pod["spec"]["nodeName"] for pod in cluster.pods(shop, "app=catalog")} == {"n1", "n2"}

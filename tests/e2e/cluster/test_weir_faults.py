"""What a cluster does to weir: pods are deleted, Kafka restarts or loses its data, a node fails. Capture resumes by
itself, and what was lost is told."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from weir.testing.cluster.control import kill_node, start_node
from weir.testing.cluster.installation import Installation

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

CALLED = "catalog.demo.svc.cluster.local"
WITHIN_S = 300
Shown = Callable[[str], None]


@pytest.fixture(scope="module", autouse=True)
def rule(weir: Installation) -> Iterator[None]:
    """Calls of the catalog are read, for as long as weir remembers it."""
    weir.weir("targets", "add", "catalog-.*", "-n", "demo", "--name", "faults")
    yield
    weir.weir("targets", "remove", "faults")


@pytest.fixture
def is_shown(weir: Installation, cluster: Any, wait_until: Any) -> Shown:
    """Waits until a call that a pod makes now is shown; one is made anew as long as none is."""

    def shown(caller: str) -> None:
        traces: list[str] = []

        def look() -> bool:
            traces.append(uuid.uuid4().hex)
            cluster.call(f"deployment/{caller}", CALLED, "/items/3", traces[-1:])
            return any(weir.entries(protocol="http", text=trace) for trace in traces[-8:])

        wait_until(f"a call of {caller}", look, WITHIN_S)

    return shown


def names(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def all_ready(weir: Installation, but: set[str]) -> bool:
    """No pod of `but` is there, and those that are serve."""
    pods = [pod for pod in weir.pods() if pod["metadata"]["labels"]["app.kubernetes.io/component"] != "topics"]
    return len(pods) == 7 and not names(pods) & but and all(
        condition["status"] == "True"
        for pod in pods
        for condition in pod["status"].get("conditions", ())
        if condition["type"] == "Ready"
    )


def says(weir: Installation) -> str:
    health = weir.api("health")
    return "\n".join([*health["says"], *(loss["says"] for loss in health["losses"])])


def test_all_pods_but_kafka_are_deleted(weir: Installation, cluster: Any, wait_until: Any, is_shown: Shown) -> None:
    gone = {pod["metadata"]["uid"] for pod in weir.pods()}
    cluster.kubectl(
        "delete", "pods", "-n", weir.namespace, "--wait=false",
        "-l", f"app.kubernetes.io/instance={weir.release},app.kubernetes.io/component notin (kafka,topics)",
    )  # fmt: skip
    wait_until("new pods", lambda: all_ready(weir, set()) and len(
        {pod["metadata"]["uid"] for pod in weir.pods()} & gone
    ) <= 2, WITHIN_S)
    for caller in ("visitors", "frontend"):
        is_shown(caller)
    (rule,) = weir.api("rules")["rules"]
    assert rule["rule"]["name"] == "faults"


def test_kafka_restarts(weir: Installation, cluster: Any, wait_until: Any, is_shown: Shown) -> None:
    is_shown("visitors")
    oldest = weir.entries(protocol="http")[-1]["id"]
    (kafka,) = weir.pods("kafka")
    cluster.kubectl("exec", "-n", weir.namespace, kafka["metadata"]["name"], "--", "sh", "-c", "kill 1")
    wait_until("somebody misses it", lambda: "the bus is away" in says(weir), 60)
    for caller in ("visitors", "frontend"):
        is_shown(caller)
    (kafka,) = weir.pods("kafka")
    assert kafka["status"]["containerStatuses"][0]["restartCount"] == 1
    wait_until("nobody misses it", lambda: "the bus is away" not in says(weir), 60)
    assert weir.api(f"entries/{oldest}")["id"] == oldest
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in weir.pods("capture")} == {0}


def test_a_node_fails_and_comes_back(weir: Installation, cluster: Any, wait_until: Any, is_shown: Shown) -> None:
    kill_node("n2")
    try:
        wait_until("it is missed", lambda: "n2-capture has not reported" in says(weir), 60)
        assert weir.api("health")["verdict"] == "degraded"
        wait_until("the cluster misses it, too", lambda: cluster.ready_nodes() == {"n1"}, 90)
    finally:
        start_node("n2")
    for caller in ("visitors", "frontend"):
        is_shown(caller)
    wait_until("its capture reports", lambda: "n2-capture has not reported" not in says(weir), 60)
    told = says(weir)
    assert "n2-capture: nobody captured from " in told
    assert re.search(r"n2-capture lost \d+ \(capture.seconds_away\)", told)


def test_kafka_loses_its_data(weir: Installation, cluster: Any, wait_until: Any, is_shown: Shown) -> None:
    """Its pod is deleted, and its volume with it: every process begins anew. Rules of people are gone, too."""
    (before,) = weir.pods("kafka")
    cluster.kubectl("delete", "pod", before["metadata"]["name"], "-n", weir.namespace, "--wait=false")

    def told() -> bool:
        (after,) = weir.pods("kafka")
        return bool(after["metadata"]["uid"] != before["metadata"]["uid"] and weir.api("rules")["rules"] == [])

    wait_until("a Kafka that knows nothing", told, WITHIN_S)
    reason = r"-hub-.*: began anew after .*topics that were there are gone:.* weir.rules.*Kafka has lost its data"
    wait_until("it is said", lambda: re.search(reason, says(weir)), 60)
    weir.weir("targets", "add", "catalog-.*", "-n", "demo", "--name", "faults")
    for caller in ("visitors", "frontend"):
        is_shown(caller)

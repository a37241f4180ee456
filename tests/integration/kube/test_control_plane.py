"""The real control plane of the tests does what tests rely on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from weir.testing.kube.api import ApiError
from weir.testing.kube.control_plane import BARE, ControlPlane
from weir.testing.kube.objects import deployment, pod, service

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: tiny\nversion: 0.1.0\n",
    "values.yaml": "greeting: hello\n",
    "templates/map.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-map}\n"
        "data: {greeting: {{ .Values.greeting }}}\n"
    ),
}  # fmt: skip


def test_a_deployment_runs_with_addresses_and_is_behind_its_service(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    control_plane.apply(deployment("web", kube_namespace, replicas=3), service("web", kube_namespace))
    control_plane.rolled_out("web", kube_namespace)
    pods = control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/pods")["items"]
    addresses = {item["status"]["podIP"] for item in pods}
    assert [item["status"]["phase"] for item in pods] == ["Running"] * 3
    assert {item["spec"]["nodeName"] for item in pods} == {"n0", "n1"}
    assert len(addresses) == 3
    slices = f"/apis/discovery.k8s.io/v1/namespaces/{kube_namespace}/endpointslices"
    events = control_plane.api.watch(slices, timeout_s=30)
    assert any(addresses == _addresses(event["object"]) for event in events)


def _addresses(endpoint_slice: Any) -> set[str]:
    return {address for endpoint in endpoint_slice.get("endpoints") or () for address in endpoint["addresses"]}


def test_helm_installs(control_plane: ControlPlane, kube_namespace: str, tmp_path: Path) -> None:
    for name, text in CHART.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    control_plane.helm("install", "tiny", str(tmp_path), "-n", kube_namespace, "--set", "greeting=ahoy", "--wait")
    found = control_plane.api.get(f"/api/v1/namespaces/{kube_namespace}/configmaps/tiny-map")
    assert found["data"] == {"greeting": "ahoy"}
    assert "tiny" in control_plane.helm("list", "-n", kube_namespace)


def test_a_service_account_may_do_what_its_role_says_and_is_seen_doing_it(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    control_plane.kubectl("-n", kube_namespace, "create", "role", "reader", "--verb=list", "--resource=pods")
    control_plane.kubectl(
        "-n", kube_namespace, "create", "rolebinding", "reader", "--role=reader",
        f"--serviceaccount={kube_namespace}:default",
    )  # fmt: skip
    client = control_plane.client(control_plane.token("default", kube_namespace), "a-reader")
    end = time.monotonic() + 30
    while control_plane.kubectl(
        "create", "-f", "-", "-o", "jsonpath={.status.allowed}", stdin=_review(kube_namespace)
    ) != "true":  # fmt: skip
        assert time.monotonic() < end, "the role is not in force"
    mark = control_plane.mark()
    assert client.get(f"/api/v1/namespaces/{kube_namespace}/pods")["items"] == []
    with pytest.raises(ApiError, match="forbidden") as refused:
        client.get(f"/api/v1/namespaces/{kube_namespace}/services")
    assert refused.value.status == 403
    calls = control_plane.calls(mark, "a-reader")
    assert [(call.verb, call.resource, call.code, call.open) for call in calls] == [
        ("list", "pods", 200, False), ("list", "services", 403, False),
    ]  # fmt: skip
    assert {call.user for call in calls} == {f"system:serviceaccount:{kube_namespace}:default"}
    counted = control_plane.metrics("apiserver_request_total")
    assert any((labels["verb"], labels["resource"], labels["code"]) == ("LIST", "pods", "200") for labels, _ in counted)


def _review(namespace: str) -> str:
    """Whether the namespace's account may list pods: roles take effect a moment after they are written."""
    return json.dumps({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:default",
            "resourceAttributes": {"namespace": namespace, "verb": "list", "resource": "pods"},
        },
    })  # fmt: skip


def test_after_a_restart_an_old_watch_is_gone(tmp_path: Path) -> None:
    with ControlPlane(tmp_path, parts=BARE) as plane:
        pods = "/api/v1/namespaces/default/pods"
        plane.api.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
        old = plane.api.get(pods)["metadata"]["resourceVersion"]
        for number in range(5):
            plane.api.create(pods, pod(f"p{number}", "default", spec={"nodeName": "n0"}))
        assert [event["type"] for event in plane.api.watch(pods, timeout_s=1, resourceVersion=old)][:5] == ["ADDED"] * 5
        url = plane.url
        plane.kill_api()
        with pytest.raises(OSError):
            plane.api.get(pods)
        plane.revive_api()
        assert plane.url == url
        assert len(plane.api.get(pods)["items"]) == 5
        event = next(plane.api.watch(pods, timeout_s=5, resourceVersion=old))
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

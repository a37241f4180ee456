"""Writes `recorded/`: objects as a real API server writes them. Run: `python tests/unit/targets/kube/record.py`."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.objects import deployment, pod, service

HERE = Path(__file__).parent / "recorded"
PATHS = {
    "pods": "/api/v1/namespaces/shop/pods",
    "services": "/api/v1/namespaces/shop/services",
    "endpointslices": "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
    "nodes": "/api/v1/nodes",
    "namespaces": "/api/v1/namespaces",
}
CONTAINER = {"name": "app", "image": "example.test/app:1", "ports": [{"name": "http", "containerPort": 8080}]}
TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "other"}},
    "spec": {"containers": [CONTAINER], "terminationGracePeriodSeconds": 0},
}
JOB = {"template": {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}}


def other(kind: str, name: str, group: str = "apps/v1", **spec: Any) -> dict[str, Any]:
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def objects() -> list[dict[str, Any]]:
    selector = {"matchLabels": {"app": "other"}}
    node_port = {"type": "NodePort", "ports": [{"port": 80, "targetPort": "http", "nodePort": 30080}]}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"team": "river"}}},
        deployment("checkout", "shop", replicas=2),
        deployment("agent", "shop", spec={"hostNetwork": True}),
        other("StatefulSet", "db", serviceName="db", replicas=1, selector=selector, template=TEMPLATE),
        other("DaemonSet", "logs", selector=selector, template=TEMPLATE),
        other("Job", "load", "batch/v1", **JOB),
        other("CronJob", "report", "batch/v1", schedule="* * * * *", jobTemplate={"spec": JOB}),
        pod("shell", "shop", spec={"schedulerName": "nobody"}),
        service("checkout", "shop"),
        service("outer", "shop", app="checkout", spec=node_port),
        service("db", "shop", app="other", spec={"clusterIP": "None"}),
        service("balanced", "shop", app="checkout", spec={"type": "LoadBalancer", "externalIPs": ["192.0.2.7"]}),
        service("nobody", "shop"),
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "payments", "namespace": "shop"},
            "spec": {"type": "ExternalName", "externalName": "pay.example.test"},
        },
    ]  # fmt: skip


def tidy(item: dict[str, Any]) -> dict[str, Any]:
    item["metadata"].pop("managedFields", None)
    return item


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ControlPlane(Path(folder)) as plane:
        shop, *rest = objects()
        plane.apply(shop)
        time.sleep(1)
        plane.apply(*rest)
        ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}, {"hostname": "lb.example.test"}]}}}
        plane.api.patch("/api/v1/namespaces/shop/services/balanced/status", ingress)
        plane.rolled_out("checkout", "shop")
        while not any(p["metadata"]["name"].startswith("report-") for p in plane.api.get(PATHS["pods"])["items"]):
            time.sleep(1)
        time.sleep(3)
        for kind, path in PATHS.items():
            items = [tidy(item) for item in plane.api.get(path)["items"]]
            (HERE / f"{kind}.json").write_text(json.dumps(items, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

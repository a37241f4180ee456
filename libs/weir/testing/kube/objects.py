"""Kubernetes objects as tests write them: the least that the API server takes, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE = "example.test/app:1"


def played_node(name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A node that kwok plays: Ready at once, and its pods run. Without the annotation it would be the test's own."""
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "name": name, "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": {"kubernetes.io/hostname": name, **(labels or {})},
        },
    }  # fmt: skip


def deployment(
    name: str,
    namespace: str,
    *,
    replicas: int = 1,
    labels: Mapping[str, str] | None = None,
    port: int = 8080,
    spec: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Pods have the label app=NAME and `labels`; `spec` adds fields to the pods' spec, e.g. nodeName, hostNetwork."""
    app = {"app": name}
    container = {"name": "app", "image": IMAGE, "ports": [{"containerPort": port}]}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, "labels": app},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": app},
            "template": {
                "metadata": {"labels": {**(labels or {}), **app}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **(spec or {})},
            },
        },
    }  # fmt: skip


def service(
    name: str,
    namespace: str,
    *,
    app: str | None = None,
    port: int = 80,
    target: int = 8080,
    spec: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Selects the pods of the deployment `app` (default: of its own name); `spec` adds or replaces fields."""
    return {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"app": app or name}, "ports": [{"name": "main", "port": port, "targetPort": target}],
            **(spec or {}),
        },
    }  # fmt: skip


def pod(
    name: str, namespace: str, *, labels: Mapping[str, str] | None = None, spec: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A pod of nobody; with `spec={"nodeName": …}` no scheduler is needed."""
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels or {})},
        "spec": {"containers": [{"name": "app", "image": IMAGE}], **(spec or {})},
    }  # fmt: skip


def listed(objects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All of them as one document."""
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}

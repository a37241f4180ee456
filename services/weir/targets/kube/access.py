"""Pure: rights at the Kubernetes API that targets needs, and no others; the chart's roles are checked against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from weir.targets.kube.values import RESOURCES

FOLLOW = ("list", "watch")


class AccessRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a Role or ClusterRole."""

    group: str
    """API group, empty for core."""
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()
    """Only objects of these names; empty for all."""

    def manifest(self) -> dict[str, Any]:
        rule: dict[str, Any] = {"apiGroups": [self.group], "resources": [self.resource], "verbs": list(self.verbs)}
        return rule | {"resourceNames": list(self.names)} if self.names else rule


CLUSTER: tuple[AccessRule, ...] = tuple(
    AccessRule(group=resource.group, resource=kind, verbs=FOLLOW) for kind, resource in RESOURCES.items()
)
"""A ClusterRole with a ClusterRoleBinding, for an installation that serves the whole cluster."""

NAMESPACED: tuple[AccessRule, ...] = tuple(
    AccessRule(group=resource.group, resource=kind, verbs=FOLLOW)
    for kind, resource in RESOURCES.items()
    if resource.scoped
)
"""A Role with a RoleBinding in each watched namespace, for an installation that serves some."""


def lease_name(instance: str) -> str:
    return f"{instance}-targets"


def own(instance: str) -> tuple[AccessRule, ...]:
    """A Role with a RoleBinding in weir's own namespace, for either: the Lease of the replica that publishes.

    The installation makes it: a right to create cannot be bound to a name, and what targets makes would outlive it.
    """
    return (
        AccessRule(
            group="coordination.k8s.io", resource="leases", verbs=("get", "update"), names=(lease_name(instance),)
        ),
    )


def manifests(
    instance: str, namespace: str, account: str, watched: Sequence[str] = (), labels: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Roles and bindings for the service account `namespace/account`, and its Lease; `watched`: namespaces, empty for
    the cluster."""
    subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
    objects: list[dict[str, Any]] = []

    def bind(kind: str, title: str, rules: Sequence[AccessRule], where: str = "") -> None:
        meta: dict[str, Any] = {"name": title, **({"namespace": where} if where else {}), "labels": labels or {}}
        objects.append(_object(kind, meta, rules=[rule.manifest() for rule in rules]))
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": title}
        objects.append(_object(f"{kind}Binding", meta, roleRef=reference, subjects=[subject]))

    for where in watched:
        bind("Role", f"{instance}-targets", NAMESPACED, where)
    if not watched:
        bind("ClusterRole", f"{instance}-targets", CLUSTER)
    bind("Role", f"{instance}-targets-lease", own(instance), namespace)
    lease = {"name": lease_name(instance), "namespace": namespace, "labels": labels or {}}
    return [*objects, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease}]


def _object(kind: str, metadata: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, **fields}

from __future__ import annotations

from weir.targets.kube.access import CLUSTER, NAMESPACED, lease_name, manifests, own
from weir.targets.kube.objects import KINDS


def test_only_to_list_and_watch() -> None:
    assert {rule.resource for rule in CLUSTER} == set(KINDS)
    assert {rule.verbs for rule in CLUSTER} == {("list", "watch")}
    assert {rule.resource for rule in NAMESPACED} == {"pods", "services", "endpointslices"}


def test_a_lease_of_its_own_and_no_other() -> None:
    (use,) = own("blue")
    assert use.manifest() == {
        "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "update"],
        "resourceNames": ["blue-targets"],
    }  # fmt: skip
    assert lease_name("blue") == "blue-targets"


def test_for_some_namespaces_nothing_is_of_the_cluster() -> None:
    whole = manifests("weir", "weir", "targets")
    assert [value["kind"] for value in whole] == ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Lease"]
    some = manifests("weir", "weir", "targets", ["a", "b"])
    assert {value["kind"] for value in some} == {"Role", "RoleBinding", "Lease"}
    assert [value["metadata"]["namespace"] for value in some] == ["a", "a", "b", "b", "weir", "weir", "weir"]
    assert all(value["subjects"][0]["namespace"] == "weir" for value in some if "subjects" in value)

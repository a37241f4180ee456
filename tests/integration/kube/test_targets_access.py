"""targets at a real API server, with exactly the rights that `weir.targets.kube.access` declares, and with fewer."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from weir.runtime.clock import SystemClock
from weir.targets.kube.access import manifests
from weir.targets.kube.client import KubeClient
from weir.targets.kube.credentials import InCluster
from weir.targets.kube.lease import Lease
from weir.targets.kube.objects import KINDS
from weir.targets.kube.reflector import Pace
from weir.targets.kube.watch import ClusterWatch
from weir.testing.kube.control_plane import ControlPlane

pytestmark = pytest.mark.kube

PATIENCE_S = 60.0
QUICK = Pace(refused_s=(0.5, 1.0))


def account(plane: ControlPlane, folder: Path, namespace: str) -> InCluster:
    """The files and variables that a pod of the service account `targets` finds."""
    token = plane.token("targets", namespace)
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(plane.ca_file.read_text())
    (folder / "namespace").write_text(namespace)
    host, port = plane.url.removeprefix("https://").split(":")
    return InCluster(folder, {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})


def install(plane: ControlPlane, namespace: str, rights: Sequence[dict[str, Any]]) -> None:
    plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "targets", "namespace": namespace}}, *rights
    )


@asynccontextmanager
async def installed(
    plane: ControlPlane, folder: Path, namespace: str, rights: Sequence[dict[str, Any]]
) -> AsyncIterator[KubeClient]:
    try:
        await asyncio.to_thread(install, plane, namespace, rights)
        inside = await asyncio.to_thread(account, plane, folder / namespace, namespace)
        async with await KubeClient(inside, namespace).start() as client:
            yield client
    finally:
        for right in rights:
            if right["kind"].startswith("ClusterRole"):
                await asyncio.to_thread(plane.kubectl, "delete", right["kind"], right["metadata"]["name"])


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_role_for_the_cluster_is_enough(
    control_plane: ControlPlane, kube_namespace: str, tmp_path: Path
) -> None:
    rights = manifests(kube_namespace, kube_namespace, "targets")
    async with (
        installed(control_plane, tmp_path, kube_namespace, rights) as client,
        ClusterWatch(client, pace=QUICK) as watch,
        Lease(client, kube_namespace, "one", clock=SystemClock()).kept() as lease,
    ):
        await until(lambda: watch.whole)
        assert watch.trouble() == {}
        assert {kind for kind, _ in watch.reflectors} == set(KINDS)
        assert "n0" in {value.name for value in watch.reflectors["nodes", ""].known.values()}
        await asyncio.wait_for(lease.wait(), PATIENCE_S)
    assert lease.reason == "released"


async def test_roles_are_enough_for_some_namespaces(
    control_plane: ControlPlane, kube_namespace: str, tmp_path: Path
) -> None:
    with control_plane.namespace("other") as other:
        rights = manifests(kube_namespace, kube_namespace, "targets", [kube_namespace, other])
        assert not any(right["kind"].startswith("Cluster") for right in rights)
        async with (
            installed(control_plane, tmp_path, kube_namespace, rights) as client,
            ClusterWatch(client, namespaces=[kube_namespace, other], pace=QUICK) as watch,
            Lease(client, kube_namespace, "one", clock=SystemClock()).kept() as lease,
        ):
            await until(lambda: watch.whole)
            assert watch.trouble() == {}
            await asyncio.wait_for(lease.wait(), PATIENCE_S)
        async with (
            await KubeClient(InCluster(tmp_path / kube_namespace, _environ(control_plane))).start() as client,
            ClusterWatch(client, namespaces=[kube_namespace, "default"], pace=QUICK) as watch,
        ):
            await until(lambda: watch.whole)
            assert set(watch.trouble()) == {f"{kind}/default" for kind in ("pods", "services", "endpointslices")}


def _environ(plane: ControlPlane) -> dict[str, str]:
    host, port = plane.url.removeprefix("https://").split(":")
    return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}


async def test_no_rule_of_the_role_could_be_left_out(
    control_plane: ControlPlane, kube_namespace: str, tmp_path: Path
) -> None:
    rights = copy.deepcopy(manifests(kube_namespace, kube_namespace, "targets"))
    role = next(right for right in rights if right["kind"] == "ClusterRole")
    rules = role["rules"]
    async with installed(control_plane, tmp_path, kube_namespace, rights) as client:
        for left_out in rules:
            role["rules"] = [rule for rule in rules if rule is not left_out]
            await asyncio.to_thread(control_plane.apply, role)
            (kind,) = left_out["resources"]
            async with ClusterWatch(client, pace=QUICK) as watch:
                # Rights take a moment to be in force.
                await until(lambda: watch.whole and set(watch.trouble()) == {kind})  # noqa: B023
                assert f'resources ["{kind}"]' in watch.trouble()[kind]


@pytest.mark.parametrize("verb", ["get", "update"])
async def test_the_lease_needs_each_of_its_verbs(
    control_plane: ControlPlane, kube_namespace: str, tmp_path: Path, verb: str
) -> None:
    rights = copy.deepcopy(manifests(kube_namespace, kube_namespace, "targets", [kube_namespace]))
    role = next(right for right in rights if right["metadata"]["name"].endswith("-lease"))
    for rule in role["rules"]:
        rule["verbs"] = [each for each in rule["verbs"] if each != verb] or ["list"]
    async with installed(control_plane, tmp_path, kube_namespace, rights) as client:
        lease = Lease(client, kube_namespace, "one", clock=SystemClock())
        async with asyncio.timeout(PATIENCE_S):
            # Rights take a moment to be in force.
            while f'cannot {verb} resource "leases"' not in lease.reason:
                await lease.step()
        assert not lease.held

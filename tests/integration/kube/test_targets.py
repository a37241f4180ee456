"""targets on a real control plane whose nodes and pods are played."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from weir.bus.api import Record, Table
from weir.bus.memory import MemoryBroker, MemoryBus
from weir.bus.topics import CONTROL, ENDPOINTS, RULES
from weir.model.control import Control, EndpointRecord, Rule
from weir.runtime.service import Context
from weir.targets.service import TargetsService
from weir.targets.settings import TargetsSettings
from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.objects import deployment, pod, service

pytestmark = [pytest.mark.kube, pytest.mark.timeout(300)]

PATIENCE_S = 60.0
TURNS = 20


class Replica:
    """A running targets, and what everybody can read of it."""

    def __init__(self, context: Context, endpoints: Table, control: Table) -> None:
        self.context = context
        self._endpoints, self._control = endpoints, control

    @property
    def control(self) -> Control | None:
        return self._control.get(b"weir")

    @property
    def records(self) -> list[EndpointRecord]:
        return [record for _, record in self._endpoints.items()]

    def pods(self, namespace: str) -> list[EndpointRecord]:
        return [r for r in self.records if r.role == "pod" and r.namespace == namespace and not r.until_ns]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.01)

    async def rule(self, name: str, **fields: Any) -> None:
        await self.context.bus.publish(RULES, [Record(name.encode(), Rule(name=name, **fields) if fields else None)])


@asynccontextmanager
async def running(
    plane: ControlPlane, broker: MemoryBroker, process: str = "targets-0", **settings: Any
) -> AsyncIterator[Replica]:
    bus = MemoryBus("weir", broker=broker)
    await bus.start()
    context = Context(bus=bus, process=process)
    given = {"source": "kubernetes", "kubeconfig": str(plane.kubeconfig)} | settings
    targets = TargetsService(TargetsSettings(**given), context)
    replica = Replica(context, await bus.table(ENDPOINTS), await bus.table(CONTROL))
    task = asyncio.ensure_future(targets.run())
    try:
        yield replica
    finally:
        context.stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await task
        await bus.stop()


async def test_a_deployment_is_known_by_pod_workload_service_and_node(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    ns = kube_namespace
    async with running(control_plane, MemoryBroker()) as replica:
        await asyncio.to_thread(
            control_plane.apply, deployment("web", ns, replicas=3), service("web", ns, spec={"type": "NodePort"})
        )
        await replica.until(lambda: len([p for p in replica.pods(ns) if p.services == [f"{ns}/web"]]) == 3)
        pods = replica.pods(ns)
        assert {(p.workload, p.labels["app"]) for p in pods} == {("deployment/web", "web")}
        assert {p.node for p in pods} <= {"n0", "n1"}
        api = await asyncio.to_thread(control_plane.api.get, f"/api/v1/namespaces/{ns}/pods")
        assert {(p.name, p.address) for p in pods} == {
            (item["metadata"]["name"], item["status"]["podIP"]) for item in api["items"]
        }
        front = [r for r in replica.records if r.role == "service" and r.namespace == ns and not r.until_ns]
        assert {r.name for r in front} == {"web"}
        assert {r.port == 0 for r in front} == {True, False}
        hosts = {r.name for r in replica.records if r.role == "host"}
        assert {"n0", "n1"} <= hosts
        assert replica.control is not None
        assert replica.control.pod_ranges
        assert replica.control.outline
        assert not replica.control.pods


async def test_an_address_that_is_used_again_has_one_holder_at_any_time(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    ns = kube_namespace
    async with running(control_plane, MemoryBroker()) as replica:
        # Played nodes give out freed addresses at once; a node with few addresses is not needed for that.
        for turn in range(TURNS):
            await asyncio.to_thread(control_plane.apply, pod(f"p{turn}", ns, spec={"nodeName": "n0"}))
            await replica.until(lambda name=f"p{turn}": [p for p in replica.pods(ns) if p.name == name])
            await asyncio.to_thread(
                control_plane.kubectl, "delete", "pod", f"p{turn}", "-n", ns, "--grace-period=0", "--force"
            )
            mine = [r for r in replica.records if r.namespace == ns and r.role == "pod"]
            assert {r.name for r in mine} == {f"p{number}" for number in range(turn + 1)}
            if len({r.address for r in mine}) <= turn:
                break  # the address of a pod that went
        else:
            pytest.fail(f"no address was used again by {TURNS} pods")
        await replica.until(lambda: not replica.pods(ns))
        everyone = [r for r in replica.records if r.role == "pod" and not r.port]
        for one in everyone:
            for other in everyone:
                if one.uid < other.uid and one.address == other.address:
                    assert (one.until_ns and one.until_ns <= other.since_ns) or (
                        other.until_ns and other.until_ns <= one.since_ns
                    )


async def test_a_rule_takes_effect_within_two_seconds(control_plane: ControlPlane, kube_namespace: str) -> None:
    ns = kube_namespace
    await asyncio.to_thread(control_plane.apply, deployment("web", ns, replicas=2), deployment("db", ns))
    await asyncio.to_thread(control_plane.rolled_out, "web", ns)
    await asyncio.to_thread(control_plane.rolled_out, "db", ns)
    async with running(control_plane, MemoryBroker()) as replica:
        await replica.until(lambda: len(replica.pods(ns)) == 3 and replica.control)
        begin = time.monotonic()
        await replica.rule("web", namespaces=[ns], workload="deployment/web")
        await replica.until(lambda: len([p for p in replica.pods(ns) if p.targeted]) == 2)
        await replica.until(lambda: replica.control and replica.control.pods)
        assert time.monotonic() - begin < 2
        assert {p.workload for p in replica.pods(ns) if p.targeted} == {"deployment/web"}
        await replica.rule("web")
        await replica.until(lambda: not any(p.targeted for p in replica.pods(ns)))


async def test_one_of_two_replicas_publishes(control_plane: ControlPlane, kube_namespace: str) -> None:
    ns, broker = kube_namespace, MemoryBroker()
    async with running(control_plane, broker, "a", lease="on") as first:
        await first.until(lambda: first.control)
        async with running(control_plane, broker, "b", lease="on") as second:
            await second.until(lambda: "held by a" in second.context.modes.get("targets", ""))
            await asyncio.to_thread(control_plane.apply, pod("one", ns, spec={"nodeName": "n0"}))
            await second.until(lambda: second.pods(ns))
            assert "targets.published" not in second.context.counts
            first.context.stop.set()
            await second.until(lambda: not second.context.modes["targets"].startswith("standby"))
            await asyncio.to_thread(control_plane.apply, pod("two", ns, spec={"nodeName": "n1"}))
            await second.until(lambda: len(second.pods(ns)) == 2)


async def test_an_api_server_that_restarts_costs_nothing_that_was_known(
    control_plane: ControlPlane, kube_namespace: str
) -> None:
    ns = kube_namespace
    await asyncio.to_thread(control_plane.apply, deployment("web", ns, replicas=2))
    await asyncio.to_thread(control_plane.rolled_out, "web", ns)
    async with running(control_plane, MemoryBroker()) as replica:
        await replica.until(lambda: len(replica.pods(ns)) == 2)
        before = {p.uid: p for p in replica.pods(ns)}
        await asyncio.to_thread(control_plane.kill_api)
        await replica.until(lambda: "away" in replica.context.notes.get("targets.kubernetes", ""))
        assert {p.uid: p for p in replica.pods(ns)} == before
        await asyncio.to_thread(control_plane.revive_api)
        await asyncio.to_thread(control_plane.apply, pod("late", ns, spec={"nodeName": "n1"}))
        await replica.until(lambda: "late" in {p.name for p in replica.pods(ns)})
        assert {p.uid: p for p in replica.pods(ns) if p.uid in before} == before
        await replica.until(lambda: "targets.kubernetes" not in replica.context.notes)

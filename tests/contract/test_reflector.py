"""What every Kubernetes API server must let targets do: the fake that unit tests use, and a real one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from weir.runtime.clock import SystemClock
from weir.targets.kube.client import KubeClient
from weir.targets.kube.lease import Lease, Terms
from weir.targets.kube.objects import Change, Delete, Object, Pod, Put, Replace, Watching
from weir.targets.kube.reflector import Pace, Reflector
from weir.targets.kube.values import RESOURCES
from weir.testing.kube.control_plane import ControlPlane
from weir.testing.kube.objects import pod
from weir.testing.kubefake import FakeKube

PATIENCE_S = 60.0
QUICK = Pace(page=2, watch_s=(1, 1), quiet_s=30.0, refused_s=(0.2, 0.4))


class Rig(Protocol):
    """An API server, one namespace of it that is the test's own, and clients with more and fewer rights."""

    namespace: str

    async def client(self, *, allowed: bool = True) -> KubeClient: ...

    async def put(self, name: str, **labels: str) -> None: ...

    async def delete(self, name: str) -> None: ...

    async def go_away(self) -> None: ...

    async def come_back(self) -> None:
        """With its objects, and without its history."""
        ...

    async def allow(self) -> None:
        """Clients that were not allowed to are, from now on."""
        ...


class FakeRig:
    namespace = "shop"

    def __init__(self, fake: FakeKube, folder: Path) -> None:
        self._fake = fake
        self._folder = folder

    async def client(self, *, allowed: bool = True) -> KubeClient:
        self._fake.tokens.add("nobody")
        if not allowed:
            self._fake.refuse(403, "pods", times=1_000_000, when=lambda asked: asked.token == "nobody")
        return await KubeClient.open(str(self._fake.kubeconfig(self._folder, "good" if allowed else "nobody")))

    async def put(self, name: str, **labels: str) -> None:
        self._fake.put("pods", pod(name, self.namespace, labels=labels))

    async def delete(self, name: str) -> None:
        self._fake.delete("pods", name, self.namespace)

    async def go_away(self) -> None:
        await self._fake.stop(forget=True)

    async def come_back(self) -> None:
        await self._fake.start()

    async def allow(self) -> None:
        self._fake.permit()


class RealRig:
    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._api = plane.api
        self.namespace = namespace
        self._pods = f"/api/v1/namespaces/{namespace}/pods"

    async def client(self, *, allowed: bool = True) -> KubeClient:
        if allowed:
            return await KubeClient.open(str(self._plane.kubeconfig))
        token = await asyncio.to_thread(self._plane.token, "default", self.namespace)
        return await KubeClient.open(str(self._plane.kubeconfig_for(token, self.namespace)))

    async def put(self, name: str, **labels: str) -> None:
        # No scheduler takes it, so nothing changes but what the test writes.
        value = pod(name, self.namespace, labels=labels, spec={"schedulerName": "nobody"})
        if await asyncio.to_thread(self._exists, name):
            await asyncio.to_thread(self._api.patch, f"{self._pods}/{name}", {"metadata": {"labels": labels}})
        else:
            await asyncio.to_thread(self._api.create, self._pods, value)

    def _exists(self, name: str) -> bool:
        return any(item["metadata"]["name"] == name for item in self._api.get(self._pods)["items"])

    async def delete(self, name: str) -> None:
        await asyncio.to_thread(self._api.delete, f"{self._pods}/{name}", gracePeriodSeconds=0)

    async def go_away(self) -> None:
        await asyncio.to_thread(self._plane.kill_api)

    async def come_back(self) -> None:
        await asyncio.to_thread(self._plane.revive_api)

    async def allow(self) -> None:
        rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{self.namespace}"
        rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": self.namespace}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
        await asyncio.to_thread(self._api.create, f"{rbac}/roles", {"metadata": {"name": "r"}, "rules": [rule]})
        await asyncio.to_thread(
            self._api.create,
            f"{rbac}/rolebindings",
            {"metadata": {"name": "r"}, "roleRef": reference, "subjects": [subject]},
        )


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kube)])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "fake":
        async with FakeKube() as fake:
            yield FakeRig(fake, tmp_path)
    else:
        yield RealRig(request.getfixturevalue("control_plane"), request.getfixturevalue("kube_namespace"))


class Follower:
    """What somebody knows who believes every change, as targets does."""

    def __init__(self) -> None:
        self.pods: dict[str, Object] = {}
        self.changes: list[Change] = []
        self._news = asyncio.Event()

    async def tell(self, change: Change) -> None:
        self.changes.append(change)
        if isinstance(change, Replace):
            for value in change.gone:
                del self.pods[value.uid]
            self.pods |= {value.uid: value for value in change.objects}
        elif isinstance(change, Put):
            assert change.before == self.pods.get(change.object.uid)
            self.pods[change.object.uid] = change.object
        elif isinstance(change, Delete):
            del self.pods[change.object.uid]
        self._news.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def names(self) -> dict[str, dict[str, str]]:
        return {value.name: value.labels for value in self.pods.values() if isinstance(value, Pod)}

    def states(self) -> list[str]:
        return [change.state for change in self.changes if isinstance(change, Watching)]


@asynccontextmanager
async def following(
    rig: Rig, *, allowed: bool = True, streams: bool = True, pace: Pace = QUICK
) -> AsyncIterator[tuple[Follower, Reflector]]:
    follower = Follower()
    async with await rig.client(allowed=allowed) as client, asyncio.TaskGroup() as tasks:
        reflector = Reflector(
            client, RESOURCES["pods"], follower.tell, clock=SystemClock(), chance=random.Random(1),
            namespace=rig.namespace, pace=pace,
        )  # fmt: skip
        reflector.streams = streams
        running = tasks.create_task(reflector.run())
        try:
            yield follower, reflector
        finally:
            running.cancel()


@pytest.mark.parametrize("streams", [True, False], ids=["streaming list", "pages"])
async def test_all_there_is_then_every_change(rig: Rig, streams: bool) -> None:
    for number in range(5):
        await rig.put(f"p{number}", app="old")
    async with following(rig, streams=streams, pace=Pace(page=2)) as (follower, reflector):
        await follower.until(lambda: reflector.state == "watching")
        assert [type(change) for change in follower.changes] == [Watching, Replace, Watching]
        assert set(follower.names()) == {f"p{number}" for number in range(5)}
        assert reflector.streams is streams

        await rig.put("p9", app="new")
        await rig.put("p0", app="new")
        await rig.delete("p1")
        await follower.until(lambda: "p1" not in follower.names())
        # A real server may tell of the time that a pod has left, before it is gone.
        told = follower.changes[3:]
        assert [type(change) for change in told[:2]] == [Put, Put]
        last = [change.object.name for change in told[2:] if isinstance(change, Put | Delete)]
        assert last == ["p1"] * len(told[2:])
        assert isinstance(told[-1], Delete)
        assert follower.names()["p0"] == {"app": "new"}
        assert set(follower.names()) == {"p0", "p2", "p3", "p4", "p9"}
        assert (reflector.lists, reflector.watches) == (1, 1)


async def test_a_watch_that_ends_goes_on_without_a_list(rig: Rig) -> None:
    await rig.put("p0")
    async with following(rig) as (follower, reflector):
        await follower.until(lambda: reflector.state == "watching")
        for number in range(1, 6):
            watches = reflector.watches
            await rig.put(f"p{number}")
            await follower.until(lambda name=f"p{number}": name in follower.names())  # type: ignore[misc]
            async with asyncio.timeout(PATIENCE_S):
                while reflector.watches == watches and number < 3:
                    await asyncio.sleep(0.01)
        assert reflector.lists == 1
        assert len([c for c in follower.changes if isinstance(c, Put)]) == 5
        assert follower.states() == ["listing", "watching"]


async def test_a_server_that_goes_away_and_comes_back_without_its_history(rig: Rig) -> None:
    await rig.put("stays")
    await rig.put("goes")
    async with following(rig) as (follower, reflector):
        await follower.until(lambda: reflector.state == "watching")
        await rig.go_away()
        await follower.until(lambda: reflector.state == "away")
        assert "cannot be reached" in reflector.reason
        assert set(follower.names()) == {"stays", "goes"}
        await rig.come_back()
        await rig.delete("goes")
        await rig.put("comes")
        await follower.until(lambda: set(follower.names()) == {"stays", "comes"})
        await follower.until(lambda: reflector.state == "watching")


async def test_forbidden_until_it_is_allowed(rig: Rig) -> None:
    await rig.put("p0")
    async with following(rig, allowed=False) as (follower, reflector):
        await follower.until(lambda: reflector.state == "forbidden")
        assert 'cannot watch resource "pods"' in reflector.reason or 'cannot list resource "pods"' in reflector.reason
        assert f'a Role in namespace {rig.namespace} needs: apiGroups [""], resources ["pods"]' in reflector.reason
        await rig.allow()
        await follower.until(lambda: "p0" in follower.names())


async def test_one_of_two_holds_the_lease_and_hands_it_over(rig: Rig) -> None:
    terms = Terms(renew_s=0.2, answer_s=5.0, give_up_s=10.0, good_s=20.0)
    async with await rig.client() as client, AsyncExitStack() as stack:
        first, second = (
            Lease(client, "weir", name, clock=SystemClock(), namespace=rig.namespace, terms=terms)
            for name in ("one", "two")
        )
        async with first.kept():
            await asyncio.wait_for(first.wait(), PATIENCE_S)
            await stack.enter_async_context(second.kept())
            async with asyncio.timeout(PATIENCE_S):
                while second.reason != "held by one":
                    await asyncio.sleep(0.01)
            assert [first.held, second.held] == [True, False]
        assert not first.held
        await asyncio.wait_for(second.wait(), PATIENCE_S)
        assert [first.held, second.held] == [False, True]

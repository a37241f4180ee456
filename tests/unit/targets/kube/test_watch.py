from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from weir.targets.kube import watch as watching
from weir.targets.kube.client import KubeClient
from weir.targets.kube.objects import KINDS, Change, Put, Replace, Watching
from weir.targets.kube.reflector import Pace
from weir.targets.kube.watch import ClusterWatch
from weir.testing.kubefake import FakeKube

PATIENCE_S = 20.0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


def pod(name: str, namespace: str) -> dict[str, object]:
    return {"metadata": {"name": name, "namespace": namespace}}


def make(client: KubeClient, *namespaces: str, pace: Pace | None = None) -> ClusterWatch:
    return ClusterWatch(client, namespaces=namespaces, chance=random.Random(3), pace=pace)


async def test_one_stream_for_each_kind(tmp_path: Path) -> None:
    async with (
        FakeKube() as fake,
        await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client,
        make(client) as watch,
    ):
        await until(lambda: watch.whole)
        changes = await watch.take()
        assert {change.kind for change in changes if isinstance(change, Replace)} == set(KINDS)
        for number in range(20):
            fake.put("pods", pod(f"p{number}", "d"))
        seen: list[Change] = []
        async for change in watch.changes():
            seen.append(change)
            if sum(isinstance(each, Put) for each in seen) == 20:
                break
        assert len(fake.asked) == fake.watching() == len(KINDS)
        assert watch.trouble() == {}


async def test_some_namespaces_only(tmp_path: Path) -> None:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        for space in ("a", "b", "c"):
            fake.put("pods", pod("p", space))
        async with make(client, "a", "b", "a") as watch:
            await until(lambda: watch.whole)
            changes = await watch.take()
        told = [change for change in changes if isinstance(change, Replace) and change.kind == "pods"]
        assert {(change.namespace, len(change.objects)) for change in told} == {("a", 1), ("b", 1)}
        assert {c.kind for c in changes if isinstance(c, Watching) and c.state == "unwatched"} == {
            "nodes",
            "namespaces",
        }
        assert {(asked.kind, asked.namespace) for asked in fake.asked} == {
            (kind, space) for kind in ("pods", "services", "endpointslices") for space in ("a", "b")
        }


async def test_what_is_forbidden_leaves_the_others(tmp_path: Path) -> None:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        fake.refuse(403, "nodes", times=1_000)
        async with make(client, pace=Pace(refused_s=(0.01, 0.02))) as watch:
            await until(lambda: watch.whole and fake.watching() == len(KINDS) - 1)
            (what,) = watch.trouble().items()
            assert what[0] == "nodes"
            assert what[1].startswith("forbidden: ")
            assert 'resources ["nodes"]' in what[1]
            fake.permit()
            await until(lambda: watch.trouble() == {})


async def test_who_does_not_take_holds_the_streams_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "WAITING", 12)
    async with (
        FakeKube() as fake,
        await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client,
        make(client) as watch,
    ):
        for number in range(100):
            fake.put("pods", pod(f"p{number}", "d"))
        names: set[str] = set()
        async with asyncio.timeout(PATIENCE_S):
            while len(names) < 100:
                changes = await watch.take()
                assert len(changes) <= 12
                for change in changes:
                    values = change.objects if isinstance(change, Replace) else ()
                    names |= {value.name for value in values}
                    if isinstance(change, Put):
                        names.add(change.object.name)


async def test_a_bug_ends_it(tmp_path: Path) -> None:
    async with FakeKube() as fake, await KubeClient.open(str(fake.kubeconfig(tmp_path))) as client:
        watch = make(client)

        async def broken() -> None:
            raise ZeroDivisionError

        watch.reflectors["pods", ""]._follow = broken  # type: ignore[method-assign]

        async def use() -> None:
            async with watch:
                await asyncio.Event().wait()

        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(use(), PATIENCE_S)
        assert caught.group_contains(ZeroDivisionError)
